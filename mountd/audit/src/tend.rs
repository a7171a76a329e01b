//! Tending: what becomes of segments that have ended. Each is verified once more, compressed, and
//! its part of the tree written as tiles.

use crate::disk::Disk;
use crate::gap::has_gaps;
use crate::line::Line;
use crate::segment::{is_set_aside, segments_among};
use crate::stored::{Hashed, StoredSegment, compressor};
use crate::succession::{Fault, Succession};
use crate::tile::{self, Tiles};
use crate::{
    AppendError, Durability, HEAD_FILE, HeadNote, Log, Record, SegmentName, Stamp, Timestamp,
    TreeHash, TreeHead,
};
use std::io::{self, BufRead, Read, Write};
use std::time::Duration;
use ward_policy::Digest;

/// Why a segment stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum TendError {
    /// The disk refuses.
    #[error("cannot read or write {file} of the log. Check the disk; it is tried again")]
    File {
        /// The file.
        file: String,
        /// What the system says.
        source: io::Error,
    },
    /// A segment that has ended is no longer as it was written.
    #[error("{file} of the log is broken at line {line}: {what}. Run ward audit verify")]
    Broken {
        /// The segment.
        file: SegmentName,
        /// The line in it, from 1.
        line: u64,
        /// What is wrong.
        what: String,
    },
    /// The log takes no records.
    #[error(transparent)]
    Append(#[from] AppendError),
}

impl TendError {
    fn file(name: impl ToString) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { file: name.to_string(), source }
    }
}

impl Log {
    /// Ends a segment that is old enough, and compresses those that have ended. The daemon calls it
    /// every second or so, from a thread that may be kept.
    ///
    /// # Errors
    /// The segment stays as it is, and what was done of it is done again by the next call.
    pub fn tend(&self, now: Stamp) -> Result<(), TendError> {
        let (disk, current, is_begun) = self.change(|tail| {
            tail.roll_if_older(now)?;
            Ok((tail.disk(), tail.segment(), tail.is_begun()))
        })?;
        let names = disk.names().map_err(TendError::file("the directory"))?;
        for segment in segments_among(&names) {
            // The one after it tells of its end.
            let has_ended = segment.next() < current || (segment.next() == current && is_begun);
            if has_ended && names.contains(&segment.to_string()) {
                self.put_away(&*disk, segment, now)?;
            }
        }
        Ok(())
    }

    /// Deletes segments that ended longer ago than `kept` and have no entry after `until`, oldest
    /// first, once the log says so. What is not compressed stays, and so do the last two: a start reads
    /// them.
    ///
    /// # Errors
    /// What was not deleted stays, and is deleted by the next call.
    pub fn retire(&self, kept: Duration, until: u64, now: Stamp) -> Result<(), TendError> {
        let disk = self.tail()?.disk();
        let names = disk.names().map_err(TendError::file("the directory"))?;
        let segments = segments_among(&names);
        let age = u64::try_from(kept.as_micros()).unwrap_or(u64::MAX);
        let before = Timestamp::from_microseconds(now.wall.saturating_sub(age));
        let mut ended = Vec::new();
        for pair in segments.windows(2).rev().skip(1).rev() {
            let [segment, next] = pair else { break };
            // The next one began when this one had ended.
            let (first, began) = beginning(&*disk, *next)?;
            let is_old = began < before && first <= until.saturating_add(1);
            if !is_old || names.contains(&segment.to_string()) {
                break;
            }
            ended.push(*segment);
        }
        let Some(last) = ended.last() else { return Ok(()) };
        let _receipt = self.append(Record::retired(*last), Durability::Durable, now)?;
        self.tail()?.epochs.retired_up_to(*last);
        for segment in ended {
            let name = match is_set_aside(&names, segment) {
                true => segment.name_aside(),
                false => segment.compressed_name(),
            };
            disk.remove(&name).map_err(TendError::file(name))?;
        }
        Ok(())
    }

