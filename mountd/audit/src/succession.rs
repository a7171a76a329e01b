//! Succession: may this line come after that one?

use crate::line::Line;
use crate::{ChainHash, Entry, EventType, SegmentName, Timestamp};

/// Where a log ends: its last entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The number of the entry.
    pub seq: u64,
    /// Its hash, which stands for every entry up to it.
    pub hash: ChainHash,
}

/// What is wrong with a line, or with its place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("the line does not have the form of a log line, so it was changed or damaged")]
    Form,
    #[error("the line does not match its own hash, so it was changed")]
    Changed,
    #[error("seq {found} stands where {expected} must be, so lines are missing here")]
    Missing { expected: u64, found: u64 },
    #[error("seq {found} stands where {expected} must be, so a line was moved, repeated or added")]
    OutOfOrder { expected: u64, found: u64 },
    #[error("prevHash is not the hash of the line before, so one of the two was replaced")]
    Replaced,
    #[error("its time is not after the time of the line before")]
    Time,
    #[error("the segment does not begin with the segment.start entry of this place in this log")]
    Start,
    #[error("there is something after the last line that no power cut leaves behind")]
    Remainder,
}

/// Follows a log line by line. Reads entries no further than it must.
#[derive(Debug, Default)]
pub(crate) struct Succession {
    head: Option<Head>,
    head_digits: Option<[u8; ChainHash::HEX_LENGTH]>,
    time: [u8; Timestamp::LENGTH],
    log: Option<String>,
}

impl Succession {
    /// The last line accepted.
    pub(crate) const fn head(&self) -> Option<Head> {
        self.head
    }

    /// The time of the last line accepted.
    pub(crate) fn time(&self) -> Option<Timestamp> {
        std::str::from_utf8(&self.time).ok().and_then(Timestamp::from_text)
    }

    /// The id of the log, once its first segment has begun.
    pub(crate) fn log(&self) -> Option<&str> {
        self.log.as_deref()
    }

    /// Takes one line (without its newline) from within a segment.
    pub(crate) fn accept(&mut self, line: &[u8]) -> Result<(), Fault> {
        let line = Line::parse(line).ok_or(Fault::Form)?;
        let previous = self.head.map(|head| head.hash);
        // The usual case first: the digits are those of the hash that is known already.
        let follows = line.previous == self.head_digits.as_ref().map(|digits| &digits[..]);
        let stated = if follows { previous } else { stated_previous(&line)? };
        let hash = ChainHash::of(line.entry, stated);
        let digits = hash.to_hex();
        if line.hash != digits {
            return Err(Fault::Changed);
        }
        let (found, time) = line.position().ok_or(Fault::Form)?;
        let expected = self.head.map_or(1, |head| head.seq + 1);
        if found > expected {
            return Err(Fault::Missing { expected, found });
        }
        if found < expected {
            return Err(Fault::OutOfOrder { expected, found });
        }
        if !follows {
            return Err(Fault::Replaced);
        }
        if *time <= self.time[..] {
            return Err(Fault::Time);
        }
        self.head = Some(Head { seq: found, hash });
        self.head_digits = Some(digits);
        self.time.copy_from_slice(time);
        Ok(())
    }

    /// Takes the first line of `segment`.
    pub(crate) fn accept_first(&mut self, line: &[u8], segment: SegmentName) -> Result<(), Fault> {
        let previous = self.head.map(|head| head.hash);
        self.accept(line)?;
        let start = start_of(line).ok_or(Fault::Start)?;
        let is_this_log = self.log.as_ref().is_none_or(|log| *log == start.log);
        if !is_this_log || start.segment != segment || start.previous != previous {
            return Err(Fault::Start);
        }
        self.log = Some(start.log);
        Ok(())
    }

    /// Begins in the middle of a log: after `line`, the last one of an earlier segment, of which
    /// only its own hash is checked.
    pub(crate) fn after(line: &[u8], log: String) -> Result<Self, Fault> {
        let line = Line::parse(line).ok_or(Fault::Form)?;
        let hash = ChainHash::of(line.entry, stated_previous(&line)?);
        if line.hash != hash.to_hex() {
            return Err(Fault::Changed);
        }
        let (seq, text) = line.position().ok_or(Fault::Form)?;
        let mut time = [0; Timestamp::LENGTH];
        time.copy_from_slice(text);
        let head_digits = Some(hash.to_hex());
        Ok(Self { head: Some(Head { seq, hash }), head_digits, time, log: Some(log) })
    }
}

/// What the first line of a segment says.
#[derive(Debug)]
pub(crate) struct SegmentStart {
    pub(crate) log: String,
    segment: SegmentName,
    previous: Option<ChainHash>,
}

/// Reads the first line of a segment; `None` when it is no `segment.start`.
pub(crate) fn start_of(line: &[u8]) -> Option<SegmentStart> {
    let entry: Entry<'_> = serde_json::from_slice(Line::parse(line)?.entry).ok()?;
    if entry.event_type != EventType::SegmentStart {
        return None;
    }
    Some(SegmentStart {
        log: entry.log?.into_owned(),
        segment: SegmentName::from_number(entry.segment?.0),
        previous: entry.previous,
    })
}

/// The hash that a line itself says comes before it.
fn stated_previous(line: &Line<'_>) -> Result<Option<ChainHash>, Fault> {
    let Some(digits) = line.previous else {
        return Ok(None);
    };
    let text = std::str::from_utf8(digits).map_err(|_| Fault::Form)?;
    ChainHash::from_hex(text).map(Some).ok_or(Fault::Form)
}
