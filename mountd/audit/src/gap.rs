//! Gaps: a segment that is damaged or lost, which somebody accepts as such. Nothing of it is removed;
//! the log says for ever that it was not whole here.

use crate::disk::{Disk, Folder};
use crate::entry::Number;
use crate::line::Line;
use crate::segment::{is_set_aside, segments_among};
use crate::stored::{Hashed, StoredSegment};
use crate::succession::{Fault, Succession};
use crate::{
    AccessError, Durability, EventType, Log, LogKey, OpenLogError, Record, SegmentName, Settings,
    Stamp, Verdict, verify,
};
use serde::Deserialize;
use std::io::{self, BufRead, Read};
use std::path::Path;
use ward_policy::Digest;

/// A part of the log that was accepted as lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The segment, of which the lines from the damage on do not count.
    pub segment: SegmentName,
    /// The last entry before the damage that is good; 0 when none is.
    pub after: u64,
    /// The first entry that is good again.
    pub until: u64,
}

/// Why nothing was accepted.
#[derive(Debug, thiserror::Error)]
pub enum AcceptBreakError {
    /// There is nothing to accept.
    #[error("the log has no break: there is nothing to accept")]
    NoBreak,
    /// Somebody else is meant.
    #[error(
        "the log breaks after entry {after}, not after {named}: look at ward audit verify again"
    )]
    Elsewhere {
        /// Where it breaks.
        after: u64,
        /// What was named.
        named: u64,
    },
    /// The log cannot be read.
    #[error(transparent)]
    Verify(#[from] AccessError),
    /// It cannot be opened; another break may follow.
    #[error(transparent)]
    Open(#[from] OpenLogError),
    /// A file of it cannot be put aside.
    #[error("cannot put {file} of the log aside. Check the disk")]
    File {
        /// The file.
        file: SegmentName,
        /// What the system says.
        source: io::Error,
    },
}

/// What the entry about a gap says.
#[derive(Debug, Deserialize)]
pub(crate) struct GapStatement {
    pub(crate) segment: Number,
    pub(crate) sha256: String,
}

impl GapStatement {
    /// What `line` says.
    pub(crate) fn of(line: &Line<'_>) -> Option<Self> {
        serde_json::from_slice(line.entry).ok()
    }
}

/// Accepts that the log in `directory` breaks after the entry `after`, for `reason`: puts the segment
/// aside, begins the next one, and records the gap. No daemon may run.
///
/// # Errors
/// There is no break, or another one, or it cannot be recorded.
pub fn accept_break(
    directory: &Path,
    key: LogKey,
    settings: Settings,
    (after, reason): (u64, &str),
    now: Stamp,
) -> Result<SegmentName, AcceptBreakError> {
    let opened = |error| OpenLogError::directory(directory, error);
    let folder = Folder::open_for_writing(directory).map_err(opened)?;
    let report = verify(directory, None)?;
    let segment = match report.verdict {
        Verdict::Broken { file, .. } | Verdict::MissingSegment { file } => file,
        Verdict::Whole
        | Verdict::Torn { .. }
        | Verdict::MissingEntries { .. }
        | Verdict::Rewritten { .. }
        | Verdict::Foreign => return Err(AcceptBreakError::NoBreak),
    };
    let good = report.good.head.map_or(0, |head| head.seq);
    if good != after {
        return Err(AcceptBreakError::Elsewhere { after: good, named: after });
    }
    let file = |source| AcceptBreakError::File { file: segment, source };
    put_aside(&folder, segment).map_err(file)?;
    let sha256 = digest_of_file(&folder, segment).map_err(file)?;
    drop(folder);
    let (log, _) = Log::open(directory, key, settings, now)?;
    let record = Record::gap(segment, sha256, after).reason(reason);
    let _receipt = log.append(record, Durability::Durable, now).map_err(OpenLogError::from)?;
    log.close(now).map_err(OpenLogError::from)?;
    Ok(segment)
}

/// Gives the file of `segment` the name under which it counts no more; an empty one when it is lost.
fn put_aside(folder: &Folder, segment: SegmentName) -> io::Result<()> {
    let names = folder.names()?;
    if is_set_aside(&names, segment) {
        return Ok(());
    }
    let aside = segment.name_aside();
    for name in [segment.to_string(), segment.compressed_name()] {
        if names.contains(&name) {
            return folder.rename(&name, &aside);
        }
    }
    folder.create(&aside).map(drop)
}

/// SHA-256 of the file of a segment that was put aside.
pub(crate) fn digest_of_file(disk: &dyn Disk, segment: SegmentName) -> io::Result<Digest> {
    let mut hashed = Hashed::new(io::sink());
    io::copy(&mut disk.reader(&segment.name_aside())?, &mut hashed)?;
    Ok(hashed.digest())
}

/// Follows what is good of a segment that was put aside, after `succession`; as far as that goes, and as
/// far as `each` takes its lines.
pub(crate) fn follow_good_part(
    disk: &dyn Disk,
    segment: SegmentName,
    succession: &mut Succession,
    mut each: impl FnMut(&[u8], EventType, &Succession) -> Result<(), Fault>,
) -> io::Result<()> {
    let mut lines = StoredSegment::open(disk, segment)?.lines;
    let mut bytes = Vec::new();
    for number in 1.. {
        bytes.clear();
        // An error of the decoder is damage as well.
        let is_read = lines.by_ref().read_until(b'\n', &mut bytes).is_ok();
        let Some(line) = bytes.strip_suffix(b"\n").filter(|_| is_read) else { break };
        let accepted = match number {
            1 if succession.head().is_none() && segment != SegmentName::FIRST => break,
            1 => succession.accept_first(line, segment).map(|()| EventType::SegmentStart),
            _ => succession.accept(line),
        };
        if accepted.and_then(|event| each(line, event, succession)).is_err() {
            break;
        }
    }
    Ok(())
}

/// Whether anything in the log was put aside.
pub(crate) fn has_gaps(disk: &dyn Disk) -> io::Result<bool> {
    let names = disk.names()?;
    Ok(segments_among(&names).iter().any(|segment| is_set_aside(&names, *segment)))
}
