//! Acting under a name: who may, what it gives and takes away, and what the log says of it.

use crate::support::agent::RULES;
use crate::support::root::Root;
use crate::support::stage::{HOLD, Stage, replace};
use crate::support::users::{OWNER, STRANGER};
use crate::support::ward::Ended;

/// What agents may do beside reading, and what nobody who is the owner may.
const MORE_RULES: &str = r#"
[clients.operator]
uid = [4000000000]

[[rule]]
name = "owner-never"
clients = ["owner"]
ops = ["file.*"]
path = ["claude/never"]
decide = "deny"

[[rule]]
name = "owner-asks-here"
clients = ["owner"]
ops = ["file.read"]
path = ["claude/ask"]
priority = 1
decide = "approve"
approve = { require = "one_time", by = ["admin"] }
"#;

fn stage() -> Option<Stage> {
    let stage = Stage::with(HOLD, &format!("{RULES}{MORE_RULES}"))?;
    for name in ["claude/token", "claude/never", "claude/ask", "codex/token", "read/own"] {
        stage.secret(name, "value");
    }
    Some(stage)
}

/// `ward --agent AGENT get NAME --raw`, by `user`.
fn get(stage: &Stage, user: &str, agent: &str, name: &str) -> Ended {
    let words = ["--agent", agent, "get", name, "--raw"];
    stage.root().ward(&words).by(user).run()
}

fn refusal(ended: &Ended) -> bool {
    ended.status == Some(3) && ended.stderr.contains("[E200]")
}

#[test]
fn under_the_name_of_a_client_its_rules_alone_give_and_the_log_tells() {
    let Some(stage) = stage() else { return };
    assert_eq!(get(&stage, OWNER, "claude", "claude/token").stdout, "value");
    let own = stage.root().ward(&["get", "claude/token", "--raw"]).by(OWNER).run();
    assert_eq!(own.status, Some(5), "{own:?}");
    // Neither the owner's rules nor those of another agent leak into the name.
    for name in ["read/own", "codex/token"] {
        assert_eq!(get(&stage, OWNER, "claude", name).status, Some(5), "{name}");
    }
    assert_eq!(get(&stage, OWNER, "codex", "codex/token").stdout, "value");
    let read = stage.log_of("file.read", "claude/token").pop().unwrap();
    assert_eq!((&read["actor"]["acting"], &read["actor"]["agent"]), (&"claude".into(), &().into()));
    let variable =
        stage.root().ward(&["get", "claude/token", "--raw"]).with("WARD_AGENT", "claude");
    assert_eq!(variable.by(OWNER).run().stdout, "value");
    // What is said counts more than the variable.
    let both = stage.root().ward(&["--agent", "claude", "get", "claude/token", "--raw"]);
    assert_eq!(both.with("WARD_AGENT", "codex").by(OWNER).run().stdout, "value");
}

#[test]
fn what_is_denied_or_asked_of_the_caller_is_so_under_every_name() {
    let Some(stage) = stage() else { return };
    let denied = get(&stage, OWNER, "claude", "claude/never");
    assert_eq!(denied.status, Some(5), "{denied:?}");
    let asked = get(&stage, OWNER, "claude", "claude/ask");
    assert_eq!(asked.status, Some(4), "{asked:?}");
    let pending = stage.pending();
    assert_eq!((pending.len(), &pending[0]["asker"]["acting"]), (1, &"claude".into()));
}

#[test]
fn identity_is_no_flag_a_name_whose_facts_are_not_shown_is_refused_and_recorded() {
    let Some(stage) = stage() else { return };
    let claims = [(STRANGER, "claude"), (STRANGER, "owner"), (OWNER, "operator"), (OWNER, "admin")];
    for (user, name) in claims {
        let before = stage.log_of("refused", name).len();
        let words: [&[&str]; 3] =
            [&["get", "claude/token", "--raw"], &["list"], &["check", "file.read", "claude/token"]];
        for words in words {
            let ended = stage.root().ward(&[&["--agent", name], words].concat()).by(user).run();
            assert!(refusal(&ended), "{user} as {name}: {ended:?}");
        }
        let refused = stage.log_of("refused", name);
        assert_eq!(refused.len(), before + 3, "{name}");
        let last = refused.last().unwrap();
        assert_eq!(
            (&last["operations"][0], &last["decision"]),
            (&"agent.run".into(), &"denied".into())
        );
    }
    let bad = get(&stage, OWNER, "a/../b", "claude/token");
    assert_eq!(bad.status, Some(7), "{bad:?}");
    assert!(bad.stderr.contains("[E101]"), "{bad:?}");
}

