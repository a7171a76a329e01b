//! Commands that each run in a session of their own, as tools of agents start them: what is asked by
//! one is got by the next.

use crate::support::agent::{RULES, agent};
use crate::support::person::Person;
use crate::support::stage::{HOLD, Stage};
use crate::support::users::{OWNER, STRANGER, can_act_as_others};
use crate::support::ward::{Ended, WARD};
use serde_json::Value;

/// Agents may read what a human gives them, for a time.
const ASKED: &str = r#"
[[rule]]
name = "agents-ask"
clients = ["claude", "codex"]
ops = ["request.create"]
path = ["asked/**"]
decide = "allow"

[[rule]]
name = "agents-read-what-they-are-given"
clients = ["claude", "codex"]
ops = ["file.list", "file.read"]
path = ["asked/**"]
decide = "approve"
approve = { require = "first_use", by = ["admin"] }
"#;

fn stage() -> Option<Stage> {
    let stage = Stage::with(HOLD, &format!("{RULES}{ASKED}"))?;
    stage.secret("asked/token", "s3cret");
    Some(stage)
}

/// A command of a user; `setsid` gives it a session of its own.
fn run(stage: &Stage, user: &str, words: &[&str]) -> Ended {
    stage.root().ward(words).by(user).run()
}

fn get(stage: &Stage, words: &[&str]) -> Result<String, Option<i32>> {
    let words = [words, &["get", "asked/token", "--raw"]].concat();
    let ended = run(stage, OWNER, &words);
    if ended.status == Some(0) { Ok(ended.stdout) } else { Err(ended.status) }
}

/// Asks with more words before the command, has it approved, and gives the log's entry of it.
fn ask_and_approve(stage: &Stage, words: &[&str]) -> Value {
    let ask = [words, &["request", "asked/token", "--reason", "migration"]].concat();
    let asked = run(stage, OWNER, &ask);
    assert_eq!(asked.status, Some(0), "{asked:?}");
    // Another session asks for the same, and so waits for the same answer.
    assert_eq!(get(stage, words), Err(Some(4)));
    let pending = stage.pending();
    assert_eq!(pending.len(), 1, "{pending:?}");
    let approved = stage.approve(pending[0]["request"].as_str().unwrap());
    assert_eq!(approved.status, Some(0), "{approved:?}");
    stage.log_of("request.made", "asked/token").pop().unwrap()
}

fn value() -> Result<String, Option<i32>> {
    Ok("s3cret".to_owned())
}

#[test]
fn what_an_agent_asks_for_in_one_session_it_gets_in_another_and_no_other_agent_does() {
    let Some(stage) = stage() else { return };
    let made = ask_and_approve(&stage, &["--agent", "claude"]);
    assert_eq!(made["terms"]["scope"], "name", "{made}");
    for _ in 0..2 {
        assert_eq!(get(&stage, &["--agent", "claude"]), value());
    }
    let state = run(&stage, OWNER, &["--agent", "claude", "--json", "status", "asked/token"]);
    assert_eq!(state.json()["result"]["state"], "approved", "{state:?}");
    assert_eq!(get(&stage, &["--agent", "codex"]), Err(Some(4)));
    assert!(get(&stage, &[]).is_err(), "who says no name");
    let other = run(&stage, STRANGER, &["--agent", "claude", "get", "asked/token", "--raw"]);
    assert_eq!(other.status, Some(3), "another user has not the name: {other:?}");
    // What `ward run` started is an agent of its own, also under the same name.
    let mut within = agent(stage.root(), "claude");
    assert_eq!(within_gets(&stage, &mut within, &[]), 4);
    assert_eq!(within_gets(&stage, &mut within, &["--agent", "claude"]), 4);
}

/// Has a person run `ward get` in a session of its own: the exit code.
fn within_gets(stage: &Stage, person: &mut Person, words: &[&str]) -> i64 {
    let root = stage.root().path().to_str().unwrap();
    let before = ["/usr/bin/setsid", "--wait", WARD, "--root", root];
    let words = [&before[..], words, &["get", "asked/token", "--raw"]].concat();
    let words = serde_json::to_string(&words).unwrap();
    person.must(&format!("run(*{words})[0]")).as_i64().unwrap()
}

#[test]
fn the_next_daemon_knows_what_a_name_holds() {
    let Some(stage) = stage() else { return };
    ask_and_approve(&stage, &["--agent", "claude"]);
    stage.root().ward(&["daemon", "stop"]).succeed();
    stage.root().ward(&["daemon", "start"]).succeed();
    assert_eq!(get(&stage, &["--agent", "claude"]), value());
    assert_eq!(get(&stage, &["--agent", "codex"]), Err(Some(4)));
}

#[test]
fn within_ward_run_no_name_is_needed_and_the_yes_stays_there() {
    let Some(stage) = stage() else { return };
    let mut claude = agent(stage.root(), "claude");
    assert_eq!(within_gets(&stage, &mut claude, &[]), 4);
    let pending = stage.pending();
    stage.approve(pending[0]["request"].as_str().unwrap());
    assert_eq!(within_gets(&stage, &mut claude, &[]), 0);
    assert_eq!(get(&stage, &["--agent", "claude"]), Err(Some(4)));
    let mut second = agent(stage.root(), "claude");
    assert_eq!(within_gets(&stage, &mut second, &[]), 4);
}

#[test]
fn without_a_name_the_rule_says_whether_a_yes_is_for_the_session_or_the_program() {
    if !can_act_as_others() {
        return;
    }
    for (scope, is_for_all) in [("session", false), ("program", true)] {
        let rule = format!(
            "[[rule]]\nname = 'owner-asks'\nclients = ['owner']\nops = ['file.list', 'file.read']\n\
             path = ['asked/**']\ndecide = 'approve'\nscope = '{scope}'\n\
             approve = {{ require = 'first_use', by = ['admin'] }}\n"
        );
        let Some(stage) = Stage::with(HOLD, &rule) else { return };
        stage.secret("asked/token", "s3cret");
        let asked = run(&stage, OWNER, &["request", "asked/token", "--reason", "work"]);
        assert_eq!(asked.status, Some(0), "{asked:?}");
        stage.approve(stage.pending()[0]["request"].as_str().unwrap());
        assert_eq!(get(&stage, &[]).is_ok(), is_for_all, "{scope}");
        assert!(get(&stage, &["--agent", "nightly"]).is_err(), "it was not asked under a name");
    }
}
