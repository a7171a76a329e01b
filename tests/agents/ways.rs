//! The ways in which a daemon tells sessions: whatever the machine has, the same holds.

use crate::support::agent::{RULES, daemon_reads, sessions, words};
use crate::support::person::Person;
use crate::support::root::Root;
use crate::support::stage::{HOLD, policy, replace};
use crate::support::users::{OWNER, can_act_as_others, user};
use crate::support::wait;
use crate::support::ward::WARD;
use nix::sys::signal::Signal;
use std::process::Command;

/// A daemon in a mount namespace in which a test says what there is of cgroups.
struct Yard {
    root: Root,
    namespace: String,
    secret: String,
}

impl Yard {
    /// With what `mount` leaves below /sys/fs/cgroup; `None` where the machine cannot have that.
    fn with(mount: &str) -> Option<Self> {
        if !can_act_as_others() {
            return None;
        }
        let root = Root::system();
        replace(&root.path().join("policy.toml"), &policy(HOLD, RULES));
        let path = root.path().to_str().unwrap().to_owned();
        let script = format!(
            "umount --recursive --lazy /sys/fs/cgroup; {mount} || exit 77; \
             exec {WARD} --root {path} daemon start"
        );
        let started =
            Command::new("unshare").args(["--mount", "sh", "-c", &script]).output().unwrap();
        if started.status.code() == Some(77) {
            eprintln!("skipped: {mount}: {}", String::from_utf8_lossy(&started.stderr));
            return None;
        }
        assert!(started.status.success(), "{started:?}");
        let namespace = format!("--mount=/proc/{}/ns/mnt", root.running().unwrap());
        let mountpoint = root.directory().join("mount");
        std::fs::create_dir(&mountpoint).unwrap();
        let secret = mountpoint.join("claude/token").to_str().unwrap().to_owned();
        let yard = Self { root, namespace, secret };
        let made = yard.enter(&[
            WARD,
            "--root",
            &path,
            "vault",
            "mount",
            "default",
            mountpoint.to_str().unwrap(),
        ]);
        assert!(made.is_some_and(|it| it.success()));
        let fill =
            format!("mkdir {0}; printf one > {0}/token", mountpoint.join("claude").display());
        assert!(yard.enter(&["sh", "-c", &fill]).is_some_and(|it| it.success()));
        Some(yard)
    }

    fn enter(&self, words: &[&str]) -> Option<std::process::ExitStatus> {
        Command::new("nsenter").args([&self.namespace, "--"]).args(words).status().ok()
    }

    /// The owner in that namespace, as an agent or as nobody.
    fn person(&self, name: Option<&str>) -> Person {
        let owner = user(OWNER);
        let (uid, gid) = (format!("--reuid={}", owner.uid), format!("--regid={}", owner.gid));
        let as_owner = ["nsenter", &self.namespace, "--", "setpriv", &uid, &gid, "--clear-groups"];
        let run = name.map(|name| words(&self.root, name));
        let run = run.as_ref().map_or([].as_slice(), |words| words.as_slice());
        Person::started_by(&[&as_owner, run].concat(), None)
    }

    /// Whether the session has a cgroup.
    fn has_cgroup(&self, session: &str) -> bool {
        let daemon = self.root.running().unwrap();
        let top = std::fs::read_dir(format!("/proc/{daemon}/root/sys/fs/cgroup")).unwrap();
        top.map(|folder| folder.unwrap().path().join(session)).any(|path| path.is_dir())
    }
}

/// What must hold in each way.
fn holds(mount: &str, kept_by: &str) {
    let Some(yard) = Yard::with(mount) else { return };
    let mut claude = yard.person(Some("claude"));
    let path = yard.secret.clone();
    assert_eq!(claude.reads(&path), Ok("one".to_owned()));
    assert_eq!(yard.person(None).reads(&path), Err("ENOENT".to_owned()));
    let hundred = format!("sum(child({:?}) == 0 for _ in range(100))", format!("read({path:?})"));
    assert_eq!(claude.must(&hundred), 100);
    claude.must(&daemon_reads(&path));
    assert_eq!(claude.must("daemon_reads()"), "one");
    claude.must("one = subprocess.Popen(['sleep', '1000'])");
    claude
        .must("two = subprocess.Popen(['sh', '-c', 'sleep 1000 & wait'], start_new_session=True)");
    let pids = claude.must("[os.getpid(), one.pid, two.pid]");
    assert!(wait::until(|| sessions(&yard.root)[0]["processes"] == 4));
    let session = sessions(&yard.root).remove(0);
    assert_eq!(session["kept_by"], kept_by);
    let session = session["session"].as_str().unwrap();
    assert_eq!(yard.has_cgroup(session), kept_by != "descent");
    claude.signal(Signal::SIGKILL);
    for pid in pids.as_array().unwrap() {
        assert!(wait::has_ended(u32::try_from(pid.as_u64().unwrap()).unwrap()), "{pid}");
    }
    assert!(wait::until(|| sessions(&yard.root).is_empty() && !yard.has_cgroup(session)));
}

#[test]
fn a_session_is_kept_by_cgroup_v2() {
    holds("mount -t cgroup2 none /sys/fs/cgroup", "cgroup v2");
}

#[test]
fn a_session_is_kept_by_the_freezer_of_cgroup_v1() {
    holds("mount -t cgroup -o freezer none /sys/fs/cgroup", "cgroup v1");
}

#[test]
fn a_session_is_kept_by_the_process_limit_of_cgroup_v1() {
    holds("mount -t cgroup -o pids none /sys/fs/cgroup", "cgroup v1");
}

#[test]
fn a_session_is_kept_by_descent_where_there_is_no_cgroup() {
    holds("true", "descent");
}
