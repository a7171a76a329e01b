//! Proofs: that an entry is in a log, checkable with nothing but the key of its notes.
//!
//! The form is c2sp.org/tlog-proof, with the entry itself as the extra data.

use crate::access::AccessError;
use crate::disk::{Disk, Folder};
use crate::line::Line;
use crate::segment::segments_among;
use crate::statement::StartStatement;
use crate::stored::StoredSegment;
use crate::tend::tiled_size;
use crate::tile;
use crate::{HEAD_FILE, HeadNote, Log, PublicKey, SegmentName, TreeHash};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use std::io::{self, BufRead, Read};
use std::path::Path;

/// The folder with what witnesses signed.
const WITNESSED: &str = "witnessed";
const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";

/// Why there is no head or no proof.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// Its files are not to be had.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The head covers fewer entries.
    #[error("entry {seq} is not signed yet: the head has {size}. Wait a moment, and try again")]
    NotSigned {
        /// The entry.
        seq: u64,
        /// How many entries the head has.
        size: u64,
    },
    /// There is no such entry.
    #[error("the log has no entry {seq}. Give the number of one that ward audit show shows")]
    NoEntry {
        /// The entry.
        seq: u64,
    },
    /// The files do not make the tree that the head states.
    #[error("the log does not make the tree of its head. Run ward audit verify")]
    Broken,
    /// Nothing is written to it any more.
    #[error("the log has stopped. Restart the daemon")]
    Stopped,
}

impl ProveError {
    /// What the system says, where it is the system that says something.
    pub fn kind(&self) -> Option<io::ErrorKind> {
        match self {
            Self::Access(error) => Some(error.kind()),
            Self::NotSigned { .. } | Self::NoEntry { .. } | Self::Broken | Self::Stopped => None,
        }
    }
}

/// An entry, and the proof that it is in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The bytes of the entry.
    pub entry: Vec<u8>,
    /// How many entries are before it.
    index: u64,
    hashes: Vec<TreeHash>,
    /// The head that has it.
    pub head: HeadNote,
}

/// Why a proof proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// It has another form.
    #[error("this is no proof of an entry: give what ward audit prove prints")]
    Form,
    /// The entry is not in the tree of its head.
    #[error("the entry is not in the log that the head is of: one of the two was changed")]
    NotInTree,
    /// The head is signed by somebody else.
    #[error("the head is not signed by the key of this log's notes")]
    Signature,
}

/// The newest head of the log in `directory` that is signed and synced.
///
/// # Errors
/// There is none, or it cannot be read.
pub fn head(directory: &Path) -> Result<HeadNote, ProveError> {
    let folder = Folder::open(directory).map_err(AccessError::directory(directory))?;
    read_head(&folder)
}

/// What signs the notes of the log in `directory`.
///
/// # Errors
/// It cannot be read.
pub fn notes_key(directory: &Path) -> Result<PublicKey, ProveError> {
    let folder = Folder::open(directory).map_err(AccessError::directory(directory))?;
    let names = folder.names().map_err(AccessError::file("the directory"))?;
    let newest = segments_among(&names).into_iter().next_back().ok_or(ProveError::Broken)?;
    let mut line = Vec::new();
    let mut stored = StoredSegment::open(&folder, newest).map_err(AccessError::file(newest))?;
    stored.lines.read_until(b'\n', &mut line).map_err(AccessError::file(newest))?;
    let line = Line::parse(line.strip_suffix(b"\n").unwrap_or_default());
    let start = line.as_ref().and_then(StartStatement::of);
    start.map(|start| start.notes).ok_or(ProveError::Broken)
}

/// Proves that the entry `seq` is in the log in `directory`, as of its newest head.
///
/// # Errors
/// There is no such entry yet, or the log cannot be read or is broken.
pub fn prove(directory: &Path, seq: u64) -> Result<Proof, ProveError> {
    let folder = Folder::open(directory).map_err(AccessError::directory(directory))?;
    let head = read_head(&folder)?;
    let size = head.head.size;
    let index = seq.checked_sub(1).ok_or(ProveError::NoEntry { seq })?;
    if seq > size {
        return Err(ProveError::NotSigned { seq, size });
    }
    let segments = segments_of(&folder)?;
    let mut entry = None;
    each_entry(&folder, &segments, index..index + 1, &mut |bytes| entry = Some(bytes.to_vec()))?;
    let hashes = Leaves::of(&folder, &segments, size)?.path(index, 0, size)?;
    let entry = entry.ok_or(ProveError::NoEntry { seq })?;
    let proof = Proof { entry, index, hashes, head };
    if proof.root() == Some(proof.head.head.root) { Ok(proof) } else { Err(ProveError::Broken) }
}

