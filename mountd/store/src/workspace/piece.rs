//! A piece: a range of bytes of a file, and the data frame that holds them. 32 bytes in memory.

use crate::cipher::TAG;
use crate::extent::{Extent, FARTHEST};
use crate::fields::Fields;
use crate::frame::{DataShape, HEADER};
use crate::padding::GRID;
use crate::workspace::table::Row;
use std::ops::Range;

/// Bytes of a file that lie next to each other in one data frame.
///
/// A frame is written for one place of one file, so `offset - skip` is the same for all its pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Where the bytes lie in the file.
    pub(crate) offset: u64,
    pub(crate) length: u32,
    /// How many bytes of the frame's content come before them.
    skip: u32,
    segment: u32,
    /// In units of the grid.
    position: u32,
    sequence: u32,
    /// The padded length of the frame in units of the grid, above it the chunk exponent less 12.
    shape: u32,
}

/// Which data frame: its segment and position.
pub(crate) type FrameAt = (u64, u64);

/// Bits of the padded length in units of the grid: 4 GiB are 2^26 of them.
const PADDED_BITS: u32 = 26;

impl Piece {
    /// The number of bytes of a piece in an image.
    pub(crate) const ENCODED: usize = 32;

    /// All of an extent; `None` when it is empty, ends too far, or a number is beyond what pieces hold.
    pub(crate) fn of(extent: &Extent) -> Option<Self> {
        let units = extent.shape.padded() / u32::try_from(GRID).ok()?;
        let exponent = u32::from(extent.shape.chunk_exponent().checked_sub(12)?);
        let piece = Self {
            offset: extent.offset,
            length: u32::try_from(extent.length).ok()?,
            skip: 0,
            segment: u32::try_from(extent.segment).ok()?,
            position: u32::try_from(extent.position / GRID).ok()?,
            sequence: u32::try_from(extent.sequence).ok()?,
            shape: units | exponent << PADDED_BITS,
        };
        piece.is_possible().then_some(piece)
    }

    /// Behind its last byte in the file.
    pub(crate) fn end(&self) -> u64 {
        self.offset + u64::from(self.length)
    }

    /// The frame it lies in.
    pub(crate) fn frame(&self) -> FrameAt {
        (u64::from(self.segment), u64::from(self.position) * GRID)
    }

    pub(crate) fn segment(&self) -> u64 {
        u64::from(self.segment)
    }

    /// The whole frame as an extent, and which of its content these bytes are.
    pub(crate) fn in_frame(&self) -> Option<(Extent, Range<u64>)> {
        let exponent = u8::try_from(self.shape >> PADDED_BITS).ok()? + 12;
        let padded = (self.shape & ((1 << PADDED_BITS) - 1)) * u32::try_from(GRID).ok()?;
        let shape = DataShape::from_parts(exponent, padded)?;
        let (segment, position) = self.frame();
        let sequence = u64::from(self.sequence);
        let length = u64::from(padded);
        let start = u64::from(self.skip);
        let extent = Extent { offset: 0, length, segment, position, sequence, shape };
        Some((extent, start..start + u64::from(self.length)))
    }

    /// What a copy of it would add to a segment, about.
    pub(crate) fn weight(&self) -> u64 {
        u64::from(self.length).next_multiple_of(GRID) + (HEADER + TAG) as u64
    }

    /// The part of it inside `range`; `None` when there is none.
    pub(crate) fn within(&self, range: &Range<u64>) -> Option<Self> {
        let (start, end) = (self.offset.max(range.start), self.end().min(range.end));
        let length = end.checked_sub(start).filter(|length| *length != 0)?;
        let skipped = u32::try_from(start - self.offset).ok()?;
        let length = u32::try_from(length).ok()?;
        Some(Self { offset: start, length, skip: self.skip + skipped, ..*self })
    }

    pub(crate) fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.offset.to_le_bytes());
        let Self { length, skip, segment, position, sequence, shape, .. } = *self;
        for field in [length, skip, segment, position, sequence, shape] {
            bytes.extend_from_slice(&field.to_le_bytes());
        }
    }

    pub(crate) fn decode(fields: &mut Fields<'_>) -> Option<Self> {
        let piece = Self {
            offset: fields.u64()?,
            length: fields.u32()?,
            skip: fields.u32()?,
            segment: fields.u32()?,
            position: fields.u32()?,
            sequence: fields.u32()?,
            shape: fields.u32()?,
        };
        let (extent, wanted) = piece.in_frame()?;
        (piece.is_possible() && wanted.end <= extent.length).then_some(piece)
    }

    fn is_possible(&self) -> bool {
        let end = self.offset.checked_add(u64::from(self.length));
        self.length != 0 && end.is_some_and(|end| end <= FARTHEST)
    }
}

impl Row for Piece {
    type Key = u64;

    fn key(&self) -> u64 {
        self.offset
    }
}
