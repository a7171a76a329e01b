//! Replay: the index from the log, and what of the log is damaged or torn.
//!
//! A fault at or before a position that a later whole frame states as synced is damage. A fault
//! behind the highest such position is a torn tail: nobody was told that it would be there.

use crate::change::Change;
use crate::durable::{Access, Disk};
use crate::extent::Region;
use crate::fields::on_disk;
use crate::finding::{Fault, Finding};
use crate::frame::Chain;
use crate::header::VaultId;
use crate::image::Image;
use crate::index::Index;
use crate::key_ring::KeyRing;
use crate::kind::VaultKind;
use crate::lineage::Lineage;
use crate::segment::{SEGMENT_HEADER, Segment, SegmentHeader, SegmentTable, Standing, number_of};
use crate::segment_scan::{Piece, PieceContent, Scan, Source, is_content_whole, scan};
use crate::writer::SyncedHead;
use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// How much is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Metadata, and what no fdatasync is known to cover.
    Unlock,
    /// Every chunk of every frame.
    Everything,
}

/// Where and how to replay.
#[derive(Debug)]
pub(crate) struct Plan<'vault> {
    pub(crate) disk: &'vault dyn Disk,
    /// The directory of the segments.
    pub(crate) directory: &'vault Path,
    pub(crate) vault: VaultId,
    pub(crate) kind: VaultKind,
    pub(crate) keys: &'vault KeyRing,
    pub(crate) access: Access,
    pub(crate) depth: Depth,
}

/// What the log says.
#[derive(Debug)]
pub(crate) struct Replay {
    /// Everything that is known to be synced; in a damaged vault, all that is left.
    pub(crate) index: Index,
    pub(crate) segments: SegmentTable,
    /// Damage. Empty for a healthy vault.
    pub(crate) findings: Vec<Finding>,
    /// Behind the last frame that is known to be synced.
    pub(crate) standing: Standing,
    pub(crate) branch: u64,
    pub(crate) lineage: Lineage,
    /// Bytes of changes that the image does not hold.
    pub(crate) metadata_since_image: u64,
    pub(crate) tail: Tail,
    /// What lies in segments behind their end.
    pub(crate) overlong: Vec<Region>,
}

/// What follows the highest sync mark of the last segment.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    /// Whole, but perhaps not on disk yet; not in the index.
    pub(crate) changes: Vec<Change>,
    /// Where the whole part ends, the sequence and chain value there, and how many bytes behind it
    /// are torn.
    pub(crate) end: u64,
    pub(crate) last: (u64, Chain),
    pub(crate) torn: u64,
}

struct Opened {
    segment: Arc<Segment>,
    header: SegmentHeader,
    start: Standing,
}

/// Reads the log of a vault behind an image; `None` when the image does not fit the log.
pub(crate) fn replay(plan: &Plan<'_>, image: Option<Image>) -> io::Result<Option<Replay>> {
    let mut replay = Replay::begin(image, plan.kind);
    let imaged = replay.standing;
    let opened = replay.open_segments(plan)?;
    let mut broken = Vec::new();
    for (place, one) in opened.iter().enumerate() {
        let number = one.segment.number;
        // The next one that is there need not be the next that was.
        let after = opened.get(place + 1).map(|next| next.header.before);
        let next = replay.lineage.end_of(number).filter(|_| after.is_some()).or(after);
        if number < imaged.segment && plan.depth == Depth::Unlock {
            replay.pass(one, next)?;
            continue;
        }
        replay.follow(one);
        let limit = next.map_or(u64::MAX, |next| next.position);
        let source = if next.is_some() { Source::Cached } else { Source::PastCache };
        let mut scan = scan(&one.segment, one.start, limit, source)?;
        if plan.depth == Depth::Everything {
            broken.extend(contents_not_whole(&one.segment, &scan.pieces)?);
        }
        if number < imaged.segment {
            // The image holds what these say; only whether they are whole is of interest.
            scan.pieces.iter_mut().for_each(Piece::forget);
        } else if number == imaged.segment && !replay.go_on_at(imaged, one, &mut scan) {
            return Ok(None);
        }
        match next {
            Some(next) => replay.take_whole(one, scan, next)?,
            None => replay.take_last(one, scan)?,
        }
    }
    if !replay.findings.is_empty() || plan.depth == Depth::Everything {
        // Nothing is written any more: what the tail says is shown as it is.
        replay.show_tail();
    }
    broken.retain(|(segment, position)| !replay.index.is_shredded(*segment, *position));
    broken.retain(|(segment, position)| {
        *segment != replay.standing.segment || *position < replay.tail.end
    });
    let findings = broken.iter().map(|(segment, at)| Finding::at(Fault::Content, *segment, *at));
    replay.findings.extend(findings);
    for finding in &mut replay.findings {
        if let (Some(segment), Some(position)) = (finding.segment, finding.position) {
            finding.path = replay.index.path_of_frame(segment, position);
        }
    }
    Ok(Some(replay))
}

