//! Reading a segment from front to end: which frames are whole, and where they are not.

use crate::buffer::Buffer;
use crate::extent::Extent;
use crate::fields::{in_memory, on_disk};
use crate::frame::{self, Batch, FrameHeader, FrameKind, HEADER, LEAST};
use crate::padding::GRID;
use crate::segment::{ExtentError, Segment, Standing};
use std::io;

/// How much is read at once.
const WINDOW: u64 = 1 << 20;

/// A whole frame, and where the log stands behind it.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) position: u64,
    pub(crate) behind: Standing,
    pub(crate) content: PieceContent,
}

/// What a frame holds.
#[derive(Debug)]
pub(crate) enum PieceContent {
    Batch(Batch),
    /// Its chunks have not been opened.
    Data(FrameHeader),
    Void,
}

/// All that is whole in a segment.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) pieces: Vec<Piece>,
    /// Where reading had to stop, and went on at the next whole metadata frame if there is one.
    pub(crate) faults: Vec<u64>,
    /// Behind the last byte that is not zero.
    pub(crate) used: u64,
}

/// How bytes are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Cached,
    /// What the disk holds: for bytes that nobody has synced.
    PastCache,
}

impl Piece {
    /// Keeps where it lies, not what it says.
    pub(crate) fn forget(&mut self) {
        if matches!(self.content, PieceContent::Batch(_)) {
            self.content = PieceContent::Void;
        }
    }
}

impl Scan {
    /// Drops the frames that reach beyond `position`; gives where the first of them is.
    fn cut_behind(&mut self, position: u64) -> Option<u64> {
        let whole = self.pieces.partition_point(|piece| piece.behind.position <= position);
        self.pieces.drain(whole..).next().map(|piece| piece.position)
    }
}

/// Reads all frames from `start` up to `limit`.
pub(crate) fn scan(
    segment: &Segment,
    start: Standing,
    limit: u64,
    source: Source,
) -> io::Result<Scan> {
    let mut window = Window::of(segment, limit, source)?;
    let mut scan = Scan { pieces: Vec::new(), faults: Vec::new(), used: 0 };
    window.walk(&mut scan, start, limit, u64::MAX)?;
    let whole = scan.pieces.last().map_or(start.position, |piece| piece.behind.position);
    scan.used = window.used_from(whole)?;
    Ok(scan)
}

/// Reads whole frames from `start` up to `limit`, at least one and until they have `enough` bytes.
///
/// Gives where it stands then; `None` when nothing whole follows any more.
pub(crate) fn scan_part(
    segment: &Segment,
    start: Standing,
    (limit, enough): (u64, u64),
    source: Source,
) -> io::Result<(Scan, Option<Standing>)> {
    let mut window = Window::of(segment, limit, source)?;
    let mut scan = Scan { pieces: Vec::new(), faults: Vec::new(), used: 0 };
    let standing = window.walk(&mut scan, start, limit, enough)?;
    Ok((scan, standing))
}

