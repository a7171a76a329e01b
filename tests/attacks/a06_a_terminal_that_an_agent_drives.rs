//! A6: an agent types `ward approve` into a terminal, or runs it as somebody who may answer.

use crate::factors::allow;
use crate::support::keys::Keys;
use crate::support::person::Person;
use crate::support::stage::{HOLD, Stage};
use crate::support::users::{OWNER, STRANGER};
use crate::support::ward::WARD;

/// The approver may start an agent, too.
const RULES: &str = r#"
[[rule]]
name = "stranger-starts-claude"
clients = ["stranger"]
ops = ["agent.run"]
path = ["claude"]
decide = "allow"
"#;

#[test]
fn what_runs_within_an_agents_session_answers_only_with_evidence_of_a_human() {
    let Some(stage) = Stage::with(HOLD, RULES) else { return };
    let path = stage.secret("ask/token", "s3cret");
    let mut person = Person::of(OWNER);
    person.begin(&format!("read({path:?})"));
    let request = stage.held("ask/token");
    let keys = Keys::of(STRANGER);
    let key = keys.fido("key");
    allow(stage.root(), &[keys.line("stranger", "key")]);
    let root = stage.root().path().to_str().unwrap().to_owned();
    let answer = |words: &[&str]| {
        let agent = ["run", "--agent", "claude", "--"];
        let approve = [WARD, "--root", &root, "approve", &request];
        let words = [&agent[..], &approve, words].concat();
        stage.root().ward(&words).by(STRANGER).with("SSH_SK_PROVIDER", keys.token()).run()
    };
    let ended = answer(&[]);
    assert_eq!(ended.status, Some(3), "{ended:?}");
    assert!(ended.stderr.contains("of an agent"), "{}", ended.stderr);
    // Neither does leaving the agent's terminal, session and parent help it.
    let away = ["run", "--agent", "claude", "--", "/usr/bin/setsid", "--wait", WARD, "--root"];
    let words = [&away[..], &[&root, "approve", &request]].concat();
    assert_eq!(stage.root().ward(&words).by(STRANGER).run().status, Some(3));
    assert_eq!(stage.held("ask/token"), request);
    let ended = answer(&["--sign", "--key", &key]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(person.end(), Ok("s3cret".into()));
}
