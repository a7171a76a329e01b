//! What the log has when, and what the caller never learns.

use crate::support::person::{PYTHON, Person};
use crate::support::stage::Stage;
use crate::support::users::{OWNER, user};

#[test]
fn the_record_of_an_open_is_in_the_log_when_the_open_succeeds() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("read/token", "s3cret");
    let mut person = Person::of(OWNER);
    for count in 1..=5 {
        person.must(&format!("os.open({path:?}, os.O_RDONLY)"));
        let opens = stage.log_of("file.open", "read/token");
        let ours = opens.iter().filter(|entry| entry["actor"]["pid"] == person.pid()).count();
        assert_eq!(ours, count);
    }
    let open = stage.log_of("file.open", "read/token").pop().unwrap();
    assert_eq!(open["actor"]["uid"], user(OWNER).uid.as_raw());
    assert!(open["actor"]["exe"].as_str().unwrap().starts_with(PYTHON), "{open}");
    assert_eq!(open["decision"], "permitted");
    assert_eq!(open["rules"], serde_json::json!(["owner-reads"]));
    assert_eq!(open["vault"], "default");
}

#[test]
fn every_read_has_an_entry_of_its_own_with_reader_offset_and_length() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("read/token", "0123456789");
    let mut person = Person::of(OWNER);
    person.must(&format!("file = os.open({path:?}, os.O_RDONLY)"));
    for (offset, length) in [(0, 4), (4, 4), (8, 2), (0, 4)] {
        person.must(&format!("os.pread(file, 4, {offset})"));
        let read = stage.log_of("file.read", "read/token").pop().unwrap();
        assert_eq!(read["offset"], offset.to_string());
        assert_eq!(read["bytes"], length.to_string());
        assert_eq!(read["actor"]["pid"], person.pid());
    }
    assert_eq!(stage.log_of("file.read", "read/token").len(), 4);
}

#[test]
fn a_refusal_is_in_the_log_with_an_id_and_the_reason_that_the_caller_does_not_get() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("cat/token", "s3cret");
    let mut person = Person::of(OWNER);
    assert_eq!(person.reads(&path), Err("EACCES".to_owned()));
    let refusals = stage.log_of("refused", "cat/token");
    assert_eq!(refusals.len(), 1);
    assert_eq!(refusals[0]["decision"], "denied");
    assert_eq!(refusals[0]["request"].as_str().unwrap().len(), 26);
    assert_eq!(refusals[0]["actor"]["pid"], person.pid());
}

#[test]
fn a_refused_command_tells_an_id_and_never_a_rule() {
    let rules = "[[rule]]\nname = \"a-name-nobody-must-see\"\nclients = [\"owner\"]\n\
                 ops = [\"file.read\"]\npath = [\"read/**\"]\npriority = 1\ndecide = \"deny\"\n\
                 reason = \"words for the admin alone\"\n";
    let Some(stage) = Stage::with("1s", rules) else { return };
    stage.secret("read/token", "s3cret");
    let ended = stage.root().ward(&["get", "--raw", "read/token"]).by(OWNER).run();
    assert_eq!(ended.status, Some(3));
    assert!(ended.stderr.contains("refusal"), "{}", ended.stderr);
    for secret in ["a-name-nobody-must-see", "words for the admin", "owner-reads"] {
        assert!(!ended.stderr.contains(secret), "{}", ended.stderr);
    }
    let refusal = stage.log_of("refused", "read/token").pop().unwrap();
    assert!(ended.stderr.contains(refusal["request"].as_str().unwrap()));
    assert!(refusal["reason"].as_str().unwrap().contains("a-name-nobody-must-see"), "{refusal}");
}

#[test]
fn a_request_its_answer_and_the_open_it_permits_are_in_the_log_in_that_order() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("ask/token", "s3cret");
    let mut person = Person::of(OWNER);
    person.begin(&format!("read({path:?})"));
    let request = stage.held("ask/token");
    assert_eq!(stage.approve(&request).status, Some(0));
    assert_eq!(person.end(), Ok("s3cret".into()));
    let order: Vec<String> = stage
        .log()
        .iter()
        .filter(|entry| entry["path"] == "ask/token" && entry["actor"]["uid"] != 0)
        .map(|entry| entry["eventType"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(order, ["request.made", "lease.begun", "file.open", "file.read"]);
    let answer = stage.log_of("request.approved", "ask/token").pop().unwrap();
    assert_eq!(answer["actor"]["uid"], 0);
    assert_eq!(answer["request"], request);
    assert_eq!(stage.log_of("file.open", "ask/token").pop().unwrap()["approval"], request);
}
