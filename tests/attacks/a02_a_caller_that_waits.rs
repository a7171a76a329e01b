//! A2: a caller that waits for a human can be ended like any other process.

use crate::support::person::Person;
use crate::support::stage::Stage;
use crate::support::users::OWNER;
use crate::support::wait;
use nix::sys::signal::Signal;
use std::os::unix::process::ExitStatusExt;

fn opens(path: &str) -> String {
    format!("file = os.open({path:?}, os.O_RDONLY)")
}

#[test]
fn a_signal_frees_a_waiting_caller_within_a_tenth_of_a_second_and_the_request_stays() {
    let Some(stage) = Stage::set() else { return };
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGKILL] {
        let secret = format!("ask/{signal}");
        let path = stage.secret(&secret, "s3cret");
        let mut person = Person::of(OWNER);
        person.must("signal.signal(signal.SIGINT, signal.SIG_DFL)");
        person.begin(&opens(&path));
        let request = stage.held(&secret);
        let begun = wait::seconds();
        person.signal(signal);
        let status = person.wait_for_its_end();
        let took = wait::seconds() - begun;
        assert_eq!(status.signal(), Some(signal as i32));
        assert!(took < 0.1, "{signal} took {took} s");
        eprintln!("{signal}: gone after {:.1} ms", took * 1000.0);
        let pending = stage.pending();
        let stays = pending.iter().find(|it| it["request"] == request).unwrap();
        assert_eq!(stays["is_held"], false);
    }
}

#[test]
fn a_signal_that_the_caller_catches_makes_its_open_fail_with_eintr() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("ask/token", "s3cret");
    let mut person = Person::of(OWNER);
    person.must("signal.signal(signal.SIGTERM, lambda *_: None)");
    person.begin(&format!("call('open', {path:?}.encode(), os.O_RDONLY)"));
    stage.held("ask/token");
    person.signal(Signal::SIGTERM);
    assert_eq!(person.end(), Err("EINTR".to_owned()));
}

#[test]
fn a_process_one_of_whose_threads_waits_is_ended_as_fast() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("ask/token", "s3cret");
    let mut person = Person::of(OWNER);
    person.must("import threading");
    person.must(&format!("threading.Thread(target=lambda: os.open({path:?}, 0)).start()"));
    stage.held("ask/token");
    let begun = wait::seconds();
    person.signal(Signal::SIGKILL);
    let status = person.wait_for_its_end();
    let took = wait::seconds() - begun;
    assert_eq!(status.signal(), Some(Signal::SIGKILL as i32));
    assert!(took < 0.1, "took {took} s");
}

#[test]
fn twenty_callers_that_wait_are_ended_as_fast_as_one() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("ask/token", "s3cret");
    let mut person = Person::of(OWNER);
    person.must("signal.signal(signal.SIGTERM, signal.SIG_DFL)");
    person.must(&format!(
        "crowd = [subprocess.Popen(['tail', {path:?}], stderr=subprocess.DEVNULL) for _ in range(20)]"
    ));
    let waiting = "[open(f'/proc/{one.pid}/wchan').read() for one in crowd]\
                   .count('request_wait_answer')";
    assert!(wait::until(|| person.must(waiting) == 20), "twenty do not wait");
    for (signal, half) in [("SIGTERM", "crowd[:10]"), ("SIGKILL", "crowd[10:]")] {
        let ends = format!(
            "(begun := time.monotonic(), [one.send_signal(signal.{signal}) for one in {half}], \
             [one.wait() for one in {half}], time.monotonic() - begun)[2:]"
        );
        let ended = person.must(&ends);
        let took = ended[1].as_f64().unwrap();
        eprintln!("{signal}: ten gone after {:.1} ms", took * 1000.0);
        assert!(took < 0.1, "{signal} took {took} s");
        let all: Vec<i64> = serde_json::from_value(ended[0].clone()).unwrap();
        assert!(all.iter().all(|code| *code == all[0] && *code < 0), "{all:?}");
    }
}
