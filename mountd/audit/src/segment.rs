//! Segments: how the files of a log are named, and what may stand after the last line.

use std::fmt;

/// A segment, by its running number from 1: `0000000001.jsonl`.
///
/// A running number, not the first seq: ten digits of seq would be spent in a day at the rate a
/// fast disk allows, ten digits of 64 MiB never are. Its first entry says which seq it begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SegmentName(u64);

impl SegmentName {
    /// The first segment of every log.
    pub const FIRST: Self = Self(1);

    /// The running number.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The segment with this running number.
    pub(crate) const fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// The segment after it.
    pub(crate) const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The segment before it; `None` before the first.
    pub(crate) const fn previous(self) -> Option<Self> {
        if self.0 > 1 { Some(Self(self.0 - 1)) } else { None }
    }

    /// The name of its compressed form.
    pub(crate) fn compressed_name(self) -> String {
        format!("{self}{COMPRESSED}")
    }

    /// The name under which it lies when it was damaged, and somebody accepted that.
    pub(crate) fn name_aside(self) -> String {
        format!("{self}{ASIDE}")
    }

    /// The segment with this file name, of any form; `None` for every other file.
    pub(crate) fn from_file_name(name: &str) -> Option<Self> {
        let suffixes = [COMPRESSED, ASIDE].into_iter();
        let name = suffixes.fold(name, |name, suffix| name.strip_suffix(suffix).unwrap_or(name));
        let digits = name.strip_suffix(".jsonl")?;
        let is_number = digits.len() == 10 && digits.bytes().all(|byte| byte.is_ascii_digit());
        let number = digits.parse().ok()?;
        (is_number && number > 0).then_some(Self(number))
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:010}.jsonl", self.0)
    }
}

/// What the name of a compressed segment ends with.
const COMPRESSED: &str = ".zst";

/// What the name of a segment ends with that was put aside.
const ASIDE: &str = ".broken";

/// Whether a segment was put aside.
pub(crate) fn is_set_aside(names: &[String], segment: SegmentName) -> bool {
    let is_there = |name: String| names.contains(&name);
    is_there(segment.name_aside())
        && !is_there(segment.to_string())
        && !is_there(segment.compressed_name())
}

/// The segments among some file names, in order; one that has two forms once.
pub(crate) fn segments_among(names: &[String]) -> Vec<SegmentName> {
    let mut segments: Vec<_> =
        names.iter().filter_map(|name| SegmentName::from_file_name(name)).collect();
    segments.sort_unstable();
    segments.dedup();
    segments
}

/// The first segment that is not there though one before and one after it are. Those before the
/// first one may have been deleted by the policy: only the log knows.
pub(crate) fn missing_among(segments: &[SegmentName]) -> Option<SegmentName> {
    let pairs = segments.windows(2).filter_map(|pair| Some((pair.first()?, pair.last()?)));
    pairs.map(|(one, next)| (one.next(), *next)).find(|(one, next)| one != next).map(|(one, _)| one)
}

/// What stands after the last line that is as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remainder {
    /// Nothing but preallocated zeros.
    Zeros,
    /// What a power cut leaves of writes that were not synced: so many bytes up to the last one
    /// that is not zero.
    Torn(usize),
    /// Something that no power cut explains.
    Damaged,
}

/// The unit a disk writes whole: a power cut loses or keeps such pieces, in any order.
const SECTOR: usize = 512;
/// The most that is ever unsynced, with room to spare: damage further back is no torn tail.
const LONGEST_TORN: usize = 4 << 20;

impl Remainder {
    /// Judges `rest`, the bytes from `offset` of the open segment on, where no good line begins.
    ///
    /// Torn is: the beginning of a line and then zeros to the end; or a lost sector (zeros from
    /// there or from a sector's edge on, to a sector's edge) with anything behind it.
    pub(crate) fn of(rest: &[u8], offset: u64) -> Self {
        let Some(last) = rest.iter().rposition(|byte| *byte != 0) else {
            return Self::Zeros;
        };
        let torn = last + 1;
        let zeros_begin = rest.iter().position(|byte| matches!(byte, 0 | b'\n'));
        let begin = match zeros_begin {
            None => return Self::Torn(torn),
            Some(at) if rest.get(at) == Some(&b'\n') => return Self::Damaged,
            Some(at) if at == torn => return Self::Torn(torn),
            Some(at) => at,
        };
        let length = rest.iter().skip(begin).take_while(|byte| **byte == 0).count();
        let offset = usize::try_from(offset).unwrap_or_default();
        let is_edge = |at: usize| (offset + at).is_multiple_of(SECTOR);
        let is_lost_sector = (begin == 0 || is_edge(begin)) && is_edge(begin + length);
        if is_lost_sector && torn <= LONGEST_TORN { Self::Torn(torn) } else { Self::Damaged }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_ten_digits_and_nothing_else() {
        assert_eq!(SegmentName::FIRST.to_string(), "0000000001.jsonl");
        assert_eq!(SegmentName::from_file_name("0000000012.jsonl"), Some(SegmentName(12)));
        assert_eq!(SegmentName::from_file_name("0000000012.jsonl.zst"), Some(SegmentName(12)));
        for name in ["0000000000.jsonl", "12.jsonl", "+000000001.jsonl", "reserve", ".jsonl"] {
            assert_eq!(SegmentName::from_file_name(name), None, "{name}");
        }
    }

    #[test]
    fn the_first_absent_segment_is_named() {
        let names = |numbers: &[u64]| numbers.iter().copied().map(SegmentName).collect::<Vec<_>>();
        assert_eq!(missing_among(&names(&[1, 2, 3])), None);
        assert_eq!(missing_among(&names(&[1, 3])), Some(SegmentName(2)));
        assert_eq!(missing_among(&names(&[2, 3])), None);
    }

    #[test]
    fn zeros_are_room_for_what_comes_and_half_a_line_before_them_is_torn() {
        assert_eq!(Remainder::of(b"", 700), Remainder::Zeros);
        assert_eq!(Remainder::of(&[0; 900], 700), Remainder::Zeros);
        assert_eq!(Remainder::of(b"{\"entry\":", 700), Remainder::Torn(9));
        assert_eq!(Remainder::of(b"{\"entry\":\0\0\0", 700), Remainder::Torn(9));
    }

    #[test]
    fn a_lost_sector_is_torn_whatever_came_after_it() {
        let mut rest = vec![0; 1024 - 700];
        rest.extend(b"\"}\n{\"entry\":{}}\n");
        assert_eq!(Remainder::of(&rest, 700), Remainder::Torn(rest.len()));
        let mut rest = vec![b'x'; 1024 - 700];
        rest.extend([0; 512]);
        rest.extend(b"\"}\n");
        assert_eq!(Remainder::of(&rest, 700), Remainder::Torn(rest.len()));
    }

    #[test]
    fn a_whole_line_that_is_wrong_or_a_stray_byte_is_damage() {
        assert_eq!(Remainder::of(b"{\"entry\"}\n\0\0", 700), Remainder::Damaged);
        assert_eq!(Remainder::of(b"\0\0\0x\0\0", 700), Remainder::Damaged);
    }

    #[test]
    fn damage_far_from_the_end_is_no_torn_tail() {
        let mut rest = vec![0; 512];
        rest.resize(LONGEST_TORN + 1, b'x');
        assert_eq!(Remainder::of(&rest, 512), Remainder::Damaged);
    }
}
