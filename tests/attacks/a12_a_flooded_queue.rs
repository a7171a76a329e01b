//! A12: somebody asks so much that others are not heard.

use crate::support::person::Person;
use crate::support::stage::Stage;
use crate::support::users::{OWNER, STRANGER};

#[test]
fn a_flood_of_questions_pushes_out_the_asker_s_own_and_nobody_else_s() {
    let Some(stage) = Stage::set() else { return };
    let paths: Vec<String> =
        (0..50).map(|number| stage.secret(&format!("ask/{number}"), "s3cret")).collect();
    let mut quiet = Person::of(STRANGER);
    assert_eq!(quiet.fails(&format!("read({:?}, os.O_NONBLOCK)", paths[0])), "EAGAIN");
    let first = stage.pending()[0]["request"].clone();
    let mut flood = Person::of(OWNER);
    for path in &paths {
        let errno = flood.fails(&format!("read({path:?}, os.O_NONBLOCK)"));
        assert!(errno == "EAGAIN" || errno == "EACCES", "{errno}");
    }
    let is_quiet = |request: &serde_json::Value| request["request"] == first;
    assert!(crate::support::wait::until(|| stage.pending().len() <= 33));
    let pending = stage.pending();
    assert!(pending.iter().any(is_quiet), "the other's request was pushed out");
    // What gave way was recorded, oldest first.
    let expired: Vec<String> = stage
        .log()
        .into_iter()
        .filter(|entry| entry["eventType"] == "request.expired")
        .map(|entry| entry["path"].as_str().unwrap().to_owned())
        .collect();
    let oldest: Vec<String> = (0..expired.len()).map(|number| format!("ask/{number}")).collect();
    assert_eq!(expired, oldest);
    assert_eq!(expired.len(), 51 - pending.len());
    assert_eq!(stage.approve(first.as_str().unwrap()).status, Some(0));
    assert_eq!(quiet.reads(&paths[0]), Ok("s3cret".to_owned()));
}
