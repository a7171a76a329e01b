//! Opening: what a log looks like after the last run, and where it goes on.

use crate::chain::digest_of;
use crate::disk::{Disk, SegmentFile};
use crate::epoch::Epochs;
use crate::fold::{Fold, Standing};
use crate::gap::follow_good_part;
use crate::line::Line;
use crate::segment::{Remainder, is_set_aside, missing_among, segments_among};
use crate::stored::StoredSegment;
use crate::succession::{Fault, Succession};
use crate::tail::{Beginning, RESERVE, Tail};
use crate::{
    AppendError, BootId, CountedEntry, Entry, Head, LogKey, PublicKey, SegmentName, Stamp,
    Timestamp,
};
use std::io::{self, BufRead};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use ulid::Ulid;
use ward_policy::Digest;

/// How a log is to be kept.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The boot of the machine.
    pub boot: BootId,
    /// A segment that has reached so many bytes is closed.
    pub segment_bytes: u64,
    /// So is one that has been open for so long.
    pub segment_age: Duration,
    /// How far the open segment is extended at a time.
    pub preallocated_bytes: u64,
    /// How much room is kept for refusals on a full disk.
    pub reserve_bytes: u64,
}

impl Settings {
    /// Segments of 64 MiB or 15 minutes, steps and reserve of 1 MiB.
    pub const fn new(boot: BootId) -> Self {
        Self {
            boot,
            segment_bytes: 64 << 20,
            segment_age: Duration::from_secs(15 * 60),
            preallocated_bytes: 1 << 20,
            reserve_bytes: 1 << 20,
        }
    }
}

/// How the log was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The id of the log, a ULID.
    pub log: String,
    /// Its last entry as it was found; `None` when the log is new.
    pub head: Option<Head>,
    /// The time of that entry.
    pub time: Option<Timestamp>,
    /// The requests and leases that stood then.
    pub standing: Vec<Standing>,
    /// The grants of secrets that stood then: `secret.granted` entries.
    pub granted: Vec<Entry<'static>>,
    /// The last tallies of guards.
    pub counts: Option<Entry<'static>>,
    /// The opens that count and are not in them.
    pub counted: Vec<CountedEntry>,
    /// Up to which entry each sink had got the log.
    pub cursors: Vec<(String, u64)>,
    /// The last `mount.begun` or `mount.ended` entry of each vault.
    pub mounts: Vec<Entry<'static>>,
    /// What is about to sign for the log, when an earlier run asked for that and no more.
    pub successor: Option<PublicKey>,
    /// The torn tail, when there was one.
    pub cut: Option<Cut>,
}

/// A torn tail that was cut off, and recorded as `log.recovered`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// How long it was, up to its last byte that is not zero.
    pub bytes: u64,
    /// SHA-256 of those bytes.
    pub sha256: Digest,
}

/// Why the log cannot be opened. Nothing is served without it.
#[derive(Debug, thiserror::Error)]
pub enum OpenLogError {
    /// The directory is not to be had.
    #[error("cannot open the log's directory {directory:?}. Check that it is a directory of yours")]
    Directory {
        /// The directory.
        directory: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Somebody else writes this log.
    #[error("another daemon has the log in {directory:?} open. Stop it first")]
    InUse {
        /// The directory.
        directory: PathBuf,
    },
    /// Others can look into the directory.
    #[error("others can reach the log in {directory:?}. Run chmod 700 on it")]
    Exposed {
        /// The directory.
        directory: PathBuf,
    },
    /// A file of it is not to be had.
    #[error("cannot read or write {file} of the log. Check the disk, then start again")]
    File {
        /// The file.
        file: String,
        /// What the system says.
        source: io::Error,
    },
    /// A segment is not there.
    #[error(
        "{missing} of the log is missing. Put it back from a backup; do not renumber the others"
    )]
    Missing {
        /// The segment.
        missing: SegmentName,
    },
    /// The chain is broken.
    #[error(
        "the log is broken: {file} line {line}, after entry {after}: {what}. Keep the file as evidence and put the log back from a backup"
    )]
    Broken {
        /// The segment.
        file: SegmentName,
        /// The line in it, from 1.
        line: u64,
        /// The last entry that is good; 0 before the first.
        after: u64,
        /// What is wrong.
        what: String,
    },
    /// None of the keys that are given has signed it.
    #[error(
        "the log goes on under another identity: what signs it has the key {key}, and nothing that is configured has. See [audit] in ward.toml, or put log.key and signer.key back"
    )]
    Signer {
        /// What checks what signs it.
        key: Box<PublicKey>,
    },
    /// No random bytes for the log's id.
    #[error("the system gives no random bytes. Try again")]
    Random,
    /// The first entries could not be written.
    #[error(transparent)]
    Append(#[from] AppendError),
}

