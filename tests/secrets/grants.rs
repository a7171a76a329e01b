//! What somebody who may read a secret lets others read: that, and no more.

use crate::support::person::Person;
use crate::support::stage::Stage;
use crate::support::users::{OWNER, STRANGER};
use crate::support::wait;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// Opens a file again and again until that is refused; the last of them stay open.
const OPEN_UNTIL_REFUSED: &str = "\
opened = []
while True:
    try:
        opened.append(os.open(path, os.O_RDONLY))
    except OSError:
        break
    if len(opened) > 16:
        os.close(opened.pop(0))
";
/// How many of those can still be read; closes them.
const READABLE: &str = "\
readable = 0
for file in opened:
    try:
        readable += len(os.pread(file, 9, 0)) > 0
    except OSError:
        pass
    os.close(file)
";

/// Grants a secret of a stage to the stranger, as root; gives the id.
fn grant(stage: &Stage, name: &str, more: &[&str]) -> String {
    let words = ["--json", "secrets", "grant", name, "--to", "stranger"];
    let said = stage.root().ward(&[&words, more].concat()).succeed();
    let said: Value = serde_json::from_str(&said).unwrap();
    said["result"]["grant"].as_str().unwrap_or_else(|| panic!("{said}")).to_owned()
}

#[test]
fn a_client_reads_what_was_granted_and_nothing_else_until_it_is_taken_back() {
    let Some(stage) = Stage::set() else { return };
    let (path, other) = (stage.secret("free/token", "s3cret"), stage.secret("free/other", "x"));
    let mut stranger = Person::of(STRANGER);
    let top = format!("os.listdir({:?})", stage.mountpoint());
    assert_eq!(stranger.reads(&path), Err("ENOENT".to_owned()));
    assert!(!stranger.must(&top).as_array().unwrap().contains(&"free".into()));
    let id = grant(&stage, "free/token", &[]);
    assert_eq!(stranger.reads(&path), Ok("s3cret".to_owned()));
    assert!(stranger.must(&top).as_array().unwrap().contains(&"free".into()));
    let names = stranger.must(&format!("os.listdir({:?})", stage.path("free")));
    assert_eq!(names, serde_json::json!(["token"]));
    assert_eq!(stranger.reads(&other), Err("ENOENT".to_owned()));
    assert_eq!(stranger.fails(&format!("write({path:?}, 'x')")), "EACCES");
    assert_eq!(stranger.fails(&format!("os.unlink({path:?})")), "EACCES");
    let list = stage.root().ward(&["--json", "list"]).by(STRANGER).succeed();
    assert!(list.contains("free/token") && !list.contains("free/other"), "{list}");
    let opens = stage.log_of("file.open", "free/token");
    assert_eq!(opens.last().unwrap()["grant"], id.as_str(), "{opens:?}");

    stranger.must(&format!("file = os.open({path:?}, os.O_RDONLY)"));
    assert_eq!(stranger.must("os.pread(file, 9, 0)"), "s3cret");
    assert!(stage.root().ward(&["grants", "list"]).succeed().contains("for the client stranger"));
    stage.root().ward(&["grants", "revoke", &id]).succeed();
    assert_eq!(stranger.fails("os.pread(file, 9, 0)"), "ESTALE");
    assert_eq!(stranger.reads(&path), Err("ENOENT".to_owned()));
    assert_eq!(stage.root().run(&["grants", "revoke", &id]).status, Some(5));
    assert_eq!(stage.root().ward(&["grants", "list"]).succeed(), "no grant lives\n");
}

#[test]
fn a_grant_that_is_taken_back_while_files_are_being_opened_leaves_none_of_them_open() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("free/token", "s3cret");
    let mut strangers: Vec<Person> = (0..3).map(|_| Person::of(STRANGER)).collect();
    for stranger in &mut strangers {
        stranger.must(&format!("path = {path:?}"));
    }
    for round in 0..40 {
        let id = grant(&stage, "free/token", &[]);
        for stranger in &mut strangers {
            stranger.begin(OPEN_UNTIL_REFUSED);
        }
        stage.root().ward(&["grants", "revoke", &id]).succeed();
        for stranger in &mut strangers {
            stranger.end().unwrap();
            stranger.must(READABLE);
            assert_eq!(stranger.must("readable"), 0, "round {round}");
        }
    }
}

