//! The control socket: open to all, so it must stand all.

use crate::support::person::Person;
use crate::support::stage::Stage;
use crate::support::users::{OWNER, STRANGER};
use serde_json::Value;

/// A stage and a stranger with `link`, connected to its daemon.
fn set() -> Option<(Stage, Person)> {
    let stage = Stage::set()?;
    let mut person = Person::of(STRANGER);
    connect(&stage, &mut person, "link");
    Some((stage, person))
}

fn connect(stage: &Stage, person: &mut Person, name: &str) {
    let socket = stage.root().path().join("control.sock");
    person.must(&format!("{name} = socket.socket(socket.AF_UNIX); {name}.connect({socket:?})"));
}

/// What the daemon answers to these bytes; an empty text when it closes.
fn answer(person: &mut Person, bytes: &str) -> Value {
    person.must(&format!("link.sendall({bytes})"));
    person.must("link.recv(1 << 20)")
}

/// The code of an answer that is an error.
fn code(answer: &Value) -> String {
    let answer: Value = serde_json::from_str(answer.as_str().unwrap()).unwrap();
    answer["error"]["code"].as_str().unwrap().to_owned()
}

fn still_serves(stage: &Stage) {
    assert_eq!(stage.root().run(&["status"]).status, Some(0));
}

#[test]
fn garbage_is_answered_with_an_error_and_the_connection_goes_on() {
    let Some((stage, mut person)) = set() else { return };
    for bytes in [
        "b'garbage\\n'",
        "b'\\n'",
        "b'\\xff\\xfe\\x00\\n'",
        "b'{}\\n'",
        "b'[]\\n'",
        "b'{' * 5000 + b'\\n'",
        "b'[' * 100000 + b'\\n'",
        "b'{\"version\":1,\"command\":{\"name\":\"nothing\"}}\\n'",
        "b'{\"version\":1,\"command\":{\"name\":\"status\",\"uid\":0}}\\n'",
        "b'{\"version\":1,\"command\":{\"name\":\"status\"},\"uid\":0}\\n'",
    ] {
        let answer = answer(&mut person, bytes);
        assert_eq!(code(&answer), "malformed", "{bytes}: {answer}");
        assert!(!answer.as_str().unwrap().contains("garbage"));
    }
    let of_another_version = "b'{\"version\":2,\"command\":{\"name\":\"status\"}}\\n'";
    assert_eq!(code(&answer(&mut person, of_another_version)), "version");
    let known = answer(&mut person, "b'{\"version\":1,\"command\":{\"name\":\"status\"}}\\n'");
    assert!(known.as_str().unwrap().contains("result"), "{known}");
    still_serves(&stage);
}

#[test]
fn a_line_without_end_is_cut_at_its_limit_and_told_so() {
    let Some((stage, mut person)) = set() else { return };
    // The daemon may close while we still send.
    let sent = person.does("link.sendall(b'a' * (1 << 21))");
    assert!(
        sent.is_ok() || sent == Err("EPIPE".to_owned()) || sent == Err("ECONNRESET".to_owned())
    );
    if let Ok(answer) = person.does("link.recv(1 << 20)") {
        assert_eq!(code(&answer), "malformed");
    }
    still_serves(&stage);
}

#[test]
fn half_a_line_and_a_close_harm_nobody() {
    let Some((stage, mut person)) = set() else { return };
    person.must("link.sendall(b'{\"version\":1,'), link.close()");
    connect(&stage, &mut person, "link");
    person.must("link.sendall(b'{\"version\"'), link.shutdown(socket.SHUT_WR)");
    assert_eq!(person.must("link.recv(1000)"), "");
    still_serves(&stage);
}

#[test]
fn descriptors_that_nobody_asked_for_are_closed() {
    let Some((stage, mut person)) = set() else { return };
    let daemon = stage.root().running().unwrap();
    let marked = || {
        let files = std::fs::read_dir(format!("/proc/{daemon}/fd")).unwrap();
        let links = files.filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok());
        links.filter(|path| path.ends_with("etc/hostname")).count()
    };
    person.must("files = [os.open('/etc/hostname', 0) for _ in range(200)]");
    person.must("socket.send_fds(link, [b'garbage\\n'], files)");
    assert_eq!(code(&person.must("link.recv(10000)")), "malformed");
    assert!(marked() <= 1);
    person.must("link.close()");
    assert!(crate::support::wait::until(|| marked() == 0));
}

