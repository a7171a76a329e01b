//! Reading: entries of a log, as `ward audit show` shows them. Whether the log is whole is another
//! question: `verify.rs`.

use crate::chain::ChainHash;
use crate::disk::{Disk, Folder};
use crate::line::Line;
use crate::names::Keyring;
use crate::segment::segments_among;
use crate::stored::StoredSegment;
use crate::{Entry, Filter, SegmentName};
use serde::Serialize;
use std::collections::VecDeque;
use std::io::{self, BufRead};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// An entry with its hash. `sealed` is gone when its names could be opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShownEntry {
    /// What the line says.
    pub entry: Entry<'static>,
    /// The hash of the entry.
    pub hash: ChainHash,
}

/// Why a log cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum ReadLogError {
    /// The directory is not to be had.
    #[error("cannot open the log's directory {directory:?}. Check the path and who you are")]
    Directory {
        /// The directory.
        directory: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file of it is not to be had.
    #[error("cannot read {file} of the log. Check the disk and who you are")]
    File {
        /// The file.
        file: String,
        /// What the system says.
        source: io::Error,
    },
    /// A line is none.
    #[error("{file} line {line} is no line of a log. Run ward audit verify")]
    Line {
        /// The segment.
        file: SegmentName,
        /// The line in it, from 1.
        line: u64,
    },
    /// The log stopped in the middle of an append.
    #[error("the log has stopped. Restart the daemon")]
    Stopped,
}

/// Gives each entry that `filter` lets through, in order, until `each` breaks off. Works without a
/// daemon and beside one; sealed names stay sealed.
///
/// # Errors
/// Names the file that cannot be read, or the line that is none.
pub fn read(
    directory: &Path,
    filter: &Filter,
    each: impl FnMut(ShownEntry) -> ControlFlow<()>,
) -> Result<(), ReadLogError> {
    let folder = Folder::open(directory)
        .map_err(|source| ReadLogError::Directory { directory: directory.to_owned(), source })?;
    read_from(&folder, &Keyring::default(), filter, each)
}

/// The same on an open directory, with keys for sealed names.
pub(crate) fn read_from(
    disk: &dyn Disk,
    keyring: &Keyring,
    filter: &Filter,
    mut each: impl FnMut(ShownEntry) -> ControlFlow<()>,
) -> Result<(), ReadLogError> {
    let names = disk.names().map_err(ReadLogError::file("the directory"))?;
    let segments = segments_among(&names);
    if let Some(wanted) = filter.last {
        let kept = last_of(disk, keyring, &segments, (filter, wanted))?;
        let _done = kept.into_iter().try_for_each(each);
        return Ok(());
    }
    for segment in segments {
        if read_segment(disk, keyring, segment, filter, &mut each)?.is_break() {
            break;
        }
    }
    Ok(())
}

impl ReadLogError {
    fn file(name: impl ToString) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { file: name.to_string(), source }
    }
}

/// The last `wanted` entries, from the newest segment back: the last few of a long log cost no
/// reading of the whole.
fn last_of(
    disk: &dyn Disk,
    keyring: &Keyring,
    segments: &[SegmentName],
    (filter, wanted): (&Filter, usize),
) -> Result<VecDeque<ShownEntry>, ReadLogError> {
    let mut kept = VecDeque::new();
    for segment in segments.iter().rev() {
        let missing = wanted - kept.len();
        if missing == 0 {
            break;
        }
        let mut found = VecDeque::new();
        let _done = read_segment(disk, keyring, *segment, filter, &mut |shown| {
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

fn read_segment(
    disk: &dyn Disk,
    keyring: &Keyring,
    segment: SegmentName,
    filter: &Filter,
    each: &mut impl FnMut(ShownEntry) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, ReadLogError> {
    let mut reader = StoredSegment::open(disk, segment).map_err(ReadLogError::file(segment))?.lines;
    let mut bytes = Vec::new();
    for number in 1.. {
        bytes.clear();
        reader.read_until(b'\n', &mut bytes).map_err(ReadLogError::file(segment))?;
        // The end, preallocated zeros, or a line that is being written.
        let Some(line) = bytes.strip_suffix(b"\n") else {
            break;
        };
        let shown =
            shown_entry(line, keyring).ok_or(ReadLogError::Line { file: segment, line: number })?;
        if filter.matches(&shown.entry) && each(shown).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

fn shown_entry(line: &[u8], keyring: &Keyring) -> Option<ShownEntry> {
    let line = Line::parse(line)?;
    let hash = ChainHash::from_hex(std::str::from_utf8(line.hash).ok()?)?;
    let mut entry = Entry::from_bytes(line.entry)?;
    keyring.open_names(&mut entry);
    Some(ShownEntry { entry, hash })
}
