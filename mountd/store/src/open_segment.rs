//! The open segment: the one that frames are appended to.

use crate::fields::on_disk;
use crate::frame::{self, Batch};
use crate::kind::VaultKind;
use crate::segment::{Segment, Standing};
use crate::write_error::WriteError;
use std::io;
use std::sync::Arc;

/// The segment that is appended to.
#[derive(Debug)]
pub(crate) struct OpenSegment {
    pub(crate) segment: Arc<Segment>,
    /// Where the next frame starts, and the sequence and chain value before it.
    pub(crate) standing: Standing,
    pub(crate) room: u64,
    /// Up to where an fdatasync has returned.
    pub(crate) sync_mark: u64,
    /// A write failed: nothing more goes in.
    pub(crate) is_closed: bool,
    /// It has its number, so that a restart finds it.
    pub(crate) is_published: bool,
}

/// What became of a metadata frame.
pub(crate) enum Appended {
    Whole,
    /// Its write failed, and a void frame covers its range.
    Voided,
}

impl OpenSegment {
    /// Whether `needed` more bytes fit.
    pub(crate) const fn has_room(&self, needed: u64) -> bool {
        !self.is_closed && self.standing.position + needed <= self.room
    }

    /// Seals a batch and writes it where the segment stands.
    pub(crate) fn append(
        &mut self,
        kind: VaultKind,
        batch: &Batch,
    ) -> Result<Appended, WriteError> {
        let Standing { position, sequence, chain, .. } = self.standing;
        let cipher = &self.segment.cipher;
        let (frame, next) = frame::seal_batch(cipher, kind, (sequence + 1, chain), batch)
            .ok_or(WriteError::TooLong)?;
        let total = on_disk(frame.as_slice().len());
        let written = self.segment.file.write(frame.as_slice(), position);
        self.standing.position += total;
        self.standing.sequence += 1;
        if written.is_ok() {
            self.standing.chain = next;
            return Ok(Appended::Whole);
        }
        self.is_closed = true;
        let place = (position, self.standing.sequence);
        write_void(&self.segment, place, total).map_err(WriteError::Io)?;
        Ok(Appended::Voided)
    }
}

/// Fills the range of a frame whose write failed, so that the log reads on behind it.
pub(crate) fn write_void(
    segment: &Segment,
    (position, sequence): (u64, u64),
    total: u64,
) -> io::Result<()> {
    let head = u32::try_from(total)
        .ok()
        .and_then(|total| frame::seal_void(&segment.cipher, sequence, total))
        .ok_or(io::ErrorKind::InvalidInput)?;
    segment.file.write(&head, position)
}
