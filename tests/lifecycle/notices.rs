//! A mount says before its end that it ends: in `.ward/status`, to whoever waits for it by poll(2).

use crate::support::person::Person;
use crate::support::stage::{HOLD, Stage};
use crate::support::users::OWNER;

/// A person that has read the state of the mount, and can wait for another.
fn reader_of_status(stage: &Stage) -> Person {
    let path = stage.path(".ward/status");
    let mut person = Person::of(OWNER);
    person.must(&format!("file = os.open({path:?}, os.O_RDONLY)"));
    person.must("poll = select.poll()");
    person.must("poll.register(file, select.POLLIN)");
    assert!(!person.must("poll.poll(0)").as_array().unwrap().is_empty(), "nothing was read yet");
    let first = person.must("os.pread(file, 4096, 0)");
    assert!(first.as_str().unwrap().contains("\nnotice      none\n"), "{first}");
    person
}

#[test]
fn who_waits_for_the_state_of_a_mount_is_woken_before_its_end_and_told_how_long_is_left() {
    let Some(stage) = Stage::served(HOLD, "") else { return };
    stage.root().configure("[mount]\nnotices = [\"1h\", \"2s\"]\n");
    stage.root().ward(&["policy", "reload"]).succeed();
    stage.mount(&["--ttl", "4s"]);
    let mut person = reader_of_status(&stage);
    assert_eq!(person.must("len(poll.poll(9000))"), 1, "no notice came");
    let told = person.must("os.pread(file, 4096, 0)");
    let told = told.as_str().unwrap();
    assert!(told.contains("\nnotice      ends in 2s\n"), "{told}");
    let left = told.lines().find_map(|line| line.strip_prefix("seconds")).unwrap().trim();
    assert!(["1", "2"].contains(&left), "{told}");
}

#[test]
fn an_extension_wakes_too_and_takes_the_notice_back() {
    let Some(stage) = Stage::served(HOLD, "") else { return };
    stage.root().configure("[mount]\nnotices = [\"59s\"]\n");
    stage.root().ward(&["policy", "reload"]).succeed();
    stage.mount(&["--ttl", "1m"]);
    let mut person = reader_of_status(&stage);
    assert_eq!(person.must("len(poll.poll(9000))"), 1, "no notice came");
    let told = person.must("os.pread(file, 4096, 0)");
    assert!(told.as_str().unwrap().contains("\nnotice      ends in 59s\n"), "{told}");
    person.begin("len(poll.poll(9000))");
    stage.root().ward(&["vault", "extend", "default", "--ttl", "1h"]).succeed();
    assert_eq!(person.end(), Ok(1.into()));
    let told = person.must("os.pread(file, 4096, 0)");
    assert!(told.as_str().unwrap().contains("\nnotice      none\n"), "{told}");
    drop(person);
    assert_eq!(stage.unmount().status, Some(0));
}

#[test]
fn a_mount_says_before_that_it_ends_unless_it_is_used_and_a_use_takes_that_back() {
    let Some(stage) = Stage::served(HOLD, "") else { return };
    stage.root().configure("[mount]\nnotices = [\"59m 58s\"]\n");
    stage.root().ward(&["policy", "reload"]).succeed();
    stage.mount(&["--ttl", "2h", "--idle", "1h"]);
    stage.secret("read/token", "s3cret");
    let mut person = reader_of_status(&stage);
    assert_eq!(person.must("len(poll.poll(9000))"), 1, "no notice came");
    let told = person.must("os.pread(file, 4096, 0)");
    let expected = "\nnotice      ends in 59m 58s unless it is used\n";
    assert!(told.as_str().unwrap().contains(expected), "{told}");
    assert_eq!(person.reads(&stage.path("read/token")), Ok("s3cret".to_owned()));
    let told = person.must("os.pread(file, 4096, 0)");
    assert!(told.as_str().unwrap().contains("\nnotice      none\n"), "{told}");
    drop(person);
    assert_eq!(stage.unmount().status, Some(0));
}
