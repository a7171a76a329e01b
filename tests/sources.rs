//! What a human keeps with `pass` is shown as files of a vault, and opened when a human says yes.

mod faults;
mod names;
mod pinentry;

use crate::support::pass_store::PassStore;
use crate::support::person::Person;
use crate::support::stage::{HOLD, Stage};
use crate::support::users::{OWNER, STRANGER};
use crate::support::wait;
use crate::support::ward::WARD;
use serde_json::Value;

/// The owner and the stranger may read everything of the store; a human of neither uid answers.
const RULES: &str = r#"
[[rule]]
name = "agents-read-passwords"
clients = ["owner", "stranger"]
ops = ["file.list", "file.read", "file.write", "secret.*"]
path = ["pass/**"]
decide = "allow"
"#;

/// A stage that shows the store of the stranger.
fn stage(store: &PassStore, more: &str) -> Option<Stage> {
    stage_with(store, more, RULES)
}

fn stage_with(store: &PassStore, more: &str, rules: &str) -> Option<Stage> {
    let stage = Stage::still(HOLD, rules)?;
    stage.root().configure(&store.table(more));
    stage.root().ward(&["daemon", "start"]).succeed();
    stage.mount(&[]);
    Some(stage)
}

/// The store of the stranger, with two entries, and a stage that shows it.
fn two_entries() -> Option<(PassStore, Stage)> {
    if !crate::support::users::can_act_as_others() {
        return None;
    }
    let store = PassStore::of(STRANGER, "")?;
    store.insert("prod/db/root-password", "s3cret");
    store.insert("prod/web", "other");
    let stage = stage(&store, "")?;
    Some((store, stage))
}

/// Runs `ward` as a child of `person`: exit code, stdout, stderr.
fn ward(stage: &Stage, person: &mut Person, words: &[&str]) -> (i64, String, String) {
    let words = serde_json::to_string(words).unwrap();
    let root = stage.root().path();
    let ended = person.must(&format!("run({WARD:?}, *{words}, env={{'WARD_ROOT': {root:?}}})"));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (ended[0].as_i64().unwrap(), text(&ended[1]), text(&ended[2]))
}

fn get(stage: &Stage, person: &mut Person, name: &str) -> Result<String, i64> {
    match ward(stage, person, &["get", name, "--raw"]) {
        (0, value, _) => Ok(value),
        (code, ..) => Err(code),
    }
}

fn request(stage: &Stage, person: &mut Person, name: &str, reason: &str) -> String {
    let asked = ward(stage, person, &["request", name, "--reason", reason]);
    assert_eq!(asked.0, 0, "{asked:?}");
    stage.asked(reason)["request"].as_str().unwrap().to_owned()
}

#[test]
fn what_pass_keeps_is_requested_approved_and_read_until_the_lease_ends() {
    let Some((_store, stage)) = two_entries() else { return };
    let mut agent = Person::of(OWNER);
    let reason = "Run migration 2026-02";
    // By the name that it has in the store.
    let id = request(&stage, &mut agent, "prod/db/root-password", reason);
    assert_eq!(stage.asked(reason)["path"], "pass/prod/db/root-password");
    assert_eq!(get(&stage, &mut agent, "prod/db/root-password"), Err(4));
    let listed = stage.root().run(&["list", "--pending"]).stdout;
    assert!(listed.contains(&id) && listed.contains(reason), "{listed}");
    // Longer than a test waits for gpg on a busy machine, shorter than anybody's patience.
    let approved = stage.root().run(&["approve", &id, "--for", "8s"]);
    assert_eq!(approved.status, Some(0), "{approved:?}");
    assert_eq!(get(&stage, &mut agent, "prod/db/root-password"), Ok("s3cret".to_owned()));
    assert_eq!(get(&stage, &mut agent, "pass/prod/db/root-password"), Ok("s3cret".to_owned()));
    let has_ended = || get(&stage, &mut agent, "prod/db/root-password") == Err(4);
    assert!(wait::patiently(has_ended), "an approval that never ends");
    let opened = stage.log_of("file.open", "pass/prod/db/root-password");
    let rules = opened.iter().filter(|it| it["rules"].to_string().contains("sources.pass"));
    assert!(opened.len() >= 2 && rules.count() == opened.len(), "{opened:?}");
}

#[test]
fn an_open_in_the_mount_waits_for_the_yes_and_reads_while_the_lease_lives() {
    let Some((_store, stage)) = two_entries() else { return };
    let path = stage.path("pass/prod/db/root-password");
    let mut agent = Person::of(OWNER);
    agent.begin(&format!("read({path:?})"));
    let id = stage.held("pass/prod/db/root-password");
    assert_eq!(stage.root().ward(&["approve", &id]).by(STRANGER).run().status, Some(0));
    assert_eq!(agent.end(), Ok("s3cret".into()));
    // Under the same lease, and with its length once it is open.
    agent.must(&format!("file = os.open({path:?}, os.O_RDONLY)"));
    assert_eq!(agent.must("os.fstat(file).st_size"), 6);
    assert_eq!(agent.must("os.pread(file, 3, 2)"), "cre");
    let lease = stage.root().run(&["--json", "status"]).json()["result"]["leases"][0].clone();
    stage.root().ward(&["grants", "revoke", lease["lease"].as_str().unwrap()]).succeed();
    assert_eq!(agent.fails("os.pread(file, 3, 0)"), "ESTALE");
    assert_eq!(agent.reads(&path).unwrap_err(), "EACCES");
}

