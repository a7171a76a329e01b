//! A11: programs that look at everything raise no storm of questions.

use crate::support::person::Person;
use crate::support::stage::Stage;
use crate::support::users::OWNER;

#[test]
fn what_only_looks_asks_nobody() {
    let Some(stage) = Stage::set() else { return };
    for number in 0..20 {
        stage.secret(&format!("ask/{number}/token"), "s3cret");
    }
    let mut person = Person::of(OWNER);
    let place = stage.mountpoint();
    for command in [
        format!("run('find', {place:?}, '-type', 'f', '-size', '+0')"),
        format!("run('ls', '-laR', {place:?})"),
        format!("run('du', '-a', {place:?})"),
        format!("run('sh', '-c', 'for each in {place}/ask/*/token; do test -r $each; done')"),
        format!("run('stat', '{place}/ask/1/token')"),
        format!("[os.access('{place}/ask/%d/token' % number, os.R_OK) for number in range(20)]"),
    ] {
        person.must(&command);
        assert_eq!(stage.pending().len(), 0, "{command}");
    }
}

#[test]
fn a_program_that_opens_everything_asks_once_for_each_file_and_waits_for_none_but_the_first() {
    let Some(stage) = Stage::with("1s", "") else { return };
    for number in 0..8 {
        stage.secret(&format!("ask/{number}"), "s3cret");
    }
    let mut person = Person::of(OWNER);
    let place = stage.mountpoint();
    for _thrice in 0..3 {
        person.must(&format!("run('grep', '-r', 's3cret', '{place}/ask', stdin=None)"));
        assert_eq!(stage.pending().len(), 8);
    }
    let made = stage.log().iter().filter(|it| it["eventType"] == "request.made").count();
    assert_eq!(made, 8);
}
