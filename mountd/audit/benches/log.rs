//! Measures the log: `cargo bench -p ward-audit [-- DIRECTORY]`, which `scripts/measure log` runs.
//!
//! Says what one append costs its thread in CPU time, checkpoints and their signatures included, how
//! many durable ones there are in a second with 1 and with 64 callers beside the disk's own rate, and
//! how long one million entries take to verify. The directory decides which disk is measured.

use rustix::time::{ClockId, clock_gettime};
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use ward_audit::{
    BootId, Durability, EventType, Log, LogKey, NamesKey, Record, Settings, Stamp, Verdict, verify,
};
use ward_policy::{
    Caller, Digest, Executable, GroupId, LeaseId, Moment, Operation, OperationSet, ProcessId,
    RecordNames, SecretPath, ThreadId, UserId, VaultName,
};

const ENTRIES: u32 = 1_000_000;
/// How many entries a start is measured with at last.
const MANY: u32 = 10_000_000;
/// Rounds of disk and log in turn, of which the median counts.
const ROUNDS: usize = 7;

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

/// An open as the daemon records it.
fn append(log: &Log, caller: &Caller, durability: Durability, number: u32) -> Result<(), Failure> {
    let (vault, path) = (VaultName::try_from("work")?, SecretPath::try_from("db/password")?);
    let rules = ["agent-reads".into()];
    let record = Record::new(EventType::FileOpen)
        .by(caller)
        .clients(&["agent"])
        .on(&vault, &path)
        .operations(OperationSet::of(Operation::FileRead))
        .decision(ward_audit::Outcome::Permitted)
        .rules(&rules)
        .policy(Digest::from_bytes([0x5e; 32]))
        .lease(LeaseId(ulid::Ulid::from_parts(1, 2)));
    let _receipt = log.append(record, durability, stamp(number))?;
    Ok(())
}

/// CPU time for each of `count` appends.
fn written(log: &Log, caller: &Caller, count: u32) -> Result<Duration, Failure> {
    let begun = now(ClockId::ThreadCPUTime);
    (0..count).try_for_each(|number| append(log, caller, Durability::Written, number))?;
    Ok((now(ClockId::ThreadCPUTime) - begun) / count)
}

/// Durable appends in a second.
fn durable(log: &Log, caller: &Caller, callers: u32, each: u32) -> f64 {
    let begun = now(ClockId::Monotonic);
    std::thread::scope(|scope| {
        for _ in 0..callers {
            scope.spawn(|| {
                let mut numbers = 0..each;
                let done =
                    numbers.try_for_each(|number| append(log, caller, Durability::Durable, number));
                done.map_err(|error| error.to_string())
            });
        }
    });
    f64::from(callers * each) / (now(ClockId::Monotonic) - begun).as_secs_f64()
}