impl OpenLogError {
    pub(crate) fn directory(directory: &Path, source: io::Error) -> Self {
        let directory = directory.to_owned();
        if source.kind() == io::ErrorKind::WouldBlock {
            Self::InUse { directory }
        } else {
            Self::Directory { directory, source }
        }
    }

    fn broken(file: SegmentName, line: u64, good: &Succession, fault: &Fault) -> Self {
        let after = good.head().map_or(0, |head| head.seq);
        Self::Broken { file, line, after, what: fault.to_string() }
    }

    fn file(name: impl ToString) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { file: name.to_string(), source }
    }
}

/// What the last segment holds.
#[derive(Default)]
struct Found {
    succession: Succession,
    fold: Fold,
    /// Where its last good line ends.
    length: u64,
    cut: Option<Cut>,
}

/// Reads how the log ends, cuts what a power cut left, and gives the tail to go on from: that of a
/// new segment, since each run has keys of its own.
pub(crate) fn recover(
    disk: Arc<dyn Disk>,
    key: LogKey,
    settings: Settings,
    now: Stamp,
) -> Result<(Tail, Recovered), OpenLogError> {
    let names = disk.names().map_err(OpenLogError::file("the directory"))?;
    let segments = segments_among(&names);
    if let Some(missing) = missing_among(&segments) {
        return Err(OpenLogError::Missing { missing });
    }
    let first = segments.first().map_or(1, |first| first.number());
    let (segment, file, found) = match segments.last() {
        None => {
            let file = create(&*disk, SegmentName::FIRST)?;
            (SegmentName::FIRST, file, Found::default())
        }
        Some(last) => {
            // Behind a gap, a segment is followed from what it says itself of those before it.
            let is_behind_gap =
                last.previous().is_some_and(|previous| is_set_aside(&names, previous));
            let before = match segments.len() {
                1 => Default::default(),
                _ if is_behind_gap => Default::default(),
                _ => follow_previous(&*disk, *last)?,
            };
            if is_set_aside(&names, *last) {
                let found = good_part(&*disk, *last, before)?;
                let file = create(&*disk, last.next())?;
                return begin(disk, key, settings, (last.next(), file, found, first), now);
            }
            let file = disk.open(&last.to_string()).map_err(OpenLogError::file(last))?;
            let found = find_end(&*file, *last, before)?;
            // A segment of which not even the first line came about is begun again.
            match found.length {
                0 => (*last, file, found),
                _ => (last.next(), create(&*disk, last.next())?, found),
            }
        }
    };
    begin(disk, key, settings, (segment, file, found, first), now)
}

/// Begins a run in `segment` after what was found; `first` is the number of the first segment.
fn begin(
    disk: Arc<dyn Disk>,
    key: LogKey,
    settings: Settings,
    (segment, file, mut found, first): (SegmentName, Arc<dyn SegmentFile>, Found, u64),
    now: Stamp,
) -> Result<(Tail, Recovered), OpenLogError> {
    if found.succession.retired() + 1 < first {
        let missing = SegmentName::from_number(found.succession.retired() + 1);
        return Err(OpenLogError::Missing { missing });
    }
    // What signed last has pinned everything before it, also a change of what signs.
    let Some(identity) = key.identity(&found.succession) else {
        let key = found.succession.identity();
        return Err(
            key.map_or(OpenLogError::Random, |key| OpenLogError::Signer { key: key.into() })
        );
    };
    let random = random()?;
    let recovered = found.recovered(now, random);
    let epochs = Epochs::begin(key, identity, &found.succession);
    let mut tail = Tail::new(Beginning {
        disk,
        settings,
        log: recovered.log.clone(),
        segment,
        file,
        epochs: epochs.ok_or(OpenLogError::Random)?,
        fold: found.fold,
        head: recovered.head,
        time: found.succession.time().unwrap_or_default(),
        random,
    });
    tail.start_if_empty(now)?;
    match tail.keep_reserve() {
        Err(error) if !crate::disk::is_full(&error) => Err(OpenLogError::file(RESERVE)(error)),
        Ok(()) | Err(_) => Ok((tail, recovered)),
    }
}

