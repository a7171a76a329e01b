//! The writer: where the next frame goes, and when what was written is on disk.
//!
//! Writers reserve a range under the lock and write it outside, in parallel. Changes wait in memory
//! until a sync seals them into one metadata frame. A sync covers a contiguous prefix: the first who
//! waits calls fdatasync itself, and everybody whose change was sealed before goes on with it.

use crate::change::Change;
use crate::durable::Disk;
use crate::extent::Extent;
use crate::fields::on_disk;
use crate::frame::{self, Batch, DataShape};
use crate::header::VaultId;
use crate::image::Snapshot;
use crate::key_ring::Keys;
use crate::kind::VaultKind;
use crate::lineage::Lineage;
use crate::open_segment::{Appended, OpenSegment, write_void};
use crate::reserve::ReserveState;
use crate::segment::{Segment, SegmentTable, Standing};
use crate::write_error::{ReadOnly, WriteError};
use std::collections::BTreeSet;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use zeroize::Zeroizing;

/// Changes are written once so many bytes of them wait.
const FULL_BATCH: usize = 64 << 10;
/// So much room waits for changes at most: more than a segment has would begin one for every change.
const MOST_PROMISED: u64 = if cfg!(test) { 96 << 10 } else { 16 << 20 };
/// The disk begins to write a segment in steps of so many bytes.
const STEP: u64 = 4 << 20;
/// The name of a segment that is not part of the log yet.
pub(crate) const UNPUBLISHED: &str = "new";

/// A durable position of the log of a vault: what a pin or an audit entry remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncedHead {
    /// Raised by each restored backup that was accepted.
    pub branch: u64,
    /// The number of the segment; 0 before the first.
    pub segment: u64,
    /// The sequence of the last frame in it.
    pub sequence: u64,
    /// The chain value behind that frame.
    pub chain: [u8; 32],
    /// The generation of the header.
    pub header_generation: u64,
}

/// Room in the log for one change, promised before the change is made.
#[derive(Debug)]
#[must_use = "room that is not used must be given back"]
pub(crate) struct Admission(u64);

/// What a writer works with: the vault it belongs to.
#[derive(Debug)]
pub(crate) struct Workplace {
    pub(crate) disk: Arc<dyn Disk>,
    /// The directory of the segments.
    pub(crate) directory: PathBuf,
    pub(crate) vault: VaultId,
    pub(crate) kind: VaultKind,
    pub(crate) keys: Arc<Keys>,
    pub(crate) segments: Arc<SegmentTable>,
}

/// Where a writer goes on.
#[derive(Debug)]
pub(crate) struct WriterStart {
    pub(crate) standing: Standing,
    pub(crate) head: SyncedHead,
    pub(crate) lineage: Lineage,
    pub(crate) metadata_since_image: u64,
}

/// Appends to the log of a vault.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) place: Workplace,
    /// Guards where the log stands. Taken by writers, never by readers; before `waiting`.
    state: Mutex<State>,
    /// Something in `state` has changed that others wait for.
    pub(crate) changed: Condvar,
    /// Changes not yet sealed. A leaf: nothing else is taken while it is held.
    waiting: Mutex<Waiting>,
}

/// Where the log stands, and who waits for what.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) open: Option<OpenSegment>,
    /// Where the log stands when `open` is none.
    pub(crate) closed: Standing,
    /// Behind the last metadata frame: what the log says up to there, an image may hold.
    pub(crate) behind_batch: Standing,
    /// Bytes of changes sealed since the last image.
    metadata_since_image: u64,
    pub(crate) lineage: Lineage,
    /// Room promised to changes that are not sealed yet.
    pub(crate) admitted: u64,
    /// Positions reserved in `open` whose writes have not returned.
    pub(crate) in_flight: BTreeSet<u64>,
    /// How many changes are sealed, and how many of them synced.
    pub(crate) sealed: u64,
    pub(crate) synced: u64,
    pub(crate) head: SyncedHead,
    pub(crate) is_syncing: bool,
    pub(crate) refusal: Option<ReadOnly>,
    pub(crate) reserve: ReserveState,
}

#[derive(Debug, Default)]
struct Waiting {
    changes: Zeroizing<Vec<u8>>,
    /// How many changes ever waited.
    count: u64,
    /// Room promised to those that wait.
    admitted: u64,
}

/// A range of the open segment that belongs to one frame.
struct Reservation {
    segment: Arc<Segment>,
    position: u64,
    sequence: u64,
}

