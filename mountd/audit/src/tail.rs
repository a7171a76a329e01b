//! The tail: the end of the chain and of the open segment, where entries are added.

mod held;

use crate::disk::{Disk, SegmentFile, is_full};
use crate::entry::{Entry, Number};
use crate::epoch::{Epochs, Signing};
use crate::fold::Fold;
use crate::key::Signature;
use crate::line;
use crate::names::Keyring;
use crate::open::Settings;
use crate::{AppendError, EventType, Head, HeadNote, Record, SegmentName, Stamp, Timestamp};
use held::Held;
pub(crate) use held::Owed;
use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use ulid::Ulid;
use ward_policy::{Moment, RecordNames};

/// How far the wall clock may wander from the boot clock between two entries before it counts as
/// set. Above what a thread can lose between reading both, below what anybody would set it by.
const CLOCK_TOLERANCE: Duration = Duration::from_millis(100);
/// The file that keeps room for refusals on a full disk.
pub(crate) const RESERVE: &str = "reserve";
/// Why nothing can be added to a log that was closed.
const CLOSED: &str = "it was closed";

/// Where entries are added. One at a time: the log's mutex holds it.
#[derive(Debug)]
pub(crate) struct Tail {
    disk: Arc<dyn Disk>,
    settings: Settings,
    /// The log's id, a ULID.
    log: String,
    segment: SegmentName,
    file: Arc<dyn SegmentFile>,
    /// Lines that are chained, and wait for a signature from elsewhere.
    held: Held,
    /// Where the last line of the segment ends, once those that are held are in it.
    length: u64,
    /// Whether the segment is to end, however short it is.
    ends_soon: bool,
    /// How long the file is; zeros from `length` on.
    allocated: u64,
    /// Keys, tree and what of it is signed.
    pub(crate) epochs: Epochs,
    /// Which requests and leases stand.
    fold: Fold,
    head: Option<Head>,
    time: Timestamp,
    /// The newest stamp by the boot clock, to notice that the wall clock was set.
    stamp: Option<Stamp>,
    /// Random part of the ids of this run; the seq is added to it.
    random: u128,
    names: RecordNames,
    keyring: Keyring,
    has_reserve: bool,
    unrecorded: u64,
    unsynced_since: Option<Moment>,
    /// When the open segment began.
    begun: Option<Moment>,
    stopped: Option<Arc<str>>,
    /// Reused, so that an append allocates no line.
    line: Vec<u8>,
}

/// What a tail begins from: made by opening the log.
#[derive(Debug)]
pub(crate) struct Beginning {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) settings: Settings,
    pub(crate) log: String,
    pub(crate) segment: SegmentName,
    pub(crate) file: Arc<dyn SegmentFile>,
    pub(crate) epochs: Epochs,
    pub(crate) fold: Fold,
    pub(crate) head: Option<Head>,
    pub(crate) time: Timestamp,
    pub(crate) random: u128,
}

/// What a sync covers: the file, and the last entry in it when it was looked at.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) seq: u64,
    file: Arc<dyn SegmentFile>,
    segment: SegmentName,
    disk: Arc<dyn Disk>,
}

impl Batch {
    /// Makes everything up to `seq` durable, if the file still is the one that readers will find.
    pub(crate) fn sync(&self) -> Result<(), String> {
        let name = self.segment.to_string();
        let is_named = self.disk.is_named(&*self.file, &name);
        match is_named.and_then(|is_named| self.file.sync().map(|()| is_named)) {
            Ok(true) => Ok(()),
            Ok(false) => Err(format!("{name} was removed or replaced while it was written")),
            Err(error) => Err(format!("cannot sync {name}: {error}")),
        }
    }
}

impl Tail {
    pub(crate) fn new(beginning: Beginning) -> Self {
        Self {
            disk: beginning.disk,
            settings: beginning.settings,
            log: beginning.log,
            segment: beginning.segment,
            file: beginning.file,
            held: Held::default(),
            length: 0,
            ends_soon: false,
            allocated: 0,
            epochs: beginning.epochs,
            fold: beginning.fold,
            head: beginning.head,
            time: beginning.time,
            stamp: None,
            random: beginning.random,
            names: RecordNames::Sealed,
            keyring: Keyring::default(),
            has_reserve: false,
            unrecorded: 0,
            unsynced_since: None,
            begun: None,
            stopped: None,
            line: Vec::with_capacity(1024),
        }
    }

