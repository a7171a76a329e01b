//! I7: a tracer, and other ways into a process that may read.

use super::{finds_nothing, succeeds_against_gocryptfs};
use crate::support::person::Person;
use crate::support::stage::Stage;
use crate::support::users::{OWNER, STRANGER};
use crate::support::wait;
use serde_json::Value;

/// Runs a program under a tracer.
fn traced(person: &mut Person, path: &str) -> Value {
    person.must(&format!("run('strace', '-o', '/dev/null', 'cat', {path:?})"))
}

/// Takes the descriptor of a program that has the file open, and reads by it.
fn taken(person: &mut Person, path: &str) -> Result<Value, String> {
    person.must(&format!(
        "it = subprocess.Popen(['tail', '-f', {path:?}], stdout=subprocess.PIPE); \
         os.read(it.stdout.fileno(), 9); folder = f'/proc/{{it.pid}}/fd/'; \
         pidfd = os.pidfd_open(it.pid); \
         number = next(int(n) for n in os.listdir(folder) if os.readlink(folder + n) == {path:?})"
    ));
    let read = person.does("os.pread(call('syscall', 438, pidfd, number, 0), 9, 0)");
    person.must("it.kill(), it.wait()");
    read
}

/// Whether the kernel keeps processes of one user apart (`ptrace_scope` of Yama).
fn has_yama() -> bool {
    let scope = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope");
    scope.is_ok_and(|scope| scope.trim() != "0")
}

#[test]
fn a_traced_program_is_refused() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("cat/token", "s3cret");
    finds_nothing(&traced(&mut Person::of(OWNER), &path));
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
fn a_descriptor_taken_out_of_an_allowed_program_yields_nothing() {
    let rules = "[clients.tail]\nexe = [\"/usr/bin/tail\"]\n[[rule]]\nname = \"tail-reads\"\n\
                 clients = [\"tail\"]\nops = [\"file.list\", \"file.read\"]\n\
                 path = [\"tail/**\"]\ndecide = \"allow\"\n";
    let Some(stage) = Stage::with("1s", rules) else { return };
    let path = stage.secret("tail/token", "s3cret");
    let mut thief = Person::of(OWNER);
    let errno = taken(&mut thief, &path).unwrap_err();
    if has_yama() {
        assert_eq!(errno, "EPERM");
        return;
    }
    assert_eq!(errno, "EACCES");
    let refusal = stage.log_of("refused", "tail/token").pop().unwrap();
    assert_eq!(refusal["actor"]["pid"], thief.pid());
}

#[test]
fn the_memory_of_a_reader_is_closed_to_other_users_and_open_to_its_own_without_yama() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("read/token", "s3cret");
    let mut victim = Person::of(OWNER);
    victim.must(&format!("value = ctypes.create_string_buffer(read({path:?}))"));
    let address = victim.must("ctypes.addressof(value)");
    let look = format!(
        "(room := ctypes.create_string_buffer(6), \
         call('process_vm_readv', {}, struct.pack('QQ', ctypes.addressof(room), 6), 1, \
         struct.pack('QQ', {address}, 6), 1, 0), room.raw)[2]",
        victim.pid()
    );
    assert_eq!(Person::of(STRANGER).fails(&look), "EPERM");
    let expected = if has_yama() { Err("EPERM".to_owned()) } else { Ok("s3cret".into()) };
    assert_eq!(Person::of(OWNER).does(&look), expected, "docs/threats.md says so");
}

#[test]
fn against_gocryptfs_it_succeeds() {
    succeeds_against_gocryptfs(traced);
    succeeds_against_gocryptfs(|person, path| {
        let read = taken(person, path);
        // Yama stands in the way of both.
        serde_json::json!([0, if has_yama() { "s3cret".into() } else { read.unwrap() }])
    });
}
