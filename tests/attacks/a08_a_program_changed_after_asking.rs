//! A8: the program that asked is another one when the answer comes.

use crate::support::person::Person;
use crate::support::stage::Stage;
use crate::support::users::OWNER;

#[test]
fn a_yes_for_one_program_serves_no_other_of_the_same_process_or_session() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("ask/token", "s3cret");
    let mut person = Person::of(OWNER);
    assert_eq!(person.fails(&format!("read({path:?}, os.O_NONBLOCK)")), "EAGAIN");
    let first = stage.pending()[0]["request"].as_str().unwrap().to_owned();
    assert_eq!(stage.approve(&first).status, Some(0));
    // A program of the same session, and one that takes the place of a child of the asker.
    let other = format!("run('dd', 'if={path}', 'iflag=nonblock', 'status=none')");
    let refused = person.must(&other);
    assert_eq!(refused[1], "");
    assert!(refused[2].as_str().unwrap().contains("Resource temporarily unavailable"), "{refused}");
    let replaced =
        format!("child(\"os.execv('/usr/bin/dd', ['dd', 'if={path}', 'iflag=nonblock'])\")");
    assert_ne!(person.must(&replaced), 0);
    // It is a question of its own, of that program.
    let pending = stage.pending();
    assert_eq!(pending.len(), 1);
    assert_ne!(pending[0]["request"], first);
    assert_eq!(pending[0]["asker"]["program"], "/usr/bin/dd");
    assert_eq!(person.reads(&path), Ok("s3cret".to_owned()));
}
