//! The log: a record goes in, a receipt comes out. No receipt, no bytes.
//!
//! Serialising, chaining and `write(2)` happen on the caller's own thread under one mutex, some 3
//! us together; handing the record to a writer thread and back costs ten to thirty times that.
//! Durable records then wait for a group commit (`commit.rs`).
//!
//! Fails closed: the first error of a write or a sync stops the log until the daemon is started
//! again, and a full disk refuses everything but what only takes access away.

use crate::commit::Commits;
use crate::disk::Disk;
use crate::names::{Keyring, NamesKey};
use crate::open::{OpenLogError, Recovered, Settings, recover};
use crate::read::{ReadLogError, ShownEntry, Unread, read_from};
use crate::tail::{Owed, Tail};
use crate::{Entry, Filter, Head, LogKey, Receipt, Record, SegmentName, Stamp, disk::Folder};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;
use ward_policy::{Moment, RecordNames, VaultName};

/// Why the log stopped when a thread panicked in the middle of an append.
pub(crate) const PANICKED: &str = "a thread panicked while it wrote";

/// The newest head that is signed and synced, as a note.
pub const HEAD_FILE: &str = "checkpoint";

/// How sure a record must be before its receipt is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// On disk: it survives a power cut.
    Durable,
    /// Handed to the kernel: it survives a kill; the daemon syncs it within 100 ms.
    Written,
}

/// Why there is no receipt.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The log stopped at its first error of a write or a sync.
    #[error("the log has stopped: {cause}. Nothing is served until the daemon is restarted")]
    Poisoned {
        /// What happened.
        cause: Arc<str>,
    },
    /// The disk is full; nothing was written and the chain is whole.
    #[error("no room on the disk for {segment} of the log. Free some space, then try again")]
    Full {
        /// The segment that could not grow.
        segment: SegmentName,
    },
    /// The entry could not be written as JSON; nothing was written.
    #[error("cannot write the entry as JSON. Please report this as a bug")]
    Encode {
        /// What the encoder says.
        source: serde_json::Error,
    },
}

/// The open log; one for each daemon.
#[derive(Debug)]
pub struct Log {
    /// Guards the end of the chain and the open segment. Taken by every append for microseconds,
    /// never held while a sync runs (but for closing a full segment) or a thread waits.
    tail: Mutex<Tail>,
    /// A signature came from elsewhere, or will not.
    signed: Condvar,
    commits: Commits,
}

impl Log {
    /// Opens the log in `directory`, makes it when there is none, and cuts a torn tail.
    ///
    /// Begins a new segment, so that each run has keys of its own. Reads the last segment and the
    /// one before it; [`crate::verify()`] reads all.
    ///
    /// # Errors
    /// Refuses a broken chain and says where it broke, a directory that others can look into, and
    /// a log that another daemon has open.
    pub fn open(
        directory: &Path,
        key: LogKey,
        settings: Settings,
        now: Stamp,
    ) -> Result<(Self, Recovered), OpenLogError> {
        let folder = Folder::open_for_writing(directory)
            .map_err(|source| OpenLogError::directory(directory, source))?;
        let is_exposed =
            folder.is_exposed().map_err(|source| OpenLogError::directory(directory, source))?;
        if is_exposed {
            return Err(OpenLogError::Exposed { directory: directory.to_owned() });
        }
        Self::open_on(Arc::new(folder), key, settings, now)
    }

    /// Opens the log on any disk.
    pub(crate) fn open_on(
        disk: Arc<dyn Disk>,
        key: LogKey,
        settings: Settings,
        now: Stamp,
    ) -> Result<(Self, Recovered), OpenLogError> {
        let (tail, recovered) = recover(disk, key, settings, now)?;
        let (tail, signed, commits) = (Mutex::new(tail), Condvar::new(), Commits::default());
        let log = Self { tail, signed, commits };
        log.change(|_| Ok(()))?;
        if let Some(cut) = &recovered.cut {
            let record = Record::recovered(cut.bytes, cut.sha256);
            let _receipt = log.append(record, Durability::Durable, now)?;
        }
        log.sync()?;
        Ok((log, recovered))
    }

    /// Adds `record` to the log. `Durable` returns once it is on disk.
    ///
    /// # Errors
    /// Whatever the error is: what was to be recorded must not happen.
    pub fn append(
        &self,
        record: Record<'_>,
        durability: Durability,
        now: Stamp,
    ) -> Result<Receipt, AppendError> {
        let head = self.change(|tail| tail.append(&record, now))?;
        self.wait_for_written(head.seq)?;
        match durability {
            Durability::Durable => self.commits.wait_for(head.seq, &self.tail)?,
            Durability::Written => {}
        }
        Ok(Receipt::new(head.seq, head.hash))
    }