    /// Compresses `segment`, and removes its lines once the log says so.
    fn put_away(&self, disk: &dyn Disk, segment: SegmentName, now: Stamp) -> Result<(), TendError> {
        let ended = compress(disk, segment)?;
        if ended.is_tiled {
            let note = {
                let tail = self.tail()?;
                tail.epochs.note(tail.log(), ended.head).to_string()
            };
            let name = tiled_file();
            disk.replace(&name, note.as_bytes()).map_err(TendError::file(name))?;
        }
        let record = Record::compressed(segment, ended.lines, ended.compressed);
        let _receipt = self.append(record, Durability::Durable, now)?;
        disk.remove(&segment.to_string()).map_err(TendError::file(segment))
    }
}

/// A segment that has both forms.
struct Ended {
    lines: Digest,
    compressed: Digest,
    /// The tree up to its end.
    head: TreeHead,
    /// Whether its leaves came into tiles now.
    is_tiled: bool,
}

/// Writes the compressed form of `segment` and its tiles, both verified.
fn compress(disk: &dyn Disk, segment: SegmentName) -> Result<Ended, TendError> {
    let name = segment.compressed_name();
    let beside = format!("{name}.new");
    let fault = |source: io::Error| TendError::File { file: name.clone(), source };
    let mut encoder =
        compressor(Hashed::new(disk.writer(&beside).map_err(fault)?)).map_err(fault)?;
    let mut lines = Hashed::new(io::sink());
    let mut tiles = None;
    let tree = follow(disk, segment, &mut |bytes, before, leaf| {
        if before.is_first {
            tiles = tiles_after(disk, segment, before.size)?;
        }
        if let Some(tiles) = &mut tiles {
            tiles.push(leaf).map_err(TendError::file(tile::FOLDER))?;
        }
        lines.write_all(bytes).and_then(|()| encoder.write_all(bytes)).map_err(fault)
    })?;
    let is_tiled = tiles.is_some();
    if let Some(tiles) = tiles {
        tiles.finish().map_err(TendError::file(tile::FOLDER))?;
    }
    let file = encoder.finish().map_err(fault)?;
    file.inner.sync_all().map_err(fault)?;
    disk.rename(&beside, &name).map_err(fault)?;
    let (lines, compressed) = (lines.digest(), file.digest());
    if digests(disk, segment).map_err(fault)? != (lines, compressed) {
        return Err(fault(io::ErrorKind::InvalidData.into()));
    }
    Ok(Ended { lines, compressed, head: tree, is_tiled })
}

/// Where a line stands.
struct Before {
    is_first: bool,
    /// How many leaves the tree has before it.
    size: u64,
}

/// What is done with a line, its newline included, and its leaf.
type EachLine<'a> = dyn FnMut(&[u8], Before, TreeHash) -> Result<(), TendError> + 'a;

/// Verifies `segment` as far as it says itself what comes before it, and that the next one goes on from
/// it; gives each line with its leaf, and at last the tree.
fn follow(
    disk: &dyn Disk,
    segment: SegmentName,
    each: &mut EachLine<'_>,
) -> Result<TreeHead, TendError> {
    let mut reader = StoredSegment::open(disk, segment).map_err(TendError::file(segment))?.lines;
    let mut succession = Succession::default();
    let mut bytes = Vec::new();
    for number in 1.. {
        bytes.clear();
        let length = reader.read_until(b'\n', &mut bytes).map_err(TendError::file(segment))?;
        if length == 0 && number > 1 {
            break;
        }
        let broken = |fault: Fault| TendError::Broken {
            file: segment,
            line: number,
            what: fault.to_string(),
        };
        let line = bytes.strip_suffix(b"\n").ok_or(Fault::Remainder).map_err(broken)?;
        if number == 1 {
            succession = Succession::before(line).map_err(broken)?;
        }
        let before = Before { is_first: number == 1, size: succession.tree().size() };
        let accepted = match before.is_first {
            true => succession.accept_first(line, segment),
            false => succession.accept(line).map(drop),
        };
        accepted.map_err(broken)?;
        let entry = Line::parse(line).map(|line| line.entry).unwrap_or_default();
        each(&bytes, before, TreeHash::leaf(entry))?;
    }
    let next = segment.next();
    let names = disk.names().map_err(TendError::file("the directory"))?;
    if !is_set_aside(&names, next) {
        let first = first_line(disk, next).map_err(TendError::file(next))?;
        succession.clone().accept_first(&first, next).map_err(|fault| TendError::Broken {
            file: next,
            line: 1,
            what: fault.to_string(),
        })?;
    }
    let tree = succession.tree();
    Ok(TreeHead { size: tree.size(), root: tree.root() })
}