impl Log {
    /// The newest head that is signed and synced.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub fn head_note(&self) -> Result<HeadNote, ProveError> {
        read_head(&*self.tail().map_err(|_| ProveError::Stopped)?.disk())
    }

    /// Keeps what the witness `name` signed: the newest note beside the log.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep_witnessed(&self, name: &str, note: &HeadNote) -> Result<(), ProveError> {
        let disk = self.tail().map_err(|_| ProveError::Stopped)?.disk();
        let file = format!("{WITNESSED}/{name}");
        Ok(disk.replace(&file, note.to_string().as_bytes()).map_err(AccessError::file(file))?)
    }

    /// What proves that the tree of `size` entries continues the one of the first `old` of them (RFC
    /// 6962, 2.1.2).
    ///
    /// # Errors
    /// The log cannot be read, or does not have all that it takes any more.
    pub fn consistency(&self, old: u64, size: u64) -> Result<Vec<TreeHash>, ProveError> {
        let disk = self.tail().map_err(|_| ProveError::Stopped)?.disk();
        if old == 0 || old >= size {
            return Ok(Vec::new());
        }
        Leaves::of(&*disk, &segments_of(&*disk)?, size)?.continuation(old, (0, size), true)
    }
}

impl Proof {
    /// Reads a proof; whether it proves anything is asked apart.
    ///
    /// # Errors
    /// It has another form.
    pub fn parse(text: &str) -> Result<Self, CheckError> {
        Self::read(text).ok_or(CheckError::Form)
    }

    /// Checks it; `key` is what signs the notes of the log.
    ///
    /// # Errors
    /// It proves nothing.
    pub fn check(&self, key: PublicKey) -> Result<(), CheckError> {
        if self.root() != Some(self.head.head.root) {
            return Err(CheckError::NotInTree);
        }
        if self.head.is_signed_by(key) { Ok(()) } else { Err(CheckError::Signature) }
    }

    /// The number of the entry.
    pub const fn seq(&self) -> u64 {
        self.index + 1
    }

    fn read(text: &str) -> Option<Self> {
        let (proof, note) = text.split_once("\n\n")?;
        let mut lines = proof.split('\n');
        let is_ours = lines.next()? == FIRST_LINE;
        let entry = STANDARD.decode(lines.next()?.strip_prefix("extra ")?).ok()?;
        let index: u64 = lines.next()?.strip_prefix("index ")?.parse().ok()?;
        // The last number has none after it to be the entry's own.
        index.checked_add(1)?;
        let hashes = lines.map(TreeHash::from_base64).collect::<Option<_>>()?;
        let head = HeadNote::parse(note).ok()?;
        is_ours.then_some(Self { entry, index, hashes, head })
    }

    /// The root that entry and hashes make (RFC 9162, 2.1.3.2).
    fn root(&self) -> Option<TreeHash> {
        let (mut place, mut last) = (self.index, self.head.head.size.checked_sub(1)?);
        if place > last {
            return None;
        }
        let mut root = TreeHash::leaf(&self.entry);
        for hash in &self.hashes {
            if last == 0 {
                return None;
            }
            if place & 1 == 1 || place == last {
                root = TreeHash::node(*hash, root);
                while place & 1 == 0 && place != 0 {
                    (place, last) = (place >> 1, last >> 1);
                }
            } else {
                root = TreeHash::node(root, *hash);
            }
            (place, last) = (place >> 1, last >> 1);
        }
        (last == 0).then_some(root)
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{FIRST_LINE}\nextra {}", STANDARD.encode(&self.entry))?;
        writeln!(formatter, "index {}", self.index)?;
        for hash in &self.hashes {
            writeln!(formatter, "{}", hash.to_base64())?;
        }
        write!(formatter, "\n{}", self.head)
    }
}

/// The leaves of a log: most of them in tiles.
struct Leaves<'disk> {
    disk: &'disk dyn Disk,
    /// How many leaves the tiles have.
    tiled: u64,
    /// Those behind them.
    rest: Vec<TreeHash>,
}

impl<'disk> Leaves<'disk> {
    /// Those of the first `size` entries.
    fn of(disk: &'disk dyn Disk, segments: &[SegmentName], size: u64) -> Result<Self, ProveError> {
        let tiled = tiled_size(disk).min(size);
        let mut rest = Vec::new();
        each_entry(disk, segments, tiled..size, &mut |bytes| rest.push(TreeHash::leaf(bytes)))?;
        Ok(Self { disk, tiled, rest })
    }

