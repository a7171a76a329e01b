//! The room that a vault takes, on disk and in memory.

use crate::pin::Pin;
use crate::segment::SEGMENT_HEADER;
use crate::vault::Vault;
use std::io;
use std::sync::PoisonError;

/// How much room is used for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes of segments that no version needs any more.
    pub dead_bytes: u64,
    /// About how many bytes of memory the index takes.
    pub memory_bytes: u64,
    /// Bytes of the newest image; 0 when there is none.
    pub image_bytes: u64,
}

impl Vault {
    /// How much room is used for what.
    ///
    /// # Errors
    /// The disk does not say how long a segment is.
    pub fn space(&self) -> io::Result<Space> {
        let (live, memory_bytes) = {
            let index = self.read_index();
            (index.live_bytes(), index.memory_bytes())
        };
        // What is preallocated and not used yet is not dead.
        let used = self.writer.used_of_open();
        let mut dead_bytes = 0;
        for segment in self.segments.all() {
            let live = live.get(&segment.number).copied().unwrap_or(0);
            let end = match used {
                Some((number, position)) if number == segment.number => position,
                Some(_) | None => segment.file.size()?,
            };
            dead_bytes += end.saturating_sub(SEGMENT_HEADER + live);
        }
        let image_bytes = self.shelf.lock().unwrap_or_else(PoisonError::into_inner).size;
        Ok(Space { dead_bytes, memory_bytes, image_bytes })
    }

    /// The pin as it was last written; `None` when the vault has none.
    pub fn pinned(&self) -> Option<Pin> {
        self.pin_keeper.as_ref()?.pinned()
    }
}
