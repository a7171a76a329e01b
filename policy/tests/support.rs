//! Callers, questions and policies, quickly made.
#![expect(clippy::unwrap_used, reason = "a test with bad input of its own should stop")]

use std::sync::Arc;
use ward_policy::{
    Caller, Cgroup, Digest, Doubt, Executable, Grade, GroupId, LocalTime, Operation, OperationSet,
    ProcessId, Question, Rules, SecretPath, Session, ThreadId, UserId, VaultName, Weekday,
};

/// Wednesday, 12:00.
pub(crate) const NOON: LocalTime = LocalTime { weekday: Weekday::Wednesday, minute: 12 * 60 };

pub(crate) fn rules(text: &str) -> Rules {
    Rules::load(text, Digest::from_bytes([1; 32])).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// A verified caller of that uid who runs /usr/bin/claude.
pub(crate) fn caller(uid: u32) -> Caller {
    let process = ProcessId { number: 41, start_ticks: 7 };
    Caller {
        thread: ThreadId(42),
        process,
        uid: UserId(uid),
        gid: GroupId(uid),
        groups: [].into(),
        login_uid: Some(UserId(uid)),
        executable: Some(executable("/usr/bin/claude", Some(Digest::from_bytes([2; 32])))),
        session: Some(Session { leader: process, cgroup: Cgroup::default() }),
        script: None,
        invocation: None,
        terminal: None,
        namespaces: None,
        tracer: None,
        agent: None,
        acting: None,
        parents: [].into(),
        doubts: [].into(),
    }
}

/// Doubts that leave that grade.
pub(crate) fn doubts(grade: Grade) -> Arc<[Doubt]> {
    match grade {
        Grade::Untrusted => [Doubt::Traced].into(),
        Grade::Weak => [Doubt::Interpreter].into(),
        Grade::Verified => [].into(),
    }
}

pub(crate) fn executable(path: &str, sha256: Option<Digest>) -> Arc<Executable> {
    Arc::new(Executable { path: Some(path.as_bytes().into()), device: 1, inode: 2, sha256 })
}

pub(crate) fn vault(name: &str) -> VaultName {
    VaultName::try_from(name).unwrap()
}

pub(crate) fn path(path: &str) -> SecretPath {
    SecretPath::try_from(path).unwrap()
}

/// One operation on nothing in particular.
pub(crate) fn about(operation: Operation) -> Question<'static> {
    Question { operations: OperationSet::of(operation), ..Question::default() }
}
