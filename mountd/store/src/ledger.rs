//! The ledger: what the log says about itself, whatever the vault is for.

use crate::change::Change;
use crate::fields::{Fields, on_disk};
use crate::frame::Chain;
use crate::writer::SyncedHead;
use std::collections::{BTreeMap, BTreeSet};

/// Segments that went, and tails that a restart moved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ledger {
    /// Segments in which nothing lives, with their files or without.
    pub(crate) retired: BTreeSet<u64>,
    /// Segments whose tail a restart put elsewhere: the last frame of it, and its chain value.
    moved: BTreeMap<u64, (u64, Chain)>,
}

impl Ledger {
    /// Notes that nothing lives in a segment.
    pub(crate) fn retire(&mut self, segment: u64) {
        self.retired.insert(segment);
    }

    /// Notes where the tail of a segment ended that was sealed anew.
    pub(crate) fn note_moved(&mut self, segment: u64, sequence: u64, chain: Chain) {
        self.moved.insert(segment, (sequence, chain));
    }

    /// Retired segments with a smaller number.
    pub(crate) fn retired_before(&self, segment: u64) -> BTreeSet<u64> {
        self.retired.range(..segment).copied().collect()
    }

    /// Whether this position was in a tail that a restart put elsewhere.
    pub(crate) fn has_moved(&self, head: &SyncedHead) -> bool {
        let moved = self.moved.get(&head.segment).copied();
        moved.is_some_and(|(sequence, chain)| {
            Change::Moved { segment: head.segment, sequence, chain }.has_moved(head)
        })
    }

    /// Appends both lists, counted.
    pub(crate) fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&on_disk(self.retired.len()).to_le_bytes());
        for segment in &self.retired {
            bytes.extend_from_slice(&segment.to_le_bytes());
        }
        bytes.extend_from_slice(&on_disk(self.moved.len()).to_le_bytes());
        for (segment, (sequence, chain)) in &self.moved {
            bytes.extend_from_slice(&segment.to_le_bytes());
            bytes.extend_from_slice(&sequence.to_le_bytes());
            bytes.extend_from_slice(chain);
        }
    }

    /// Reads a ledger; `None` when the bytes are none.
    pub(crate) fn decode(fields: &mut Fields<'_>) -> Option<Self> {
        let retired = (0..fields.u64()?).map(|_| fields.u64()).collect::<Option<_>>()?;
        let moved = (0..fields.u64()?)
            .map(|_| Some((fields.u64()?, (fields.u64()?, fields.array()?))))
            .collect::<Option<_>>()?;
        Some(Self { retired, moved })
    }
}
