//! What these tests share: a log in a directory of its own, a caller, and a lease of it.
#![expect(clippy::unwrap_used, clippy::panic, reason = "only tests use it")]

use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use ward_audit::{
    BootId, Durability, EventType, Filter, Log, LogKey, Record, Report, Settings, ShownEntry,
    Stamp, verify,
};
use ward_memory::SecretBox;
use ward_policy::{
    Caller, Cgroup, Decision, Digest, Executable, GroupId, Lease, LeaseId, LocalTime, Moment,
    Operation, OperationSet, ProcessId, Question, Rules, ScopeKind, SecretPath, Session, ThreadId,
    Ticket, UserId, VaultName, Weekday,
};

/// The first segment's file.
pub(crate) const FIRST: &str = "0000000001.jsonl";
/// The second's.
pub(crate) const SECOND: &str = "0000000002.jsonl";

const POLICY: &str = r#"
version = 1
[ops]
"file.read" = "medium"
[clients.agent]
uid = [1000]
[[rule]]
name = "agent-reads"
clients = ["agent"]
ops = ["file.read"]
path = ["*"]
decide = "allow"
"#;

/// The moment `microseconds` after an arbitrary one, the same on both clocks.
pub(crate) fn at(microseconds: u64) -> Stamp {
    Stamp {
        wall: 1_795_234_965_000_000 + microseconds,
        boot: Moment::from_nanoseconds((5_000_000 + microseconds) * 1000),
    }
}

pub(crate) fn settings() -> Settings {
    let boot = BootId::try_from("7c6a1b52-0d3e-4f6a-9b1c-2d3e4f5a6b7c").unwrap();
    Settings { preallocated_bytes: 8192, reserve_bytes: 0, ..Settings::new(boot) }
}

/// The key of every log of these tests.
pub(crate) fn log_key() -> LogKey {
    LogKey::from_bytes(&SecretBox::make(|| [7; 32]))
}

/// A directory for a log, gone when it is dropped.
pub(crate) struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { directory: owned_directory() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.file(name)).unwrap()
    }

    #[expect(clippy::disallowed_methods, reason = "a test damages files, durability is no matter")]
    pub(crate) fn put(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.file(name), bytes).unwrap();
    }

    pub(crate) fn open(&self) -> Log {
        self.open_at(at(0))
    }

    pub(crate) fn open_at(&self, now: Stamp) -> Log {
        Log::open(self.path(), log_key(), settings(), now).unwrap().0
    }

    pub(crate) fn verify(&self) -> Report {
        verify(self.path(), None).unwrap()
    }

    /// A closed log of `count` small entries, its segment's first and last one included.
    pub(crate) fn with_entries(count: u64) -> Self {
        let place = Self::new();
        let log = place.open();
        append(&log, 1..count - 1);
        log.close(at(count)).unwrap();
        drop(log);
        place
    }

    /// A log of `count` small entries that a crash left, cut to its last line.
    pub(crate) fn with_entries_of_a_crash(count: u64) -> Self {
        let place = Self::new();
        let log = place.open();
        append(&log, 1..count);
        drop(log);
        let bytes = place.bytes(FIRST);
        let end = bytes.iter().rposition(|byte| *byte == b'\n').unwrap_or_default();
        place.put(FIRST, &bytes[..=end]);
        place
    }

    /// A closed log of two segments; the first has four lines, the second three.
    pub(crate) fn with_two_segments() -> Self {
        let place = Self::with_entries(4);
        let log = place.open_at(at(10));
        append(&log, 20..21);
        log.close(at(30)).unwrap();
        drop(log);
        place
    }
}

/// A directory that only its owner can reach, as the log demands.
fn owned_directory() -> tempfile::TempDir {
    let owner = std::fs::Permissions::from_mode(0o700);
    tempfile::Builder::new().permissions(owner).tempdir().unwrap()
}

pub(crate) fn append(log: &Log, moments: std::ops::Range<u64>) {
    for moment in moments {
        let record = Record::new(EventType::FileOpen).reason("because");
        let _receipt = log.append(record, Durability::Written, at(moment)).unwrap();
    }
}

pub(crate) fn entries(log: &Log) -> Vec<ShownEntry> {
    let mut entries = Vec::new();
    log.read(&Filter::default(), |shown| {
        entries.push(shown);
        ControlFlow::Continue(())
    })
    .unwrap();
    entries
}

pub(crate) fn vault() -> VaultName {
    VaultName::try_from("work").unwrap()
}

pub(crate) fn path() -> SecretPath {
    SecretPath::try_from(b"db/caf\xc3\xa9 \"1\"\\%\xff".as_slice()).unwrap()
}

pub(crate) fn caller() -> Caller {
    let process = ProcessId { number: 4711, start_ticks: 9_007_199_254_740_993 };
    let executable = Executable {
        path: Some(b"/usr/bin/cu\x01rl".as_slice().into()),
        device: 1,
        inode: 2,
        sha256: Some(Digest::from_bytes([0xa7; 32])),
    };
    Caller {
        thread: ThreadId(4712),
        process,
        uid: UserId(1000),
        gid: GroupId(1000),
        groups: [].into(),
        login_uid: Some(UserId(1000)),
        executable: Some(Arc::new(executable)),
        session: Some(Session { leader: process, cgroup: Cgroup::new(b"/user.slice") }),
        script: None,
        acting: None,
        invocation: None,
        terminal: None,
        namespaces: None,
        tracer: None,
        agent: None,
        parents: [].into(),
        doubts: [].into(),
    }
}

/// A lease of [`caller`] on [`path`], as the policy gives it.
pub(crate) fn lease() -> Lease {
    let rules = Rules::load(POLICY, Digest::from_bytes([0x5e; 32])).unwrap();
    let (vault, path) = (vault(), path());
    let ticket = Ticket::try_from("OPS-1234").unwrap();
    let question = Question {
        operations: OperationSet::of(Operation::FileRead),
        vault: Some(&vault),
        path: Some(&path),
        ticket: Some(&ticket),
        ..Question::default()
    };
    let time = LocalTime { weekday: Weekday::Monday, minute: 0 };
    let Decision::Permitted(permit) = rules.evaluate(&caller(), &question, time) else {
        panic!("the policy permits it");
    };
    let holder = caller().fingerprint(ScopeKind::Process).unwrap();
    let begun = at(0).boot;
    let id = LeaseId(ulid::Ulid::from_parts(1_795_234_965_000, 7));
    Lease::begin(permit, id, holder, begun, begun.after(Duration::from_secs(60)))
}
