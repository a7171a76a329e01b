//! A13: one question that nobody answers stands before all others.

use crate::support::person::Person;
use crate::support::stage::Stage;
use crate::support::users::{OWNER, STRANGER};
use crate::support::wait;

#[test]
fn later_questions_are_answered_while_the_first_still_waits() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("ask/first", "s3cret");
    let mut first = Person::of(OWNER);
    first.begin(&format!("read({path:?})"));
    let stuck = stage.held("ask/first");
    for number in 0..3 {
        let secret = format!("ask/{number}");
        let path = stage.secret(&secret, "s3cret");
        // Of another user, and of the same.
        let mut later = Person::of(if number == 1 { STRANGER } else { OWNER });
        later.begin(&format!("read({path:?})"));
        let request = stage.held(&secret);
        let begun = wait::seconds();
        let words = ["approve", &request];
        assert_eq!(stage.root().run(&words).status, Some(0));
        assert_eq!(later.end(), Ok("s3cret".into()));
        let took = wait::seconds() - begun;
        assert!(took < 1.0, "took {took} s");
    }
    assert_eq!(stage.held("ask/first"), stuck);
    assert_eq!(stage.approve(&stuck).status, Some(0));
    assert_eq!(first.end(), Ok("s3cret".into()));
}
