//! Who is the holder of a lease, and who only looks like it.

use crate::support::{caller, doubts, executable};
use ward_policy::{Caller, Cgroup, Digest, Grade, ProcessId, ScopeKind, Session, UserId};

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