/// The tiles to go on from before `segment`, which begins after `size` leaves; `None` when they
/// have it already. Where they are not what they must be, they are made anew from the first segment.
fn tiles_after<'disk>(
    disk: &'disk dyn Disk,
    segment: SegmentName,
    size: u64,
) -> Result<Option<Tiles<'disk>>, TendError> {
    // Leaves that are lost make no tree.
    if has_gaps(disk).map_err(TendError::file("the directory"))? {
        return Ok(None);
    }
    let tiled = tiled_size(disk);
    if tiled > size {
        return Ok(None);
    }
    let fault = TendError::file(tile::FOLDER);
    match Tiles::after(disk, size) {
        Ok(tiles) if tiled == size => return Ok(Some(tiles)),
        Ok(_) | Err(_) => {}
    }
    let mut tiles = Tiles::after(disk, 0).map_err(fault)?;
    let mut before = SegmentName::FIRST;
    while before < segment {
        follow(disk, before, &mut |_, _, leaf| {
            tiles.push(leaf).map_err(TendError::file(tile::FOLDER))
        })?;
        before = before.next();
    }
    Ok(Some(tiles))
}

/// The first line of `segment`, without its newline.
fn first_line(disk: &dyn Disk, segment: SegmentName) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    StoredSegment::open(disk, segment)?.lines.read_until(b'\n', &mut line)?;
    line.pop_if(|byte| *byte == b'\n');
    Ok(line)
}

/// With which entry, and when, `segment` began.
fn beginning(disk: &dyn Disk, segment: SegmentName) -> Result<(u64, Timestamp), TendError> {
    let line = first_line(disk, segment).map_err(TendError::file(segment))?;
    let line = Line::parse(&line);
    let position = line
        .as_ref()
        .and_then(Line::position)
        .and_then(|(seq, time)| Some((seq, Timestamp::from_text(&String::from_utf8_lossy(time))?)));
    position.ok_or_else(|| TendError::Broken {
        file: segment,
        line: 1,
        what: Fault::Form.to_string(),
    })
}

/// How many leaves the tiles have.
pub(crate) fn tiled_size(disk: &dyn Disk) -> u64 {
    let mut text = String::new();
    let read =
        disk.reader(&tiled_file()).and_then(|file| file.take(4096).read_to_string(&mut text));
    let note = read.ok().and_then(|_| HeadNote::parse(&text).ok());
    note.map_or(0, |note| note.head.size)
}

/// The head of the tree that the tiles have.
fn tiled_file() -> String {
    format!("{}/{HEAD_FILE}", tile::FOLDER)
}

/// SHA-256 of the lines that the compressed form of `segment` has, and of the file.
fn digests(disk: &dyn Disk, segment: SegmentName) -> io::Result<(Digest, Digest)> {
    let mut stored = StoredSegment::open_compressed(disk, segment)?;
    let mut lines = Hashed::new(io::sink());
    io::copy(&mut stored.lines, &mut lines)?;
    let compressed = stored.compressed.ok_or(io::ErrorKind::InvalidData)?;
    Ok((lines.digest(), compressed))
}