impl Replay {
    /// The durable position that was found.
    pub(crate) const fn head(&self, header_generation: u64) -> SyncedHead {
        let Standing { segment, sequence, chain, .. } = self.standing;
        SyncedHead { branch: self.branch, segment, sequence, chain, header_generation }
    }

    /// Takes the tail into the index, for a vault that is shown and not written.
    pub(crate) fn show_tail(&mut self) {
        let place = (self.standing.segment, self.standing.position);
        for change in std::mem::take(&mut self.tail.changes) {
            self.apply(&change, place);
        }
    }

    /// Where an image stands, or before the first segment.
    fn begin(image: Option<Image>, kind: VaultKind) -> Self {
        let image = image.unwrap_or_else(|| Image {
            standing: Standing::START,
            branch: 0,
            lineage: Lineage::default(),
            index: Index::empty(kind),
        });
        let Image { standing, branch, lineage, index } = image;
        Self {
            index,
            segments: SegmentTable::default(),
            findings: Vec::new(),
            standing,
            branch,
            lineage,
            metadata_since_image: 0,
            tail: Tail::default(),
            overlong: Vec::new(),
        }
    }

    /// Goes past a segment that the image holds: its content is read when somebody asks for it.
    fn pass(&mut self, opened: &Opened, next: Option<Standing>) -> io::Result<()> {
        let (number, size) = (opened.segment.number, opened.segment.file.size()?);
        let end = self.lineage.end_of(number).or(next);
        let Some(position) = end.map(|end| end.position).filter(|end| size >= *end) else {
            self.findings.push(Finding::of_segment(Fault::SegmentOrder, number));
            return Ok(());
        };
        if size > position {
            self.overlong.push(Region { segment: number, position, length: size - position });
        }
        Ok(())
    }

    /// Leaves out what the image holds of the segment in which it was taken.
    fn go_on_at(&mut self, imaged: Standing, opened: &Opened, scan: &mut Scan) -> bool {
        if opened.start != imaged {
            let behind = |piece: &Piece| piece.behind == imaged;
            let Some(last) = scan.pieces.iter().position(behind) else {
                return false;
            };
            scan.pieces.drain(..=last);
        }
        self.standing = imaged;
        true
    }

    /// Opens the segments 1, 2, 3 ... and their headers.
    fn open_segments(&mut self, plan: &Plan<'_>) -> io::Result<Vec<Opened>> {
        let names = plan.disk.names(plan.directory)?;
        let numbers = names.iter().filter_map(|name| number_of(name.to_str()?));
        let numbers: BTreeSet<u64> = numbers.collect();
        let last = numbers.last().copied().unwrap_or(0);
        let mut opened = Vec::new();
        // A vault is born with its first segment.
        for number in 1..=last.max(self.standing.segment).max(1) {
            if !numbers.contains(&number) {
                if self.index.ledger.retired.contains(&number) {
                    continue;
                }
                self.findings.push(Finding::of_segment(Fault::SegmentMissing, number));
                continue;
            }
            let keys = (plan.vault, plan.keys);
            let place = (plan.directory, number);
            match Segment::open(plan.disk, place, plan.access, keys)? {
                Some((segment, header, start)) if header.number == number => {
                    if !self.lineage.add(&header) {
                        self.findings.push(Finding::of_segment(Fault::SegmentOrder, number));
                    }
                    let segment = Arc::new(segment);
                    self.segments.insert(segment.clone());
                    opened.push(Opened { segment, header, start });
                }
                Some(_) | None => {
                    self.findings.push(Finding::of_segment(Fault::SegmentHeader, number));
                }
            }
        }
        Ok(opened)
    }

    /// Compares the header of a segment with where the log stands, and goes there.
    fn follow(&mut self, opened: &Opened) {
        // The end of the segment before was taken from this header; only the first has none.
        let follows = opened.header.before.segment + 1 == opened.header.number
            && (opened.header.number != 1 || opened.header.before == Standing::START);
        if !follows {
            let number = opened.header.number;
            self.findings.push(Finding::of_segment(Fault::SegmentOrder, number));
        }
        self.standing = opened.start;
        self.branch = opened.header.branch;
    }

