//! Recovery: from what replay found to a vault that can go on.
//!
//! A healthy tail is sealed anew into a new segment and synced before anything is served: a tail
//! that was only in the page cache must not become an ancestor.

use crate::change::{Change, Version};
use crate::extent::{Extent, Region};
use crate::fields::on_disk;
use crate::finding::Finding;
use crate::index::Index;
use crate::replay::{Replay, Tail};
use crate::secret_tree::SecretTree;
use crate::segment::{ExtentError, SegmentTable, Standing};
use crate::shred::overwrite;
use crate::workspace::NodeChange;
use crate::write_error::WriteError;
use crate::writer::{SyncedHead, Writer};
use std::collections::BTreeSet;
use std::io;
use ward_policy::FileId;

/// What unlocking found and did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The durable position of the log.
    pub head: SyncedHead,
    /// What was cut behind the last whole frame; nobody was told that it was durable.
    pub torn: Option<TornTail>,
    /// What is hurt. Not empty: the vault is read-only.
    pub damage: Vec<Finding>,
    /// Shreds that a crash had interrupted, and that are complete now.
    pub shreds_finished: usize,
    /// One copy of the header was missing, old or not whole, and was written anew.
    pub header_repaired: bool,
}

/// Bytes that a crash left behind the last whole frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The segment.
    pub segment: u64,
    /// Where the torn part starts in it.
    pub position: u64,
    /// How many bytes were cut.
    pub length: u64,
}

/// Moves the tail of a healthy vault into a new segment and makes the index whole.
pub(crate) fn settle_tail(
    replay: &mut Replay,
    segments: &SegmentTable,
    writer: &Writer,
) -> Result<(), WriteError> {
    let Tail { changes, end, last, torn } = std::mem::take(&mut replay.tail);
    let standing = replay.standing;
    if changes.is_empty() && torn == 0 {
        return Ok(());
    }
    let room = (end - standing.position) * 2 + on_disk(changes.len()) * 4096 + (1 << 20);
    writer.begin_unpublished(room)?;
    let copies = Copies::of(&changes, (standing.segment, standing.position));
    for change in changes {
        if let Some(change) = copies.renewed(change, segments, writer)? {
            let admission = writer.admit(&change)?;
            if replay.index.apply(&change).is_err() {
                let reason = "the tail makes a change that does not fit the tree";
                return Err(WriteError::Io(io::Error::new(io::ErrorKind::InvalidData, reason)));
            }
            writer.push(&admission, &change);
        }
    }
    let (segment, (sequence, chain)) = (standing.segment, last);
    if (sequence, chain) != (standing.sequence, standing.chain) {
        let moved = Change::Moved { segment, sequence, chain };
        if replay.index.apply(&moved).is_ok() {
            writer.push(&writer.admit(&moved)?, &moved);
        }
    }
    if torn != 0 {
        let cut = Change::Cut { segment: standing.segment, position: end, length: torn };
        writer.push(&writer.admit(&cut)?, &cut);
    }
    writer.publish_recovered()?;
    let Standing { segment, position, .. } = standing;
    replay.overlong.push(Region { segment, position, length: end + torn - position });
    Ok(())
}

/// Overwrites what lies behind the end of segments, and cuts them there.
pub(crate) fn trim(segments: &SegmentTable, overlong: &[Region]) -> io::Result<()> {
    for region in overlong {
        let Some(segment) = segments.get(region.segment) else {
            continue;
        };
        overwrite(&segment, *region)?;
        segment.file.sync()?;
        segment.file.truncate(region.position)?;
    }
    Ok(())
}

/// Completes shreds that a crash interrupted, durably.
pub(crate) fn finish_shreds(
    index: &mut Index,
    segments: &SegmentTable,
    writer: &Writer,
) -> Result<usize, WriteError> {
    let unfinished: Vec<(FileId, Vec<Region>)> =
        index.secrets().map_or_else(Vec::new, SecretTree::unfinished_shreds);
    for (file, regions) in &unfinished {
        crate::shred::destroy(segments, regions).map_err(WriteError::Io)?;
        let done = Change::ShredDone { file: *file };
        let admission = writer.admit(&done)?;
        if index.apply(&done).is_ok() {
            writer.push(&admission, &done);
        }
    }
    if !unfinished.is_empty() {
        writer.sync()?;
    }
    Ok(unfinished.len())
}

