//! Who is the holder of a lease, and who only looks like it.

use crate::support::{caller, doubts, executable};
use ward_policy::{
    AgentName, AgentSession, AgentSessionId, Caller, Cgroup, Digest, Grade, ProcessId, ScopeKind,
    Session, UserId,
};

const SCOPES: [ScopeKind; 3] = [ScopeKind::Process, ScopeKind::Session, ScopeKind::Program];

/// In which scopes `other` passes for the verified caller of uid 1.
fn passes(other: &Caller) -> Vec<ScopeKind> {
    let is_same = |scope: &ScopeKind| caller(1).fingerprint(*scope).unwrap().is(other);
    SCOPES.into_iter().filter(is_same).collect()
}

#[test]
fn a_caller_is_itself_also_from_another_thread_and_in_another_grade() {
    assert_eq!(passes(&caller(1)), SCOPES);
    let thread = ward_policy::ThreadId(99);
    assert_eq!(passes(&Caller { thread, doubts: doubts(Grade::Weak), ..caller(1) }), SCOPES);
}

#[test]
fn another_user_is_somebody_else() {
    assert_eq!(passes(&Caller { uid: UserId(2), ..caller(1) }), []);
}

#[test]
fn another_program_is_somebody_else_even_in_the_same_process() {
    for sha256 in [None, Some(Digest::from_bytes([9; 32]))] {
        let executable = Some(executable("/usr/bin/claude", sha256));
        assert_eq!(passes(&Caller { executable, ..caller(1) }), []);
    }
    assert_eq!(passes(&Caller { executable: None, ..caller(1) }), []);
}

#[test]
fn a_recycled_process_number_is_another_process() {
    let process = ProcessId { start_ticks: 8, ..caller(1).process };
    assert_eq!(passes(&Caller { process, ..caller(1) }), [ScopeKind::Session, ScopeKind::Program]);
}

#[test]
fn another_session_is_another_session() {
    let process = ProcessId { number: 77, start_ticks: 70 };
    let leader = Session { leader: process, cgroup: Cgroup::default() };
    let cgroup = Session { leader: caller(1).process, cgroup: Cgroup::new(b"/other") };
    for session in [Some(leader), Some(cgroup), None] {
        assert_eq!(passes(&Caller { process, session, ..caller(1) }), [ScopeKind::Program]);
    }
}

fn agent(id: u128) -> Option<std::sync::Arc<AgentSession>> {
    let id = AgentSessionId(id.into());
    let name = AgentName::try_from("claude").unwrap();
    Some(AgentSession { id, name, first: caller(1).process, sandbox: None }.into())
}

#[test]
fn an_agent_session_is_somebody_else_than_what_is_around_it_and_than_another_of_its_name() {
    let inside = Caller { agent: agent(1), ..caller(1) };
    assert_eq!(passes(&inside), []);
    let holds = |other: &Caller| -> Vec<ScopeKind> {
        let is_same = |scope: &ScopeKind| inside.fingerprint(*scope).unwrap().is(other);
        SCOPES.into_iter().filter(is_same).collect()
    };
    assert_eq!(holds(&inside), SCOPES);
    assert_eq!(holds(&caller(1)), []);
    assert_eq!(holds(&Caller { agent: agent(2), ..caller(1) }), []);
}

#[test]
fn in_an_agent_session_neither_terminal_nor_cgroup_matter_to_a_lease_of_the_session() {
    let inside = Caller { agent: agent(1), ..caller(1) };
    let process = ProcessId { number: 77, start_ticks: 70 };
    let apart = Caller { process, session: None, ..inside.clone() };
    assert!(inside.fingerprint(ScopeKind::Session).unwrap().is(&apart));
}

#[test]
fn a_caller_without_the_needed_facts_has_no_fingerprint() {
    let scopes = |caller: &Caller| -> Vec<_> {
        SCOPES.into_iter().filter(|scope| caller.fingerprint(*scope).is_some()).collect()
    };
    let no_session = Caller { session: None, ..caller(1) };
    assert_eq!(scopes(&no_session), [ScopeKind::Process, ScopeKind::Program]);
    let no_program = Caller { executable: None, ..caller(1) };
    assert_eq!(scopes(&no_program), [ScopeKind::Process]);
    let no_hash = Caller { executable: Some(executable("/x", None)), ..caller(1) };
    assert_eq!(scopes(&no_hash), [ScopeKind::Process]);
}
