//! Verifying: is this log whole, and if not, where not? Works without a daemon and beside one.
//!
//! Every byte is pinned: the form of each line, its hash, its place in the chain, seq without gaps,
//! time that only goes forward, and nothing but zeros after the last line. One thing a log cannot
//! say about itself: lines cut off its end exactly between two lines leave a shorter log that is
//! whole. Only a [`TreeHead`] kept elsewhere shows that, so pass one when there is one.

use crate::access::AccessError;
use crate::disk::{Disk, Folder};
use crate::gap::{GapStatement, digest_of_file, follow_good_part};
use crate::line::Line;
use crate::segment::{Remainder, is_set_aside, missing_among, segments_among};
use crate::statement::CompressedStatement;
use crate::stored::{StoredSegment, is_damaged};
use crate::succession::{Fault, Succession};
use crate::trust::{Distrusted, SignerPeriod, Trust};
use crate::{EventType, Gap, Head, HeadNote, PublicKey, SegmentName, Timestamp, TreeHead};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use ward_policy::Digest;

/// What was found, and how far it was good.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Report {
    /// The good part, from the first line on.
    pub good: Extent,
    /// Whether that is all.
    pub verdict: Verdict,
}

/// A good part of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    /// How many segments it reaches into.
    pub segments: u64,
    /// Its last entry; entries count from 1 without gaps, so the seq is also their number.
    pub head: Option<Head>,
    /// The tree over all of it.
    pub tree: TreeHead,
    /// The time of its last entry.
    pub time: Option<Timestamp>,
    /// How many segments before them the policy had deleted.
    pub retired: u64,
    /// The id of the log.
    pub log: Option<String>,
    /// What signs notes of its heads.
    pub notes: Option<PublicKey>,
    /// The parts of it that were accepted as lost.
    pub gaps: Vec<Gap>,
    /// How many of its last entries no checkpoint has signed yet.
    pub unsigned: u64,
    /// Every key that was its identity.
    pub signers: Vec<SignerPeriod>,
    /// What stands on such a key that was stolen by then.
    pub distrusted: Vec<Distrusted>,
}

/// Whether a log is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every line is as it was written.
    Whole,
    /// A crash left a part of an unfinished write behind the last line; the next start cuts it.
    Torn {
        /// The segment.
        file: SegmentName,
        /// How many bytes stand behind the last line.
        bytes: u64,
    },
    /// A line is not as it was written, or not where.
    Broken {
        /// The segment.
        file: SegmentName,
        /// The line in it, from 1.
        line: u64,
        /// What is wrong.
        what: String,
    },
    /// A whole segment is not there.
    MissingSegment {
        /// The segment.
        file: SegmentName,
    },
    /// The log ends before the head that was kept elsewhere.
    MissingEntries {
        /// How many entries are not there.
        count: u64,
    },
    /// Up to the head that was kept elsewhere other entries stand.
    Rewritten {
        /// The last entry that the head has.
        seq: u64,
    },
    /// The head that was kept elsewhere is of another log, or signed by another key.
    Foreign,
}

impl Verdict {
    /// The word of the protocol: `whole`, `torn`, `broken` or `missing`.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Torn { .. } => "torn",
            Self::Broken { .. } | Self::Rewritten { .. } | Self::Foreign => "broken",
            Self::MissingSegment { .. } | Self::MissingEntries { .. } => "missing",
        }
    }
}

/// Reads the whole log in `directory` and says whether it is whole, and whether it reaches
/// `expected`, a head that was kept elsewhere.
///
/// # Errors
/// Only when a file cannot be read; what is wrong with the log is in the report.
pub fn verify(directory: &Path, expected: Option<TreeHead>) -> Result<Report, AccessError> {
    let (mut report, trust) = walk(directory, expected, Trust::default())?;
    report.good.signers = trust.signers().to_vec();
    if trust.has_stolen() {
        // What a key signed comes before the entry that says it was stolen.
        let (_, trust) = walk(directory, expected, trust.knowing())?;
        report.good.distrusted = trust.distrusted();
    }
    Ok(report)
}