    /// Adds a record to the chain and hands its line to the kernel.
    pub(crate) fn append(&mut self, record: &Record<'_>, now: Stamp) -> Result<Head, AppendError> {
        if let Some(cause) = &self.stopped {
            return Err(AppendError::Poisoned { cause: Arc::clone(cause) });
        }
        let result = match self.append_once(record, now) {
            Err(AppendError::Full { .. }) if self.may_free_reserve(record.event) => {
                self.free_reserve()?;
                self.append_once(record, now)
            }
            result => result,
        };
        if matches!(result, Err(AppendError::Full { .. })) && record.event == EventType::Refused {
            self.unrecorded += 1;
        }
        result
    }

    /// What a sync begun now will cover.
    pub(crate) fn batch(&mut self) -> Result<Batch, Arc<str>> {
        if let Some(cause) = &self.stopped {
            return Err(Arc::clone(cause));
        }
        self.unsynced_since = None;
        Ok(Batch {
            seq: self.written(),
            file: Arc::clone(&self.file),
            segment: self.segment,
            disk: Arc::clone(&self.disk),
        })
    }

    /// Refuses every later append.
    pub(crate) fn stop(&mut self, cause: Arc<str>) -> AppendError {
        let cause = self.stopped.get_or_insert(cause);
        AppendError::Poisoned { cause: Arc::clone(cause) }
    }

    /// Writes the `segment.start` entry that each segment begins with.
    pub(crate) fn start_if_empty(&mut self, now: Stamp) -> Result<(), AppendError> {
        if self.length > 0 {
            return Ok(());
        }
        let mut entry = self.epochs.start(self.segment, self.head);
        entry.log = Some(Cow::Owned(self.log.clone()));
        entry.in_force = self.fold.in_force(&self.settings.boot, now);
        self.write(entry, now)?;
        self.begun = Some(now.boot);
        Ok(())
    }

