//! The owner of a vault: whether an agent mounts it without a human.

use crate::support::root::Root;
use crate::support::stage::replace;
use crate::support::users::{OWNER, can_act_as_others, user};
use std::path::PathBuf;

/// A root with an approver (uid 0) and an agent who may mount everything, and a place of the agent.
fn scene() -> Option<(Root, PathBuf)> {
    if !can_act_as_others() {
        return None;
    }
    let root = Root::system();
    let operations: String = ward_policy::Operation::ALL
        .iter()
        .map(|it| format!("\"{}\" = \"low\"\n", it.name()))
        .collect();
    let agent = user(OWNER);
    let policy = format!(
        "version = 1\n[ops]\n{operations}\
         [clients.admin]\nuid = [0]\nrole = \"approver\"\n\
         [clients.agent]\nuid = [{}]\n\
         [[rule]]\nname = \"all\"\nclients = [\"admin\", \"agent\"]\nops = [\"*\"]\n\
         path = [\"*\"]\ndecide = \"allow\"\n",
        agent.uid
    );
    replace(&root.path().join("policy.toml"), &policy);
    let place = root.directory().join("place");
    std::fs::create_dir(&place).unwrap();
    nix::unistd::chown(&place, Some(agent.uid), Some(agent.gid)).unwrap();
    Some((root.serving(), place))
}

#[test]
fn an_agent_mounts_a_vault_of_its_own_alone() {
    let Some((root, place)) = scene() else { return };
    root.ward(&["vault", "init", "tools", "--owner", "agent"]).succeed();
    let place = place.to_str().unwrap();
    root.ward(&["vault", "mount", "tools", place]).by(OWNER).succeed();
    root.ward(&["vault", "unmount", "tools"]).by(OWNER).succeed();
}

#[test]
fn an_agent_mounts_a_vault_of_a_human_with_an_approvers_yes_and_each_time_anew() {
    let Some((root, place)) = scene() else { return };
    let place = place.to_str().unwrap();
    let script = format!(
        "$0 --json vault mount default {place}; read go; $0 --json vault mount default {place}; \
         $0 --json vault unmount default; $0 --json vault mount default {place}; echo $?"
    );
    let mut session = crate::support::session::Session::begin(&root, OWNER, &script);
    let asked: serde_json::Value = serde_json::from_str(&session.line()).unwrap();
    assert_eq!(asked["error"]["code"], "approval-needed");
    let request = asked["error"]["request"].as_str().unwrap().to_owned();
    let shown = root.ward(&["list", "--pending"]).succeed();
    assert!(shown.contains("vault.mount") && shown.contains("belongs to a human"), "{shown}");
    root.ward(&["approve", &request]).succeed();
    session.go();
    let mounted: serde_json::Value = serde_json::from_str(&session.line()).unwrap();
    assert_eq!(mounted["result"]["path"], place);
    let (rest, _) = session.end();
    assert!(rest.contains("approval-needed") && rest.ends_with("4\n"), "{rest}");
}

#[test]
fn an_approver_mounts_a_vault_of_a_human_alone() {
    let Some((root, _)) = scene() else { return };
    let place = root.directory().join("mount");
    std::fs::create_dir(&place).unwrap();
    root.ward(&["vault", "mount", "default", place.to_str().unwrap()]).succeed();
    root.ward(&["vault", "unmount", "default"]).succeed();
}