fn walk(
    directory: &Path,
    expected: Option<TreeHead>,
    trust: Trust,
) -> Result<(Report, Trust), AccessError> {
    let folder = Folder::open(directory).map_err(AccessError::directory(directory))?;
    let names = folder.names().map_err(AccessError::file("the directory"))?;
    let segments = segments_among(&names);
    let stated = Stated { expected, trust, ..Stated::default() };
    let mut walk = Walk { stated, ..Walk::default() };
    let mut verdict = Verdict::Whole;
    let missing = missing_among(&segments);
    let retired = segments.first().map_or(0, |first| first.number() - 1);
    for segment in &segments {
        if missing.is_some_and(|missing| missing < *segment) {
            break;
        }
        let is_last = segments.last() == Some(segment);
        if is_set_aside(&names, *segment) {
            walk.pass_over(&folder, *segment).map_err(AccessError::file(segment))?;
            continue;
        }
        verdict = walk.follow(&folder, *segment, is_last)?;
        if verdict != Verdict::Whole {
            break;
        }
    }
    // First of all: what stands behind it, and says so, may be what tells of those before it.
    if let Some(file) = missing.filter(|_| verdict == Verdict::Whole) {
        verdict = Verdict::MissingSegment { file };
    }
    if verdict == Verdict::Whole {
        verdict = walk.check_gaps();
    }
    if verdict == Verdict::Whole {
        verdict = walk.check_compressed();
    }
    let stated = walk.succession.retired();
    if verdict == Verdict::Whole && stated < retired {
        verdict = Verdict::MissingSegment { file: SegmentName::from_number(stated + 1) };
    }
    walk.retired = retired;
    let trust = std::mem::take(&mut walk.stated.trust);
    Ok((walk.report(verdict), trust))
}

/// The same with a note of a head that was kept elsewhere, which must be one of this log's.
///
/// # Errors
/// As [`verify`].
pub fn verify_against(directory: &Path, note: &HeadNote) -> Result<Report, AccessError> {
    let mut report = verify(directory, Some(note.head))?;
    let is_other = report.good.log.as_ref().is_some_and(|log| *log != note.log);
    let is_unsigned = report.good.notes.is_some_and(|key| !note.is_signed_by(key));
    if is_other || is_unsigned {
        report.verdict = Verdict::Foreign;
    }
    Ok(report)
}

fn broken(file: SegmentName, line: u64, fault: &Fault) -> Verdict {
    Verdict::Broken { file, line, what: fault.to_string() }
}

/// A way through a log, up to the first fault.
#[derive(Default)]
struct Walk {
    succession: Succession,
    stated: Stated,
    segments: u64,
    retired: u64,
    /// The segments that were put aside, and SHA-256 of their files.
    aside: BTreeMap<u64, (Gap, Digest)>,
    /// Whether the last segment read was one of them.
    is_behind_gap: bool,
    /// SHA-256 of the compressed segments that were read.
    compressed: BTreeMap<u64, Digest>,
}

/// What good lines say about the log, wherever they stand.
#[derive(Default)]
struct Stated {
    trust: Trust,
    expected: Option<TreeHead>,
    is_rewritten: bool,
    /// SHA-256 of the files of segments that were put aside.
    accepted: BTreeMap<u64, String>,
    /// SHA-256 of compressed segments.
    compressed: BTreeMap<u64, String>,
}

impl Walk {
    /// Follows one segment; only the last may have something behind its lines.
    fn follow(
        &mut self,
        folder: &Folder,
        segment: SegmentName,
        is_last: bool,
    ) -> Result<Verdict, AccessError> {
        self.segments += 1;
        let open = is_last.then(|| folder.reader(&segment.to_string()));
        match open {
            Some(Ok(file)) => return self.follow_open(file, segment),
            Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => {
                return Err(AccessError::file(segment)(error));
            }
            Some(Err(_)) | None => {}
        }
        let mut stored =
            StoredSegment::open(folder, segment).map_err(AccessError::file(segment))?;
        if let Some(digest) = stored.compressed {
            self.compressed.insert(segment.number(), digest);
        }
        let mut bytes = Vec::with_capacity(4096);
        for number in 1.. {
            bytes.clear();
            let fault = match stored.lines.read_until(b'\n', &mut bytes) {
                Ok(0) if number > 1 => break,
                Ok(_) => bytes
                    .strip_suffix(b"\n")
                    .ok_or(Fault::Remainder)
                    .and_then(|line| self.accept(line, segment, number)),
                Err(error) if stored.compressed.is_some() && is_damaged(&error) => {
                    Err(Fault::Compressed)
                }
                Err(error) => return Err(AccessError::file(segment)(error)),
            };
            if let Err(fault) = fault {
                return Ok(broken(segment, number, &fault));
            }
        }
        Ok(Verdict::Whole)
    }