    /// Takes a segment that another one follows, so that all of it was synced.
    fn take_whole(&mut self, opened: &Opened, scan: Scan, next: Standing) -> io::Result<()> {
        let number = opened.segment.number;
        for fault in &scan.faults {
            self.findings.push(Finding::at(Fault::Frame, number, *fault));
        }
        self.take_pieces(number, scan.pieces);
        if next.segment == number && self.standing != next && scan.faults.is_empty() {
            let position = self.standing.position;
            self.findings.push(Finding::at(Fault::SegmentOrder, number, position));
        }
        let (position, size) = (next.position, opened.segment.file.size()?);
        if size > position {
            self.overlong.push(Region { segment: number, position, length: size - position });
        }
        Ok(())
    }

    /// Takes the last segment: up to its highest sync mark as synced, then as tail.
    fn take_last(&mut self, opened: &Opened, mut scan: Scan) -> io::Result<()> {
        let number = opened.segment.number;
        let marks = scan.pieces.iter().filter_map(|piece| match &piece.content {
            PieceContent::Batch(batch) => Some(batch.sync_mark),
            PieceContent::Data(_) | PieceContent::Void => None,
        });
        // An image is taken only of what was synced.
        let mark = marks.max().unwrap_or(0).max(SEGMENT_HEADER).max(self.standing.position);
        let damage: Vec<u64> = scan.faults.iter().copied().filter(|fault| *fault < mark).collect();
        for fault in &damage {
            self.findings.push(Finding::at(Fault::Frame, number, *fault));
        }
        if let Some(cut) = scan.faults.iter().copied().find(|fault| *fault >= mark) {
            scan.pieces.retain(|piece| piece.position < cut);
        }
        let first = scan.pieces.partition_point(|piece| piece.behind.position <= mark);
        let tail = scan.pieces.split_off(first);
        self.take_pieces(number, scan.pieces);
        self.tail.end = self.standing.position;
        self.tail.last = (self.standing.sequence, self.standing.chain);
        if damage.is_empty() {
            self.take_tail(&opened.segment, tail)?;
        } else {
            self.tail.end = tail.last().map_or(self.tail.end, |piece| piece.behind.position);
            self.take_pieces(number, tail);
        }
        self.tail.torn = scan.used.saturating_sub(self.tail.end);
        Ok(())
    }

    /// Accepts the tail up to the first frame that is not whole, and not shredded later.
    fn take_tail(&mut self, segment: &Segment, pieces: Vec<Piece>) -> io::Result<()> {
        let mut decoded = Vec::new();
        let mut excused = BTreeSet::new();
        for piece in pieces {
            let changes = match &piece.content {
                PieceContent::Batch(batch) => Change::decode_all(&batch.changes),
                PieceContent::Data(_) | PieceContent::Void => Some(Vec::new()),
            };
            let Some(changes) = changes else {
                let finding = Finding::at(Fault::Meaning, segment.number, piece.position);
                self.findings.push(finding);
                break;
            };
            for change in &changes {
                if let Change::Shred { regions, .. } | Change::Discard { regions, .. } = change {
                    let own = regions.iter().filter(|region| region.segment == segment.number);
                    excused.extend(own.map(|region| region.position));
                }
            }
            decoded.push((piece, changes));
        }
        for (piece, changes) in decoded {
            if let PieceContent::Data(header) = &piece.content
                && !excused.contains(&piece.position)
                && !is_content_whole(segment, piece.position, header)?
            {
                break;
            }
            self.tail.end = piece.behind.position;
            self.tail.last = (piece.behind.sequence, piece.behind.chain);
            self.tail.changes.extend(changes);
        }
        Ok(())
    }

    fn take_pieces(&mut self, segment: u64, pieces: Vec<Piece>) {
        for piece in pieces {
            self.standing = piece.behind;
            let PieceContent::Batch(batch) = &piece.content else {
                continue;
            };
            match Change::decode_all(&batch.changes) {
                Some(changes) => {
                    self.metadata_since_image += on_disk(batch.changes.len());
                    for change in &changes {
                        self.apply(change, (segment, piece.position));
                    }
                }
                None => self.findings.push(Finding::at(Fault::Meaning, segment, piece.position)),
            }
        }
    }

    fn apply(&mut self, change: &Change, (segment, position): (u64, u64)) {
        // Behind damage much does not fit any more; the damage itself is the finding.
        if self.index.apply(change).is_err() && self.findings.is_empty() {
            self.findings.push(Finding::at(Fault::Meaning, segment, position));
        }
    }
}

fn contents_not_whole(segment: &Segment, pieces: &[Piece]) -> io::Result<Vec<(u64, u64)>> {
    let mut broken = Vec::new();
    for piece in pieces {
        if let PieceContent::Data(header) = &piece.content
            && !is_content_whole(segment, piece.position, header)?
        {
            broken.push((segment.number, piece.position));
        }
    }
    Ok(broken)
}