#[test]
fn a_name_that_no_client_has_is_a_word_in_the_log_and_nothing_more() {
    let Some(stage) = stage() else { return };
    assert_eq!(get(&stage, OWNER, "nightly", "read/own").stdout, "value");
    assert_eq!(get(&stage, OWNER, "nightly", "claude/token").status, Some(5));
    let read = stage.log_of("file.read", "read/own").pop().unwrap();
    assert_eq!(
        (&read["actor"]["acting"], &read["actor"]["clients"]),
        (&"nightly".into(), &().into())
    );
    let shown = stage.root().run(&["audit", "show", "--path", "read/own", "--event", "file.read"]);
    assert!(shown.stdout.contains(" as nightly"), "{shown:?}");
}

#[test]
fn in_a_fresh_root_its_owner_acts_under_any_name_and_nobody_else_does() {
    let private = Root::private();
    private.ward(&["--agent", "anything", "set", "a", "--value", "v"]).succeed();
    assert_eq!(private.ward(&["get", "a", "--raw", "--agent", "other"]).succeed(), "v");
    if !crate::support::users::can_act_as_others() {
        return;
    }
    let system = Root::system();
    system.ward(&["daemon", "start"]).succeed();
    let set = ["--agent", "agent-main", "set", "a", "--value", "v"];
    system.ward(&set).by(OWNER).succeed();
    let other = system.ward(&["--agent", "human-ops", "get", "a", "--raw"]).by(STRANGER).run();
    assert_eq!(other.status, Some(5), "{other:?}");
    let list = system.ward(&["--agent", "human-ops", "list", "--pending"]).by(STRANGER).run();
    assert!(refusal(&list), "{list:?}");
}

#[test]
fn a_yes_of_oneself_under_another_name_counts_as_the_root_says_and_never_for_what_is_critical() {
    let root = Root::private();
    let uid = nix::unistd::Uid::effective();
    replace(
        &root.path().join("policy.toml"),
        &format!(
            r#"version = 1
[defaults]
factors = {{ any = ["local"] }}
[approval]
same_user = "allow"
[ops]
"*" = "medium"
[clients.owner]
uid = [{uid}]
[clients.asker]
session = "asker"
[clients.answerer]
session = "answerer"
role = "approver"
[targets.production]
path = ["prod/**"]
sensitivity = "critical"
[[rule]]
name = "owner-works"
clients = ["owner"]
ops = ["agent.run", "secret.set", "file.list", "daemon.stop"]
path = ["*"]
decide = "allow"
[[rule]]
name = "asker-asks"
clients = ["asker"]
ops = ["request.create"]
path = ["*"]
decide = "allow"
[[rule]]
name = "asker-reads"
clients = ["asker"]
ops = ["file.list", "file.read"]
path = ["*", "**"]
decide = "approve"
approve = {{ require = "one_time", by = ["answerer"], lease = "5m" }}
scope = "program"
"#
        ),
    );
    for name in ["a", "prod/a"] {
        root.ward(&["set", name, "--value", "v"]).succeed();
    }
    for (name, counts) in [("a", true), ("prod/a", false)] {
        let ask = ["--json", "--agent", "asker", "request", name, "--reason", "work"];
        let asked = root.run(&ask).json();
        let id = asked["result"]["request"].as_str().unwrap_or_else(|| panic!("{asked}"));
        // Its own name cannot answer, and the approver's can where a root lets its owner.
        let own = root.run(&["--agent", "asker", "approve", id]);
        assert!(refusal(&own), "{own:?}");
        let answered = root.run(&["--agent", "answerer", "approve", id]);
        assert_eq!(answered.status, Some(if counts { 0 } else { 3 }), "{name}: {answered:?}");
        let plain = root.run(&["get", name, "--raw"]);
        assert_eq!(plain.status, Some(3), "a yes for a name is for nobody else: {plain:?}");
        let read = root.run(&["--agent", "asker", "get", name, "--raw"]);
        assert_eq!(read.status, Some(if counts { 0 } else { 4 }), "{name}: {read:?}");
    }
}