    /// What proves that the leaves from `from` to `to` continue the first `old` of them, of which
    /// `is_known` says that the other side has their hash.
    fn continuation(
        &self,
        old: u64,
        (from, to): (u64, u64),
        is_known: bool,
    ) -> Result<Vec<TreeHash>, ProveError> {
        if old == to - from {
            return if is_known { Ok(Vec::new()) } else { Ok(vec![self.hash(from, to)?]) };
        }
        let part = largest_part(to - from);
        let middle = from + part;
        let (mut hashes, other) = if old <= part {
            (self.continuation(old, (from, middle), is_known)?, self.hash(middle, to)?)
        } else {
            (self.continuation(old - part, (middle, to), false)?, self.hash(from, middle)?)
        };
        hashes.push(other);
        Ok(hashes)
    }

    /// What proves the leaf `index` of those from `from` to `to` (RFC 6962, 2.1.1).
    fn path(&self, index: u64, from: u64, to: u64) -> Result<Vec<TreeHash>, ProveError> {
        if to - from <= 1 {
            return Ok(Vec::new());
        }
        let middle = from + largest_part(to - from);
        let (mut path, other) = if index < middle {
            (self.path(index, from, middle)?, self.hash(middle, to)?)
        } else {
            (self.path(index, middle, to)?, self.hash(from, middle)?)
        };
        path.push(other);
        Ok(path)
    }

    /// The hash over the leaves from `from` to `to`.
    fn hash(&self, from: u64, to: u64) -> Result<TreeHash, ProveError> {
        let count = to - from;
        if count.is_power_of_two() && to <= self.tiled {
            let height = count.trailing_zeros();
            let node = tile::node(self.disk, self.tiled, height, from >> height);
            return Ok(node.map_err(AccessError::file(tile::FOLDER))?);
        }
        if count == 1 {
            let place = usize::try_from(from - self.tiled).unwrap_or(usize::MAX);
            return self.rest.get(place).copied().ok_or(ProveError::Broken);
        }
        let middle = from + largest_part(count);
        Ok(TreeHash::node(self.hash(from, middle)?, self.hash(middle, to)?))
    }
}

/// The largest power of two below `count`, which is at least 2.
const fn largest_part(count: u64) -> u64 {
    1 << (u64::BITS - 1 - (count - 1).leading_zeros())
}

fn segments_of(disk: &dyn Disk) -> Result<Vec<SegmentName>, ProveError> {
    let names = disk.names().map_err(AccessError::file("the directory"))?;
    Ok(segments_among(&names).into_iter().collect())
}

fn read_head(disk: &dyn Disk) -> Result<HeadNote, ProveError> {
    let file = disk.reader(HEAD_FILE).map_err(AccessError::file(HEAD_FILE))?;
    let mut text = String::new();
    file.take(1 << 16).read_to_string(&mut text).map_err(AccessError::file(HEAD_FILE))?;
    HeadNote::parse(&text).map_err(|_| ProveError::Broken)
}

/// Gives the bytes of the entries with these indices that the segments have.
fn each_entry(
    disk: &dyn Disk,
    segments: &[SegmentName],
    wanted: std::ops::Range<u64>,
    each: &mut dyn FnMut(&[u8]),
) -> Result<(), ProveError> {
    // The first of them is in the last segment that does not begin behind it.
    let mut first = segments.len();
    let mut line = Vec::new();
    while let Some(segment) = first.checked_sub(1).and_then(|place| segments.get(place)) {
        first -= 1;
        line.clear();
        let mut stored = StoredSegment::open(disk, *segment).map_err(AccessError::file(segment))?;
        stored.lines.read_until(b'\n', &mut line).map_err(AccessError::file(segment))?;
        if position(&line).is_some_and(|(index, _)| index <= wanted.start) {
            break;
        }
    }
    for segment in segments.get(first..).unwrap_or_default() {
        let mut stored = StoredSegment::open(disk, *segment).map_err(AccessError::file(segment))?;
        loop {
            line.clear();
            stored.lines.read_until(b'\n', &mut line).map_err(AccessError::file(segment))?;
            let Some((index, entry)) = position(&line) else { break };
            if index >= wanted.end {
                return Ok(());
            }
            if index >= wanted.start {
                each(entry);
            }
        }
    }
    Ok(())
}

/// The index and the entry of a whole line.
fn position(line: &[u8]) -> Option<(u64, &[u8])> {
    let line = Line::parse(line.strip_suffix(b"\n")?)?;
    let (seq, _) = line.position()?;
    Some((seq.checked_sub(1)?, line.entry))
}
