//! An open that waits for a human: who waits, who answers, and what ends the wait.

use crate::support::person::Person;
use crate::support::stage::Stage;
use crate::support::users::{OWNER, STRANGER};
use crate::support::wait;
use std::sync::Barrier;

fn opens(path: &str) -> String {
    format!("file = os.open({path:?}, os.O_RDONLY)")
}

#[test]
fn an_open_waits_until_another_user_approves_it() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("ask/token", "s3cret");
    let mut person = Person::of(OWNER);
    person.begin(&format!("read({path:?})"));
    let request = stage.held("ask/token");
    let ended = stage.root().ward(&["approve", &request]).by(STRANGER).run();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(person.end(), Ok("s3cret".into()));
}

#[test]
fn while_three_opens_are_held_everything_else_goes_on_within_a_second() {
    let Some(stage) = Stage::set() else { return };
    let read = stage.secret("read/token", "s3cret");
    let new = stage.secret("free/old", "old").replace("old", "new");
    let mut waiting: Vec<Person> = Vec::new();
    for number in 0..3 {
        let path = stage.secret(&format!("ask/{number}"), "x");
        let mut person = Person::of(OWNER);
        person.begin(&opens(&path));
        waiting.push(person);
    }
    let requests: Vec<String> = (0..3).map(|number| stage.held(&format!("ask/{number}"))).collect();
    let mut other = Person::of(OWNER);
    let begun = wait::seconds();
    other.must(&format!("os.stat({read:?}), os.stat({:?})", stage.path("ask/1")));
    other.must(&format!("os.listdir({:?})", stage.path("ask")));
    for _ in 0..20 {
        assert_eq!(other.reads(&read), Ok("s3cret".to_owned()));
    }
    other.must(&format!("write({new:?}, 'new')"));
    let took = wait::seconds() - begun;
    assert!(took < 1.0, "took {took} s");
    for request in &requests {
        assert_eq!(stage.approve(request).status, Some(0));
    }
    for person in &mut waiting {
        person.end().unwrap();
    }
}

#[test]
fn who_asks_cannot_answer() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("ask/token", "s3cret");
    let mut person = Person::of(OWNER);
    person.begin(&opens(&path));
    let request = stage.held("ask/token");
    let ended = stage.root().ward(&["approve", &request]).by(OWNER).run();
    assert_eq!(ended.status, Some(3), "{ended:?}");
    assert!(ended.stderr.contains("your own uid"), "{}", ended.stderr);
    assert_eq!(stage.held("ask/token"), request);
    stage.root().ward(&["deny", &request]).succeed();
    assert_eq!(person.end(), Err("EACCES".to_owned()));
}

#[test]
fn a_no_ends_the_wait_and_the_question_is_silent_for_a_while() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("ask/token", "s3cret");
    let mut person = Person::of(OWNER);
    person.begin(&opens(&path));
    let request = stage.held("ask/token");
    stage.root().ward(&["deny", &request]).succeed();
    assert_eq!(person.end(), Err("EACCES".to_owned()));
    let begun = wait::seconds();
    assert_eq!(person.fails(&opens(&path)), "EACCES");
    assert!(wait::seconds() - begun < 1.0, "the second open was held");
    assert_eq!(stage.pending().len(), 0);
    assert_eq!(stage.log_of("request.made", "ask/token").len(), 1);
}

#[test]
fn one_yes_to_a_one_time_rule_serves_one_of_two_racing_opens() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("once/token", "s3cret");
    let mut person = Person::of(OWNER);
    // Two processes of one session and one program ask the same question.
    person.must(&format!(
        "results = [subprocess.Popen(['cat', {path:?}], stdout=subprocess.PIPE, \
         stderr=subprocess.DEVNULL) for _ in range(2)]"
    ));
    let request = stage.held("once/token");
    assert!(wait::until(|| waiting_opens(&person) == 2), "two opens do not wait");
    assert_eq!(stage.approve(&request).status, Some(0));
    let texts = person.must("sorted(one.communicate()[0] for one in results)");
    assert_eq!(texts, serde_json::json!(["", "s3cret"]));
    // The other open is the one by which the stage wrote the secret.
    assert_eq!(stage.log_of("file.open", "once/token").len(), 2);
}

