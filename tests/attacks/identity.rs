//! Programs that pretend to be another one.

use crate::support::person::{PYTHON, Person};
use crate::support::stage::Stage;
use crate::support::users::{OWNER, user};
use crate::support::wait;
use serde_json::Value;

/// Steps that give the owner a directory of their own, `folder`.
const FOLDER: &str = "import tempfile; folder = tempfile.mkdtemp()";
const REMOVE: &str = "subprocess.run(['rm', '-rf', folder])";

fn set() -> Option<(Stage, Person, String)> {
    let stage = Stage::set()?;
    let path = stage.secret("cat/token", "s3cret");
    let mut person = Person::of(OWNER);
    person.must(FOLDER);
    Some((stage, person, path))
}

/// The attempt got nothing and was told nothing but that.
fn is_refused(ended: &Value) {
    assert!(ended[0] != 0 && ended[1] == "", "{ended}");
    assert!(ended[2].as_str().unwrap().contains("Permission denied"), "{ended}");
}

/// Who cannot be believed at all does not even find the name.
fn finds_nothing(ended: &Value) {
    assert!(ended[0] != 0 && ended[1] == "", "{ended}");
    assert!(ended[2].as_str().unwrap().contains("No such file"), "{ended}");
}

#[test]
fn a_copy_of_an_allowed_program_is_another_program() {
    let Some((_stage, mut person, path)) = set() else { return };
    person.must("run('cp', '/usr/bin/cat', folder + '/cat')");
    is_refused(&person.must(&format!("run(folder + '/cat', {path:?})")));
    person.must(REMOVE);
}

#[test]
fn another_program_under_the_name_of_an_allowed_one_is_refused() {
    let Some((_stage, mut person, path)) = set() else { return };
    person.must("run('cp', '/usr/bin/head', folder + '/cat')");
    is_refused(&person.must(&format!("run(folder + '/cat', {path:?})")));
    // argv[0] is only what the starter says.
    is_refused(
        &person.must(&format!("run('/usr/bin/cat', '-c9', {path:?}, executable='/usr/bin/head')")),
    );
    person.must(REMOVE);
}

#[test]
fn a_link_to_an_allowed_program_gives_another_program_nothing() {
    let Some((_stage, mut person, path)) = set() else { return };
    // The kernel resolves a symlink: this is cat itself, and it may read.
    person.must("os.symlink('/usr/bin/cat', folder + '/head')");
    assert_eq!(person.must(&format!("run(folder + '/head', {path:?})"))[1], "s3cret");
    person.must("os.symlink('/usr/bin/head', folder + '/cat')");
    is_refused(&person.must(&format!("run(folder + '/cat', '-c9', {path:?})")));
    person.must("run('cp', '/usr/bin/head', folder + '/copy')");
    person.must("os.link(folder + '/copy', folder + '/hard')");
    is_refused(&person.must(&format!("run(folder + '/hard', '-c9', {path:?})")));
    person.must(REMOVE);
}

#[test]
fn a_program_bind_mounted_over_an_allowed_one_in_a_namespace_of_its_own_is_refused() {
    let Some((_stage, mut person, path)) = set() else { return };
    person.must(&format!(
        "mounted = run('unshare', '-Urm', 'sh', '-c', \
         'mount --bind /usr/bin/head /usr/bin/cat && /usr/bin/cat -c9 $0', {path:?})"
    ));
    finds_nothing(&person.must("mounted"));
    // The same with root's help, in our own user namespace.
    let root = format!(
        "mount --bind /usr/bin/head /usr/bin/cat && exec setpriv --reuid={0} \
                        --regid={0} --clear-groups /usr/bin/cat -c9 $0",
        user(OWNER).uid
    );
    let mut admin = Person::started_by(&[], None);
    finds_nothing(&admin.must(&format!("run('unshare', '-m', 'sh', '-c', {root:?}, {path:?})")));
    let again = root.replace("mount --bind /usr/bin/head /usr/bin/cat && ", "");
    let again = again.replace(" -c9", "");
    let reads = admin.must(&format!("run('unshare', '-m', 'sh', '-c', {again:?}, {path:?})"));
    assert_eq!(reads[1], "s3cret", "a namespace alone does no harm");
    person.must(REMOVE);
}

#[test]
fn root_of_a_user_namespace_is_refused_even_with_the_allowed_program() {
    let Some((_stage, mut person, path)) = set() else { return };
    for options in [["-U", "--keep-caps"], ["-U", "-r"]] {
        let [one, other] = options;
        let ended = person.must(&format!("run('unshare', '{one}', '{other}', 'cat', {path:?})"));
        finds_nothing(&ended);
    }
    person.must(REMOVE);
}

