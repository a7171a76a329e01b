//! I13: a process that says it is in another container or cgroup than it is in.

use crate::support::person::Person;
use crate::support::stage::Stage;
use crate::support::users::{OWNER, user};
use std::path::PathBuf;

/// A container that is trusted, by its id.
const TRUSTED: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// A cgroup made for the test, in the hierarchy by which processes are known; removed when dropped.
struct Cgroup(PathBuf);

impl Cgroup {
    fn make(name: &str) -> Option<Self> {
        let unified = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
        let top = unified
            .into_iter()
            .find(|top| std::fs::exists(format!("{top}/cgroup.controllers")).unwrap_or_default());
        let Some(top) = top else {
            eprintln!("skipped: there is no cgroup v2 here");
            return None;
        };
        let path = PathBuf::from(top).join(name);
        match std::fs::create_dir(&path) {
            Ok(()) => Some(Self(path)),
            Err(error) => {
                eprintln!("skipped: {path:?}: {error}");
                None
            }
        }
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let is_gone = crate::support::wait::until(|| std::fs::remove_dir(&self.0).is_ok());
        assert!(is_gone || std::thread::panicking(), "{:?} stays", self.0);
    }
}

fn rules() -> String {
    format!(
        "[clients.contained]\ncontainer = [\"{TRUSTED}\"]\n[[rule]]\nname = \"contained-reads\"\n\
         clients = [\"contained\"]\nops = [\"file.list\", \"file.read\"]\npath = [\"inner/**\"]\n\
         decide = \"allow\"\n"
    )
}

/// A process of the owner, which does `before` as root.
fn person(before: &str) -> Person {
    let mut person = Person::started_by(&["unshare", "--mount"], None);
    person.must(before);
    person.must(&format!("os.setgroups([]), os.setresuid({0}, {0}, {0})", user(OWNER).uid));
    person
}

#[test]
fn files_of_proc_that_a_process_shows_itself_make_it_no_part_of_a_container() {
    let Some(stage) = Stage::with("1s", &rules()) else { return };
    let path = stage.secret("inner/token", "s3cret");
    // What programs look at to learn where they are: covered by what a container would show.
    let claims = format!("0::/docker/{TRUSTED}\\n1:name=systemd:/docker/{TRUSTED}\\n");
    let mut liar = person(&format!(
        "run('mount', '-t', 'tmpfs', 'none', '/mnt'), write('/mnt/claims', '{claims}'); \
         os.chmod('/mnt/claims', 0o644); \
         [run('mount', '--bind', '/mnt/claims', f'/proc/{{os.getpid()}}/{{name}}') \
         for name in ('cgroup', 'mountinfo')]"
    ));
    assert!(liar.must("read('/proc/self/cgroup')").as_str().unwrap().contains(TRUSTED));
    assert_eq!(liar.reads(&path), Err("ENOENT".to_owned()));
    // Nor do a host name, or the files that engines put into theirs.
    let mut other = person(&format!(
        "run('mount', '-t', 'tmpfs', 'none', '/run'), write('/run/.containerenv', '{TRUSTED}')"
    ));
    assert_eq!(other.reads(&path), Err("ENOENT".to_owned()));
}

#[test]
fn a_cgroup_namespace_hides_nothing_from_the_daemon() {
    let Some(stage) = Stage::with("1s", &rules()) else { return };
    let path = stage.secret("inner/token", "s3cret");
    let Some(cgroup) = Cgroup::make(&format!("docker-{TRUSTED}.scope")) else { return };
    let enter = format!("write('{}/cgroup.procs', str(os.getpid()), 0)", cgroup.0.display());
    let mut inside = person(&enter);
    assert_eq!(inside.reads(&path), Ok("s3cret".to_owned()));
    // In a namespace whose top is the cgroup it sees none, and is in it all the same.
    let mut hidden = person(&format!("{enter}, libc.unshare(0x02000000)"));
    assert!(!hidden.must("read('/proc/self/cgroup')").as_str().unwrap().contains(TRUSTED));
    assert_eq!(hidden.reads(&path), Ok("s3cret".to_owned()));
    let mut outside = person("libc.unshare(0x02000000)");
    assert_eq!(outside.reads(&path), Err("ENOENT".to_owned()));
    // Nobody without rights moves himself into it.
    let procs = format!("os.open('{}/cgroup.procs', os.O_WRONLY)", cgroup.0.display());
    assert_eq!(outside.fails(&procs), "EACCES");
}