/// Which frames of the tail have to be copied, and which were shredded within it.
struct Copies {
    segment: u64,
    from: u64,
    shredded: BTreeSet<u64>,
}

impl Copies {
    fn of(changes: &[Change], (segment, from): (u64, u64)) -> Self {
        let mut shredded = BTreeSet::new();
        for change in changes {
            if let Change::Shred { regions, .. } | Change::Discard { regions, .. } = change {
                let own = regions.iter().filter(|region| region.segment == segment);
                shredded.extend(own.map(|region| region.position));
            }
        }
        Self { segment, from, shredded }
    }

    /// The change with its frames copied; `None` when nothing of it is left to say.
    fn renewed(
        &self,
        change: Change,
        segments: &SegmentTable,
        writer: &Writer,
    ) -> Result<Option<Change>, WriteError> {
        match change {
            Change::Write { file, version, time, imprint } => {
                let copied = self.copied(version, segments, writer)?;
                Ok(copied.map(|version| Change::Write { file, version, time, imprint }))
            }
            Change::Relocate { version } => {
                let copied = self.copied(version, segments, writer)?;
                Ok(copied.map(|version| Change::Relocate { version }))
            }
            Change::Shred { file, mut regions, time } => {
                regions.retain(|region| !self.is_cut(region));
                Ok(Some(Change::Shred { file, regions, time }))
            }
            Change::Discard { file, mut regions } => {
                regions.retain(|region| !self.is_cut(region));
                Ok(Some(Change::Discard { file, regions }))
            }
            Change::Node(NodeChange::Map { file, extent, time }) => {
                let extent = self.copied_extent(extent, segments, writer)?;
                Ok(Some(Change::Node(NodeChange::Map { file, extent, time })))
            }
            Change::Node(NodeChange::Relocate { file, extent, from }) => {
                let extent = self.copied_extent(extent, segments, writer)?;
                Ok(Some(Change::Node(NodeChange::Relocate { file, extent, from })))
            }
            Change::Node(_)
            | Change::Create { .. }
            | Change::Rename { .. }
            | Change::Unlink { .. }
            | Change::RemoveDirectory { .. }
            | Change::SetTimes { .. }
            | Change::ShredDone { .. }
            | Change::Moved { .. }
            | Change::Forget { .. }
            | Change::Retire { .. }
            | Change::Cut { .. } => Ok(Some(change)),
        }
    }

    /// The version with the frames copied that go with the tail; `None` when one was shredded.
    fn copied(
        &self,
        version: Version,
        segments: &SegmentTable,
        writer: &Writer,
    ) -> Result<Option<Version>, WriteError> {
        let is_gone = |extent: &Extent| {
            self.is_cut(&extent.region()) && self.shredded.contains(&extent.position)
        };
        let Version { id, length, extents } = version;
        if extents.iter().any(is_gone) {
            return Ok(None);
        }
        let copied = extents.into_iter().map(|extent| self.copied_extent(extent, segments, writer));
        let extents = copied.collect::<Result<Vec<_>, _>>()?;
        Ok(Some(Version { id, length, extents }))
    }

    fn copied_extent(
        &self,
        extent: Extent,
        segments: &SegmentTable,
        writer: &Writer,
    ) -> Result<Extent, WriteError> {
        if self.is_cut(&extent.region()) { copy(&extent, segments, writer) } else { Ok(extent) }
    }

    /// Whether the frame goes with the tail; those before it are still there.
    const fn is_cut(&self, region: &Region) -> bool {
        region.segment == self.segment && region.position >= self.from
    }
}

/// Seals the content of a frame anew where the log stands.
pub(crate) fn copy(
    extent: &Extent,
    segments: &SegmentTable,
    writer: &Writer,
) -> Result<Extent, WriteError> {
    let (plain, range) = segments.read(extent, 0..extent.length).map_err(|error| {
        WriteError::Io(match error {
            ExtentError::Read(error) => error,
            ExtentError::Changed | ExtentError::NoSegment => io::ErrorKind::InvalidData.into(),
        })
    })?;
    let copied = writer.write_content(&plain.as_slice()[range])?;
    Ok(Extent { offset: extent.offset, ..copied })
}