/// What is good of a segment that was put aside.
fn good_part(
    disk: &dyn Disk,
    segment: SegmentName,
    (mut succession, mut fold): (Succession, Fold),
) -> Result<Found, OpenLogError> {
    follow_good_part(disk, segment, &mut succession, |line, _, _| {
        Line::parse(line).iter().for_each(|line| fold.line(line));
        Ok(())
    })
    .map_err(OpenLogError::file(segment))?;
    Ok(Found { succession, fold, length: 0, cut: None })
}

impl Found {
    fn recovered(&mut self, now: Stamp, random: u128) -> Recovered {
        let new_id = || Ulid::from_parts(now.wall / 1000, random).to_string();
        let (counts, counted) = self.fold.take_counts();
        Recovered {
            log: self.succession.log().map_or_else(new_id, str::to_owned),
            head: self.succession.head(),
            time: self.succession.time(),
            standing: self.fold.standing(),
            granted: self.fold.grants(),
            counts,
            counted,
            cursors: self.fold.cursors(),
            mounts: self.fold.mounts(),
            successor: self.succession.successor(),
            cut: self.cut,
        }
    }
}

fn create(disk: &dyn Disk, segment: SegmentName) -> Result<Arc<dyn SegmentFile>, OpenLogError> {
    disk.create(&segment.to_string()).map_err(OpenLogError::file(segment))
}

/// Follows the segment before `segment`, as far back as a start looks.
fn follow_previous(
    disk: &dyn Disk,
    segment: SegmentName,
) -> Result<(Succession, Fold), OpenLogError> {
    let mut fold = Fold::default();
    let Some(previous) = segment.previous() else {
        return Ok((Succession::default(), fold));
    };
    let stored = StoredSegment::open(disk, previous).map_err(OpenLogError::file(previous))?;
    let mut reader = stored.lines;
    let mut succession = Succession::default();
    let mut bytes = Vec::new();
    for number in 1.. {
        bytes.clear();
        let length = reader.read_until(b'\n', &mut bytes).map_err(OpenLogError::file(previous))?;
        if length == 0 && number > 1 {
            break;
        }
        let line = bytes.strip_suffix(b"\n").ok_or(Fault::Remainder);
        let accepted = line.and_then(|line| {
            if number == 1 {
                succession = Succession::before(line)?;
                succession.accept_first(line, previous)
            } else {
                succession.accept(line).map(drop)
            }
        });
        accepted.map_err(|fault| OpenLogError::broken(previous, number, &succession, &fault))?;
        let line = bytes.strip_suffix(b"\n").and_then(Line::parse);
        line.iter().for_each(|line| fold.line(line));
    }
    Ok((succession, fold))
}

/// Follows the lines of the open segment to their end; cuts and syncs the file there.
fn find_end(
    file: &dyn SegmentFile,
    segment: SegmentName,
    (mut succession, mut fold): (Succession, Fold),
) -> Result<Found, OpenLogError> {
    let bytes = file.read_past_cache().map_err(OpenLogError::file(segment))?;
    let mut rest = &bytes[..];
    let mut number = 1;
    let fault = loop {
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
            break Fault::Remainder;
        };
        let (line, after) = rest.split_at(end);
        let accepted = if number == 1 {
            // Nothing is kept of what was before it.
            let before = match succession.head() {
                None if segment != SegmentName::FIRST => Succession::before(line),
                Some(_) | None => Ok(succession.clone()),
            };
            before.and_then(|before| {
                succession = before;
                succession.accept_first(line, segment)
            })
        } else {
            succession.accept(line).map(drop)
        };
        match accepted {
            Ok(()) => {
                Line::parse(line).iter().for_each(|line| fold.line(line));
                rest = after.get(1..).unwrap_or_default();
            }
            Err(fault) => break fault,
        }
        number += 1;
    };
    let length = (bytes.len() - rest.len()) as u64;
    let cut = match Remainder::of(rest, length) {
        Remainder::Zeros => None,
        Remainder::Torn(torn) if !succession.was_synced(rest) => {
            let torn = rest.get(..torn).unwrap_or_default();
            Some(Cut { bytes: torn.len() as u64, sha256: digest_of(torn) })
        }
        Remainder::Torn(_) | Remainder::Damaged => {
            return Err(OpenLogError::broken(segment, number, &succession, &fault));
        }
    };
    // What is accepted is synced before anything is built on it.
    file.cut(length).and_then(|()| file.sync()).map_err(OpenLogError::file(segment))?;
    Ok(Found { succession, fold, length, cut })
}

fn random() -> Result<u128, OpenLogError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| OpenLogError::Random)?;
    Ok(u128::from_be_bytes(bytes))
}
