//! The lineage: every segment that ever was, its id and how it ended, so that none can be exchanged
//! for another even after an older one is gone.

use crate::fields::{Fields, on_disk};
use crate::frame::Chain;
use crate::segment::{SegmentHeader, Standing};
use crate::writer::SyncedHead;
use std::collections::{BTreeMap, BTreeSet};

/// So many positions of pins are kept: 48 KiB of an image.
const MOST_PINS: usize = 1024;

/// All segments of a vault by number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lineage {
    ancestors: BTreeMap<u64, Ancestor>,
    /// Segment, sequence and chain value of the newest pins that were written.
    pins: BTreeSet<(u64, u64, Chain)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ancestor {
    id: [u8; 16],
    /// How the next one says that it ended; none while there is no next.
    end: Option<Standing>,
}

impl Lineage {
    /// Adds a segment and the end of the one before it; `false` when something else is known.
    pub(crate) fn add(&mut self, header: &SegmentHeader) -> bool {
        let own =
            self.ancestors.entry(header.number).or_insert(Ancestor { id: header.id, end: None });
        let is_same = own.id == header.id;
        match self.ancestors.get_mut(&header.before.segment) {
            Some(before) => is_same && *before.end.get_or_insert(header.before) == header.before,
            None => is_same,
        }
    }

    /// How a segment ended.
    pub(crate) fn end_of(&self, segment: u64) -> Option<Standing> {
        self.ancestors.get(&segment)?.end
    }

    /// Adds the position of a pin that was written, and forgets the oldest beyond the bound.
    ///
    /// A pin needs its position here only once its segment is gone, and a segment goes only when the
    /// pin stands beyond it. An older pin than these comes from a root that was itself put back: it
    /// looks like a rollback of the vault then, which is the safe way to be wrong.
    pub(crate) fn remember_pin(&mut self, head: &SyncedHead) {
        self.pins.insert((head.segment, head.sequence, head.chain));
        while self.pins.len() > MOST_PINS {
            self.pins.pop_first();
        }
    }

    /// Whether the log is known to have gone through this position.
    pub(crate) fn is_past(&self, head: &SyncedHead) -> bool {
        let end = self.end_of(head.segment).map(|end| (end.sequence, end.chain));
        end == Some((head.sequence, head.chain))
            || self.pins.contains(&(head.segment, head.sequence, head.chain))
    }

    /// Appends segments (number, id, and end of each) and pins, both counted.
    pub(crate) fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&on_disk(self.ancestors.len()).to_le_bytes());
        for (number, Ancestor { id, end }) in &self.ancestors {
            let end = end.unwrap_or(Standing::START);
            bytes.extend_from_slice(&number.to_le_bytes());
            bytes.extend_from_slice(id);
            bytes.extend_from_slice(&end.position.to_le_bytes());
            bytes.extend_from_slice(&end.sequence.to_le_bytes());
            bytes.extend_from_slice(&end.chain);
        }
        bytes.extend_from_slice(&on_disk(self.pins.len()).to_le_bytes());
        for (segment, sequence, chain) in &self.pins {
            bytes.extend_from_slice(&segment.to_le_bytes());
            bytes.extend_from_slice(&sequence.to_le_bytes());
            bytes.extend_from_slice(chain);
        }
    }

    /// Reads a list; `None` when the bytes are none.
    pub(crate) fn decode(fields: &mut Fields<'_>) -> Option<Self> {
        let mut ancestors = BTreeMap::new();
        for _ in 0..fields.u64()? {
            let (segment, id) = (fields.u64()?, fields.array()?);
            let (position, sequence, chain) = (fields.u64()?, fields.u64()?, fields.array()?);
            let end = (position != 0).then_some(Standing { segment, position, sequence, chain });
            ancestors.insert(segment, Ancestor { id, end });
        }
        let pins = (0..fields.u64()?)
            .map(|_| Some((fields.u64()?, fields.u64()?, fields.array()?)))
            .collect::<Option<_>>()?;
        Some(Self { ancestors, pins })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::VaultId;

    fn header(number: u64, id: u8, chain: u8) -> SegmentHeader {
        let segment = number - 1;
        let before = Standing { segment, position: 192, sequence: 3, chain: [chain; 32] };
        SegmentHeader { vault: VaultId([1; 16]), key: 0, number, id: [id; 16], before, branch: 0 }
    }

    #[test]
    fn the_newest_pins_are_remembered_and_no_more_than_the_bound() {
        let mut lineage = Lineage::default();
        let head = |sequence| SyncedHead {
            branch: 0,
            segment: 1 + sequence / 100,
            sequence,
            chain: [7; 32],
            header_generation: 1,
        };
        (0..1100).for_each(|sequence| lineage.remember_pin(&head(sequence)));
        assert_eq!(lineage.pins.len(), MOST_PINS);
        assert!(lineage.is_past(&head(1099)) && lineage.is_past(&head(76)));
        assert!(!lineage.is_past(&head(75)));
    }

    #[test]
    fn a_segment_with_another_id_or_another_past_does_not_belong() {
        let mut lineage = Lineage::default();
        assert!(lineage.add(&header(1, 1, 0)) && lineage.add(&header(2, 2, 7)));
        let mut fields = Vec::new();
        lineage.encode(&mut fields);
        let mut known = Lineage::decode(&mut Fields::new(&fields)).unwrap();
        assert_eq!(known, lineage);
        assert!(known.add(&header(2, 2, 7)));
        assert!(!known.add(&header(2, 3, 7)), "exchanged");
        assert!(!known.add(&header(2, 2, 8)), "the one before was");
        assert_eq!(known.end_of(1).unwrap().chain, [7; 32]);
        assert_eq!(Lineage::decode(&mut Fields::new(&fields[..fields.len() - 1])), None);
    }
}
