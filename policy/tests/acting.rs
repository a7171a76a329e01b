//! Who may act under which name.

use crate::support::{NOON, about, caller, rules};
use std::sync::Arc;
use ward_policy::{
    Acting, AgentName, AgentSession, AgentSessionId, Caller, Claim, Decision, Operation, Rules,
    Scope, ScopeKind,
};

const POLICY: &str = "version = 1\n[ops]\n'*' = 'high'\n\
    [clients.owner]\nuid = 1\nrole = 'approver'\n\
    [clients.human]\nuid = 2\nrole = 'approver'\n\
    [clients.agent]\nsession = 'agent'\n\
    [clients.deploy]\nsession = 'deploy'\nexe = '/usr/bin/deploy'\n\
    [[rule]]\nname = 'owner-works'\nclients = ['owner']\nops = ['*']\npath = ['*']\ndecide = 'allow'\n";

fn name(text: &str) -> AgentName {
    AgentName::try_from(text).unwrap()
}

fn claim(rules: &Rules, caller: &Caller, text: &str) -> Claim {
    rules.claim(caller, &name(text))
}

fn under(caller: Caller, text: &str) -> Caller {
    Caller { acting: Some(Acting::recalled(name(text), true)), ..caller }
}

#[test]
fn a_name_is_taken_by_who_shows_its_facts_or_may_run_it_and_one_of_no_client_by_everybody() {
    let rules = rules(POLICY);
    let granted = |text, is_client| Claim::Granted(Acting::recalled(name(text), is_client));
    assert_eq!(claim(&rules, &caller(1), "owner"), granted("owner", true));
    assert_eq!(claim(&rules, &caller(1), "anybody"), granted("anybody", false));
    let run = Claim::OfARunner(Acting::recalled(name("agent"), true));
    assert_eq!(claim(&rules, &caller(1), "agent"), run);
    // The uid of a client, and the program of another, are facts that no name stands for.
    assert_eq!(claim(&rules, &caller(1), "human"), Claim::Refused);
    assert_eq!(claim(&rules, &caller(1), "deploy"), Claim::Refused);
}

#[test]
fn who_is_in_a_session_takes_no_other_name_by_running_it() {
    let rules = rules(POLICY);
    let session = |text| AgentSession {
        id: AgentSessionId(1_u128.into()),
        name: name(text),
        first: caller(1).process,
        sandbox: None,
    };
    let inside = |text| Caller { agent: Some(Arc::new(session(text))), ..caller(1) };
    assert_eq!(claim(&rules, &inside("other"), "agent"), Claim::Refused);
    let own = Claim::Granted(Acting::recalled(name("agent"), true));
    assert_eq!(claim(&rules, &inside("agent"), "agent"), own);
}

#[test]
fn a_role_is_that_of_the_name_alone() {
    let rules = rules(POLICY);
    assert!(rules.is_approver(&caller(1)));
    assert!(rules.is_approver(&under(caller(1), "owner")));
    assert!(!rules.is_approver(&under(caller(1), "agent")));
    let acting = under(caller(1), "agent");
    assert_eq!(rules.clients_of(&acting), ["agent"]);
    let answer = rules.evaluate(&acting, &about(Operation::RequestApprove), NOON);
    assert!(matches!(answer, Decision::Denied(_)), "{answer:?}");
    // A word for the log changes nothing.
    let word = Caller { acting: Some(Acting::recalled(name("x"), false)), ..caller(1) };
    assert!(rules.is_approver(&word));
}

#[test]
fn what_is_held_under_a_name_is_held_under_no_other() {
    let plain = caller(1);
    for scope in [ScopeKind::Process, ScopeKind::Session, ScopeKind::Program] {
        let held = under(plain.clone(), "agent").fingerprint(scope).unwrap();
        assert!(held.is(&under(plain.clone(), "agent")));
        assert!(!held.is(&under(plain.clone(), "deploy")));
        assert!(!held.is(&plain));
        assert!(!plain.fingerprint(scope).unwrap().is(&under(plain.clone(), "agent")));
    }
    let held = under(plain, "agent").fingerprint(ScopeKind::Program).unwrap();
    assert_eq!((held.acting(), held.scope()), (Some(&name("agent")), &Scope::Program));
}
