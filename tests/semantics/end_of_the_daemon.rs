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
fn either_half_killed_under_load_takes_the_other_along_and_leaves_no_mount() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("free/token", "s3cret");
    for kills_core in [true, false] {
        let mut busy: Vec<Person> = (0..4).map(|_| Person::of(OWNER)).collect();
        for person in &mut busy {
            person.begin(&format!("dies('read({path:?})')"));
        }
        let folder = stage.root().path().join("audit");
        let size = || -> u64 {
            let segments = std::fs::read_dir(&folder).unwrap();
            segments.map(|segment| segment.unwrap().metadata().unwrap().len()).sum()
        };
        let known = size();
        assert!(wait::until(|| size() > known + 20_000), "nobody reads");
        let core = stage.root().running().unwrap();
        let monitor = child_of(core);
        let watchman = child_of(monitor);
        send(if kills_core { core } else { monitor }, Signal::SIGKILL);
        assert!([core, monitor, watchman].into_iter().all(wait::has_ended));
        assert!(wait::until(|| stage.root().mounts().is_empty()), "a mount is left");
        for person in &mut busy {
            person.end().unwrap();
        }
        start_again(&stage);
    }
    assert_eq!(Person::of(OWNER).reads(&path), Ok("s3cret".to_owned()));
    assert_eq!(stage.root().run(&["audit", "verify"]).status, Some(0));
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
