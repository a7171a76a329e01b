//! A daemon that follows another: what was asked, answered and given stands in the log, and goes on.

use crate::support::person::Person;
use crate::support::process::send;
use crate::support::stage::{HOLD, Stage, policy, replace};
use crate::support::users::{OWNER, STRANGER, user};
use crate::support::wait;
use nix::sys::signal::Signal;
use std::time::{Duration, Instant};

const NO_WAIT: &str = "os.O_NONBLOCK";

/// Kills the daemon, and has another one mount the vault.
fn kill_and_mount(stage: &Stage) {
    let core = stage.root().running().unwrap();
    send(core, Signal::SIGKILL);
    assert!(wait::has_ended(core), "the daemon does not end");
    mount_again(stage);
}

fn mount_again(stage: &Stage) {
    assert!(wait::until(|| stage.root().mounts().is_empty()), "the monitor left a mount");
    stage.mount(&[]);
}

/// The request that waits for an answer about a secret.
fn waiting(stage: &Stage, secret: &str) -> Option<String> {
    let pending = stage.pending().into_iter().find(|it| it["path"] == secret);
    pending.map(|it| it["request"].as_str().unwrap().to_owned())
}

/// A person who was asked to come back with the yes of a human to `secret`; and its path.
fn asked(stage: &Stage, secret: &str) -> (Person, String, String) {
    let path = stage.secret(secret, "s3cret");
    let mut person = Person::of(OWNER);
    let read = format!("read({path:?}, {NO_WAIT})");
    assert_eq!(person.fails(&read), "EAGAIN");
    let request = waiting(stage, secret).unwrap();
    (person, read, request)
}

#[test]
fn a_lease_goes_on_with_its_holder_and_nobody_else_when_the_daemon_was_killed() {
    let Some(stage) = Stage::set() else { return };
    let (mut person, read, request) = asked(&stage, "ask/token");
    assert_eq!(stage.approve(&request).status, Some(0));
    assert_eq!(person.must(&read), "s3cret");
    kill_and_mount(&stage);
    assert_eq!(person.must(&read), "s3cret");
    assert_eq!(Person::of(OWNER).fails(&read), "EAGAIN");
    // An orderly end is none for what a human gave, either.
    stage.root().ward(&["daemon", "stop"]).succeed();
    mount_again(&stage);
    assert_eq!(person.must(&read), "s3cret");
    assert_eq!(stage.log_of("request.made", "ask/token").len(), 2);
    assert_eq!(stage.root().run(&["audit", "verify"]).status, Some(0));
}

#[test]
fn what_the_log_seals_is_taken_up_once_its_vault_is_unlocked() {
    let Some(stage) = Stage::still(HOLD, "") else { return };
    let text = policy(HOLD, "").replace("names = \"clear\"", "names = \"sealed\"");
    replace(&stage.root().path().join("policy.toml"), &text);
    stage.mount(&[]);
    let (mut person, read, request) = asked(&stage, "ask/token");
    assert_eq!(stage.approve(&request).status, Some(0));
    let (mut other, other_read, other_request) = asked(&stage, "once/token");
    kill_and_mount(&stage);
    assert_eq!(person.must(&read), "s3cret");
    assert_eq!(waiting(&stage, "once/token"), Some(other_request.clone()));
    assert_eq!(stage.approve(&other_request).status, Some(0));
    assert_eq!(other.must(&other_read), "s3cret");
}

#[test]
fn what_an_approver_narrowed_stays_narrow_when_the_daemon_was_killed() {
    let Some(stage) = Stage::set() else { return };
    let (mut person, read, request) = asked(&stage, "ask/token");
    let words = ["approve", &request, "--uses", "3", "--process"];
    assert_eq!(stage.root().run(&words).status, Some(0));
    assert_eq!(person.must(&read), "s3cret");
    kill_and_mount(&stage);
    // Of the same session and program, but another process.
    let path = stage.path("ask/token");
    assert_eq!(person.must(&format!("child(\"read('{path}', {NO_WAIT})\")")), 42);
    for _twice in 0..2 {
        assert_eq!(person.must(&read), "s3cret");
    }
    assert_eq!(person.fails(&read), "EAGAIN");
}

