//! The reserve: room on the disk for what gives room back, when there is no other.
//!
//! A preallocated file beside the segments. When compaction or an image finds the disk full, the file
//! goes and the work is done again in its place. Until it could be put back, nobody else gets room.

use crate::changing::ChangeError;
use crate::durable::Access;
use crate::image::LEAST_DUE;
use crate::room::{is_full, segment_room};
use crate::vault::Vault;
use crate::writer::{State, Writer};
use std::io;
use std::path::PathBuf;
use std::thread::{self, ThreadId};

/// The name of the file in the directory of the vault.
pub(crate) const RESERVE: &str = "reserve";

/// What the writer knows of the reserve. Part of its state.
#[derive(Debug, Default)]
pub(crate) struct ReserveState {
    /// How many bytes it is to have; 0 before the vault is unlocked, when there is none to keep.
    size: u64,
    /// It has its blocks.
    is_there: bool,
    /// Threads that compact or write an image.
    upkeep: Vec<ThreadId>,
}

impl Vault {
    /// Removes something, which gives room back sooner or later: on a full disk in that of the
    /// reserve, for otherwise nobody could ever make room.
    pub(crate) fn removing<T>(
        &self,
        work: impl Fn() -> Result<T, ChangeError>,
    ) -> Result<T, ChangeError> {
        match work() {
            Err(error) if is_no_space(&error) => self.with_reserve(work),
            done => done,
        }
    }

    /// Does work that gives room back; on a full disk once more, in the room of the reserve.
    pub(crate) fn with_reserve<T>(
        &self,
        work: impl Fn() -> Result<T, ChangeError>,
    ) -> Result<T, ChangeError> {
        self.writer.lock().reserve.upkeep.push(thread::current().id());
        let mut done = work();
        if done.as_ref().err().is_some_and(is_no_space) && self.writer.spend_reserve() {
            done = work();
        }
        let mut state = self.writer.lock();
        let own = state.reserve.upkeep.iter().rposition(|id| *id == thread::current().id());
        own.map(|place| state.reserve.upkeep.swap_remove(place));
        self.writer.put_back(&mut state);
        done
    }
}

impl Writer {
    /// From now on keeps a reserve beside the segments, for a vault with an image of this size that
    /// takes changes.
    pub(crate) fn keep_reserve(&self, image: u64) {
        let mut state = self.lock();
        if state.refusal.is_none() {
            state.reserve.size = self.size_for(image);
            self.put_back(&mut state);
        }
    }

    /// Makes the reserve as large as two images of this size need.
    pub(crate) fn size_reserve(&self, image: u64) {
        let mut state = self.lock();
        let size = self.size_for(image);
        if state.reserve.size == 0 {
            return;
        }
        if state.reserve.size < size && state.reserve.is_there {
            state.reserve.is_there = self.allocate(size).is_ok();
        }
        state.reserve.size = size;
    }

    /// Whether the caller may take room that was not promised before.
    pub(crate) fn may_take_room(&self, state: &mut State) -> bool {
        let is_upkeep = state.reserve.upkeep.contains(&thread::current().id());
        is_upkeep || state.reserve.size == 0 || self.put_back(state)
    }

    /// Gives the blocks of the reserve back; `false` when there are none.
    fn spend_reserve(&self) -> bool {
        let mut state = self.lock();
        let is_there = std::mem::take(&mut state.reserve.is_there);
        is_there && self.place.disk.remove(&self.reserve_path()).is_ok()
    }

    /// Takes the blocks of the reserve, where there are none; says whether it is there.
    fn put_back(&self, state: &mut State) -> bool {
        let ReserveState { size, is_there, .. } = &mut state.reserve;
        if !*is_there && *size != 0 {
            *is_there = self.allocate(*size).is_ok();
        }
        *is_there
    }

    /// Takes blocks for the file; one that is there and cannot grow is kept as it is.
    fn allocate(&self, size: u64) -> io::Result<()> {
        let (disk, path) = (&self.place.disk, self.reserve_path());
        let file = match disk.open(&path, Access::ReadWrite) {
            Err(_) => disk.open(&path, Access::Create)?,
            Ok(file) => file,
        };
        let Err(error) = file.allocate(size) else {
            return Ok(());
        };
        if file.size()? >= segment_room(self.place.kind) {
            return Ok(());
        }
        disk.remove(&path)?;
        Err(error)
    }

    /// One segment and two images; before the first image, one as large as makes it due.
    fn size_for(&self, image: u64) -> u64 {
        segment_room(self.place.kind) + 2 * image.max(LEAST_DUE)
    }

    fn reserve_path(&self) -> PathBuf {
        self.place.directory.with_file_name(RESERVE)
    }
}

fn is_no_space(error: &ChangeError) -> bool {
    matches!(error, ChangeError::NoSpace)
        || matches!(error, ChangeError::Io(error) if is_full(error))
}
