//! Room in the log: which segment the next frame goes into, and where a full disk is noticed.

use crate::durable::{Access, DiskFile};
use crate::kind::VaultKind;
use crate::open_segment::OpenSegment;
use crate::padding::GRID;
use crate::segment::{SEGMENT_HEADER, Segment, SegmentHeader, path_of};
use crate::write_error::{ReadOnly, WriteError};
use crate::writer::{State, SyncedHead, UNPUBLISHED, Workplace, Writer};
use std::io;
use std::sync::{Arc, MutexGuard};

impl Writer {
    /// Makes sure that the open segment has `needed` bytes besides those promised.
    pub(crate) fn with_room<'state>(
        &'state self,
        mut state: MutexGuard<'state, State>,
        needed: u64,
    ) -> Result<MutexGuard<'state, State>, WriteError> {
        loop {
            if let Some(refusal) = state.refusal {
                return Err(WriteError::ReadOnly(refusal));
            }
            // What was promised before is still there; the rest is for upkeep while there is no reserve.
            if needed != 0 && !self.may_take_room(&mut state) {
                return Err(WriteError::NoSpace);
            }
            let promised = needed + state.admitted;
            match &state.open {
                Some(open) if open.has_room(promised) => return Ok(state),
                Some(_) if !state.in_flight.is_empty() => state = self.wait(state),
                Some(_) | None => {
                    let rolled = self.roll(&mut state, promised);
                    self.changed.notify_all();
                    rolled?;
                }
            }
        }
    }

    /// Begins the segment that a tail is copied into. It counts only once it is published.
    pub(crate) fn begin_unpublished(&self, room: u64) -> Result<(), WriteError> {
        let mut state = self.lock();
        let prepared = self.prepare(room)?;
        self.begin_segment(&mut state, prepared)
    }

    /// Makes the copied tail durable, and then part of the log.
    pub(crate) fn publish_recovered(&self) -> Result<SyncedHead, WriteError> {
        let mut state = self.seal_waiting(self.lock())?;
        let sealed = state.sealed;
        let Some(open) = state.open.as_mut() else {
            return Ok(state.head);
        };
        let standing = open.standing;
        open.segment.file.sync().map_err(WriteError::Io)?;
        self.publish(open).map_err(WriteError::Io)?;
        state.have_synced(standing, sealed);
        Ok(state.head)
    }

    /// Goes on in a new segment of a branch above `above` and its own, durably.
    pub(crate) fn raise_branch(&self, above: u64) -> Result<SyncedHead, WriteError> {
        let mut state = self.lock();
        state.head.branch = state.head.branch.max(above) + 1;
        let rolled = self.roll(&mut state, 0);
        self.changed.notify_all();
        rolled?;
        let (standing, sealed) = (state.behind_batch, state.sealed);
        state.have_synced(standing, sealed);
        Ok(state.head)
    }

    /// Goes on in a new segment when the open one is under an older key of the vault.
    pub(crate) fn leave_older_key(&self) -> Result<(), WriteError> {
        let newest = self.place.keys.ring().newest().number();
        let mut state = self.lock();
        while state.open.as_ref().is_some_and(|open| open.segment.key != newest) {
            if let Some(refusal) = state.refusal {
                return Err(WriteError::ReadOnly(refusal));
            }
            if !state.in_flight.is_empty() {
                state = self.wait(state);
                continue;
            }
            let promised = state.admitted;
            let rolled = self.roll(&mut state, promised);
            self.changed.notify_all();
            rolled?;
        }
        Ok(())
    }

    /// Goes on in a new segment, once the old one is on disk.
    fn roll(&self, state: &mut State, needed: u64) -> Result<(), WriteError> {
        let prepared = self.prepare(needed)?;
        if let Some(open) = state.open.take() {
            if !open.is_published {
                return Err(WriteError::Io(io::Error::other("the copied tail does not fit")));
            }
            state.closed = open.standing;
            let (standing, sealed) = (open.standing, state.sealed);
            let position = open.standing.position;
            let ended =
                open.segment.file.truncate(position).and_then(|()| open.segment.file.sync());
            if let Err(error) = ended {
                state.refusal = Some(ReadOnly::Poisoned);
                return Err(WriteError::Io(error));
            }
            state.have_synced(standing, sealed);
        }
        let begun = self.begin_segment(state, prepared).and_then(|()| {
            let Some(open) = state.open.as_mut() else {
                return Ok(());
            };
            open.segment.file.sync().and_then(|()| self.publish(open)).map_err(WriteError::Io)
        });
        if begun.is_err() {
            // The log stands at the end of the closed segment; nobody knows what the disk did.
            state.refusal = Some(ReadOnly::Poisoned);
        }
        begun
    }

    /// Takes the blocks of a new segment. The only place where the disk can be found full.
    fn prepare(&self, needed: u64) -> Result<(Box<dyn DiskFile>, u64), WriteError> {
        let room = (needed + SEGMENT_HEADER + 2 * GRID).max(segment_room(self.place.kind));
        let path = self.place.directory.join(UNPUBLISHED);
        let file = self.place.disk.open(&path, Access::Create).map_err(no_space_or_io)?;
        match file.allocate(room) {
            Ok(()) => Ok((file, room)),
            Err(error) => {
                self.place.disk.remove(&path).map_err(WriteError::Io)?;
                Err(no_space_or_io(error))
            }
        }
    }

    fn begin_segment(
        &self,
        state: &mut State,
        (file, room): (Box<dyn DiskFile>, u64),
    ) -> Result<(), WriteError> {
        let Workplace { vault, keys, segments, .. } = &self.place;
        let ring = keys.ring();
        let key = ring.newest();
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|error| WriteError::Io(io::Error::other(error)))?;
        let (before, branch) = (state.closed, state.head.branch);
        let number = before.segment + 1;
        let header = SegmentHeader { vault: *vault, key: key.number(), number, id, before, branch };
        let bytes = header.encode(key);
        file.write(&bytes, 0).map_err(WriteError::Io)?;
        let cipher = key.segment_cipher(*vault, &id);
        let segment = Arc::new(Segment { number, key: key.number(), file, cipher });
        segments.insert(segment.clone());
        state.lineage.add(&header);
        state.behind_batch = header.standing(&bytes);
        state.open = Some(OpenSegment {
            segment,
            standing: header.standing(&bytes),
            room,
            sync_mark: SEGMENT_HEADER,
            is_closed: false,
            is_published: false,
        });
        Ok(())
    }

    /// Gives the open segment its number, durably.
    fn publish(&self, open: &mut OpenSegment) -> io::Result<()> {
        let Workplace { disk, directory, .. } = &self.place;
        disk.rename(&directory.join(UNPUBLISHED), &path_of(directory, open.segment.number))?;
        disk.sync_directory(directory)?;
        open.is_published = true;
        Ok(())
    }
}

fn no_space_or_io(error: io::Error) -> WriteError {
    if is_full(&error) { WriteError::NoSpace } else { WriteError::Io(error) }
}

/// Whether an error says that the disk has no room.
pub(crate) fn is_full(error: &io::Error) -> bool {
    [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded].contains(&error.kind())
}

/// How much of a segment is preallocated; a longer frame makes its segment longer.
pub(crate) const fn segment_room(kind: VaultKind) -> u64 {
    if cfg!(test) {
        // Tests want many segments.
        return 128 << 10;
    }
    match kind {
        VaultKind::Secrets => 4 << 20,
        VaultKind::Workspace => 64 << 20,
    }
}
