//! M6: who looks at a mount that is dead, ending or busy with questions is answered at once.

use super::m01_a_killed_daemon::start_again;
use crate::support::person::Person;
use crate::support::process::{child_of, send};
use crate::support::stage::Stage;
use crate::support::users::OWNER;
use crate::support::wait;
use nix::sys::signal::Signal;

/// What a shell or a file manager does, each by a program of its own: what took longest, in seconds.
const LOOK: &str = "
def look(top):
    longest = 0
    for words in ['ls', '-la', top], ['ls', '-la', os.path.dirname(top)], ['df', top], ['stat', top]:
        begun = time.monotonic()
        # A watchdog: a program that hangs fails the test instead of hanging it, too.
        subprocess.run(words, capture_output=True, timeout=8)
        longest = max(longest, time.monotonic() - begun)
    return longest
";

/// How long a look may take, in seconds.
const AT_ONCE: f64 = 1.0;

fn onlooker() -> Person {
    let mut person = Person::of(OWNER);
    person.must(LOOK);
    person
}

/// Looks once, which must be answered at once.
fn looks(person: &mut Person, stage: &Stage, when: &str) {
    let took = person.must(&format!("look({:?})", stage.mountpoint())).as_f64().unwrap();
    eprintln!("{when}: at most {:.0} ms", took * 1000.0);
    assert!(took < AT_ONCE, "{when}: {took} s");
}

#[test]
fn a_mount_whose_daemon_was_killed_answers_at_once() {
    let Some(stage) = Stage::set() else { return };
    stage.secret("read/token", "s3cret");
    let mut person = onlooker();
    looks(&mut person, &stage, "alive");
    let core = stage.root().running().unwrap();
    let monitor = child_of(core);
    let watchman = child_of(monitor);
    // They cannot clean up yet: nobody is there to answer.
    send(watchman, Signal::SIGSTOP);
    send(monitor, Signal::SIGSTOP);
    send(core, Signal::SIGKILL);
    assert!(wait::has_ended(core));
    looks(&mut person, &stage, "the core is dead and the monitor does nothing");
    send(watchman, Signal::SIGKILL);
    send(monitor, Signal::SIGKILL);
    assert!(wait::has_ended(watchman) && wait::has_ended(monitor));
    assert_eq!(stage.root().mounts().len(), 1, "a dead mount was to be left");
    looks(&mut person, &stage, "all are dead");
    start_again(&stage);
    looks(&mut person, &stage, "the next daemon");
}

#[test]
fn a_mount_that_ends_answers_at_once_before_during_and_after() {
    let Some(stage) = Stage::set() else { return };
    stage.secret("read/token", "s3cret");
    for round in 0..5 {
        let mut person = onlooker();
        let top = stage.mountpoint();
        person.begin(&format!("max(look({top:?}) for _ in range(10))"));
        assert_eq!(stage.unmount().status, Some(0));
        let took = person.end().unwrap().as_f64().unwrap();
        assert!(took < AT_ONCE, "round {round}: {took} s");
        stage.mount(&[]);
    }
}

#[test]
fn a_mount_with_twenty_held_opens_answers_at_once() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("ask/token", "s3cret");
    let mut asker = Person::of(OWNER);
    asker.must(&format!(
        "crowd = [subprocess.Popen(['tail', {path:?}], stderr=subprocess.DEVNULL) for _ in range(20)]"
    ));
    stage.held("ask/token");
    let mut person = onlooker();
    looks(&mut person, &stage, "twenty opens are held");
    person.must(&format!("os.statvfs({path:?}), os.lstat({path:?}), os.access({path:?}, 0)"));
    asker.must("[(one.kill(), one.wait()) for one in crowd] and None");
}
