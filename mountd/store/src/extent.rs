//! An extent: where a piece of content lies in a segment. A version: content at one time.

use crate::fields::Fields;
use crate::frame::{DataShape, LEAST};

/// No number, offset or position is greater, so that sums of two never overflow.
pub(crate) const FARTHEST: u64 = 1 << 62;

/// A version of a file: its content at one time. Numbers grow and are never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VersionId(pub u64);

/// One data frame and the bytes of the file that it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Where the bytes lie in the file.
    pub(crate) offset: u64,
    /// How many bytes of the file there are; the rest of the frame is padding.
    pub(crate) length: u64,
    /// The number of the segment.
    pub(crate) segment: u64,
    /// Where the frame starts in the segment.
    pub(crate) position: u64,
    /// The frame's sequence in the segment, which its nonces hold.
    pub(crate) sequence: u64,
    /// Chunk size and padded length: all else that the frame header says.
    pub(crate) shape: DataShape,
}

/// A whole frame as bytes of a segment, for what has to be overwritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Region {
    pub(crate) segment: u64,
    pub(crate) position: u64,
    pub(crate) length: u64,
}

impl Region {
    /// Whether it can be a frame.
    pub(crate) const fn is_frame(&self) -> bool {
        self.position <= FARTHEST && self.length >= LEAST && self.length <= FARTHEST
    }
}

impl Extent {
    /// The number of bytes of an extent inside a change.
    pub(crate) const ENCODED: usize = 45;

    pub(crate) fn encode(&self, bytes: &mut Vec<u8>) {
        for field in [self.offset, self.length, self.segment, self.position, self.sequence] {
            bytes.extend_from_slice(&field.to_le_bytes());
        }
        bytes.push(self.shape.chunk_exponent());
        bytes.extend_from_slice(&self.shape.padded().to_le_bytes());
    }

    pub(crate) fn decode(fields: &mut Fields<'_>) -> Option<Self> {
        let extent = Self {
            offset: fields.u64()?,
            length: fields.u64()?,
            segment: fields.u64()?,
            position: fields.u64()?,
            sequence: fields.u64()?,
            shape: DataShape::from_parts(fields.u8()?, fields.u32()?)?,
        };
        let is_near = extent.offset <= FARTHEST && extent.position <= FARTHEST;
        (is_near && extent.length <= u64::from(extent.shape.padded())).then_some(extent)
    }

    /// The whole frame.
    pub(crate) fn region(&self) -> Region {
        Region {
            segment: self.segment,
            position: self.position,
            length: self.shape.total_at(self.position),
        }
    }
}
