//! Clients, approvers and the settings of a policy, as the daemon asks for them.

use crate::support::{NOON, about, caller, doubts, rules};
use ward_policy::{
    Caller, Decision, Denial, Digest, Grade, GroupId, OpenRecords, Operation, RecordNames, Risk,
    SameUser, UserId,
};

const POLICY: &str = "version = 1\n\
    [ops]\n'*' = 'high'\n'file.*' = 'medium'\n'file.list' = 'low'\n\
    [clients.ann]\nuid = 1\n\
    [clients.sure-ann]\nuid = [1, 9]\ngrade = 'verified'\n\
    [clients.staff]\ngroup = 50\nrole = 'approver'\n\
    [clients.logged-in]\nloginuid = 7\nexe = ['/opt/*/run', '/usr/bin/clau?e']\n\
    [[rule]]\nname = 'never-from-9'\nclients = ['sure-ann']\nops = ['request.approve']\n\
    path = ['*']\ndecide = 'deny'\nreason = 'nine is out'\npriority = -1\n";

#[test]
fn the_clients_of_a_caller_are_those_whose_facts_and_grade_it_shows() {
    let rules = rules(POLICY);
    assert_eq!(rules.clients_of(&caller(1)), ["ann", "sure-ann"]);
    let weak = Caller { doubts: doubts(Grade::Weak), ..caller(1) };
    assert_eq!(rules.clients_of(&weak), ["ann"]);
    let untrusted = Caller { doubts: doubts(Grade::Untrusted), ..caller(1) };
    assert_eq!(rules.clients_of(&untrusted), [""; 0]);
    assert_eq!(rules.clients_of(&caller(7)), ["logged-in"]);
    let su = Caller { login_uid: Some(UserId(7)), ..caller(0) };
    assert_eq!(rules.clients_of(&su), ["logged-in"]);
    let daemon = Caller { login_uid: None, ..caller(7) };
    assert_eq!(rules.clients_of(&daemon), [""; 0]);
    let unreadable = Caller { executable: None, ..caller(7) };
    assert_eq!(rules.clients_of(&unreadable), [""; 0]);
}

#[test]
fn a_group_is_the_gid_or_a_supplementary_one() {
    let rules = rules(POLICY);
    let by_gid = Caller { gid: GroupId(50), ..caller(3) };
    let by_list = Caller { groups: [GroupId(4), GroupId(50)].into(), ..caller(3) };
    for staff in [by_gid, by_list] {
        assert_eq!(rules.approver_clients(&staff), ["staff"]);
        assert!(rules.is_approver(&staff));
    }
    assert!(!rules.is_approver(&caller(3)));
}

#[test]
fn a_deny_rule_wins_over_the_role_whatever_its_priority() {
    let rules = rules(POLICY);
    let staff = |uid| Caller { gid: GroupId(50), ..caller(uid) };
    let answer = |caller: &Caller| rules.evaluate(caller, &about(Operation::RequestApprove), NOON);
    assert!(matches!(answer(&staff(3)), Decision::Permitted(_)));
    let denied = answer(&staff(9));
    let Decision::Denied(denial) = denied else { panic!("{denied:?}") };
    assert_eq!(denial, Denial::Rule("never-from-9".into()));
    assert_eq!(rules.reason("never-from-9"), Some("nine is out"));
    let list = rules.evaluate(&staff(9), &about(Operation::RequestList), NOON);
    assert!(matches!(list, Decision::Permitted(_)));
}

#[test]
fn an_operation_has_the_risk_of_its_own_line_before_its_prefix_before_the_star() {
    let rules = rules(POLICY);
    assert_eq!(rules.risk(Operation::FileList), Some(Risk::Low));
    assert_eq!(rules.risk(Operation::FileRead), Some(Risk::Medium));
    assert_eq!(rules.risk(Operation::AuditShow), Some(Risk::High));
    assert_eq!(crate::support::rules("version = 1").risk(Operation::FileList), None);
}

#[test]
fn settings_that_are_not_given_are_the_strict_ones() {
    let silent = rules("version = 1");
    assert_eq!(silent.same_user(), SameUser::Deny);
    assert_eq!(silent.open_records(), OpenRecords::Durable);
    assert_eq!(silent.record_names(), RecordNames::Sealed);
    assert_eq!(silent.keep_records(), None);
    assert_eq!(silent.digest(), Digest::from_bytes([1; 32]));
    let relaxed = rules(
        "version = 1\n[approval]\nsame_user = 'allow'\n[audit]\nopens = 'written'\nnames = 'clear'\nkeep = '90d'",
    );
    assert_eq!(relaxed.same_user(), SameUser::Allow);
    assert_eq!(relaxed.open_records(), OpenRecords::Written);
    assert_eq!(relaxed.record_names(), RecordNames::Clear);
    assert_eq!(relaxed.keep_records(), Some(std::time::Duration::from_secs(90 * 86_400)));
}

#[test]
fn a_client_is_an_agent_by_the_name_of_its_session_and_never_without_one() {
    let rules = rules(
        "version = 1\n[ops]\n\"agent.run\" = \"high\"\n[clients.agents]\n\
         session = [\"claude\", \"codex\"]\n[[rule]]\nname = \"a\"\nclients = [\"agents\"]\n\
         ops = [\"agent.run\"]\npath = [\"*\"]\ndecide = \"allow\"\n",
    );
    let named = |name: &str| {
        let session = ward_policy::AgentSession {
            id: ward_policy::AgentSessionId(1_u128.into()),
            name: ward_policy::AgentName::try_from(name).unwrap(),
            first: caller(1).process,
            sandbox: None,
        };
        Caller { agent: Some(session.into()), ..caller(1) }
    };
    let is_one = |caller: &Caller| {
        let decision = rules.evaluate(caller, &about(Operation::AgentRun), NOON);
        matches!(decision, Decision::Permitted(_))
    };
    assert!(is_one(&named("claude")) && is_one(&named("codex")));
    assert!(!is_one(&named("claude2")) && !is_one(&caller(1)));
}

#[test]
fn a_name_outside_of_every_vault_is_matched_by_patterns_that_name_none() {
    let allow = |path: &str| {
        rules(&format!(
            "version = 1\n[ops]\n\"agent.run\" = \"high\"\n[clients.me]\nuid = 1\n[[rule]]\n\
             name = \"a\"\nclients = [\"me\"]\nops = [\"agent.run\"]\npath = [{path}]\n\
             decide = \"allow\"\n"
        ))
    };
    let runs = |pattern: &str, name: &str| {
        let name = crate::support::path(name);
        let question = ward_policy::Question { path: Some(&name), ..about(Operation::AgentRun) };
        let decision = allow(pattern).evaluate(&caller(1), &question, NOON);
        matches!(decision, Decision::Permitted(_))
    };
    assert!(runs("\"claude\"", "claude") && runs("\"cl*\", \"x\"", "claude"));
    assert!(runs("\"*\"", "claude"));
    assert!(!runs("\"claude\"", "codex") && !runs("\"claude/**\"", "claude"));
    assert!(!runs("\"default:claude\"", "claude") && !runs("\"default:*\", \"x\"", "claude"));
}