    /// Follows the segment that is being written, or was.
    fn follow_open(&mut self, file: File, segment: SegmentName) -> Result<Verdict, AccessError> {
        let mut reader = BufReader::with_capacity(1 << 20, file);
        let mut bytes = Vec::with_capacity(4096);
        let mut offset = 0;
        let mut earlier: Option<Vec<u8>> = None;
        let mut number = 1;
        loop {
            bytes.clear();
            reader.read_until(b'\n', &mut bytes).map_err(AccessError::file(segment))?;
            let accepted = bytes.strip_suffix(b"\n").map(|line| self.accept(line, segment, number));
            let fault = match accepted {
                Some(Ok(())) => {
                    offset += bytes.len() as u64;
                    number += 1;
                    continue;
                }
                Some(Err(fault)) => fault,
                None if bytes.is_empty() => return Ok(Verdict::Whole),
                None => Fault::Remainder,
            };
            let is_room = bytes.iter().all(|byte| *byte == 0);
            // A running daemon may just be writing this line: what is wrong stands still.
            if !is_room && earlier.as_ref() != Some(&bytes) {
                earlier = Some(bytes.clone());
                std::thread::yield_now();
                reader.seek(SeekFrom::Start(offset)).map_err(AccessError::file(segment))?;
                continue;
            }
            // Without a newline the file ended there, and whatever follows by now is younger.
            if bytes.ends_with(b"\n") {
                reader.read_to_end(&mut bytes).map_err(AccessError::file(segment))?;
            }
            return Ok(match Remainder::of(&bytes, offset) {
                Remainder::Zeros => Verdict::Whole,
                Remainder::Torn(torn) if !self.succession.was_synced(&bytes) => {
                    Verdict::Torn { file: segment, bytes: torn as u64 }
                }
                Remainder::Torn(_) | Remainder::Damaged => broken(segment, number, &fault),
            });
        }
    }

    /// Passes over a segment that was put aside; what is good of it counts.
    fn pass_over(&mut self, folder: &Folder, segment: SegmentName) -> io::Result<()> {
        self.segments += 1;
        let Self { succession, stated, .. } = self;
        follow_good_part(folder, segment, succession, |line, event, succession| {
            stated.line(line, event, succession)
        })?;
        let after = self.succession.head().map_or(0, |head| head.seq);
        let gap = Gap { segment, after, until: after + 1 };
        self.aside.insert(segment.number(), (gap, digest_of_file(folder, segment)?));
        self.is_behind_gap = true;
        Ok(())
    }

    /// Whether the log says of each segment that was put aside that this was accepted.
    fn check_gaps(&self) -> Verdict {
        let is_unsaid = |(number, (_, digest)): &(&u64, &(Gap, Digest))| {
            self.stated.accepted.get(number).is_none_or(|text| *text != digest.to_string())
        };
        match self.aside.iter().find(is_unsaid) {
            Some((_, (gap, _))) => broken(gap.segment, 1, &Fault::Aside),
            None => Verdict::Whole,
        }
    }

    /// Whether each compressed segment is the file that the log recorded. That of one before a gap may be
    /// what was lost in it.
    fn check_compressed(&self) -> Verdict {
        let last_gap = self.aside.keys().next_back();
        let differs = |(number, digest): (&u64, &Digest)| {
            let is_same = match self.stated.compressed.get(number) {
                Some(text) => *text == digest.to_string(),
                None => last_gap.is_some_and(|gap| gap > number),
            };
            (!is_same).then_some(*number)
        };
        match self.compressed.iter().find_map(differs) {
            Some(number) => broken(SegmentName::from_number(number), 1, &Fault::Compressed),
            None => Verdict::Whole,
        }
    }

    fn accept(&mut self, line: &[u8], segment: SegmentName, number: u64) -> Result<(), Fault> {
        let event = if number == 1 {
            if self.is_behind_gap {
                self.succession = self.succession.after_gap(line)?;
                self.is_behind_gap = false;
                let next = self.succession.tree().size() + 1;
                self.aside.values_mut().rev().take(1).for_each(|(gap, _)| gap.until = next);
            } else if self.segments == 1 && segment != SegmentName::FIRST {
                self.succession = Succession::before(line)?;
            }
            self.succession.accept_first(line, segment)?;
            EventType::SegmentStart
        } else {
            self.succession.accept(line)?
        };
        self.stated.line(line, event, &self.succession)
    }

