//! The end of the daemon, in order or not: nothing stays mounted, nothing acknowledged is lost.

use crate::support::person::Person;
use crate::support::stage::Stage;
use crate::support::users::OWNER;
use crate::support::wait;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn send(pid: u32, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), signal).unwrap();
}

#[test]
fn a_daemon_that_is_told_to_stop_ends_its_mounts_in_order_and_says_so() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let Some(stage) = Stage::set() else { return };
        let path = stage.secret("ask/token", "s3cret");
        let mut waiting = Person::of(OWNER);
        waiting.begin(&format!("os.open({path:?}, os.O_RDONLY)"));
        stage.held("ask/token");
        let core = stage.root().running().unwrap();
        send(core, signal);
        assert_eq!(waiting.end(), Err("EACCES".to_owned()));
        assert!(wait::has_ended(core));
        assert_eq!(stage.root().mounts(), Vec::<String>::new());
        let ends: Vec<_> =
            stage.log().iter().rev().take(2).map(|it| it["eventType"].clone()).collect();
        assert_eq!(ends, ["daemon.stopped", "mount.ended"]);
        assert_eq!(stage.root().run(&["audit", "verify"]).status, Some(0));
    }
}

#[test]
fn a_second_daemon_on_one_root_is_refused_and_told_the_first() {
    let Some(stage) = Stage::set() else { return };
    let core = stage.root().running().unwrap();
    let ended = stage.root().run(&["daemon", "start", "--foreground"]);
    assert_ne!(ended.status, Some(0));
    assert!(ended.stderr.contains(&core.to_string()), "{}", ended.stderr);
    assert_eq!(stage.root().running(), Some(core));
    assert_eq!(stage.root().mounts().len(), 1);
}