/// Writes of a line and fdatasyncs in a second, in a file as the log keeps its own.
fn synced(file: &File, count: u32) -> Result<f64, Failure> {
    let line = [b'x'; 800];
    let begun = now(ClockId::Monotonic);
    for number in 0..count {
        file.write_all_at(&line, u64::from(number) * 800)?;
        file.sync_data()?;
    }
    Ok(f64::from(count) / (now(ClockId::Monotonic) - begun).as_secs_f64())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn bytes_in(directory: &Path) -> Result<u64, Failure> {
    let files = std::fs::read_dir(directory)?;
    Ok(files.map(|file| file.and_then(|it| it.metadata()).map_or(0, |it| it.len())).sum())
}

fn open(directory: &Path) -> Result<Log, Failure> {
    let boot = BootId::try_from("7c6a1b52-0d3e-4f6a-9b1c-2d3e4f5a6b7c")?;
    let key = LogKey::from_bytes(&ward_memory::SecretBox::make(|| [7; 32]));
    Ok(Log::open(directory, key, Settings::new(boot), stamp(0))?.0)
}

/// Verifies the log and says what it took.
fn verified(directory: &Path, form: &str, output: &mut impl Write) -> Result<(), Failure> {
    let (begun, began) = (now(ClockId::ThreadCPUTime), now(ClockId::Monotonic));
    let report = verify(directory, None)?;
    let spent = now(ClockId::ThreadCPUTime) - begun;
    let elapsed = now(ClockId::Monotonic) - began;
    let entries = u32::try_from(report.good.head.map_or(0, |head| head.seq))?;
    let million = spent * 1_000_000 / entries;
    writeln!(output, "verify, {form}: {million:?} CPU for a million ({elapsed:?} for {entries})")?;
    if report.verdict == Verdict::Whole { Ok(()) } else { Err(report.to_string().into()) }
}

/// How long a start takes that finds so many entries in segments that have ended.
fn started(directory: &Path, output: &mut impl Write) -> Result<(), Failure> {
    let mut times = Vec::new();
    let mut last = 0;
    for _ in 0..ROUNDS {
        let began = now(ClockId::Monotonic);
        let log = open(directory)?;
        times.push((now(ClockId::Monotonic) - began).as_secs_f64() * 1000.0);
        last = log.head()?.map_or(0, |head| head.seq);
        log.close(stamp(0))?;
    }
    let spent = median(times);
    Ok(writeln!(output, "start: {spent:.1} ms with {last} entries")?)
}

fn main() -> Result<(), Failure> {
    // cargo bench adds a flag of its own.
    let given = std::env::args_os().skip(1).find(|word| word != "--bench");
    let holder = tempfile::tempdir_in(given.map_or_else(std::env::temp_dir, PathBuf::from))?;
    let directory = holder.path().join("audit");
    let caller = caller();
    let mut output = std::io::stdout().lock();

    let log = open(&directory)?;
    log.record_names(RecordNames::Clear)?;
    let cost = written(&log, &caller, ENTRIES / 2)?;
    writeln!(output, "append with checkpoints, names clear: {cost:?} CPU")?;
    log.record_names(RecordNames::Sealed)?;
    let key = NamesKey::from_bytes(ward_memory::SecretBox::make(|| [7; 32]));
    log.seal_names(&VaultName::try_from("work")?, &key)?;
    let cost = written(&log, &caller, ENTRIES / 2)?;
    writeln!(output, "append with checkpoints, names sealed: {cost:?} CPU")?;
    log.close(stamp(ENTRIES))?;
    drop(log);
    writeln!(output, "a line: {} bytes", bytes_in(&directory)? / u64::from(ENTRIES))?;
    verified(&directory, "as lines", &mut output)?;
    let log = open(&directory)?;
    let begun = now(ClockId::ThreadCPUTime);
    log.tend(stamp(ENTRIES))?;
    let spent = (now(ClockId::ThreadCPUTime) - begun) * 1_000_000 / ENTRIES;
    log.close(stamp(ENTRIES))?;
    drop(log);
    writeln!(output, "put away: {spent:?} CPU for a million")?;
    writeln!(output, "a compressed line: {} bytes", bytes_in(&directory)? / u64::from(ENTRIES))?;
    verified(&directory, "compressed", &mut output)?;
    started(&directory, &mut output)?;

    let beside = holder.path().join("file");
    let file = File::create(&beside)?;
    file.write_all_at(&vec![0; 4 << 20], 0)?;
    file.sync_all()?;
    let log = open(&directory)?;
    let (mut disk, mut one, mut many) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        disk.push(synced(&file, 2000)?);
        one.push(durable(&log, &caller, 1, 2000));
        many.push(durable(&log, &caller, 64, 500));
    }
    let (disk, one, many) = (median(disk), median(one), median(many));
    writeln!(output, "the disk's own fdatasync: {disk:.0} for a second")?;
    writeln!(output, "durable, 1 caller: {one:.0} for a second, {:.2} x the disk", one / disk)?;
    writeln!(output, "durable, 64 callers: {many:.0} for a second")?;
    log.close(stamp(ENTRIES))?;
    drop(log);

    for _ in 0..2 * (MANY / ENTRIES - 1) {
        let log = open(&directory)?;
        log.record_names(RecordNames::Clear)?;
        written(&log, &caller, ENTRIES / 2)?;
        log.tend(stamp(ENTRIES))?;
        log.close(stamp(ENTRIES))?;
    }
    started(&directory, &mut output)
}
