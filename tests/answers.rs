//! Requests and their answers, from both sides of the queue.

use crate::support::root::Root;
use crate::support::session::Session;
use crate::support::users::{self, OWNER, STRANGER};
use std::io::Write;

/// A system root in which the owner may do everything, and the stranger may read `a` once the owner
/// said yes.
fn root() -> Root {
    let root = Root::system();
    let agent = users::user(STRANGER).uid;
    let policy = root.path().join("policy.toml");
    let mut file = std::fs::File::options().append(true).open(policy).unwrap();
    write!(
        file,
        r#"
[clients.agent]
uid = {agent}
[[rule]]
name = "agent-asks"
clients = ["agent"]
ops = ["request.create", "request.list", "request.approve", "file.list"]
path = ["*", "**"]
decide = "allow"
[[rule]]
name = "agent-reads"
clients = ["agent"]
ops = ["file.read"]
path = ["a"]
decide = "approve"
approve = {{ require = "first_use", factors = {{ any = ["local"] }}, lease = "5m" }}
"#
    )
    .unwrap();
    let root = root.serving();
    root.ward(&["set", "a", "--value", "hunter2"]).by(OWNER).succeed();
    root
}

/// Asks for `a`, says the id, waits, and then reads it.
const ASK_THEN_READ: &str = "\
    \"$0\" --json request a --reason 'nightly\u{202e} backup' --ticket OPS-1 && read go
    exec \"$0\" get a --raw";

fn request_of(session: &mut Session) -> String {
    let answer: serde_json::Value = serde_json::from_str(&session.line()).unwrap();
    answer["result"]["request"].as_str().unwrap().to_owned()
}

#[test]
fn a_secret_is_read_after_somebody_else_said_yes_to_the_request() {
    if !users::can_act_as_others() {
        return;
    }
    let root = root();
    let mut asker = Session::begin(&root, STRANGER, ASK_THEN_READ);
    let request = request_of(&mut asker);
    root.ward(&["approve", &request]).by(OWNER).succeed();
    asker.go();
    assert_eq!(asker.end(), ("hunter2".to_owned(), Some(0)));
}

#[test]
fn a_secret_is_not_read_after_somebody_said_no() {
    if !users::can_act_as_others() {
        return;
    }
    let root = root();
    let mut asker = Session::begin(&root, STRANGER, ASK_THEN_READ);
    let request = request_of(&mut asker);
    root.ward(&["deny", &request, "--reason", "not today"]).by(OWNER).succeed();
    asker.go();
    assert_eq!(asker.end(), (String::new(), Some(3)));
}

#[test]
fn who_asks_cannot_answer() {
    if !users::can_act_as_others() {
        return;
    }
    let root = root();
    let mut asker = Session::begin(&root, STRANGER, ASK_THEN_READ);
    let request = request_of(&mut asker);
    let ended = root.ward(&["approve", &request]).by(STRANGER).run();
    assert_eq!(ended.status, Some(3), "{ended:?}");
    asker.go();
    assert_eq!(asker.end(), (String::new(), Some(4)));
}

#[test]
fn an_approver_sees_what_is_asked_with_the_askers_words_made_harmless() {
    if !users::can_act_as_others() {
        return;
    }
    let root = root();
    let mut asker = Session::begin(&root, STRANGER, ASK_THEN_READ);
    let request = request_of(&mut asker);
    let shown = root.ward(&["list", "--pending"]).by(OWNER).succeed();
    let labels: Vec<&str> = shown.lines().filter_map(|line| line.split(' ').next()).collect();
    let order =
        ["secret", "program", "who", "reason", "", "", "ticket", "grants", "ends", "answer"];
    assert_eq!(labels, order, "{shown}");
    assert!(shown.contains("secret   default:a\n"), "{shown}");
    assert!(shown.contains(&format!("who      {STRANGER} (uid ")), "{shown}");
    assert!(shown.contains(r"| nightly\u{202e} backup |"), "{shown}");
    assert!(shown.contains("grants   file.read, for 5m from the answer\n"), "{shown}");
    assert!(shown.ends_with(&format!("answer   ward approve {request}\n")), "{shown}");
    let status = root.ward(&["status"]).by(OWNER).succeed();
    assert!(status.contains("pending  1 request waits: ward list --pending\n"), "{status}");
    asker.go();
    asker.end();
}

#[test]
fn an_open_file_that_waits_is_in_the_list_and_goes_on_after_the_yes() {
    if !users::can_act_as_others() {
        return;
    }
    let root = root();
    let place = root.directory().join("here");
    std::fs::create_dir(&place).unwrap();
    let owner = users::user(OWNER);
    std::os::unix::fs::chown(&place, Some(owner.uid.as_raw()), None).unwrap();
    root.ward(&["vault", "mount", "default", "here"]).by(OWNER).succeed();
    let reader = Session::begin(&root, STRANGER, "exec /bin/cat here/a");
    let mut request = None;
    let is_held = crate::support::wait::until(|| {
        let pending = root.ward(&["list", "--pending", "--json"]).by(OWNER).run().json();
        let first = &pending["result"]["requests"][0];
        request = first["request"].as_str().map(str::to_owned);
        first["is_held"].as_bool() == Some(true)
    });
    assert!(is_held, "the open is not in the list");
    root.ward(&["approve", &request.unwrap()]).by(OWNER).succeed();
    assert_eq!(reader.end(), ("hunter2".to_owned(), Some(0)));
    root.ward(&["vault", "unmount", "default"]).by(OWNER).succeed();
}
