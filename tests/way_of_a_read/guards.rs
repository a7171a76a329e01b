//! Guards on a real mount: what one client may do within a time, and what becomes of it then.

use crate::support::person::Person;
use crate::support::stage::{HOLD, Stage};
use crate::support::users::{OWNER, STRANGER, user};

/// Why the last open of a secret was refused.
fn last_refusal(stage: &Stage, path: &str) -> String {
    let refused = stage.log_of("refused", path);
    refused.last().unwrap()["reason"].as_str().unwrap().to_owned()
}

#[test]
fn who_opens_more_than_the_rate_is_refused_and_nobody_else_is() {
    let rate = "[defaults.rate]\nmax = 5\nper = \"1h\"\n";
    let Some(stage) = Stage::with(HOLD, rate) else { return };
    let path = stage.secret("both/token", "s3cret");
    let (mut owner, mut stranger) = (Person::of(OWNER), Person::of(STRANGER));
    for _ in 0..5 {
        assert_eq!(owner.reads(&path), Ok("s3cret".to_owned()));
    }
    assert_eq!(owner.reads(&path), Err("EACCES".to_owned()));
    let why = last_refusal(&stage, "both/token");
    assert!(why.starts_with("the guard `rate` refuses it; come back in 36"), "{why}");
    owner.must(&format!("[os.stat({path:?}) for _ in range(20)]"));
    assert_eq!(stranger.reads(&path), Ok("s3cret".to_owned()));
}

#[test]
fn who_is_denied_again_and_again_is_heard_no_more() {
    let breaker = "[defaults.rate]\nmax = 1000\nper = \"1m\"\nbreaker = 3\nwithin = \"1h\"\ncooldown = \"1h\"\n";
    let Some(stage) = Stage::with(HOLD, breaker) else { return };
    let (free, cat) = (stage.secret("both/token", "s3cret"), stage.secret("cat/token", "x"));
    let (mut owner, mut stranger) = (Person::of(OWNER), Person::of(STRANGER));
    for _ in 0..3 {
        assert_eq!(owner.reads(&free), Ok("s3cret".to_owned()));
        assert_eq!(owner.reads(&cat), Err("EACCES".to_owned()));
    }
    assert_eq!(owner.reads(&free), Err("EACCES".to_owned()));
    let why = last_refusal(&stage, "both/token");
    assert!(why.starts_with("the guard `breaker` refuses it; come back in 3"), "{why}");
    assert_eq!(stranger.reads(&free), Ok("s3cret".to_owned()));
}

#[test]
fn the_sum_of_what_is_sensitive_takes_a_human_and_then_nothing_more_is_given() {
    let risk = "[targets.held]\npath = [\"read/**\"]\nsensitivity = \"critical\"\n\
        [defaults.risk]\nwindow = \"1h\"\nescalate = 30\ndeny = 45\n";
    let Some(stage) = Stage::set() else { return };
    let paths: Vec<String> =
        (0..3).map(|number| stage.secret(&format!("read/{number}"), "s3cret")).collect();
    let plain = stage.secret("both/token", "plain");
    stage.change_rules(HOLD, risk);
    let mut owner = Person::of(OWNER);
    // 15 points: an operation of low risk with a critical target. The same path counts once.
    for _ in 0..5 {
        assert_eq!(owner.reads(&paths[0]), Ok("s3cret".to_owned()));
    }
    owner.begin(&format!("read({:?})", paths[1]));
    let request = stage.held("read/1");
    assert_eq!(stage.approve(&request).status, Some(0));
    assert_eq!(owner.end(), Ok("s3cret".into()));
    assert_eq!(owner.reads(&paths[2]), Err("EACCES".to_owned()));
    let status = stage.root().run(&["--json", "status"]).json();
    let limited = status["result"]["limited"].as_array().unwrap();
    let is_owner = |it: &&serde_json::Value| it["uid"] == user(OWNER).uid.as_raw();
    let client = limited.iter().find(is_owner).unwrap();
    assert_eq!((&client["points"], &client["breaker"]), (&30.into(), &"closed".into()));
    let why = last_refusal(&stage, "read/2");
    assert!(why.starts_with("the guard `risk` refuses it; come back in 3"), "{why}");
    for _ in 0..20 {
        assert_eq!(owner.reads(&plain), Ok("plain".to_owned()), "nothing ordinary counts");
    }
}