#[test]
fn a_connection_belongs_to_the_process_that_sent_first() {
    let Some((stage, mut person)) = set() else { return };
    let status = "b'{\"version\":1,\"command\":{\"name\":\"status\"}}\\n'";
    assert!(answer(&mut person, status).as_str().unwrap().contains("result"));
    assert_eq!(person.must(&format!("child({:?})", format!("link.sendall({status})"))), 0);
    assert_eq!(person.must("link.recv(1 << 20)"), "", "the connection is to be closed");
    still_serves(&stage);
}

#[test]
fn who_connects_and_hands_the_connection_over_lends_no_rights() {
    let Some(stage) = Stage::set() else { return };
    stage.secret("free/token", "s3cret");
    // Root may read it, and connects; the one who sends is a stranger.
    let get = "link.sendall(b'{\"version\":1,\"command\":{\"name\":\"get\",\"vault\":\"default\",\
               \"path\":\"free/token\"}}\\n')";
    let mut admin = Person::started_by(&[], None);
    connect(&stage, &mut admin, "link");
    let stranger = crate::support::users::user(STRANGER).uid;
    admin.must(&format!(
        "number = os.fork()\nif number == 0:\n    os.setgroups([])\n    \
         os.setresuid({stranger}, {stranger}, {stranger})\n    {get}\n    signal.pause()"
    ));
    // Closed without a word, and recorded.
    assert_eq!(admin.must("link.recv(10000)"), "");
    admin.must("os.kill(number, signal.SIGKILL)");
    let log = stage.log();
    let refused = log.iter().rev().find(|entry| entry["eventType"] == "refused").unwrap();
    assert_eq!(refused["actor"]["uid"], stranger.as_raw());
    assert!(refused["reason"].as_str().unwrap().contains("somebody else"), "{refused}");
}

#[test]
fn a_process_that_connects_and_becomes_another_program_is_answered_no_more() {
    let Some(stage) = Stage::set() else { return };
    let mut person = Person::of(OWNER);
    connect(&stage, &mut person, "link");
    let line = r#"{"version":1,"command":{"name":"whoami"}}"#;
    // Who connected, and was answered, is python; who sends then is the shell that it becomes.
    person.must(&format!("line = {line:?}"));
    person.must("link.sendall((line + '\\n').encode()) or len(link.recv(9999))");
    person.must("os.dup2(link.fileno(), 9)");
    person.begin("os.execv('/bin/sh', ['sh', '-c', 'echo \"$0\" 1>&9; cat 0<&9', line])");
    person.wait_for_its_end();
    let log = stage.log();
    let refused = log.iter().rev().find(|entry| entry["eventType"] == "refused").unwrap();
    assert!(refused["reason"].as_str().unwrap().contains("another program"), "{refused}");
}

#[test]
fn more_connections_than_are_served_are_closed_and_make_room_again() {
    let Some((stage, mut person)) = set() else { return };
    let socket = stage.root().path().join("control.sock");
    person.must("links = [socket.socket(socket.AF_UNIX) for _ in range(65)]");
    person.must(&format!("[it.connect({socket:?}) for it in links]"));
    // One of them or more is one too many: it is closed, and reads nothing.
    assert_eq!(person.must("select.select(links, [], [], 10)[0][0].recv(1)"), "");
    person.must("[it.close() for it in links]");
    let is_back = crate::support::wait::until(|| stage.root().run(&["status"]).status == Some(0));
    assert!(is_back, "the daemon serves nobody any more");
}

#[test]
fn a_stranger_learns_nothing_by_commands() {
    let Some(stage) = Stage::set() else { return };
    stage.secret("free/token", "s3cret");
    for (words, status) in [
        (vec!["get", "--raw", "free/token"], 5),
        (vec!["set", "free/token", "--value", "x"], 3),
        (vec!["revoke", "free/token"], 5),
        (vec!["vault", "unmount", "default"], 3),
        (vec!["vault", "list"], 3),
        (vec!["audit", "show"], 3),
        (vec!["daemon", "stop"], 3),
        (vec!["policy", "check"], 3),
    ] {
        let ended = stage.root().ward(&words).by(STRANGER).run();
        assert_eq!(ended.status, Some(status), "{words:?}: {ended:?}");
        assert!(!ended.stdout.contains("s3cret") && !ended.stderr.contains("s3cret"));
    }
    let listed = stage.root().ward(&["list"]).by(STRANGER).succeed();
    assert!(!listed.contains("token"), "{listed}");
    assert_eq!(Person::of(OWNER).reads(&stage.path("free/token")), Ok("s3cret".to_owned()));
}
