//! Handoffs by command, and between agents of one user.

use super::{becomes, log_of};
use crate::support::agent::{self, agent};
use crate::support::stage::{HOLD, Stage};
use crate::support::users::{OWNER, STRANGER};
use crate::support::ward::WARD;

const RULES: &str = r#"
[[rule]]
name = "codex-hands-out"
clients = ["codex"]
ops = ["handoff.grant"]
path = ["codex/**"]
decide = "allow"
"#;

#[test]
fn one_agent_hands_a_file_to_another_of_the_same_user_by_commands() {
    let Some(stage) = Stage::with(HOLD, &format!("{}{RULES}", agent::RULES)) else { return };
    stage.secret("codex/token", "two");
    let root = stage.root();
    let (mut claude, mut codex) = (agent(root, "claude"), agent(root, "codex"));
    let env = format!("env={{'WARD_ROOT': {:?}}}", root.path());
    let words = "'vault', 'ask-file', 'default', '--file', 'codex/token', '--reason', 'a build', \
                 '--trusted-agent', 'codex', '--uses', '1'";
    let asked = claude.must(&format!("run({WARD:?}, '--json', {words}, {env})"));
    assert_eq!(asked[0], 0, "{asked}");
    let asked: serde_json::Value = serde_json::from_str(asked[1].as_str().unwrap()).unwrap();
    let asked = &asked["result"];
    let (id, file) = (asked["request"].as_str().unwrap(), asked["file"].as_str().unwrap());
    assert_eq!(asked["asker"]["agent"], "claude");

    // Again in words: the same request, ready for the other agent.
    let said = claude.must(&format!("run({WARD:?}, {words}, {env})"));
    let said = said[1].as_str().unwrap();
    for line in ["Agent handoff request", "Trusted agent: codex", "Requested file: codex/token"] {
        assert!(said.lines().any(|it| it == line), "{said}");
    }
    assert!(said.contains(&format!("approve {id}")), "{said}");

    let own = claude.must(&format!("run({WARD:?}, 'approve', {id:?}, {env})"));
    assert_eq!(own[0], 5, "an agent answers its own request: {own}");
    let stranger = root.ward(&["approve", id]).by(STRANGER).run();
    assert_eq!(stranger.status, Some(5), "{stranger:?}");
    let yes = codex.must(&format!("run({WARD:?}, 'approve', {id:?}, {env})"));
    assert_eq!(yes[0], 0, "{yes}");
    assert_eq!(claude.reads(file), Ok("two".to_owned()));
    assert_eq!(claude.reads(file), Err("ESTALE".to_owned()));
    assert_eq!(codex.reads(file), Err("ENOENT".to_owned()));
    assert_eq!(log_of(&stage, "handoff.asked", id)[0]["actor"]["agent"], "claude");
    assert_eq!(log_of(&stage, "handoff.given", id)[0]["actor"]["agent"], "codex");
}

#[test]
fn a_handoff_ends_with_the_agent_that_has_it_and_a_no_by_command_says_why() {
    let Some(stage) = Stage::with(HOLD, &format!("{}{RULES}", agent::RULES)) else { return };
    stage.secret("codex/token", "two");
    let root = stage.root();
    let (mut claude, mut codex) = (agent(root, "claude"), agent(root, "codex"));
    let env = format!("env={{'WARD_ROOT': {:?}}}", root.path());
    let ask = |claude: &mut crate::support::person::Person| {
        let words = "'vault', 'ask-file', 'default', '--file', 'codex/token', '--reason', 'x'";
        let asked = claude.must(&format!("run({WARD:?}, '--json', {words}, {env})"));
        let asked: serde_json::Value = serde_json::from_str(asked[1].as_str().unwrap()).unwrap();
        asked["result"]["request"].as_str().unwrap().to_owned()
    };
    let id = ask(&mut claude);
    let yes = codex.must(&format!("run({WARD:?}, 'approve', {id:?}, {env})"));
    assert_eq!(yes[0], 0, "{yes}");
    drop(claude);
    becomes(|| log_of(&stage, "handoff.ended", &id).len() == 1);
    let mut claude = agent(root, "claude");
    assert_eq!(
        claude.must(&format!("os.listdir({:?})", stage.path(".ward/handoff"))),
        serde_json::json!([])
    );
    let id = ask(&mut claude);
    let no = codex.must(&format!("run({WARD:?}, 'deny', {id:?}, '--reason', 'not now', {env})"));
    assert_eq!(no[0], 0, "{no}");
    // Who has the asker's uid may know what came of it.
    let states = root.ward(&["--json", "list", "--pending"]).by(OWNER).run();
    assert!(!states.stdout.contains(&id), "{states:?}");
    assert_eq!(log_of(&stage, "handoff.denied", &id)[0]["reason"], "not now");
}