#[test]
fn a_no_is_a_no_and_serves_nobody() {
    let Some((_store, stage)) = two_entries() else { return };
    let mut agent = Person::of(OWNER);
    let id = request(&stage, &mut agent, "prod/db/root-password", "please");
    stage.root().ward(&["deny", &id]).succeed();
    assert_eq!(get(&stage, &mut agent, "prod/db/root-password"), Err(3));
    assert_eq!(stage.log_of("file.open", "pass/prod/db/root-password").len(), 0);
}

#[test]
fn a_yes_serves_neither_another_agent_nor_another_secret() {
    let Some((_store, stage)) = two_entries() else { return };
    let (mut agent, mut other) = (Person::of(OWNER), Person::of(OWNER));
    let mut stranger = Person::of(STRANGER);
    let id = request(&stage, &mut agent, "prod/db/root-password", "please");
    stage.root().ward(&["approve", &id]).succeed();
    assert_eq!(get(&stage, &mut other, "prod/db/root-password"), Err(4));
    assert_eq!(get(&stage, &mut stranger, "prod/db/root-password"), Err(4));
    assert_eq!(get(&stage, &mut agent, "prod/web"), Err(4));
    assert_eq!(get(&stage, &mut agent, "prod/db/root-password"), Ok("s3cret".to_owned()));
}

#[test]
fn a_yes_for_a_humans_secret_is_not_granted_on() {
    if !crate::support::users::can_act_as_others() {
        return;
    }
    let Some(store) = PassStore::of(STRANGER, "") else { return };
    store.insert("web", "other");
    let rules = RULES.replace("\"owner\", \"stranger\"", "\"owner\"");
    let Some(stage) = stage_with(&store, "", &rules) else { return };
    let (mut agent, mut stranger) = (Person::of(OWNER), Person::of(STRANGER));
    let id = request(&stage, &mut agent, "web", "please");
    stage.root().ward(&["approve", &id]).succeed();
    let granted = ward(&stage, &mut agent, &["secrets", "grant", "pass/web", "--to", "stranger"]);
    assert_eq!(granted.0, 3, "{granted:?}");
    assert_eq!(get(&stage, &mut stranger, "pass/web"), Err(5));
    assert_eq!(get(&stage, &mut agent, "pass/web"), Ok("other".to_owned()));
}

#[test]
fn an_agent_whose_commands_run_in_sessions_of_their_own_reads_what_its_name_was_given() {
    let Some((_store, stage)) = two_entries() else { return };
    // As the guide says it: no client of the policy has the name.
    let run = |agent: &[&str], words: &[&str]| {
        stage.root().ward(&[agent, words].concat()).by(OWNER).run()
    };
    let (asks, reads) = (["--agent", "agent-workflows"], ["get", "prod/db/root-password", "--raw"]);
    let reason = "Run migration 2026-02";
    let asked = run(&asks, &["request", "prod/db/root-password", "--reason", reason]);
    assert_eq!(asked.status, Some(0), "{asked:?}");
    stage.root().ward(&["approve", stage.asked(reason)["request"].as_str().unwrap()]).succeed();
    let read = run(&asks, &reads);
    assert_eq!((read.status, read.stdout.as_str()), (Some(0), "s3cret"), "{read:?}");
    for other in [&["--agent", "agent-main"][..], &[]] {
        assert_eq!(run(other, &reads).status, Some(4), "{other:?}");
    }
    assert_eq!(run(&asks, &["get", "prod/web", "--raw"]).status, Some(4));
}

#[test]
fn who_asks_for_a_humans_secret_cannot_say_yes_to_it() {
    let Some((_store, stage)) = two_entries() else { return };
    let mut agent = Person::of(OWNER);
    let id = request(&stage, &mut agent, "prod/web", "please");
    assert_eq!(ward(&stage, &mut agent, &["approve", &id]).0, 3);
    assert_eq!(get(&stage, &mut agent, "prod/web"), Err(4));
}

#[test]
fn where_the_settings_leave_it_to_the_policy_an_allow_rule_opens_it() {
    if !crate::support::users::can_act_as_others() {
        return;
    }
    let Some(store) = PassStore::of(STRANGER, "") else { return };
    store.insert("a", "one");
    store.pass(&["insert", "--multiline", "key"], "first\nsecond\n");
    let Some(stage) = stage(&store, "approval = \"policy\"\n") else { return };
    let mut agent = Person::of(OWNER);
    assert_eq!(agent.reads(&stage.path("pass/a")), Ok("one".to_owned()));
    // What was typed has no line end of its own; a text of several lines is as it was.
    assert_eq!(agent.reads(&stage.path("pass/key")), Ok("first\nsecond\n".to_owned()));
    assert_eq!(get(&stage, &mut agent, "key"), Ok("first\nsecond\n".to_owned()));
}
