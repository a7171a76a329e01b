//! Measures the log: `cargo run --release -p ward-audit --example measure [DIRECTORY]`.
//!
//! Says what one append costs its thread in CPU time, how long a durable one takes for 1 and for
//! 64 callers, and how fast a log is verified. The directory decides which disk is measured.

use rustix::time::{ClockId, clock_gettime};
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;
use ward_audit::{
    BootId, Durability, EventType, Log, LogKey, NamesKey, Record, Settings, Stamp, verify,
};
use ward_policy::{
    Caller, Digest, Executable, GroupId, LeaseId, Moment, Operation, OperationSet, ProcessId,
    RecordNames, SecretPath, ThreadId, UserId, VaultName,
};

const ENTRIES: u32 = 400_000;

type Failure = Box<dyn std::error::Error>;

fn now(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::from_secs(seconds)
        + Duration::from_nanos(u64::try_from(time.tv_nsec).unwrap_or_default())
}

fn stamp(number: u32) -> Stamp {
    let boot = Moment::from_nanoseconds(u64::from(number) * 1000);
    Stamp { wall: 1_795_234_965_000_000 + u64::from(number), boot }
}

fn caller() -> Caller {
    let executable = Executable {
        path: Some(b"/usr/bin/curl".as_slice().into()),
        device: 1,
        inode: 2,
        sha256: Some(Digest::from_bytes([0xa7; 32])),
    };
    Caller {
        thread: ThreadId(4712),
        process: ProcessId { number: 4711, start_ticks: 123_456_789 },
        uid: UserId(1000),
        gid: GroupId(1000),
        groups: [].into(),
        login_uid: Some(UserId(1000)),
        executable: Some(executable.into()),
        session: None,
        script: None,
        invocation: None,
        terminal: None,
        namespaces: None,
        tracer: None,
        agent: None,
        parents: [].into(),
        doubts: [].into(),
    }
}

fn appends(log: &Log, caller: &Caller, count: u32) -> Result<Duration, Failure> {
    let (vault, path) = (VaultName::try_from("work")?, SecretPath::try_from("db/password")?);
    let rules = ["agent-reads".into()];
    let begun = now(ClockId::ThreadCPUTime);
    for number in 0..count {
        let record = Record::new(EventType::FileOpen)
            .by(caller)
            .clients(&["agent"])
            .on(&vault, &path)
            .operations(OperationSet::of(Operation::FileRead))
            .decision(ward_audit::Outcome::Permitted)
            .rules(&rules)
            .policy(Digest::from_bytes([0x5e; 32]))
            .lease(LeaseId(ulid::Ulid::from_parts(1, 2)));
        let _receipt = log.append(record, Durability::Written, stamp(number))?;
    }
    Ok((now(ClockId::ThreadCPUTime) - begun) / count)
}

fn durable(log: &Log, caller: &Caller, callers: u32) -> Duration {
    let each = 4000 / callers;
    let begun = now(ClockId::Monotonic);
    std::thread::scope(|scope| {
        for _ in 0..callers {
            scope.spawn(|| {
                (0..each).try_for_each(|number| {
                    let record = Record::new(EventType::FileOpen).by(caller);
                    log.append(record, Durability::Durable, stamp(number)).map(|_receipt| ())
                })
            });
        }
    });
    (now(ClockId::Monotonic) - begun) / (each * callers)
}

fn main() -> Result<(), Failure> {
    let parent =
        std::env::args_os().nth(1).map_or_else(|| PathBuf::from("/dev/shm"), PathBuf::from);
    let holder = tempfile::tempdir_in(parent)?;
    let directory = holder.path().join("audit");
    let boot = BootId::try_from("7c6a1b52-0d3e-4f6a-9b1c-2d3e4f5a6b7c")?;
    let key = LogKey::from_bytes(&ward_memory::SecretBox::make(|| [7; 32]));
    let (log, _) = Log::open(&directory, key, Settings::new(boot), stamp(0))?;
    let caller = caller();
    let mut output = std::io::stdout().lock();

    log.record_names(RecordNames::Clear)?;
    let cost = appends(&log, &caller, ENTRIES)?;
    writeln!(output, "append, written, names clear: {cost:?} CPU")?;
    log.record_names(RecordNames::Sealed)?;
    let key = NamesKey::from_bytes(ward_memory::SecretBox::make(|| [7; 32]));
    log.seal_names(&VaultName::try_from("work")?, &key)?;
    let cost = appends(&log, &caller, ENTRIES)?;
    writeln!(output, "append, written, names sealed: {cost:?} CPU")?;
    for callers in [1, 64] {
        let cost = durable(&log, &caller, callers);
        let rate = 1.0 / cost.as_secs_f64();
        writeln!(output, "append, durable, {callers} callers: {cost:?}, {rate:.0} for a second")?;
    }
    log.close(stamp(ENTRIES))?;

    let bytes: u64 = std::fs::read_dir(&directory)?
        .map(|file| file.and_then(|file| file.metadata()).map_or(0, |metadata| metadata.len()))
        .sum();
    let begun = now(ClockId::ThreadCPUTime);
    let report = verify(&directory, None)?;
    let spent = now(ClockId::ThreadCPUTime) - begun;
    let entries = u32::try_from(report.good.head.map_or(0, |head| head.seq))?;
    let cost = spent / entries;
    let length = bytes / u64::from(entries);
    writeln!(output, "verify: {cost:?} CPU an entry of {length} bytes. {report}")?;
    Ok(())
}