/// Opens every chunk of a data frame: `false` when one is not what was sealed.
pub(crate) fn is_content_whole(
    segment: &Segment,
    position: u64,
    header: &FrameHeader,
) -> io::Result<bool> {
    let Some(shape) = header.shape() else {
        return Ok(false);
    };
    let (segment_number, length) = (segment.number, u64::from(shape.padded()));
    let sequence = header.sequence;
    let extent = Extent { offset: 0, length, segment: segment_number, position, sequence, shape };
    match segment.read(&extent, 0..length) {
        Ok(_) => Ok(true),
        Err(ExtentError::Changed | ExtentError::NoSegment) => Ok(false),
        Err(ExtentError::Read(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(ExtentError::Read(error)) => Err(error),
    }
}

/// A part of a segment in memory, which moves forward with the reading.
struct Window<'segment> {
    segment: &'segment Segment,
    source: Source,
    limit: u64,
    from: u64,
    held: Option<Buffer>,
}

impl<'segment> Window<'segment> {
    fn of(segment: &'segment Segment, limit: u64, source: Source) -> io::Result<Self> {
        let limit = segment.file.size()?.min(limit);
        Ok(Self { segment, source, limit, from: 0, held: None })
    }

    /// Adds what is whole and what is not; gives where it stands, none where nothing whole follows.
    fn walk(
        &mut self,
        scan: &mut Scan,
        start: Standing,
        limit: u64,
        enough: u64,
    ) -> io::Result<Option<Standing>> {
        let (mut standing, mut vouched) = (start, start);
        while standing.position < limit && standing.position - start.position < enough {
            if let Some(piece) = self.piece(standing)? {
                standing = piece.behind;
                if !matches!(piece.content, PieceContent::Data(_)) {
                    vouched = standing;
                }
                scan.pieces.push(piece);
                continue;
            }
            if self.is_zero_from(standing.position)? {
                return Ok(None);
            }
            let next = self.resume(vouched, standing.position)?;
            let fault = scan.cut_behind(next.map_or(u64::MAX, |next| next.position));
            scan.faults.push(fault.unwrap_or(standing.position));
            match next {
                Some(next) => (standing, vouched) = (next, next),
                None => return Ok(None),
            }
        }
        Ok(Some(standing))
    }

    /// The frame where the log stands; `None` when there is no whole one.
    fn piece(&mut self, before: Standing) -> io::Result<Option<Piece>> {
        let position = before.position;
        let Some(head) = self.bytes(position, LEAST)? else {
            return Ok(None);
        };
        let Some(header) = FrameHeader::decode(head) else {
            return Ok(None);
        };
        let tag = head[HEADER..].to_vec();
        let total = header.total_at(position);
        let is_next = header.sequence == before.sequence + 1;
        if !is_next || position.checked_add(total).is_none_or(|end| end > self.limit) {
            return Ok(None);
        }
        let mut behind =
            Standing { position: position + total, sequence: header.sequence, ..before };
        let cipher = &self.segment.cipher;
        let content = match header.kind {
            FrameKind::Data => PieceContent::Data(header),
            FrameKind::Void if frame::is_void(cipher, &header, &tag) => PieceContent::Void,
            FrameKind::Void => return Ok(None),
            FrameKind::Metadata if header.chain != before.chain => return Ok(None),
            FrameKind::Metadata => match self.batch(position, total)? {
                Some(batch) => {
                    behind.chain = frame::chained(&header.encode(), &tag);
                    PieceContent::Batch(batch)
                }
                None => return Ok(None),
            },
        };
        Ok(Some(Piece { position, behind, content }))
    }

    fn batch(&mut self, position: u64, total: u64) -> io::Result<Option<Batch>> {
        let segment = self.segment;
        let bytes = self.bytes(position, total)?;
        Ok(bytes.and_then(|bytes| frame::open_batch(&segment.cipher, bytes)))
    }

    /// Where the log stands before the next whole metadata frame that is not at `fault`.
    ///
    /// The search starts behind the last frame that was opened, for nobody has vouched yet for the
    /// lengths of data frames since then: a changed one leads past what is whole.
    fn resume(&mut self, vouched: Standing, fault: u64) -> io::Result<Option<Standing>> {
        let mut position = vouched.position + GRID;
        while let Some(head) = self.bytes(position, LEAST)? {
            let header = FrameHeader::decode(head).filter(|header| {
                let is_later = header.sequence > vouched.sequence && position != fault;
                header.kind == FrameKind::Metadata && is_later
            });
            if let Some(header) = header {
                let (sequence, chain) = (header.sequence - 1, header.chain);
                let before = Standing { position, sequence, chain, ..vouched };
                if self.piece(before)?.is_some() {
                    return Ok(Some(before));
                }
            }
            position += GRID;
        }
        Ok(None)
    }

    fn is_zero_from(&mut self, position: u64) -> io::Result<bool> {
        Ok(self.used_from(position)? == position)
    }

    /// Behind the last byte from `position` on that is not zero; `position` when there is none.
    fn used_from(&mut self, position: u64) -> io::Result<u64> {
        let (mut used, mut from) = (position, position);
        while from < self.limit {
            let length = WINDOW.min(self.limit - from);
            let Some(bytes) = self.bytes(from, length)? else {
                break;
            };
            if let Some(last) = bytes.iter().rposition(|byte| *byte != 0) {
                used = from + on_disk(last) + 1;
            }
            from += length;
        }
        Ok(used)
    }

    /// Bytes of the segment; `None` beyond its end.
    fn bytes(&mut self, position: u64, length: u64) -> io::Result<Option<&[u8]>> {
        let Some(end) = position.checked_add(length).filter(|end| *end <= self.limit) else {
            return Ok(None);
        };
        let held = self.held.as_ref().map_or(0, |buffer| on_disk(buffer.as_slice().len()));
        if position < self.from || end > self.from + held {
            self.fill(position, length)?;
        }
        let start = in_memory(position - self.from);
        let bytes = self.held.as_ref().map(Buffer::as_slice);
        Ok(bytes.and_then(|bytes| bytes.get(start..start + in_memory(length))))
    }

    fn fill(&mut self, position: u64, length: u64) -> io::Result<()> {
        let page = on_disk(crate::buffer::PAGE);
        self.from = position / page * page;
        let end = (self.from + WINDOW).max(position + length).min(self.limit);
        let length = in_memory(end - self.from);
        self.held = Some(match self.source {
            Source::PastCache => self.segment.file.read_past_cache(length, self.from)?,
            Source::Cached => {
                let mut buffer = Buffer::for_file(self.from, length);
                self.segment.file.read(buffer.as_mut_slice(), self.from)?;
                buffer
            }
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::durable::{Access, Disk as _, RealDisk};
    use crate::header::VaultId;
    use crate::key::VaultKey;
    use crate::kind::VaultKind;
    use zeroize::Zeroizing;

    #[test]
    fn a_frame_that_does_not_continue_the_chain_is_a_fault_and_reading_goes_on_behind_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = RealDisk.open(&folder.path().join("segment"), Access::Create).unwrap();
        let key = VaultKey::from_bytes(0, &[2; 32]).unwrap();
        let cipher = key.segment_cipher(VaultId([1; 16]), &[3; 16]);
        let segment = Segment { number: 1, key: 0, file, cipher };
        let start = Standing { segment: 1, position: 192, sequence: 0, chain: [7; 32] };
        let batch = || Batch { sync_mark: 192, changes: Zeroizing::new(Vec::new()) };
        let seal = |place| frame::seal_batch(&segment.cipher, VaultKind::Secrets, place, &batch());
        let (first, chain) = seal((1, start.chain)).unwrap();
        let (forked, other) = seal((2, [8; 32])).unwrap();
        let (third, _) = seal((3, other)).unwrap();
        assert_ne!(chain, [8; 32]);
        for (place, frame) in (0..).zip([first, forked, third]) {
            segment.file.write(frame.as_slice(), 192 + place * 576).unwrap();
        }
        let scan = scan(&segment, start, u64::MAX, Source::Cached).unwrap();
        assert_eq!(scan.faults, [192 + 576]);
        let sequences: Vec<u64> = scan.pieces.iter().map(|piece| piece.behind.sequence).collect();
        assert_eq!(sequences, [1, 3]);
    }
}
