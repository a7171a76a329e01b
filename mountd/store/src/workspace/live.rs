//! How many bytes live in each segment, counted with every piece that comes and goes.

use crate::workspace::piece::Piece;
use std::collections::BTreeMap;

/// Bytes that a copy of everything in a segment would take, about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Live {
    segments: BTreeMap<u64, u64>,
    pieces: usize,
}

impl Live {
    pub(crate) fn add(&mut self, piece: &Piece) {
        *self.segments.entry(piece.segment()).or_default() += piece.weight();
        self.pieces += 1;
    }

    pub(crate) fn subtract(&mut self, piece: &Piece) {
        self.pieces = self.pieces.saturating_sub(1);
        if let Some(bytes) = self.segments.get_mut(&piece.segment()) {
            *bytes = bytes.saturating_sub(piece.weight());
            if *bytes == 0 {
                self.segments.remove(&piece.segment());
            }
        }
    }

    pub(crate) const fn by_segment(&self) -> &BTreeMap<u64, u64> {
        &self.segments
    }

    /// How many pieces there are.
    pub(crate) const fn pieces(&self) -> usize {
        self.pieces
    }
}
