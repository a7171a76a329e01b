//! The guide's runbook: each action by a named identity, with a reason, and what is looked at after it.

use super::{CONFIG, Machine, SHARED};
use crate::support::pass_store::PassStore;
use crate::support::users::{self, STRANGER};

/// What is looked at after each action, and must be well.
fn post_check(machine: &mut Machine, agent: &str) {
    machine.done(&["--agent", agent, "list"]);
    machine.done(&["status"]);
    machine.done(&["vault", "list"]);
    machine.done(&["vault", "status", "agent_data"]);
    machine.done(&["verify"]);
}

#[test]
fn every_action_of_the_runbook_is_done_and_checked_after() {
    if !users::can_act_as_others() {
        return;
    }
    let Some(store) = PassStore::of(STRANGER, "") else { return };
    store.insert("prod/db/root-password", "correct horse");
    store.insert("prod/db/other", "no");
    let config = CONFIG.replace("\"svc/workflows/*\"", "\"svc/workflows/*\", \"pass/prod/*\"");
    let pipe = format!("{}\n[pipe]\nallow = [\"cat\"]\n", store.table(""));
    let Some(mut machine) = Machine::initialised(&config, &pipe) else { return };
    machine.append("root/policy.toml", SHARED);
    machine.done(&["daemon", "stop"]);
    let (main, flows, ops) = ("agent-main", "agent-workflows", "human-ops");
    let mounted = machine.at("m");
    let mounted = mounted.to_str().unwrap();
    machine.done(&["--agent", main, "vault", "init", "agent_data", "--owner", "agent"]);
    let actions: [(&str, &[&str], &str); 5] = [
        (main, &["set", "svc/token", "--generate", "--ttl", "7"], "until"),
        (main, &["get", "svc/token", "--pipe-to", "cat"], ""),
        (main, &["vault", "mount", "agent_data", mounted, "--ttl", "45m"], "for 45m"),
        (main, &["vault", "unmount", "agent_data"], "unmounted"),
        (main, &["vault", "exec", "agent_data", mounted, "--", "true"], ""),
    ];
    for (agent, words, said) in actions {
        let told = machine.done(&[&["--agent", agent], words].concat());
        assert!(told.contains(said), "{words:?}: {told}");
        post_check(&mut machine, agent);
    }
    let status = machine.done(&["--agent", main, "status", "svc/token"]);
    assert!(status.contains("available"), "{status}");
    for (name, answer, state) in
        [("prod/db/root-password", "approve", "approved"), ("prod/db/other", "deny", "denied")]
    {
        let request = machine.request(name);
        let pending = machine.done(&["--agent", ops, "requests", "list"]);
        assert!(pending.contains("Run migration 2026-02"), "the reason is there: {pending}");
        machine.done(&["--agent", ops, answer, &request]);
        let status = machine.done(&["--agent", flows, "status", name]);
        assert!(status.contains(state), "{status}");
        post_check(&mut machine, ops);
    }
    // Who did what, under which name, is in the log.
    let log = machine.done(&["audit", "--limit", "200"]);
    for agent in [main, flows, ops] {
        assert!(log.contains(&format!(" as {agent}")), "{agent}: {log}");
    }
}