    /// Ends a segment that was open for long enough, and begins the next one.
    pub(crate) fn roll_if_older(&mut self, now: Stamp) -> Result<(), AppendError> {
        let age = self.settings.segment_age;
        let is_old = self.begun.is_some_and(|begun| begun.after(age) <= now.boot);
        if self.stopped.is_some() || !is_old || !self.epochs.has_records() {
            return Ok(());
        }
        if !self.held.is_empty() {
            self.end_soon();
            return Ok(());
        }
        match self.roll(now).and_then(|()| self.start_if_empty(now)) {
            // Without room it stays open; the first append with room begins the next one.
            Ok(()) | Err(AppendError::Full { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Signs what waits for it since `age` or longer.
    pub(crate) fn sign_if_older(&mut self, age: Duration, now: Stamp) -> Result<(), AppendError> {
        let is_due = |since: Moment| since.after(age) <= now.boot;
        if self.stopped.is_some() || !self.epochs.unsigned_since().is_some_and(is_due) {
            return Ok(());
        }
        match self.write(self.epochs.checkpoint(self.segment), now) {
            // It is signed once there is room; nothing more than a few refusals comes before.
            Ok(_) | Err(AppendError::Full { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Ends the segment and the run; nothing can be added any more.
    pub(crate) fn close(&mut self, now: Stamp) -> Result<(), AppendError> {
        if let Some(cause) = &self.stopped {
            return Err(AppendError::Poisoned { cause: Arc::clone(cause) });
        }
        if self.length > 0 && !self.epochs.is_between() {
            match self.write(self.epochs.last(self.segment), now) {
                // Without room the next run says that this one did not end.
                Ok(_) | Err(AppendError::Full { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        if let Err(error) = self.cut() {
            return Err(self.stop(format!("cannot close the log: {error}").into()));
        }
        self.stop(CLOSED.into());
        Ok(())
    }

    /// Puts a reserve on the disk, when there is room for one.
    pub(crate) fn keep_reserve(&mut self) -> io::Result<()> {
        if self.has_reserve || self.settings.reserve_bytes == 0 {
            return Ok(());
        }
        let file = match self.disk.create(RESERVE) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.disk.open(RESERVE)?
            }
            file => file?,
        };
        file.extend(self.settings.reserve_bytes)?;
        file.sync()?;
        self.has_reserve = true;
        Ok(())
    }

    /// Cuts the preallocated zeros off.
    pub(crate) fn cut(&mut self) -> io::Result<()> {
        self.file.cut(self.length)?;
        self.allocated = self.length;
        self.file.sync()?;
        self.epochs.synced_up_to(self.head.map_or(0, |head| head.seq));
        Ok(())
    }

    pub(crate) const fn head(&self) -> Option<Head> {
        self.head
    }

    /// The newest head that is signed and synced, each one once.
    pub(crate) fn unpublished(&mut self) -> Option<HeadNote> {
        self.epochs.unpublished(&self.log)
    }

    pub(crate) const fn unsynced_since(&self) -> Option<Moment> {
        self.unsynced_since
    }

    pub(crate) fn stopped(&self) -> Option<Arc<str>> {
        self.stopped.clone()
    }

    pub(crate) const fn set_names(&mut self, names: RecordNames) {
        self.names = names;
    }

    pub(crate) const fn keyring(&mut self) -> &mut Keyring {
        &mut self.keyring
    }

    pub(crate) const fn segment(&self) -> SegmentName {
        self.segment
    }

    pub(crate) fn log(&self) -> &str {
        &self.log
    }

    pub(crate) fn disk(&self) -> Arc<dyn Disk> {
        Arc::clone(&self.disk)
    }

    fn append_once(&mut self, record: &Record<'_>, now: Stamp) -> Result<Head, AppendError> {
        if self.is_segment_full() {
            self.roll(now)?;
        }
        self.start_if_empty(now)?;
        if self.epochs.is_checkpoint_due() {
            self.write(self.epochs.checkpoint(self.segment), now)?;
        }
        if self.is_clock_set(now) {
            let jump = Record::clock_jump(Timestamp::from_microseconds(now.wall));
            self.write(jump.entry(), now)?;
        }
        let mut entry = record.entry();
        self.seal(record, &mut entry);
        self.write(entry, now)
    }

    /// Names of a `secrets` vault go into `sealed`, or nowhere.
    fn seal(&self, record: &Record<'_>, entry: &mut Entry<'_>) {
        let Some(vault) = record.vault.filter(|_| record.has_sealed_names()) else {
            return;
        };
        match self.names {
            RecordNames::Clear => {}
            RecordNames::Sealed => {
                let names = entry.take_names();
                entry.sealed = self.keyring.seal(vault, self.next_seq(), &names).map(Cow::Owned);
            }
        }
    }

    /// Whether the open segment has its last entry, and the next one is still to be made.
    const fn is_between(&self) -> bool {
        self.length > 0 && self.epochs.is_between()
    }

    /// Ends the segment and begins the next one.
    fn roll(&mut self, now: Stamp) -> Result<(), AppendError> {
        let next = self.segment.next();
        if !self.is_between() {
            let Some(end) = self.epochs.end(self.segment) else {
                return Err(self.stop("the system gives no random bytes".into()));
            };
            self.write(end, now).inspect_err(|_| self.epochs.take_back())?;
        }
        if let Err(error) = self.cut() {
            // Not even a full disk is an excuse here: a sync that failed is never tried again.
            return Err(self.stop(format!("cannot close {}: {error}", self.segment).into()));
        }
        let file = self
            .disk
            .create(&next.to_string())
            .map_err(|error| self.failed(&format!("cannot create {next}"), &error))?;
        self.segment = next;
        self.file = file;
        self.length = 0;
        self.allocated = 0;
        self.ends_soon = false;
        // Room that came back since the last refusal on a full disk; no reason to stop without it.
        self.keep_reserve()
            .or_else(|error| if is_full(&error) { Ok(()) } else { Err(error) })
            .map_err(|error| self.failed("cannot keep the reserve", &error))
    }

    /// Gives `entry` its number, time and id, chains it and writes its line.
    fn write(&mut self, mut entry: Entry<'_>, now: Stamp) -> Result<Head, AppendError> {
        let seq = self.next_seq();
        let wall = Timestamp::from_microseconds(now.wall);
        let time = if wall > self.time { wall } else { self.time.next() };
        let random = self.random.wrapping_add(u128::from(seq));
        entry.id = Cow::Owned(Ulid::from_parts(time.microseconds() / 1000, random).to_string());
        entry.boot_id = Cow::Owned(self.settings.boot.as_str().to_owned());
        entry.boot_time = Number(now.boot.nanoseconds());
        entry.seq = Number(seq);
        entry.ts = time;
        entry.unrecorded = (self.unrecorded > 0).then_some(Number(self.unrecorded));
        line::begin(&mut self.line);
        serde_json::to_writer(&mut self.line, &entry)
            .map_err(|source| AppendError::Encode { source })?;
        let (event, end) = (entry.event_type, self.line.len());
        let hash = line::chain(&mut self.line, self.head.map(|head| head.hash));
        let (signature, elsewhere) = match self.epochs.signing(event) {
            Signing::Nobody => (None, None),
            Signing::Segment(key) => (Some(key.sign(hash.as_bytes())), None),
            Signing::Identity(identity) if identity.is_here() => {
                let signature = identity.sign(&hash);
                (Some(signature.map_err(|error| self.stop(error.to_string().into()))?), None)
            }
            Signing::Identity(identity) => (Some(Signature([0; 64])), Some(identity.clone())),
        };
        line::finish(&mut self.line, signature);
        let head = Head { seq, hash };
        match (elsewhere, self.held.is_empty()) {
            (None, true) => self.write_line()?,
            (elsewhere, _) => self.hold(head, elsewhere, now)?,
        }
        let written = line::entry_in(&self.line, end);
        self.epochs.added(event, seq, written, now.boot);
        self.fold.written(event, written);
        if let (EventType::SignerRotationRequested, Some(signer)) = (event, &entry.signer) {
            self.epochs.name_successor(signer.key);
        }
        self.unrecorded = 0;
        self.head = Some(head);
        self.time = time;
        self.stamp = self.stamp.filter(|stamp| stamp.boot > now.boot).or(Some(now));
        self.unsynced_since = self.unsynced_since.or(Some(now.boot));
        Ok(head)
    }

    fn write_line(&mut self) -> Result<(), AppendError> {
        let end = self.make_room()?;
        write_all(&*self.file, &self.line, self.length).map_err(|error| {
            if is_full(&error) {
                self.undo(&error)
            } else {
                self.failed(&format!("cannot write {}", self.segment), &error)
            }
        })?;
        self.length = end;
        Ok(())
    }

    /// Preallocates a step, or what the disk still has room for.
    fn extend(&mut self, end: u64) -> Result<(), AppendError> {
        let step = end.max(self.allocated + self.settings.preallocated_bytes);
        for size in [step, end] {
            match self.file.extend(size) {
                Ok(()) => {
                    self.allocated = size;
                    return Ok(());
                }
                Err(error) if is_full(&error) => {}
                Err(error) => {
                    return Err(self.failed(&format!("cannot extend {}", self.segment), &error));
                }
            }
        }
        Err(AppendError::Full { segment: self.segment })
    }

    /// Takes the part of a line back for which there was room.
    fn undo(&mut self, error: &io::Error) -> AppendError {
        match self.file.cut(self.length) {
            Ok(()) => {
                self.allocated = self.length;
                AppendError::Full { segment: self.segment }
            }
            Err(_) => self.failed(&format!("cannot write {}", self.segment), error),
        }
    }

    /// No room is an answer; any other error is the end of this log until a restart.
    fn failed(&mut self, what: &str, error: &io::Error) -> AppendError {
        if is_full(error) {
            AppendError::Full { segment: self.segment }
        } else {
            self.stop(format!("{what}: {error}").into())
        }
    }

    const fn may_free_reserve(&self, event: EventType) -> bool {
        self.has_reserve && event.may_use_reserve()
    }

    fn free_reserve(&mut self) -> Result<(), AppendError> {
        self.has_reserve = false;
        self.disk.remove(RESERVE).map_err(|error| self.failed("cannot free the reserve", &error))
    }

    fn next_seq(&self) -> u64 {
        self.head.map_or(1, |head| head.seq + 1)
    }

    /// Whether the wall clock moved against the boot clock; after a start, whether it is behind
    /// the last entry.
    fn is_clock_set(&self, now: Stamp) -> bool {
        let tolerance = CLOCK_TOLERANCE.as_micros();
        let Some(before) = self.stamp else {
            return now.wall < self.time.microseconds();
        };
        let drift =
            |stamp: Stamp| i128::from(stamp.wall) - i128::from(stamp.boot.nanoseconds() / 1000);
        drift(now).abs_diff(drift(before)) > tolerance
    }
}

fn write_all(file: &dyn SegmentFile, bytes: &[u8], offset: u64) -> io::Result<()> {
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        match file.write_at(rest, offset + written as u64) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