    fn report(self, verdict: Verdict) -> Report {
        let head = self.succession.head();
        let seq = head.map_or(0, |head| head.seq);
        let tree = self.succession.tree();
        let expected = self.stated.expected.map_or(0, |expected| expected.size);
        let is_short = matches!(verdict, Verdict::Whole | Verdict::Torn { .. }) && expected > seq;
        let verdict = if self.stated.is_rewritten {
            Verdict::Rewritten { seq: expected }
        } else if is_short {
            Verdict::MissingEntries { count: expected - seq }
        } else {
            verdict
        };
        let good = Extent {
            segments: self.segments,
            retired: self.retired,
            head,
            tree: TreeHead { size: tree.size(), root: tree.root() },
            time: self.succession.time(),
            log: self.succession.log().map(str::to_owned),
            notes: self.succession.notes(),
            gaps: self.aside.into_values().map(|(gap, _)| gap).collect(),
            unsigned: self.succession.unsigned(),
            signers: Vec::new(),
            distrusted: Vec::new(),
        };
        Report { good, verdict }
    }
}

impl Stated {
    /// Takes a line that `succession` has accepted as its last.
    fn line(
        &mut self,
        line: &[u8],
        event: EventType,
        succession: &Succession,
    ) -> Result<(), Fault> {
        if event == EventType::LogGap {
            let stated = Line::parse(line).as_ref().and_then(GapStatement::of);
            let stated = stated.ok_or(Fault::Form)?;
            self.accepted.insert(stated.segment.0, stated.sha256);
        }
        if event == EventType::SegmentCompressed {
            let stated = Line::parse(line).as_ref().and_then(CompressedStatement::of);
            let stated = stated.ok_or(Fault::Form)?;
            self.compressed.insert(stated.segment.0, stated.compressed);
        }
        self.trust.line(line, event, succession);
        let tree = succession.tree();
        if let Some(expected) = self.expected.filter(|expected| expected.size == tree.size()) {
            self.is_rewritten = expected.root != tree.root();
        }
        Ok(())
    }
}

impl Extent {
    /// That it is all there is, in words.
    fn write(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Head { seq, hash }) = self.head else {
            return write!(formatter, "The log is whole and empty.");
        };
        write!(formatter, "The log is whole: {seq} entries, the last one {hash}.")?;
        match self.retired {
            0 => {}
            1 => write!(formatter, " The first segment was deleted by the policy.")?,
            some => write!(formatter, " The first {some} segments were deleted by the policy.")?,
        }
        for Gap { segment, after, until } in &self.gaps {
            write!(
                formatter,
                " But {segment} is damaged or lost behind entry {after}: what was up to entry \
                 {until} is gone, and that was accepted."
            )?;
        }
        for distrusted in &self.distrusted {
            write!(formatter, " But {distrusted}")?;
        }
        match self.unsigned {
            0 => Ok(()),
            1 => write!(formatter, " No checkpoint has signed that one yet."),
            some => write!(formatter, " No checkpoint has signed the last {some} yet."),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seq = self.good.head.map_or(0, |head| head.seq);
        match &self.verdict {
            Verdict::Whole => self.good.write(formatter),
            Verdict::Torn { file, bytes } => write!(
                formatter,
                "The log is whole up to entry {seq}; a crash left {bytes} bytes of an unfinished \
                 write behind it in {file}. The next start of the daemon cuts and records them."
            ),
            Verdict::Broken { file, line, what } => write!(
                formatter,
                "The log is broken at {file} line {line}, after entry {seq}: {what}. Keep the \
                 files as evidence and compare them with a backup."
            ),
            Verdict::MissingSegment { file } => write!(
                formatter,
                "{file} is missing, after entry {seq}. Put it back from a backup and verify again."
            ),
            Verdict::MissingEntries { count } => write!(
                formatter,
                "{count} entries missing after seq {seq}: the log was cut. Keep the files as \
                 evidence and compare them with a backup."
            ),
            Verdict::Rewritten { seq } => write!(
                formatter,
                "Up to entry {seq} the log is not the one whose head was kept: it was rewritten. \
                 Keep the files as evidence and compare them with a backup."
            ),
            Verdict::Foreign => write!(
                formatter,
                "The head that was kept is of another log, or signed by another key: one of the \
                 two was replaced. Keep both as evidence and compare them with a backup."
            ),
        }
    }
}