#[test]
fn a_traced_program_is_refused() {
    let Some((_stage, mut person, path)) = set() else { return };
    person.must(&format!("traced = run('strace', '-o', '/dev/null', 'cat', {path:?})"));
    finds_nothing(&person.must("traced"));
    person.must(REMOVE);
}

#[test]
fn a_process_that_was_known_is_refused_from_the_moment_a_tracer_attaches() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("read/token", "s3cret");
    let mut victim = Person::of(OWNER);
    assert_eq!(victim.reads(&path), Ok("s3cret".to_owned()));
    let mut tracer = Person::started_by(&[], None);
    tracer.must(&format!("call('ptrace', 0x4206, {}, 0, 0)", victim.pid()));
    assert_eq!(victim.reads(&path), Err("ENOENT".to_owned()));
    drop(tracer);
    assert!(wait::until(|| victim.reads(&path) == Ok("s3cret".to_owned())));
}

#[test]
fn a_process_that_gives_up_a_group_is_looked_at_anew() {
    let rules = "[clients.team]\ngroup = [4242]\n[[rule]]\nname = \"team-reads\"\n\
                 clients = [\"team\"]\nops = [\"file.list\", \"file.read\"]\n\
                 path = [\"team/**\"]\ndecide = \"allow\"\n";
    let Some(stage) = Stage::with("1s", rules) else { return };
    let path = stage.secret("team/token", "s3cret");
    let owner = user(OWNER).uid;
    let mut person = Person::started_by(&[], None);
    person.must(&format!("os.setgroups([4242]), os.setresuid({owner}, {owner}, 0)"));
    assert_eq!(person.reads(&path), Ok("s3cret".to_owned()));
    person.must(&format!("os.seteuid(0); os.setgroups([]); os.seteuid({owner})"));
    assert_eq!(person.reads(&path), Err("ENOENT".to_owned()));
}

#[test]
fn a_deleted_program_is_refused() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("copy/token", "s3cret");
    let copy = stage.root().directory().join("copy");
    std::fs::copy(PYTHON, &copy).unwrap();
    let read = format!("import os; print(os.read(os.open({path:?}, 0), 9))");
    let runs = |program: &str| format!("run({copy:?}, '-c', {program:?})");
    let mut admin = Person::started_by(&[], None);
    assert_eq!(admin.must(&runs(&read))[1], "b's3cret'\n");
    finds_nothing(&admin.must(&runs(&format!("import os; os.unlink({copy:?}); {read}"))));
}

#[test]
fn environment_and_arguments_claim_nothing() {
    let Some((_stage, mut person, path)) = set() else { return };
    let claims = "{'_': '/usr/bin/cat', 'SUDO_UID': '0', 'USER': 'root', 'LOGNAME': 'root'}";
    is_refused(&person.must(&format!("run('head', '-c9', {path:?}, env={claims})")));
    person.must("open('/proc/self/comm', 'w').write('cat')");
    assert_eq!(person.reads(&path), Err("EACCES".to_owned()));
    person.must(REMOVE);
}

#[test]
fn another_thread_of_a_process_is_the_same_process() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("read/token", "s3cret");
    let mut person = Person::of(OWNER);
    person.must(&format!("import threading; file = os.open({path:?}, 0); found = []"));
    person.must("it = threading.Thread(target=lambda: found.append(os.pread(file, 9, 0)))");
    person.must("it.start(); it.join()");
    assert_eq!(person.must("found[0]"), "s3cret");
    let read = stage.log_of("file.read", "read/token").pop().unwrap();
    assert_eq!(read["actor"]["pid"], person.pid());
}

#[test]
fn a_changed_program_is_another_one() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("ask/token", "s3cret");
    let tool = stage.root().directory().join("tool");
    std::fs::copy(PYTHON, &tool).unwrap();
    let mut person = Person::of(OWNER);
    let read = format!("import os; print(os.read(os.open({path:?}, os.O_NONBLOCK), 9))");
    let step = format!("run({tool:?}, '-c', {read:?})");
    assert!(person.must(&step)[2].as_str().unwrap().contains("temporarily unavailable"));
    let request = stage.pending()[0]["request"].as_str().unwrap().to_owned();
    assert_eq!(stage.approve(&request).status, Some(0));
    assert_eq!(person.must(&step)[1], "b's3cret'\n");
    // The same path and times; one byte more.
    let mut admin = Person::started_by(&[], None);
    admin.must(&format!("before = os.stat({tool:?}); open({tool:?}, 'ab').write(b' ')"));
    admin.must(&format!("os.utime({tool:?}, ns=(before.st_atime_ns, before.st_mtime_ns))"));
    assert!(person.must(&step)[2].as_str().unwrap().contains("temporarily unavailable"));
}