#[test]
fn a_request_waits_on_under_its_id_and_a_no_stays_a_no() {
    let Some(stage) = Stage::set() else { return };
    let (mut person, read, request) = asked(&stage, "once/token");
    let (mut denied, denied_read, no) = asked(&stage, "once/other");
    stage.root().ward(&["deny", &no]).succeed();
    kill_and_mount(&stage);
    assert_eq!(stage.pending().len(), 1);
    assert_eq!(waiting(&stage, "once/token"), Some(request.clone()));
    assert_eq!(denied.fails(&denied_read), "EACCES");
    assert_eq!(stage.approve(&request).status, Some(0));
    kill_and_mount(&stage);
    assert_eq!(person.must(&read), "s3cret");
    assert_eq!(person.fails(&read), "EAGAIN");
}

#[test]
fn what_ended_before_the_daemon_did_does_not_come_back() {
    let Some(stage) = Stage::set() else { return };
    let (mut person, read, request) = asked(&stage, "ask/token");
    assert_eq!(stage.approve(&request).status, Some(0));
    assert_eq!(person.must(&read), "s3cret");
    assert_eq!(stage.unmount().status, Some(0));
    assert_eq!(stage.log_of("lease.ended", "ask/token").len(), 1);
    kill_and_mount(&stage);
    assert_eq!(person.fails(&read), "EAGAIN");
}

#[test]
fn a_lease_of_another_policy_does_not_come_back() {
    let Some(stage) = Stage::set() else { return };
    let (mut person, read, request) = asked(&stage, "ask/token");
    assert_eq!(stage.approve(&request).status, Some(0));
    stage.root().ward(&["daemon", "stop"]).succeed();
    replace(&stage.root().path().join("policy.toml"), &policy("9s", ""));
    mount_again(&stage);
    assert_eq!(person.fails(&read), "EAGAIN");
}

#[test]
fn guards_count_on_where_the_last_daemon_was_killed() {
    let rules = "[defaults.rate]\nmax = 6\nper = \"1h\"\nbreaker = 3\nwithin = \"1h\"\ncooldown = \"1h\"\n\
                 [defaults.risk]\nwindow = \"1h\"\nescalate = 40\ndeny = 45\n\
                 [targets.held]\npath = [\"read/**\"]\nsensitivity = \"critical\"\n";
    let Some(stage) = Stage::set() else { return };
    let names = ["read/0", "read/1", "both/plain", "cat/other"];
    let paths = names.map(|name| stage.secret(name, "x"));
    stage.change_rules(HOLD, rules);
    let [first, second, plain, other] = &paths;
    let (mut owner, mut stranger) = (Person::of(OWNER), Person::of(STRANGER));
    owner.reads(first).unwrap();
    owner.reads(second).unwrap();
    let points = || {
        let status = stage.root().run(&["--json", "status"]).json();
        let limited = status["result"]["limited"].as_array().unwrap().clone();
        let mine = limited.iter().find(|it| it["uid"] == user(OWNER).uid.as_raw());
        mine.map(|it| (it["points"].clone(), it["breaker"].clone()))
    };
    assert_eq!(points(), Some((30.into(), "closed".into())));
    for _ in 0..3 {
        kill_and_mount(&stage);
        // The same file counts once, whoever counted it.
        owner.reads(first).unwrap();
        assert_eq!(points(), Some((30.into(), "closed".into())));
    }
    owner.reads(plain).unwrap();
    assert_eq!(owner.fails(&format!("read({plain:?})")), "EACCES");
    let why = stage.log_of("refused", "both/plain").pop().unwrap()["reason"].clone();
    assert!(why.as_str().unwrap().starts_with("the guard `rate`"), "{why}");
    for _ in 0..3 {
        kill_and_mount(&stage);
        assert_eq!(stranger.fails(&format!("read({other:?})")), "ENOENT");
        assert_eq!(stranger.fails(&format!("read({first:?})")), "EACCES");
    }
    kill_and_mount(&stage);
    assert_eq!(stranger.fails(&format!("read({plain:?})")), "EACCES");
    let why = stage.log_of("refused", "both/plain").pop().unwrap()["reason"].clone();
    assert!(why.as_str().unwrap().starts_with("the guard `breaker`"), "{why}");
    assert_eq!(owner.fails(&format!("read({plain:?})")), "EACCES");
    assert_eq!(stage.root().run(&["audit", "verify"]).status, Some(0));
}

