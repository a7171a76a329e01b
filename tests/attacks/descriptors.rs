//! Open descriptors that reach somebody else.

use crate::support::person::Person;
use crate::support::stage::Stage;
use crate::support::users::{OWNER, STRANGER};
use serde_json::json;

/// Two persons joined by a socket; the first, who may read `read/token`, has it open.
fn joined(stage: &Stage, second: &str) -> (Person, Person) {
    let path = stage.secret("read/token", "s3cret");
    let (mut first, mut other) = (Person::of(OWNER), Person::of(second));
    let name = format!("\\0wardfs-test-{}", first.pid());
    first.must(&format!(
        "server = socket.socket(socket.AF_UNIX); server.bind('{name}'); server.listen()"
    ));
    other.must(&format!("link = socket.socket(socket.AF_UNIX); link.connect('{name}')"));
    first.must("link = server.accept()[0]");
    first.must(&format!("file = os.open({path:?}, os.O_RDONLY)"));
    assert_eq!(first.must("os.pread(file, 9, 0)"), "s3cret");
    first.must("socket.send_fds(link, [b'x'], [file])");
    other.must("file = socket.recv_fds(link, 1, 1)[1][0]");
    (first, other)
}

#[test]
fn a_descriptor_passed_to_another_user_yields_nothing_and_the_try_is_recorded() {
    let Some(stage) = Stage::set() else { return };
    let (mut owner, mut stranger) = joined(&stage, STRANGER);
    assert_eq!(stranger.fails("os.pread(file, 9, 0)"), "EACCES");
    assert_eq!(stranger.fails("os.read(file, 9)"), "EACCES");
    let refusal = stage.log_of("refused", "read/token").pop().unwrap();
    assert_eq!(refusal["actor"]["pid"], stranger.pid());
    assert_eq!(owner.must("os.pread(file, 9, 0)"), "s3cret");
}

#[test]
fn a_mapping_of_a_passed_descriptor_yields_nothing() {
    let Some(stage) = Stage::set() else { return };
    let (_owner, mut stranger) = joined(&stage, STRANGER);
    // By the C library: Python would look at the length first, which is shown as 0.
    stranger.must("libc.mmap.restype = ctypes.c_void_p");
    stranger.must("memory = libc.mmap(None, 4096, mmap.PROT_READ, mmap.MAP_PRIVATE, file, 0)");
    assert_eq!(stranger.must("child('ctypes.string_at(memory, 6)')"), -7, "SIGBUS is expected");
}

#[test]
fn a_descriptor_opened_anew_by_its_number_is_decided_anew() {
    let Some(stage) = Stage::set() else { return };
    let (_owner, mut stranger) = joined(&stage, STRANGER);
    assert_eq!(stranger.fails("os.open(f'/proc/self/fd/{file}', os.O_RDONLY)"), "EACCES");
}

#[test]
fn a_descriptor_inherited_by_another_program_takes_that_programs_own_right() {
    let Some(stage) = Stage::set() else { return };
    let (cat, read) = (stage.secret("cat/token", "s3cret"), stage.secret("read/token", "s3cret"));
    let mut person = Person::of(OWNER);
    // The shell may not open what cat alone may read.
    let ended = person.must(&format!("run('sh', '-c', 'cat < $0', {cat:?})"));
    assert_eq!((&ended[1], ended[0] == 0), (&json!(""), false), "{ended}");
    // Both may read this one.
    assert_eq!(person.must(&format!("run('sh', '-c', 'cat < $0', {read:?})"))[1], "s3cret");
    // Who may open hands it to a program that may not: od is no cat.
    let rules = "[[rule]]\nname = \"not-od\"\nclients = [\"od\"]\nops = [\"file.read\"]\n\
                 path = [\"read/**\"]\npriority = 1\ndecide = \"deny\"\n\
                 [clients.od]\nexe = [\"/usr/bin/od\"]\n";
    stage.change_rules("1s", rules);
    let ended = person.must(&format!("run('od', '-c', stdin=os.open({read:?}, os.O_RDONLY))"));
    assert!(ended[2].as_str().unwrap().contains("Permission denied"), "{ended}");
    let refusal = stage.log_of("refused", "read/token").pop().unwrap();
    assert_eq!(refusal["actor"]["exe"], "/usr/bin/od");
}

#[test]
fn an_approved_open_handed_to_another_session_yields_nothing_and_asks_nobody() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("ask/token", "s3cret");
    let mut person = Person::of(OWNER);
    person.begin(&format!("file = os.open({path:?}, os.O_RDONLY)"));
    let request = stage.held("ask/token");
    assert_eq!(stage.approve(&request).status, Some(0));
    person.end().unwrap();
    assert_eq!(person.must("child('os.pread(file, 9, 0)')"), 0);
    assert_eq!(person.must("child('os.setsid(); os.pread(file, 9, 0)')"), 42);
    assert_eq!(stage.pending().len(), 0);
}

#[test]
fn a_program_that_becomes_another_one_loses_its_open_file() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("cat/token", "s3cret");
    let rules = "[[rule]]\nname = \"python-too\"\nclients = [\"python\"]\nops = [\"file.read\"]\n\
                 path = [\"cat/**\"]\ndecide = \"allow\"\n\
                 [clients.python]\nexe = [\"/usr/bin/python3*\"]\n";
    stage.change_rules("1s", rules);
    let mut person = Person::of(OWNER);
    let becomes = |program: &str| {
        format!(
            "run('python3', '-c', 'import os; file = os.open({path:?}, 0); os.dup2(file, 0); \
                 os.execv(\"/usr/bin/{program}\", [\"{program}\"])')"
        )
        .replace('\'', "'''")
    };
    assert_eq!(person.must(&becomes("cat"))[1], "s3cret");
    let ended = person.must(&becomes("od"));
    assert!(ended[2].as_str().unwrap().contains("Permission denied"), "{ended}");
}
