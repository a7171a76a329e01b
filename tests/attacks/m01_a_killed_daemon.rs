//! M1: the daemon killed, either half, at rest and under load: no dead mount, nothing acknowledged lost.

use crate::support::gocryptfs::Gocryptfs;
use crate::support::person::Person;
use crate::support::process::{child_of, send};
use crate::support::stage::Stage;
use crate::support::users::OWNER;
use crate::support::wait;
use nix::sys::signal::Signal;

pub(super) fn start_again(stage: &Stage) {
    stage.root().ward(&["daemon", "start"]).succeed();
    stage.mount(&[]);
}

#[test]
fn a_killed_daemon_leaves_no_mount_and_the_next_one_has_all_that_was_acknowledged() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("free/token", "written through the mount");
    let mut person = Person::of(OWNER);
    person.must(&format!("file = os.open({path:?}, os.O_RDONLY)"));
    let core = stage.root().running().unwrap();
    stage.root().ward(&["set", "free/command", "--value", "set by command"]).succeed();
    let known = stage.log().len();
    send(core, Signal::SIGKILL);
    let begun = wait::seconds();
    let death = person.must("dies('os.pread(file, 9, 0)')");
    assert!(["ENOTCONN", "ECONNABORTED"].contains(&death[0].as_str().unwrap()), "{death}");
    assert!(wait::until(|| stage.root().mounts().is_empty()), "the monitor left a mount");
    let took = wait::seconds() - begun;
    assert!(took < 1.0, "the mount stayed for {took} s");
    start_again(&stage);
    assert_eq!(person.reads(&path), Ok("written through the mount".to_owned()));
    assert_eq!(person.reads(&stage.path("free/command")), Ok("set by command".to_owned()));
    assert!(stage.log().len() > known);
    assert_eq!(stage.root().run(&["audit", "verify"]).status, Some(0));
}

#[test]
fn a_daemon_whose_monitor_is_killed_ends_and_the_next_one_serves() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("free/token", "s3cret");
    let mut person = Person::of(OWNER);
    person.must(&format!("file = os.open({path:?}, os.O_RDONLY)"));
    let core = stage.root().running().unwrap();
    send(child_of(core), Signal::SIGKILL);
    assert!(wait::has_ended(core), "the core goes on without its monitor");
    assert!(wait::until(|| stage.root().mounts().is_empty()), "the watchman left a mount");
    assert!(["ESTALE", "ENOTCONN"].contains(&person.fails("os.pread(file, 9, 0)").as_str()));
    start_again(&stage);
    assert_eq!(stage.root().mounts().len(), 1);
    assert_eq!(person.reads(&path), Ok("s3cret".to_owned()));
}

#[test]
fn a_new_daemon_ends_stale_mounts_of_its_own_root_and_of_no_other() {
    let (Some(stage), Some(other)) = (Stage::set(), Stage::set()) else { return };
    let path = other.secret("read/token", "s3cret");
    stage.secret("read/token", "s3cret");
    let core = stage.root().running().unwrap();
    let monitor = child_of(core);
    let watchman = child_of(monitor);
    // Stopped first, so that they cannot clean up.
    let both = [watchman, monitor];
    both.iter().for_each(|process| send(*process, Signal::SIGSTOP));
    send(core, Signal::SIGKILL);
    both.iter().for_each(|process| send(*process, Signal::SIGKILL));
    assert!(wait::has_ended(core) && both.iter().all(|process| wait::has_ended(*process)));
    assert_eq!(stage.root().mounts().len(), 1, "a stale mount was to be left");
    stage.root().ward(&["daemon", "start"]).succeed();
    assert_eq!(stage.root().mounts(), Vec::<String>::new());
    let start = stage.log().into_iter().rev().find(|it| it["eventType"] == "daemon.started");
    assert!(start.unwrap()["reason"].as_str().unwrap().contains("mounts of a daemon that died"));
    assert_eq!(other.root().mounts().len(), 1);
    assert_eq!(Person::of(OWNER).reads(&path), Ok("s3cret".to_owned()));
    stage.mount(&[]);
}

/// Writes greater and greater numbers into a file, until that fails: the last one that was taken.
const WRITES: &str = "
def writes(path):
    number = 0
    while True:
        try:
            write(path, str(number + 1))
        except OSError:
            return number
        number += 1
";

#[test]
fn either_half_killed_under_load_leaves_no_mount_and_loses_nothing_that_was_acknowledged() {
    for is_core in [true, false] {
        let Some(stage) = Stage::set() else { return };
        let paths: Vec<_> =
            (0..4).map(|number| stage.secret(&format!("free/{number}"), "0")).collect();
        let mut writers: Vec<Person> = paths.iter().map(|_| Person::of(OWNER)).collect();
        for (writer, path) in writers.iter_mut().zip(&paths) {
            writer.must(WRITES);
            writer.begin(&format!("writes({path:?})"));
        }
        let value = |path: &String| -> u64 {
            std::fs::read_to_string(path).unwrap().parse().unwrap_or_default()
        };
        assert!(wait::until(|| paths.iter().all(|path| value(path) > 5)), "nobody writes");
        let core = stage.root().running().unwrap();
        let monitor = child_of(core);
        let watchman = child_of(monitor);
        send(if is_core { core } else { monitor }, Signal::SIGKILL);
        assert!([core, monitor, watchman].into_iter().all(wait::has_ended));
        let acknowledged: Vec<u64> =
            writers.iter_mut().map(|writer| writer.end().unwrap().as_u64().unwrap()).collect();
        assert!(wait::until(|| stage.root().mounts().is_empty()), "a mount is left");
        start_again(&stage);
        assert_eq!(stage.root().mounts().len(), 1);
        for (path, least) in paths.iter().zip(acknowledged) {
            let value = value(path);
            assert!((least..=least + 1).contains(&value), "{value} where {least} was acknowledged");
        }
        assert_eq!(stage.root().run(&["audit", "verify"]).status, Some(0));
    }
}

#[test]
fn against_gocryptfs_it_succeeds() {
    let Some(plain) = Gocryptfs::set() else { return };
    let mut person = Person::of(OWNER);
    send(plain.pid(), Signal::SIGKILL);
    let is_dead = wait::until(|| person.reads(&plain.path()) == Err("ENOTCONN".to_owned()));
    assert!(is_dead, "the mount is not dead");
    // And it stays in the way.
    let left = person.must(&format!("run('ls', {:?})", plain.mountpoint()));
    assert!(left[2].as_str().unwrap().contains("not connected"), "{left}");
}