#[test]
fn what_was_asked_and_what_a_human_denied_counts_on_for_guards() {
    let why = |stage: &Stage, read: &str| {
        assert_eq!(Person::of(OWNER).fails(read), "EACCES");
        let refused = stage.log_of("refused", "ask/token").pop().unwrap();
        refused["reason"].as_str().unwrap().to_owned()
    };
    let rate = "[defaults.rate]\nmax = 3\nper = \"1h\"\n";
    let Some(stage) = Stage::with(HOLD, rate) else { return };
    let (mut person, read, _) = asked(&stage, "ask/token");
    for _joins_the_first in 0..2 {
        assert_eq!(person.fails(&read), "EAGAIN");
    }
    assert_eq!(stage.log_of("request.made", "ask/token").len(), 1);
    kill_and_mount(&stage);
    assert!(why(&stage, &read).starts_with("the guard `rate`"));

    let breaker = "[defaults.rate]\nmax = 99\nper = \"1h\"\nbreaker = 2\nwithin = \"1h\"\ncooldown = \"1h\"\n";
    let Some(stage) = Stage::with(HOLD, breaker) else { return };
    // Nobody's no is none, however often.
    let (mut person, read, _) = asked(&stage, "ask/token");
    assert_eq!(person.fails(&read), "EAGAIN");
    for name in ["ask/one", "ask/two"] {
        let path = stage.secret(name, "s3cret");
        person.begin(&format!("read({path:?})"));
        let request = stage.held(name);
        stage.root().ward(&["deny", &request]).succeed();
        assert!(person.end().is_err());
        let refused = stage.log_of("refused", name).pop().unwrap();
        assert_eq!(
            (&refused["decision"], &refused["request"]),
            (&"denied".into(), &request.into())
        );
        if name == "ask/one" {
            kill_and_mount(&stage);
            assert_eq!(person.fails(&read), "EAGAIN");
        }
    }
    kill_and_mount(&stage);
    assert!(why(&stage, &read).starts_with("the guard `breaker`"));
    assert_eq!(stage.root().run(&["audit", "verify"]).status, Some(0));
}

/// Spins: a timer would wake up too late for what takes microseconds.
fn spin(duration: Duration) {
    #[expect(clippy::disallowed_methods, reason = "the clock of the test, not of the program")]
    let begun = Instant::now();
    while begun.elapsed() < duration {
        std::hint::spin_loop();
    }
}

#[test]
fn a_one_time_approval_serves_one_open_whenever_the_daemon_is_killed() {
    const ROUNDS: u32 = 24;
    let Some(stage) = Stage::set() else { return };
    let (mut served, mut lost) = (0, 0);
    for round in 0..ROUNDS {
        let name = format!("once/{round}");
        let (mut person, read, request) = asked(&stage, &name);
        let core = stage.root().running().unwrap();
        assert_eq!(stage.approve(&request).status, Some(0));
        // In the middle of the open: from the decision over the records to the reply.
        person.begin(&read);
        spin(Duration::from_micros(50) * round);
        send(core, Signal::SIGKILL);
        let first = person.end().is_ok();
        assert!(wait::has_ended(core), "the daemon does not end");
        mount_again(&stage);
        let opened = || {
            stage.log_of("file.open", &name).iter().filter(|it| it["approval"] == *request).count()
        };
        let before = opened();
        let second = person.does(&read).is_ok();
        assert!(!(first && second), "one yes gave {name} twice, round {round}");
        assert!(
            !(before == 1 && second),
            "one yes gave {name} to an open on record, round {round}"
        );
        served += u32::from(first || second);
        lost += u32::from(!first && !second);
        assert_eq!(person.fails(&read), "EAGAIN", "round {round}");
        let again = waiting(&stage, &name).unwrap();
        stage.root().ward(&["deny", &again]).succeed();
    }
    eprintln!("{served} of {ROUNDS} approvals served one open, {lost} none");
    assert!(served > 0);
}

#[test]
fn a_yes_counts_once_or_not_at_all_whenever_the_daemon_is_killed() {
    const ROUNDS: u32 = 16;
    let Some(stage) = Stage::set() else { return };
    for round in 0..ROUNDS {
        let name = format!("once/{round}");
        let (mut person, read, request) = asked(&stage, &name);
        let core = stage.root().running().unwrap();
        let said = std::thread::scope(|scope| {
            let answer = scope.spawn(|| stage.root().run(&["approve", &request]).status == Some(0));
            spin(Duration::from_micros(400) * round);
            send(core, Signal::SIGKILL);
            answer.join().unwrap()
        });
        assert!(wait::has_ended(core), "the daemon does not end");
        mount_again(&stage);
        let is_served = person.does(&read).is_ok();
        assert!(is_served || !said, "a yes that was acknowledged is lost, round {round}");
        if is_served {
            assert_eq!(person.fails(&read), "EAGAIN", "one yes gave {name} twice, round {round}");
        }
        let again = waiting(&stage, &name).unwrap();
        stage.root().ward(&["deny", &again]).succeed();
    }
}