    /// Does `work` on the tail, then has signed elsewhere what that left to be signed. Meanwhile others
    /// go on chaining.
    pub(crate) fn change<T>(
        &self,
        work: impl FnOnce(&mut Tail) -> Result<T, AppendError>,
    ) -> Result<T, AppendError> {
        let (result, owed) = {
            let mut tail = self.wait_while(Tail::must_wait)?;
            let result = work(&mut tail);
            (result, tail.take_owed())
        };
        for Owed { seq, hash, identity } in owed {
            let signature = identity.sign(&hash);
            self.tail()?.signed(seq, signature);
            self.signed.notify_all();
        }
        result
    }

    fn wait_while(
        &self,
        waits: impl Fn(&Tail) -> bool,
    ) -> Result<MutexGuard<'_, Tail>, AppendError> {
        let mut tail = self.tail()?;
        while waits(&tail) {
            tail = self.signed.wait(tail).map_err(|_| panicked())?;
        }
        Ok(tail)
    }

    /// Returns once the entry `seq` is handed to the kernel: at once, unless it or one before it is
    /// being signed elsewhere.
    fn wait_for_written(&self, seq: u64) -> Result<(), AppendError> {
        let tail = self.wait_while(|tail| tail.written() < seq && tail.stopped().is_none())?;
        match tail.stopped() {
            Some(cause) if tail.written() < seq => Err(AppendError::Poisoned { cause }),
            Some(_) | None => Ok(()),
        }
    }

    /// Returns once everything written so far is on disk.
    ///
    /// # Errors
    /// The log has stopped, or this sync stops it.
    pub fn sync(&self) -> Result<(), AppendError> {
        let seq = self.tail()?.head().map_or(0, |head| head.seq);
        self.wait_for_written(seq)?;
        self.commits.wait_for(seq, &self.tail)
    }

    /// Signs and syncs what has waited for it for `age` or longer. The daemon calls it every
    /// 50 ms or so, from a thread of its own.
    ///
    /// # Errors
    /// As [`Self::sync`].
    pub fn keep(&self, age: Duration, now: Stamp) -> Result<(), AppendError> {
        let (unsynced_since, written) = {
            let mut tail = self.tail()?;
            tail.sign_if_older(age, now)?;
            (tail.unsynced_since(), tail.written())
        };
        match unsynced_since {
            Some(since) if since.after(age) <= now.boot => {
                self.commits.wait_for(written, &self.tail)?;
            }
            Some(_) | None => {}
        }
        self.publish()
    }

    /// Puts the newest head that is signed and synced beside the log, for others to keep.
    fn publish(&self) -> Result<(), AppendError> {
        let (note, disk) = {
            let mut tail = self.tail()?;
            (tail.unpublished(), tail.disk())
        };
        if let Some(note) = note {
            // The chain has that head, and the next one is put there again.
            let _an_older_one_stays = disk.replace(HEAD_FILE, note.to_string().as_bytes());
        }
        Ok(())
    }

    /// Since when something written waits for a sync; `None` when nothing does.
    ///
    /// # Errors
    /// The log has stopped.
    pub fn unsynced_since(&self) -> Result<Option<Moment>, AppendError> {
        Ok(self.tail()?.unsynced_since())
    }

    /// The id of the log, a ULID.
    ///
    /// # Errors
    /// The log has stopped.
    pub fn id(&self) -> Result<String, AppendError> {
        Ok(self.tail()?.log().to_owned())
    }

    /// The last entry.
    ///
    /// # Errors
    /// The log has stopped.
    pub fn head(&self) -> Result<Option<Head>, AppendError> {
        Ok(self.tail()?.head())
    }

    /// The segment that is open.
    ///
    /// # Errors
    /// The log has stopped.
    pub fn segment(&self) -> Result<SegmentName, AppendError> {
        Ok(self.tail()?.segment())
    }

    /// Why the log has stopped; `None` while it takes records.
    pub fn stopped(&self) -> Option<Arc<str>> {
        self.tail().map_or_else(|_| Some(PANICKED.into()), |tail| tail.stopped())
    }

    /// From now on names of `secrets` vaults are recorded so; a new log seals them.
    ///
    /// # Errors
    /// The log has stopped.
    pub fn record_names(&self, names: RecordNames) -> Result<(), AppendError> {
        self.tail()?.set_names(names);
        Ok(())
    }

    /// From now on names of `vault` can be sealed and shown.
    ///
    /// # Errors
    /// The log has stopped.
    pub fn seal_names(&self, vault: &VaultName, key: &NamesKey) -> Result<(), AppendError> {
        let mut tail = self.tail()?;
        let log = tail.log().to_owned();
        tail.keyring().insert(vault, key, &log);
        Ok(())
    }

    /// From now on they cannot: the vault is locked.
    ///
    /// # Errors
    /// The log has stopped.
    pub fn forget_names(&self, vault: &VaultName) -> Result<(), AppendError> {
        self.tail()?.keyring().remove(vault);
        Ok(())
    }

    /// Puts the names of `entry` back when its vault is unlocked.
    ///
    /// # Errors
    /// The log has stopped.
    pub fn open_names(&self, entry: &mut Entry<'static>) -> Result<(), AppendError> {
        self.tail()?.keyring().open_names(entry);
        Ok(())
    }

    /// Gives each entry that `filter` lets through, names opened where the vault is unlocked. What is
    /// damaged is told and passed over.
    ///
    /// # Errors
    /// Names the file that cannot be read.
    pub fn read(
        &self,
        filter: &Filter,
        each: impl FnMut(ShownEntry) -> ControlFlow<()>,
    ) -> Result<Vec<Unread>, ReadLogError> {
        let (disk, keyring) = self.tail().map_or_else(
            |_| Err(ReadLogError::Stopped),
            |mut tail| Ok((tail.disk(), Keyring::clone(tail.keyring()))),
        )?;
        read_from(&*disk, &keyring, filter, each)
    }

    /// Signs, syncs and ends the log; nothing can be added after it. What is not closed is as good,
    /// and the next run says that it was not. The directory stays locked until the log is dropped.
    ///
    /// # Errors
    /// As [`Self::sync`].
    pub fn close(&self, now: Stamp) -> Result<(), AppendError> {
        self.sync()?;
        self.wait_while(|tail| !tail.is_drained())?.close(now)?;
        self.publish()
    }

    pub(crate) fn tail(&self) -> Result<MutexGuard<'_, Tail>, AppendError> {
        self.tail.lock().map_err(|_| panicked())
    }
}