impl Writer {
    /// A writer that goes on where the log stands, in a new segment once there is something to write.
    pub(crate) fn new(place: Workplace, start: WriterStart) -> Self {
        let WriterStart { standing, head, lineage, metadata_since_image } = start;
        let state = State {
            open: None,
            closed: standing,
            behind_batch: standing,
            metadata_since_image,
            lineage,
            admitted: 0,
            in_flight: BTreeSet::new(),
            sealed: 0,
            synced: 0,
            head,
            is_syncing: false,
            refusal: None,
            reserve: ReserveState::default(),
        };
        let (state, waiting) = (Mutex::new(state), Mutex::default());
        Self { place, state, changed: Condvar::new(), waiting }
    }

    /// Takes no changes from now on.
    pub(crate) fn refuse(&self, reason: ReadOnly) {
        self.lock().refusal = Some(reason);
        self.changed.notify_all();
    }

    /// Why no changes are taken.
    pub(crate) fn refusal(&self) -> Option<ReadOnly> {
        self.lock().refusal
    }

    /// The last durable position.
    pub(crate) fn head(&self) -> SyncedHead {
        self.lock().head
    }

    /// Heads from now on name this generation of the header.
    pub(crate) fn set_header_generation(&self, generation: u64) {
        self.lock().head.header_generation = generation;
    }

    /// Seals content and writes it as one data frame. Durable only with the next sync.
    pub(crate) fn write_content(&self, content: &[u8]) -> Result<Extent, WriteError> {
        let length = on_disk(content.len());
        let shape = DataShape::of_value(self.place.kind, length).ok_or(WriteError::TooLong)?;
        // A failed write closes the segment; the frame is sealed anew in the next, once.
        match self.try_write_content(content, shape) {
            Err(WriteError::Io(_)) => self.try_write_content(content, shape),
            done => done,
        }
    }

    fn try_write_content(&self, content: &[u8], shape: DataShape) -> Result<Extent, WriteError> {
        let Reservation { segment, position, sequence } = self.reserve(shape)?;
        let sealed = frame::seal_content(&segment.cipher, (position, sequence), shape, content);
        let written = match &sealed {
            Some(sealed) => segment.file.write(sealed.as_slice(), position),
            None => Err(io::ErrorKind::InvalidInput.into()),
        };
        let total = shape.total_at(position);
        let voided = match &written {
            Ok(()) => Ok(()),
            Err(_) => write_void(&segment, (position, sequence), total),
        };
        let mut state = self.lock();
        state.in_flight.remove(&position);
        if written.is_err() {
            state.close_segment(segment.number);
        }
        if voided.is_err() {
            state.refusal = Some(ReadOnly::Poisoned);
        }
        drop(state);
        self.changed.notify_all();
        written.map_err(WriteError::Io)?;
        // Who begins the next segment waits for this one with the lock held.
        if let Some(step) = step_behind(position, total) {
            segment.file.begin_sync(step.start, step.end - step.start);
        }
        let length = on_disk(content.len());
        Ok(Extent { offset: 0, length, segment: segment.number, position, sequence, shape })
    }

    /// Promises room for a change, so that sealing it cannot find the disk full.
    pub(crate) fn admit(&self, change: &Change) -> Result<Admission, WriteError> {
        let mut bytes = Zeroizing::new(Vec::new());
        change.encode(&mut bytes);
        self.admit_bytes(bytes.len())
    }

    /// Promises room for changes that have at most `length` bytes in a batch.
    pub(crate) fn admit_bytes(&self, length: usize) -> Result<Admission, WriteError> {
        let charge = charge(length);
        let mut state = self.room_for(charge)?;
        state.admitted += charge;
        Ok(Admission(charge))
    }

    /// Gives room back that no change used.
    pub(crate) fn withdraw(&self, Admission(charge): &Admission) {
        self.lock().admitted -= charge;
    }

    /// Adds a change that was made in memory. The caller holds the index, so the order is the same.
    pub(crate) fn push(&self, Admission(charge): &Admission, change: &Change) {
        let mut waiting = self.waiting();
        change.encode(&mut waiting.changes);
        waiting.count += 1;
        waiting.admitted += charge;
    }

    /// Adds a change for which the room of the one before it was promised too.
    pub(crate) fn push_admitted(&self, change: &Change) {
        self.push(&Admission(0), change);
    }

