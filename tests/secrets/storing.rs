//! What is stored stays, however many store at once.

use crate::support::root::Root;
use crate::support::ward::Ended;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// What comes of `count` commands at once, in the order of their numbers.
pub(super) fn at_once(count: usize, run: impl Fn(usize) -> Ended + Sync) -> Vec<Ended> {
    std::thread::scope(|scope| {
        let run = &run;
        let threads: Vec<_> = (0..count).map(|it| scope.spawn(move || run(it))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn a_value_is_replaced_only_when_that_is_said_and_the_one_before_is_kept() {
    let root = Root::private().serving();
    root.ward(&["set", "db/password", "--value", "first"]).succeed();
    let refused = root.run(&["set", "db/password", "--value", "second"]);
    assert_eq!(refused.status, Some(6), "{refused:?}");
    assert!(refused.stderr.contains("[E301]"), "{refused:?}");
    assert_eq!(root.ward(&["get", "db/password", "--raw"]).succeed(), "first");
    root.ward(&["set", "db/password", "--value", "second", "--replace"]).succeed();
    assert_eq!(root.ward(&["get", "db/password", "--raw"]).succeed(), "second");
    root.ward(&["restore", "db/password"]).succeed();
    assert_eq!(root.ward(&["get", "db/password", "--raw"]).succeed(), "first");
}

#[test]
fn of_twenty_who_set_one_name_at_once_one_wins_and_the_others_hear_that_it_is_there() {
    let root = Root::private().serving();
    let ended =
        at_once(20, |number| root.run(&["set", "a/token", "--value", &format!("value {number}")]));
    let won: Vec<usize> = (0..20).filter(|number| ended[*number].status == Some(0)).collect();
    assert_eq!(won.len(), 1, "{ended:?}");
    for (number, ended) in ended.iter().enumerate().filter(|(number, _)| *number != won[0]) {
        assert_eq!(ended.status, Some(6), "{number}: {ended:?}");
        assert!(ended.stderr.contains("[E301]"), "{ended:?}");
    }
    let value = root.ward(&["get", "a/token", "--raw"]).succeed();
    assert_eq!(value, format!("value {}", won[0]));
    let history = root.run(&["--json", "history", "a/token"]).json();
    assert_eq!(history["result"]["versions"].as_array().unwrap().len(), 1, "{history}");
}

#[test]
fn thirty_who_set_names_of_a_new_folder_at_once_all_find_them_after_the_daemon_was_killed() {
    let root = Root::private().serving();
    let name = |number: usize| format!("new/folder/{number:02}");
    let ended = at_once(30, |number| root.run(&["set", &name(number), "--value", &name(number)]));
    assert!(ended.iter().all(|ended| ended.status == Some(0)), "{ended:?}");
    let daemon = root.running().unwrap();
    kill(Pid::from_raw(i32::try_from(daemon).unwrap()), Signal::SIGKILL).unwrap();
    assert!(crate::support::wait::has_ended(daemon));
    let list = root.run(&["--json", "list"]).json();
    let names = list["result"]["names"].as_array().unwrap().iter();
    let names: Vec<&str> = names.map(|it| it["path"].as_str().unwrap()).collect();
    assert_eq!(names, (0..30).map(name).collect::<Vec<_>>());
    for number in 0..30 {
        assert_eq!(root.ward(&["get", &name(number), "--raw"]).succeed(), name(number));
    }
}
