//! Reading: entries of a log, as `ward audit show` shows them. Whether the log is whole is another
//! question: `verify.rs`.

use crate::access::AccessError;
use crate::chain::ChainHash;
use crate::disk::{Disk, Folder};
use crate::line::Line;
use crate::names::Keyring;
use crate::segment::segments_among;
use crate::stored::{StoredSegment, is_damaged};
use crate::{Entry, Filter, SegmentName};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::io::BufRead;
use std::ops::ControlFlow;
use std::path::Path;

/// An entry with its hash. `sealed` is gone when its names could be opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownEntry {
    /// What the line says.
    pub entry: Entry<'static>,
    /// The hash of the entry.
    pub hash: ChainHash,
}

/// A segment of which not everything can be shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file} is damaged at line {line}; what is not whole behind it is not shown")]
pub struct Unread {
    /// The segment.
    pub file: SegmentName,
    /// The first such line in it, from 1.
    pub line: u64,
}

/// Why a log cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum ReadLogError {
    /// Its files are not to be had.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// A part of it is damaged.
    #[error("{0}. Run ward audit verify")]
    Damaged(Unread),
    /// The log stopped in the middle of an append.
    #[error("the log has stopped. Restart the daemon")]
    Stopped,
}

/// Gives each entry that `filter` lets through, in order, until `each` breaks off. Works without a
/// daemon and beside one; sealed names stay sealed. What is damaged is told and passed over.
///
/// # Errors
/// Names the file that cannot be read.
pub fn read(
    directory: &Path,
    filter: &Filter,
    each: impl FnMut(ShownEntry) -> ControlFlow<()>,
) -> Result<Vec<Unread>, ReadLogError> {
    let folder = Folder::open(directory).map_err(AccessError::directory(directory))?;
    read_from(&folder, &Keyring::default(), filter, each)
}

/// The same on an open directory, with keys for sealed names.
pub(crate) fn read_from(
    disk: &dyn Disk,
    keyring: &Keyring,
    filter: &Filter,
    mut each: impl FnMut(ShownEntry) -> ControlFlow<()>,
) -> Result<Vec<Unread>, ReadLogError> {
    let names = disk.names().map_err(AccessError::file("the directory"))?;
    let segments = segments_among(&names);
    let mut reading = Reading { disk, keyring, filter, unread: Vec::new() };
    if let Some(wanted) = filter.last {
        let kept = reading.last_of(&segments, wanted)?;
        let _done = kept.into_iter().try_for_each(each);
        reading.unread.reverse();
        return Ok(reading.unread);
    }
    for segment in segments {
        if reading.segment(segment, &mut each)?.is_break() {
            break;
        }
    }
    Ok(reading.unread)
}

/// A way through a log.
struct Reading<'a> {
    disk: &'a dyn Disk,
    keyring: &'a Keyring,
    filter: &'a Filter,
    unread: Vec<Unread>,
}

impl Reading<'_> {
    /// The last `wanted` entries, from the newest segment back: the last few of a long log cost no
    /// reading of the whole.
    fn last_of(
        &mut self,
        segments: &[SegmentName],
        wanted: usize,
    ) -> Result<VecDeque<ShownEntry>, ReadLogError> {
        let mut kept = VecDeque::new();
        for segment in segments.iter().rev() {
            let missing = wanted - kept.len();
            if missing == 0 {
                break;
            }
            let mut found = VecDeque::new();
            let _done = self.segment(*segment, &mut |shown| {
                found.push_back(shown);
                if found.len() > missing {
                    found.pop_front();
                }
                ControlFlow::Continue(())
            })?;
            found.append(&mut kept);
            kept = found;
        }
        Ok(kept)
    }

    fn segment(
        &mut self,
        segment: SegmentName,
        each: &mut impl FnMut(ShownEntry) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, ReadLogError> {
        let opened = StoredSegment::open(self.disk, segment).map_err(AccessError::file(segment))?;
        let (mut reader, mut damage) = (opened.lines, None);
        let mut bytes = Vec::new();
        for number in 1.. {
            bytes.clear();
            match reader.read_until(b'\n', &mut bytes) {
                Ok(_) => {}
                // No more of it can be unpacked.
                Err(error) if is_damaged(&error) => {
                    damage = damage.or(Some(number));
                    break;
                }
                Err(error) => return Err(AccessError::file(segment)(error).into()),
            }
            // The end, preallocated zeros, or a line that is being written.
            let Some(line) = bytes.strip_suffix(b"\n") else { break };
            let Some(shown) = shown_entry(line, self.keyring) else {
                damage = damage.or(Some(number));
                continue;
            };
            if self.filter.matches(&shown.entry) && each(shown).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        self.unread.extend(damage.map(|line| Unread { file: segment, line }));
        Ok(ControlFlow::Continue(()))
    }
}

/// The entry of a line that is as its hash says; whether it is in its place, only a verification
/// tells.
pub(crate) fn shown_entry(line: &[u8], keyring: &Keyring) -> Option<ShownEntry> {
    let line = Line::parse(line)?;
    let digits = |digits| ChainHash::from_hex(std::str::from_utf8(digits).ok()?);
    let (hash, previous) = (digits(line.hash)?, line.previous.map(digits));
    if previous == Some(None) || hash != ChainHash::of(line.entry, previous.flatten()) {
        return None;
    }
    let mut entry = Entry::from_bytes(line.entry)?;
    keyring.open_names(&mut entry);
    Some(ShownEntry { entry, hash })
}
