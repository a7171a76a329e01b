//! A lease serves whom the human said yes to, for as long as was said, and nobody else.

use crate::support::person::Person;
use crate::support::stage::Stage;
use crate::support::users::{OWNER, STRANGER};

/// A person who may read `ask/token` because a human said so; and its path.
fn with_lease(stage: &Stage) -> (Person, String) {
    let path = stage.secret("ask/token", "s3cret");
    let mut person = Person::of(OWNER);
    person.begin(&format!("read({path:?})"));
    let request = stage.held("ask/token");
    assert_eq!(stage.approve(&request).status, Some(0));
    assert_eq!(person.end(), Ok("s3cret".into()));
    (person, path)
}

#[test]
fn a_lease_serves_later_opens_of_the_same_program_in_the_same_session() {
    let Some(stage) = Stage::set() else { return };
    let (mut person, path) = with_lease(&stage);
    assert_eq!(person.reads(&path), Ok("s3cret".to_owned()));
    assert_eq!(person.must(&format!("child('read({path:?})')")), 0);
    assert_eq!(stage.log_of("request.made", "ask/token").len(), 1);
}

#[test]
fn a_lease_does_not_serve_another_program_another_session_or_another_user() {
    let Some(stage) = Stage::set() else { return };
    let (mut person, path) = with_lease(&stage);
    let without_waiting = format!("read({path:?}, os.O_NONBLOCK)");
    let dd = person.must(&format!("run('dd', 'if=' + {path:?}, 'iflag=nonblock')"));
    assert!(dd[2].as_str().unwrap().contains("temporarily unavailable"), "{dd}");
    assert_eq!(person.must(&format!("child('os.setsid(); {without_waiting}')")), 42);
    assert_eq!(Person::of(OWNER).fails(&without_waiting), "EAGAIN");
    assert_eq!(Person::of(STRANGER).fails(&without_waiting), "EAGAIN");
    assert_eq!(stage.pending().len(), 4);
}

#[test]
fn a_yes_to_one_secret_says_nothing_of_another() {
    let Some(stage) = Stage::set() else { return };
    let (mut person, _) = with_lease(&stage);
    let other = stage.secret("ask/other", "x");
    assert_eq!(person.fails(&format!("read({other:?}, os.O_NONBLOCK)")), "EAGAIN");
}

#[test]
fn a_lease_ends_by_its_time_under_an_open_descriptor() {
    let rules = "[[rule]]\nname = \"short\"\nclients = [\"owner\"]\nops = [\"file.list\", \"file.read\"]\n\
                 path = [\"short/**\"]\ndecide = \"approve\"\n\
                 approve = { require = \"first_use\", lease = \"1s\", by = [\"admin\"] }\n";
    let Some(stage) = Stage::with("10s", rules) else { return };
    let path = stage.secret("short/token", "s3cret");
    let mut person = Person::of(OWNER);
    person.begin(&format!("file = os.open({path:?}, os.O_RDONLY)"));
    let request = stage.held("short/token");
    let begun = crate::support::wait::seconds();
    assert_eq!(stage.approve(&request).status, Some(0));
    person.end().unwrap();
    assert_eq!(person.must("os.pread(file, 9, 0)"), "s3cret");
    let dead = crate::support::wait::until(|| person.does("os.pread(file, 9, 0)").is_err());
    let took = crate::support::wait::seconds() - begun;
    assert!(dead && took < 2.0, "the descriptor lived for {took} s");
    assert_eq!(person.fails("os.pread(file, 9, 0)"), "ESTALE");
    assert_eq!(person.fails(&format!("read({path:?}, os.O_NONBLOCK)")), "EAGAIN");
}

#[test]
fn a_changed_policy_withdraws_leases_under_open_descriptors() {
    let Some(stage) = Stage::set() else { return };
    let (mut person, path) = with_lease(&stage);
    person.must(&format!("file = os.open({path:?}, os.O_RDONLY)"));
    stage.change_rules("10s", "# Another policy.\n");
    let is_dead = crate::support::wait::until(|| person.does("os.pread(file, 9, 0)").is_err());
    assert!(is_dead);
    assert_eq!(person.fails("os.pread(file, 9, 0)"), "ESTALE");
}

#[test]
fn revoking_a_secret_ends_what_is_open_of_it() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("free/token", "s3cret");
    let mut person = Person::of(OWNER);
    person.must(&format!("file = os.open({path:?}, os.O_RDONLY)"));
    assert_eq!(person.must("os.pread(file, 9, 0)"), "s3cret");
    stage.root().ward(&["revoke", "free/token"]).succeed();
    assert_eq!(person.fails("os.pread(file, 9, 0)"), "ESTALE");
}