fn panicked() -> AppendError {
    AppendError::Poisoned { cause: PANICKED.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::{Fixture, IsClosed, at};
    use crate::{EventType, Verdict, verify};
    use std::sync::atomic::Ordering;

    const RECORD: Record<'static> = Record::new(EventType::FileOpen);
    const REFUSAL: Record<'static> = Record::new(EventType::Refused);

    fn is_stopped(result: Result<Receipt, AppendError>) -> bool {
        matches!(result, Err(AppendError::Poisoned { .. }))
    }

    fn is_full(result: Result<Receipt, AppendError>) -> bool {
        matches!(result, Err(AppendError::Full { .. }))
    }

    fn verdict(fixture: &Fixture) -> Verdict {
        verify(fixture.path(), None).unwrap().verdict
    }

    fn entries(log: &Log) -> Vec<ShownEntry> {
        let mut entries = Vec::new();
        log.read(&Filter::default(), |shown| {
            entries.push(shown);
            ControlFlow::Continue(())
        })
        .unwrap();
        entries
    }

    #[test]
    fn one_sync_releases_everybody_who_wrote_before_it_began() {
        let fixture = Fixture::new();
        let log = fixture.log();
        fixture.faults.gate.set_closed(IsClosed::Yes);
        let before = fixture.faults.syncs.load(Ordering::SeqCst);
        std::thread::scope(|scope| {
            for number in 1..=16 {
                let log = &log;
                scope.spawn(move || log.append(RECORD, Durability::Durable, at(number)).unwrap());
            }
            while log.head().unwrap().unwrap().seq < 17 {
                std::thread::yield_now();
            }
            fixture.faults.gate.set_closed(IsClosed::No);
        });
        let syncs = fixture.faults.syncs.load(Ordering::SeqCst) - before;
        assert!((1..=2).contains(&syncs), "{syncs} syncs: the first one's batch, then all others");
    }

    #[test]
    fn sixty_four_threads_leave_a_whole_log() {
        let fixture = Fixture::new();
        let log = fixture.log();
        std::thread::scope(|scope| {
            for thread in 0..64 {
                let log = &log;
                scope.spawn(move || {
                    for number in 0..20 {
                        let durability = match number % 5 {
                            0 => Durability::Durable,
                            _ => Durability::Written,
                        };
                        let _receipt = log.append(RECORD, durability, at(thread)).unwrap();
                    }
                });
            }
            for _ in 0..50 {
                assert_eq!(verdict(&fixture), Verdict::Whole);
            }
        });
        let report = verify(fixture.path(), None).unwrap();
        assert_eq!((report.verdict, report.good.head), (Verdict::Whole, log.head().unwrap()));
        let opens = entries(&log).into_iter();
        let opens = opens.filter(|shown| shown.entry.event_type == EventType::FileOpen);
        assert_eq!(opens.count(), 64 * 20);
    }

    #[test]
    fn the_first_failed_sync_stops_the_log_and_is_never_tried_again() {
        let fixture = Fixture::new();
        let log = fixture.log();
        fixture.faults.fails_syncs.store(true, Ordering::Relaxed);
        assert!(is_stopped(log.append(RECORD, Durability::Durable, at(1))));
        fixture.faults.fails_syncs.store(false, Ordering::Relaxed);
        let syncs = fixture.faults.syncs.load(Ordering::SeqCst);
        assert!(is_stopped(log.append(RECORD, Durability::Written, at(2))));
        assert!(log.sync().is_err());
        assert!(log.stopped().unwrap().contains("cannot sync 0000000001.jsonl"));
        assert_eq!(fixture.faults.syncs.load(Ordering::SeqCst), syncs);
    }

    #[test]
    fn the_first_failed_write_stops_the_log() {
        let fixture = Fixture::new();
        let log = fixture.log();
        fixture.faults.fails_writes.store(true, Ordering::Relaxed);
        assert!(is_stopped(log.append(RECORD, Durability::Written, at(1))));
        fixture.faults.fails_writes.store(false, Ordering::Relaxed);
        assert!(is_stopped(log.append(REFUSAL, Durability::Written, at(2))));
    }

    #[test]
    fn short_writes_still_make_whole_lines() {
        let fixture = Fixture::new();
        fixture.faults.writes_half.store(true, Ordering::Relaxed);
        let log = fixture.log();
        let _receipt = log.append(RECORD, Durability::Durable, at(1)).unwrap();
        assert_eq!(verdict(&fixture), Verdict::Whole);
        assert_eq!(entries(&log).len(), 2);
    }

    #[test]
    fn a_full_disk_takes_refusals_only_and_the_next_entry_counts_those_it_could_not_take() {
        for is_sparse in [false, true] {
            let fixture = Fixture::new();
            fixture.faults.is_sparse.store(is_sparse, Ordering::Relaxed);
            // The write that finds the disk full has put a part of its line there by then.
            fixture.faults.writes_half.store(is_sparse, Ordering::Relaxed);
            let log = fixture.log();
            *fixture.faults.room.lock().unwrap() = Some(300);
            while !is_full(log.append(RECORD, Durability::Durable, at(1))) {}
            assert_eq!(verdict(&fixture), Verdict::Whole);
            let _receipt = log.append(REFUSAL, Durability::Durable, at(2)).unwrap();
            while !is_full(log.append(REFUSAL, Durability::Durable, at(3))) {}
            assert!(is_full(log.append(REFUSAL, Durability::Durable, at(4))));
            assert!(log.stopped().is_none());
            *fixture.faults.room.lock().unwrap() = None;
            let _receipt = log.append(RECORD, Durability::Durable, at(5)).unwrap();
            let last = entries(&log).pop().unwrap().entry;
            assert_eq!(last.unrecorded.map(|count| count.0), Some(2));
            assert_eq!(verdict(&fixture), Verdict::Whole);
        }
    }

    #[test]
    fn a_removed_or_replaced_segment_stops_the_log_at_the_next_sync() {
        for is_replaced in [false, true] {
            let fixture = Fixture::new();
            let log = fixture.log();
            let file = fixture.path().join("0000000001.jsonl");
            std::fs::rename(&file, fixture.path().join("aside")).unwrap();
            if is_replaced {
                std::fs::copy(fixture.path().join("aside"), &file).unwrap();
            }
            assert!(is_stopped(log.append(RECORD, Durability::Durable, at(1))));
            assert!(log.stopped().unwrap().contains("removed or replaced"));
        }
    }

    #[test]
    fn what_is_written_waits_for_a_sync_until_it_is_old_enough() {
        let fixture = Fixture::new();
        let log = fixture.log();
        assert_eq!(log.unsynced_since().unwrap(), None);
        let _receipt = log.append(RECORD, Durability::Written, at(1)).unwrap();
        let _receipt = log.append(RECORD, Durability::Written, at(2)).unwrap();
        assert_eq!(log.unsynced_since().unwrap(), Some(at(1).boot));
        let age = Duration::from_millis(100);
        log.keep(age, at(100_000)).unwrap();
        assert_eq!(log.unsynced_since().unwrap(), Some(at(1).boot));
        log.keep(age, at(100_001)).unwrap();
        assert_eq!(log.unsynced_since().unwrap(), None);
    }
}
