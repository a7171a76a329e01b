//! A lease as a daemon gives one, for who reads a vault without a daemon: tests, measuring, fuzzing.

use std::sync::Arc;
use ward_policy::{
    Caller, Decision, Digest, FileId, GroupId, Lease, LeaseId, LocalTime, Moment, Operation,
    OperationSet, ProcessId, Question, Rules, ScopeKind, SecretPath, ThreadId, UserId, VaultName,
    Weekday,
};

const POLICY: &str = "version = 1\n[ops]\n\"file.read\" = \"medium\"\n\"file.write\" = \"high\"\n\
    [clients.me]\nuid = 1000\n[[rule]]\nname = \"all\"\nclients = [\"me\"]\n\
    ops = [\"file.read\", \"file.write\"]\npath = [\"**\"]\ndecide = \"allow\"\n";

/// When the leases are active.
pub(crate) const NOW: Moment = Moment::from_nanoseconds(1);

/// Who holds them.
pub(crate) fn caller() -> Caller {
    Caller {
        thread: ThreadId(7),
        process: ProcessId { number: 7, start_ticks: 9 },
        uid: UserId(1000),
        gid: GroupId(1000),
        groups: Arc::new([]),
        login_uid: None,
        executable: None,
        session: None,
        script: None,
        acting: None,
        invocation: None,
        terminal: None,
        namespaces: None,
        tracer: None,
        agent: None,
        parents: Arc::new([]),
        doubts: [].into(),
    }
}

/// A lease of a file for one operation; none when the policy above does not give it.
pub(crate) fn lease(operation: Operation, path: &SecretPath, file: FileId) -> Option<Lease> {
    let rules = Rules::load(POLICY, Digest::from_bytes([0; 32])).ok()?;
    let vault = VaultName::try_from("released").ok()?;
    let question = Question {
        operations: OperationSet::of(operation),
        vault: Some(&vault),
        path: Some(path),
        file: Some(file),
        ..Question::default()
    };
    let noon = LocalTime { weekday: Weekday::Wednesday, minute: 720 };
    let Decision::Permitted(permit) = rules.evaluate(&caller(), &question, noon) else {
        return None;
    };
    let id = LeaseId("01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().ok()?);
    let holder = caller().fingerprint(ScopeKind::Process)?;
    let (begun, ends) = (Moment::from_nanoseconds(0), Moment::from_nanoseconds(10));
    Some(Lease::begin(permit, id, holder, begun, ends))
}
