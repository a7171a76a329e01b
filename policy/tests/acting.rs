//! Who may act under which name.

use crate::support::{NOON, about, caller, rules};
use std::sync::Arc;
use ward_policy::{
    Acting, AgentName, AgentSession, AgentSessionId, Caller, Cgroup, Claim, Decision, Operation,
    ProcessId, Rules, Scope, ScopeKind, Session, UserId,
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
    let held = under(plain.clone(), "agent").fingerprint(ScopeKind::Program).unwrap();
    assert_eq!((held.acting(), held.scope()), (Some(&name("agent")), &Scope::Program));
}

#[test]
fn what_a_name_holds_for_its_session_it_holds_in_every_session_of_its_user_and_program() {
    let elsewhere = |text: &str| {
        let process = ProcessId { number: 77, start_ticks: 70 };
        let leader = Session { leader: process, cgroup: Cgroup::default() };
        under(Caller { process, session: Some(leader), ..caller(1) }, text)
    };
    // Whether or not a client of the policy has the name.
    for is_client in [true, false] {
        let acting = Some(Acting::recalled(name("agent"), is_client));
        let asker = Caller { acting: acting.clone(), ..caller(1) };
        let held = asker.fingerprint(ScopeKind::Session).unwrap();
        assert_eq!((held.acting(), held.scope()), (Some(&name("agent")), &Scope::Name));
        let apart = Caller { acting, ..elsewhere("agent") };
        assert!(held.is(&apart));
        assert!(!held.is(&elsewhere("deploy")));
        assert!(!held.is(&Caller { acting: None, ..elsewhere("agent") }));
        assert!(!held.is(&Caller { uid: UserId(2), ..apart.clone() }));
        assert!(!held.is(&Caller { executable: None, ..apart.clone() }));
        assert!(!asker.fingerprint(ScopeKind::Process).unwrap().is(&apart));
    }
}

#[test]
fn a_name_within_a_session_of_an_agent_holds_in_that_session_alone() {
    let session = |id: u128| {
        let first = caller(1).process;
        let id = AgentSessionId(id.into());
        Some(Arc::new(AgentSession { id, name: name("agent"), first, sandbox: None }))
    };
    let inside = under(Caller { agent: session(1), ..caller(1) }, "agent");
    let held = inside.fingerprint(ScopeKind::Session).unwrap();
    assert_eq!(held.scope(), &Scope::Agent);
    assert!(!held.is(&under(Caller { agent: session(2), ..caller(1) }, "agent")));
    assert!(!held.is(&under(caller(1), "agent")));
}
