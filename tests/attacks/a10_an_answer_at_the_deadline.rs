//! A10: a yes comes at the moment at which the open gives up.

use crate::support::person::Person;
use crate::support::stage::Stage;
use crate::support::users::OWNER;
use crate::support::wait;

#[test]
fn a_yes_around_the_deadline_serves_the_open_or_the_next_one_and_is_never_lost() {
    let Some(stage) = Stage::with("1s", "") else { return };
    let mut late = 0;
    for round in 0..6 {
        let secret = format!("ask/{round}");
        let path = stage.secret(&secret, "s3cret");
        let mut person = Person::of(OWNER);
        let begun = wait::seconds();
        person.begin(&format!("read({path:?})"));
        let request = stage.held(&secret);
        // Ever later: some come before the end, some after it.
        let at = 0.9 + f64::from(round) * 0.04;
        assert!(wait::until(|| wait::seconds() - begun >= at));
        assert_eq!(stage.approve(&request).status, Some(0));
        match person.end() {
            Ok(value) => assert_eq!(value, "s3cret"),
            Err(errno) => {
                late += 1;
                assert_eq!(errno, "EACCES");
            }
        }
        assert_eq!(person.must(&format!("read({path:?}, os.O_NONBLOCK)")), "s3cret");
        // One question, one answer.
        assert_eq!(stage.log_of("request.made", &secret).len(), 1);
        assert_eq!(stage.log_of("request.approved", &secret).len(), 1);
    }
    eprintln!("{late} of 6 came too late for the open");
}
