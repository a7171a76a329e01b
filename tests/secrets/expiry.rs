//! The end of a secret: at the moment of use, for everybody, and for good.

use crate::support::person::Person;
use crate::support::root::Root;
use crate::support::stage::Stage;
use crate::support::users::{OWNER, STRANGER};
use crate::support::wait;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Stores a secret of a stage that ends in two seconds.
fn ending(stage: &Stage, name: &str) -> String {
    stage.root().ward(&["set", name, "--value", "s3cret", "--ttl", "2s"]).succeed();
    stage.path(name)
}

/// Waits until `get` says that it has expired.
fn wait_for_the_end(root: &Root, name: &str) {
    let mut last = None;
    let is_over = wait::until(|| {
        let ended = root.run(&["get", name, "--raw"]);
        let is_over = ended.status == Some(5) && ended.stderr.contains("[E302]");
        last = Some(ended);
        is_over
    });
    assert!(is_over, "{last:?}");
}

#[test]
fn a_secret_that_ends_yields_nothing_within_a_second_also_under_an_open_descriptor() {
    let Some(stage) = Stage::set() else { return };
    let begun = wait::seconds();
    let path = ending(&stage, "read/token");
    let mut person = Person::of(OWNER);
    person.must(&format!("file = os.open({path:?}, os.O_RDONLY)"));
    assert_eq!(person.must("os.pread(file, 9, 0)"), "s3cret");
    assert!(wait::until(|| person.does("os.pread(file, 9, 0)").is_err()));
    let took = wait::seconds() - begun;
    assert!((1.9..4.0).contains(&took), "it ended after {took} s");
    assert_eq!(person.fails("os.pread(file, 9, 0)"), "EKEYEXPIRED");
    assert_eq!(person.reads(&path), Err("EKEYEXPIRED".to_owned()));
    let refused = stage.root().run(&["get", "read/token", "--raw"]);
    assert_eq!((refused.status, refused.stdout.as_str()), (Some(5), ""), "{refused:?}");
    assert!(refused.stderr.contains("the secret has expired [E302]"), "{refused:?}");
    let log = stage.log_of("refused", "read/token");
    assert!(log.iter().all(|entry| entry["reason"] == "the secret has expired"), "{log:?}");
    assert_eq!(log.len(), 2, "{log:?}");
    // Who may not read it learns nothing of that, and nobody is asked about it.
    assert_eq!(Person::of(STRANGER).reads(&path), Err("EACCES".to_owned()));
}

#[test]
fn nobody_is_asked_about_a_secret_that_has_expired() {
    let Some(stage) = Stage::set() else { return };
    let path = ending(&stage, "ask/token");
    wait_for_the_end(stage.root(), "ask/token");
    assert_eq!(Person::of(OWNER).reads(&path), Err("EKEYEXPIRED".to_owned()));
    assert_eq!(stage.pending().len(), 0);
}

#[test]
fn a_request_about_a_secret_that_has_expired_is_refused_at_once_by_command_and_by_file() {
    let Some(stage) = Stage::set() else { return };
    ending(&stage, "ask/token");
    wait_for_the_end(stage.root(), "ask/token");
    let ask = ["request", "ask/token", "--reason", "work"];
    let by_command = stage.root().ward(&ask).by(OWNER).run();
    assert_eq!(by_command.status, Some(5), "{by_command:?}");
    assert!(by_command.stderr.contains("the secret has expired [E302]"), "{by_command:?}");
    let mut person = Person::of(OWNER);
    person.must(&format!("os.chdir({:?})", stage.mountpoint()));
    let write = "write('.ward/requests/a', \"path = 'ask/token'\\noperation = 'file.read'\\n\
                 reason = 'work'\\n\")";
    assert_eq!(person.fails(write), "EKEYEXPIRED");
    let said = person.must("open('.ward/requests/a').read()");
    let said = said.as_str().unwrap();
    assert!(said.starts_with("state = \"refused\"\nrequest = \""), "{said}");
    assert!(said.contains("next = \"the secret has expired;"), "{said}");
    assert_eq!(stage.pending().len(), 0);
    assert_eq!(stage.log_of("request.made", "ask/token").len(), 0);
    let refused = stage.log_of("refused", "ask/token");
    let is_told = |it: &serde_json::Value| it["reason"] == "the secret has expired";
    assert!(refused.len() >= 2 && refused.iter().all(is_told), "{refused:?}");
}

#[test]
fn an_expired_name_stays_listed_and_is_free_to_be_replaced_or_revoked() {
    let root = Root::private().serving();
    root.ward(&["set", "a", "--value", "old", "--ttl", "1s"]).succeed();
    wait_for_the_end(&root, "a");
    let list = root.run(&["--json", "list"]).json();
    assert_eq!(list["result"]["names"][0]["is_expired"], true, "{list}");
    assert!(root.ward(&["list"]).succeed().contains("  expired 20"));
    assert_eq!(root.run(&["set", "a", "--value", "new"]).status, Some(6));
    root.ward(&["set", "a", "--value", "new", "--replace"]).succeed();
    assert_eq!(root.ward(&["get", "a", "--raw"]).succeed(), "new");
    root.ward(&["set", "a", "--value", "third", "--ttl", "1s", "--replace"]).succeed();
    wait_for_the_end(&root, "a");
    root.ward(&["revoke", "a"]).succeed();
    root.ward(&["set", "a", "--value", "anew"]).succeed();
    assert_eq!(root.ward(&["get", "a", "--raw"]).succeed(), "anew");
}

#[test]
fn nothing_brings_an_expired_value_back() {
    let root = Root::private().serving();
    root.ward(&["set", "a", "--value", "old", "--ttl", "1s"]).succeed();
    // It is in the vault, which is sealed, and not in what a kill could leave out.
    let daemon = root.running().unwrap();
    kill(Pid::from_raw(i32::try_from(daemon).unwrap()), Signal::SIGKILL).unwrap();
    assert!(wait::has_ended(daemon));
    wait_for_the_end(&root, "a");
    root.ward(&["daemon", "stop"]).succeed();
    wait_for_the_end(&root, "a");
    // A replaced value comes back as what it was.
    root.ward(&["set", "a", "--value", "new", "--replace"]).succeed();
    root.ward(&["restore", "a"]).succeed();
    wait_for_the_end(&root, "a");
    let list = root.run(&["--json", "list"]).json();
    assert_eq!(list["result"]["names"][0]["is_expired"], true, "{list}");
}

#[test]
fn writing_through_a_mount_does_not_prolong_a_secret() {
    let Some(stage) = Stage::set() else { return };
    let path = ending(&stage, "free/token");
    let mut person = Person::of(OWNER);
    person.must(&format!("write({path:?}, 'another')"));
    assert_eq!(person.reads(&path), Ok("another".to_owned()));
    person.must(&format!("file = os.open({path:?}, os.O_RDWR)"));
    wait_for_the_end(stage.root(), "free/token");
    assert_eq!(person.fails("os.pwrite(file, b'x', 0)"), "EKEYEXPIRED");
    assert_eq!(person.fails(&format!("write({path:?}, 'a third')")), "EKEYEXPIRED");
    // A new file under the name is another secret, and so is none.
    person.must(&format!(
        "write({path:?} + '.new', 'fresh'); os.rename({path:?} + '.new', {path:?})"
    ));
    assert_eq!(person.reads(&path), Ok("fresh".to_owned()));
}