#[test]
fn a_rule_that_denies_wins_and_one_that_asks_still_asks() {
    let rules = "[[rule]]\nname = \"never\"\nclients = [\"stranger\"]\nops = [\"file.*\"]\n\
                 path = [\"never/**\"]\ndecide = \"deny\"\n";
    let Some(stage) = Stage::with("10s", rules) else { return };
    let (never, ask) = (stage.secret("never/token", "x"), stage.secret("ask/token", "x"));
    grant(&stage, "never/token", &[]);
    grant(&stage, "ask/token", &[]);
    let mut stranger = Person::of(STRANGER);
    assert_eq!(stranger.reads(&never), Err("ENOENT".to_owned()));
    assert_eq!(stranger.fails(&format!("read({ask:?}, os.O_NONBLOCK)")), "EAGAIN");
    assert_eq!(stage.pending().len(), 1);
}

#[test]
fn a_grant_outlives_a_killed_daemon_a_new_name_and_a_new_value_and_ends_with_the_secret() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("free/token", "s3cret");
    grant(&stage, "free/token", &[]);
    let moved = stage.path("free/moved");
    Person::of(OWNER).must(&format!("os.rename({path:?}, {moved:?})"));
    stage.root().ward(&["set", "free/moved", "--value", "newer", "--replace"]).succeed();
    let daemon = stage.root().running().unwrap();
    kill(Pid::from_raw(i32::try_from(daemon).unwrap()), Signal::SIGKILL).unwrap();
    assert!(wait::has_ended(daemon) && wait::until(|| stage.root().mounts().is_empty()));
    stage.root().ward(&["daemon", "start"]).succeed();
    stage.mount(&[]);
    let mut stranger = Person::of(STRANGER);
    assert_eq!(stranger.reads(&moved), Ok("newer".to_owned()));
    stranger.must(&format!("file = os.open({moved:?}, os.O_RDONLY)"));
    stage.root().ward(&["revoke", "free/moved"]).succeed();
    assert_eq!(stranger.fails("os.pread(file, 9, 0)"), "ESTALE");
    stage.root().ward(&["set", "free/moved", "--value", "anew"]).succeed();
    assert_eq!(stranger.reads(&moved), Err("ENOENT".to_owned()));
    assert_eq!(stage.root().ward(&["grants", "list"]).succeed(), "no grant lives\n");
}

#[test]
fn a_grant_ends_by_its_time_under_an_open_descriptor() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("free/token", "s3cret");
    let begun = wait::seconds();
    grant(&stage, "free/token", &["--for", "2s"]);
    let mut stranger = Person::of(STRANGER);
    stranger.must(&format!("file = os.open({path:?}, os.O_RDONLY)"));
    assert_eq!(stranger.must("os.pread(file, 9, 0)"), "s3cret");
    assert!(wait::until(|| stranger.does("os.pread(file, 9, 0)").is_err()));
    let took = wait::seconds() - begun;
    assert!((1.9..4.0).contains(&took), "it ended after {took} s");
    assert_eq!(stranger.reads(&path), Err("ENOENT".to_owned()));
}

#[test]
fn nobody_grants_what_it_may_not_read_itself_or_what_it_was_granted() {
    let rules = "[[rule]]\nname = \"all-may-grant\"\nclients = [\"stranger\", \"owner\"]\n\
                 ops = [\"secret.grant\"]\npath = [\"free/**\", \"read/**\", \"ask/**\"]\n\
                 decide = \"allow\"\n";
    let Some(stage) = Stage::with("10s", rules) else { return };
    for name in ["free/token", "read/token", "ask/token", "cat/token"] {
        stage.secret(name, "s3cret");
    }
    let by = |user: &str, name: &str, to: &str| {
        stage.root().ward(&["secrets", "grant", name, "--to", to]).by(user).run().status
    };
    assert_eq!(by(STRANGER, "free/token", "cat"), Some(5), "a name that it may not know of");
    assert_eq!(by(STRANGER, "read/token", "cat"), Some(3), "what it may only list");
    assert_eq!(by(OWNER, "ask/token", "stranger"), Some(3), "what takes a human");
    assert_eq!(by(OWNER, "cat/token", "stranger"), Some(3), "what it may not grant");
    assert_eq!(by(OWNER, "free/token", "nobody"), Some(7), "no client");
    assert_eq!(by(OWNER, "free/token", "stranger"), Some(0));
    assert_eq!(by(STRANGER, "free/token", "cat"), Some(3), "what it was granted");
    let list = stage.root().run(&["--json", "grants", "list"]).json();
    assert_eq!(list["result"]["secrets"].as_array().unwrap().len(), 1, "{list}");
    let id = list["result"]["secrets"][0]["grant"].as_str().unwrap();
    // Who gave it takes it back; who has it may grant, and so take back, but not lend on.
    stage.root().ward(&["grants", "revoke", id]).by(OWNER).succeed();
}