/// How many children of a person wait for an answer of FUSE.
fn waiting_opens(person: &Person) -> usize {
    let children = format!("/proc/{0}/task/{0}/children", person.pid());
    let children = std::fs::read_to_string(children).unwrap();
    let is_waiting = |child: &&str| {
        let place = std::fs::read_to_string(format!("/proc/{child}/wchan")).unwrap_or_default();
        place == "request_wait_answer"
    };
    children.split_whitespace().filter(is_waiting).count()
}

#[test]
fn when_nobody_answers_in_time_the_open_fails_and_a_late_yes_serves_the_next_one() {
    let Some(stage) = Stage::with("1s", "") else { return };
    let path = stage.secret("ask/token", "s3cret");
    let mut person = Person::of(OWNER);
    let begun = wait::seconds();
    person.begin(&opens(&path));
    let request = stage.held("ask/token");
    assert_eq!(person.end(), Err("EACCES".to_owned()));
    let took = wait::seconds() - begun;
    assert!((0.9..2.0).contains(&took), "held for {took} s");
    let pending = stage.pending();
    assert_eq!(pending[0]["request"], request);
    assert_eq!(pending[0]["is_held"], false);
    assert_eq!(stage.approve(&request).status, Some(0));
    assert_eq!(person.reads(&path), Ok("s3cret".to_owned()));
}

#[test]
fn an_open_that_does_not_block_gets_eagain_and_leaves_a_request() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("ask/token", "s3cret");
    let mut person = Person::of(OWNER);
    let begun = wait::seconds();
    assert_eq!(person.fails(&format!("read({path:?}, os.O_NONBLOCK)")), "EAGAIN");
    assert!(wait::seconds() - begun < 1.0);
    let request = stage.pending()[0]["request"].as_str().unwrap().to_owned();
    assert_eq!(stage.approve(&request).status, Some(0));
    assert_eq!(person.must(&format!("read({path:?}, os.O_NONBLOCK)")), "s3cret");
}

#[test]
fn an_unmount_answers_held_opens_at_once() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("ask/token", "s3cret");
    let mut person = Person::of(OWNER);
    person.begin(&opens(&path));
    stage.held("ask/token");
    let begun = wait::seconds();
    assert_eq!(stage.unmount().status, Some(0));
    assert_eq!(person.end(), Err("EACCES".to_owned()));
    assert!(wait::seconds() - begun < 1.0);
}

#[test]
fn of_two_approvers_who_answer_at_once_one_succeeds() {
    let Some(stage) = Stage::set() else { return };
    for round in 0..5 {
        let secret = format!("ask/{round}");
        let path = stage.secret(&secret, "s3cret");
        let mut person = Person::of(OWNER);
        person.begin(&opens(&path));
        let request = stage.held(&secret);
        let (together, root) = (Barrier::new(2), stage.root());
        let answer = |user: Option<&str>| {
            let ward = root.ward(&["approve", &request]);
            let ward = match user {
                Some(user) => ward.by(user),
                None => ward,
            };
            together.wait();
            ward.run().status
        };
        let mut answers = std::thread::scope(|scope| {
            let stranger = scope.spawn(|| answer(Some(STRANGER)));
            [answer(None), stranger.join().unwrap()]
        });
        answers.sort_unstable();
        assert_eq!(answers, [Some(0), Some(5)]);
        person.end().unwrap();
    }
}

#[test]
fn an_unknown_or_answered_request_cannot_be_answered() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("ask/token", "s3cret");
    let mut person = Person::of(OWNER);
    person.begin(&opens(&path));
    let request = stage.held("ask/token");
    assert_eq!(stage.approve("01ARZ3NDEKTSV4RRFFQ69G5FAV").status, Some(5));
    assert_eq!(stage.approve(&request).status, Some(0));
    assert_eq!(stage.approve(&request).status, Some(5));
    person.end().unwrap();
}