    /// Writes waiting changes when there are many. Called without the index.
    pub(crate) fn relieve(&self) -> Result<(), WriteError> {
        let is_full = {
            let waiting = self.waiting();
            waiting.changes.len() >= FULL_BATCH || waiting.admitted >= MOST_PROMISED
        };
        if is_full { self.flush() } else { Ok(()) }
    }

    /// Writes waiting changes, not yet durable.
    pub(crate) fn flush(&self) -> Result<(), WriteError> {
        let state = self.lock();
        self.seal_waiting(state).map(drop)
    }

    /// Makes every change that was pushed before durable.
    pub(crate) fn sync(&self) -> Result<SyncedHead, WriteError> {
        let wanted = self.waiting().count;
        let mut state = self.lock();
        while state.synced < wanted {
            if let Some(refusal) = state.refusal {
                return Err(WriteError::ReadOnly(refusal));
            }
            if state.is_syncing {
                state = self.wait(state);
                continue;
            }
            state.is_syncing = true;
            state = self.lead(state)?;
        }
        Ok(state.head)
    }

    /// Syncs for all: seals what waits, lets earlier writes arrive, and calls fdatasync unlocked.
    fn lead<'state>(
        &'state self,
        state: MutexGuard<'state, State>,
    ) -> Result<MutexGuard<'state, State>, WriteError> {
        let mut state = match self.seal_waiting(state) {
            Ok(state) => state,
            Err(error) => {
                self.lock().is_syncing = false;
                self.changed.notify_all();
                return Err(error);
            }
        };
        let parts = |open: &OpenSegment| (open.segment.clone(), open.standing);
        let Some((segment, standing)) = state.open.as_ref().map(parts) else {
            state.is_syncing = false;
            return Ok(state);
        };
        let sealed = state.sealed;
        while state.in_flight.first().is_some_and(|first| *first < standing.position) {
            state = self.wait(state);
        }
        drop(state);
        let synced = segment.file.sync();
        let mut state = self.lock();
        state.is_syncing = false;
        match synced {
            Ok(()) => state.have_synced(standing, sealed),
            // After a failed fdatasync nobody knows what the disk holds: never try again.
            Err(_) => state.refusal = Some(ReadOnly::Poisoned),
        }
        self.changed.notify_all();
        match state.refusal {
            Some(refusal) => Err(WriteError::ReadOnly(refusal)),
            None => Ok(state),
        }
    }

    /// How many bytes of changes no image holds.
    pub(crate) fn metadata_since_image(&self) -> u64 {
        self.lock().metadata_since_image
    }

    /// Where the log stands once all that waits is sealed. The caller holds the index.
    pub(crate) fn snapshot(&self) -> Result<Snapshot, WriteError> {
        let mut state = self.seal_waiting(self.lock())?;
        let metadata = std::mem::take(&mut state.metadata_since_image);
        let (standing, branch) = (state.behind_batch, state.head.branch);
        Ok(Snapshot { standing, branch, lineage: state.lineage.clone(), metadata })
    }

    /// Up to where a segment is known to be synced, and whether it ends there.
    pub(crate) fn synced_end(&self, segment: u64) -> Option<(Standing, bool)> {
        let state = self.lock();
        match &state.open {
            Some(open) if open.segment.number == segment => {
                Some((Standing { position: open.sync_mark, ..open.standing }, false))
            }
            None if state.closed.segment == segment => Some((state.closed, true)),
            Some(_) | None => Some((state.lineage.end_of(segment)?, true)),
        }
    }

    /// The number of the segment that frames go into, or will.
    pub(crate) fn open_segment(&self) -> u64 {
        let state = self.lock();
        state.open.as_ref().map_or(state.closed.segment + 1, |open| open.segment.number)
    }

    /// Up to where the segment that frames go into is used, with its number; `None` before the first.
    pub(crate) fn used_of_open(&self) -> Option<(u64, u64)> {
        let state = self.lock();
        state.open.as_ref().map(|open| (open.segment.number, open.standing.position))
    }

    /// Notes that this head was pinned, for the next image.
    pub(crate) fn remember_pin(&self, head: SyncedHead) {
        self.lock().lineage.remember_pin(&head);
    }

    /// Takes back that an image holds so many bytes of changes.
    pub(crate) fn owe_metadata(&self, metadata: u64) {
        self.lock().metadata_since_image += metadata;
    }

    /// Ends the log cleanly: everything is durable, marked so, and unused room is given back.
    pub(crate) fn close(&self) -> Result<SyncedHead, WriteError> {
        let head = self.sync()?;
        let state = self.lock();
        if let Some(refusal) = state.refusal {
            return Err(WriteError::ReadOnly(refusal));
        }
        if state.open.is_none() {
            return Ok(head);
        }
        // An empty batch: its mark says that all before it was synced.
        let state = self.seal_batch(state)?;
        if let Some(open) = &state.open {
            open.segment.file.truncate(open.standing.position).map_err(WriteError::Io)?;
            open.segment.file.sync().map_err(WriteError::Io)?;
        }
        Ok(head)
    }

    pub(crate) fn seal_waiting<'state>(
        &'state self,
        state: MutexGuard<'state, State>,
    ) -> Result<MutexGuard<'state, State>, WriteError> {
        if self.waiting().changes.is_empty() { Ok(state) } else { self.seal_batch(state) }
    }

    /// Writes everything that waits as one metadata frame into room that was promised.
    fn seal_batch<'state>(
        &'state self,
        state: MutexGuard<'state, State>,
    ) -> Result<MutexGuard<'state, State>, WriteError> {
        let sealed = self.try_seal_batch(state);
        if sealed.is_err() {
            // Memory has what the disk lacks: only a new start can make them agree.
            self.refuse(ReadOnly::Poisoned);
        }
        sealed
    }

    fn try_seal_batch<'state>(
        &'state self,
        mut state: MutexGuard<'state, State>,
    ) -> Result<MutexGuard<'state, State>, WriteError> {
        let Waiting { changes, count, admitted } = {
            let mut waiting = self.waiting();
            let count = waiting.count;
            std::mem::replace(&mut *waiting, Waiting { count, ..Waiting::default() })
        };
        let length = frame::LEAST + frame::batch_padded(self.place.kind, on_disk(changes.len()));
        let mut batch = Batch { sync_mark: 0, changes };
        loop {
            state = self.with_room(state, length.saturating_sub(admitted))?;
            let Some(open) = state.open.as_mut() else {
                return Ok(state);
            };
            batch.sync_mark = open.sync_mark;
            match open.append(self.place.kind, &batch)? {
                Appended::Whole => break,
                // The segment is closed: the batch is sealed anew in the next.
                Appended::Voided => {}
            }
        }
        if let Some(open) = &state.open {
            state.behind_batch = open.standing;
        }
        state.metadata_since_image += on_disk(batch.changes.len());
        state.admitted -= admitted;
        state.sealed = count;
        Ok(state)
    }

    fn reserve(&self, shape: DataShape) -> Result<Reservation, WriteError> {
        let mut state = self.room_for(shape.total_at_most())?;
        let Some(open) = state.open.as_mut() else {
            return Err(WriteError::ReadOnly(ReadOnly::Poisoned));
        };
        let position = open.standing.position;
        open.standing.position += shape.total_at(position);
        open.standing.sequence += 1;
        let (segment, sequence) = (open.segment.clone(), open.standing.sequence);
        state.in_flight.insert(position);
        Ok(Reservation { segment, position, sequence })
    }

    fn room_for(&self, needed: u64) -> Result<MutexGuard<'_, State>, WriteError> {
        self.with_room(self.lock(), needed)
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn wait<'state>(
        &self,
        state: MutexGuard<'state, State>,
    ) -> MutexGuard<'state, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }
}

/// The whole steps of a segment that a frame has filled up.
fn step_behind(position: u64, total: u64) -> Option<Range<u64>> {
    let steps = position / STEP * STEP..(position + total) / STEP * STEP;
    (!steps.is_empty()).then_some(steps)
}

impl State {
    /// Notes that an fdatasync returned which covers `sealed` changes up to `standing`.
    pub(crate) fn have_synced(&mut self, standing: Standing, sealed: u64) {
        let Standing { segment, position, sequence, chain } = standing;
        self.synced = self.synced.max(sealed);
        if let Some(open) = self.open.as_mut().filter(|open| open.segment.number == segment) {
            open.sync_mark = open.sync_mark.max(position);
        }
        if (segment, sequence) > (self.head.segment, self.head.sequence) {
            self.head = SyncedHead { segment, sequence, chain, ..self.head };
        }
    }

    fn close_segment(&mut self, number: u64) {
        if let Some(open) = self.open.as_mut().filter(|open| open.segment.number == number) {
            open.is_closed = true;
        }
    }
}

/// The most room that a change of `length` bytes can take, whatever batch it ends in.
fn charge(length: usize) -> u64 {
    1024 + on_disk(length) + on_disk(length).div_ceil(4)
}
