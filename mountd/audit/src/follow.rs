//! Following: the lines of a log as they are, from some entry on, up to what is on disk; and again as
//! more is written.

use crate::access::AccessError;
use crate::chain::ChainHash;
use crate::disk::Disk;
use crate::line::Line;
use crate::names::Keyring;
use crate::read::{ReadLogError, ShownEntry, shown_entry};
use crate::segment::segments_among;
use crate::stored::{StoredSegment, is_damaged};
use crate::{Log, SegmentName, Timestamp};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

/// Where somebody is who follows the log.
#[derive(Clone, Debug)]
pub struct Follower {
    /// What they have: everything up to this entry.
    after: u64,
    /// The segment they are in, and how many bytes of its lines they have; looked for when absent.
    place: Option<(SegmentName, u64)>,
}

/// Some lines of a log, each with its newline. What is damaged is not among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lines {
    /// Their bytes.
    pub bytes: Vec<u8>,
    /// The first entry.
    pub first: u64,
    /// The last entry.
    pub last: u64,
    /// The hash of the last entry.
    pub hash: ChainHash,
    /// When the first entry was made.
    pub since: Timestamp,
    /// How many entries before the first are not kept any more.
    pub missing: u64,
    /// Whether any of them is more than the log's own housekeeping.
    pub has_news: bool,
}

impl Follower {
    /// Of somebody who has everything up to the entry `after`.
    pub const fn after(after: u64) -> Self {
        Self { after, place: None }
    }
}

impl Log {
    /// The next lines for `follower`, of `most` bytes together unless one alone is longer; `None` when
    /// there are none yet. Only what is on disk: a power cut takes nothing back of it.
    ///
    /// # Errors
    /// Names the file that cannot be read; `follower` stays where it is.
    pub fn follow(
        &self,
        follower: &mut Follower,
        most: usize,
    ) -> Result<Option<Lines>, ReadLogError> {
        let stopped = |_| ReadLogError::Stopped;
        let (disk, synced) = {
            let tail = self.tail().map_err(stopped)?;
            (tail.disk(), tail.epochs.synced())
        };
        if synced <= follower.after {
            return Ok(None);
        }
        let mut following =
            Following { disk: &*disk, synced, most, at: follower.clone(), lines: None };
        following.go_on()?;
        *follower = following.at;
        Ok(following.lines)
    }

    /// The entries of `lines`, their names opened where the vault is unlocked.
    ///
    /// # Errors
    /// The log has stopped.
    pub fn shown(&self, lines: &Lines) -> Result<Vec<ShownEntry>, ReadLogError> {
        let keyring = Keyring::clone(self.tail().map_err(|_| ReadLogError::Stopped)?.keyring());
        let each = lines.bytes.split(|byte| *byte == b'\n');
        Ok(each.filter_map(|line| shown_entry(line, &keyring)).collect())
    }

    /// Up to which entry everything is on disk.
    ///
    /// # Errors
    /// The log has stopped.
    pub fn synced(&self) -> Result<u64, ReadLogError> {
        Ok(self.tail().map_err(|_| ReadLogError::Stopped)?.epochs.synced())
    }
}

/// One way through the log, until there are lines enough.
struct Following<'a> {
    disk: &'a dyn Disk,
    synced: u64,
    most: usize,
    at: Follower,
    lines: Option<Lines>,
}

impl Following<'_> {
    fn go_on(&mut self) -> Result<(), ReadLogError> {
        let names = self.disk.names().map_err(AccessError::file("the directory"))?;
        let segments = segments_among(&names);
        let (mut segment, mut offset) = match self.at.place {
            // It may have been deleted meanwhile.
            Some((segment, offset)) if segments.contains(&segment) => (segment, offset),
            Some(_) | None => match self.find(&segments)? {
                Some(segment) => (segment, 0),
                None => return Ok(()),
            },
        };
        loop {
            let (end, is_over) = self.segment(segment, offset)?;
            self.at.place = Some((segment, end));
            let next = segments.iter().copied().find(|it| *it > segment);
            match next {
                Some(next) if is_over => (segment, offset) = (next, 0),
                Some(_) | None => return Ok(()),
            }
        }
    }

    /// The newest segment that does not begin after the next entry; the first that is kept otherwise.
    fn find(&self, segments: &[SegmentName]) -> Result<Option<SegmentName>, ReadLogError> {
        for segment in segments.iter().rev() {
            let mut lines = self.open(*segment, 0)?;
            let mut line = Vec::new();
            // What cannot be unpacked has no first line.
            let _is_damaged = lines.read_until(b'\n', &mut line);
            let first = position(line.strip_suffix(b"\n").unwrap_or_default());
            if first.is_some_and(|(seq, _, _, _)| seq <= self.at.after + 1) {
                return Ok(Some(*segment));
            }
        }
        Ok(segments.first().copied())
    }

    /// Takes lines of `segment` from `offset` on: how far it came, and whether this was the end.
    fn segment(&mut self, segment: SegmentName, offset: u64) -> Result<(u64, bool), ReadLogError> {
        let mut lines = self.open(segment, offset)?;
        let (mut offset, mut line) = (offset, Vec::new());
        loop {
            line.clear();
            match lines.read_until(b'\n', &mut line) {
                Ok(_) => {}
                Err(error) if is_damaged(&error) => return Ok((offset, true)),
                Err(error) => return Err(AccessError::file(segment)(error).into()),
            }
            // The end, preallocated zeros, or a line that is being written.
            let Some(text) = line.strip_suffix(b"\n") else { return Ok((offset, true)) };
            if !self.take(text) {
                return Ok((offset, false));
            }
            offset += line.len() as u64;
        }
    }

    /// Takes a line; whether there is room for it, and it is on disk.
    fn take(&mut self, line: &[u8]) -> bool {
        // What is damaged is passed over here, and found by a verification.
        let Some((seq, since, hash, is_news)) = position(line) else { return true };
        if seq <= self.at.after {
            return true;
        }
        let length = line.len() + 1;
        let has_room = |lines: &Lines| lines.bytes.len() + length <= self.most;
        if seq > self.synced || !self.lines.as_ref().is_none_or(has_room) {
            return false;
        }
        let missing = seq - self.at.after - 1;
        let lines = self.lines.get_or_insert_with(|| Lines {
            bytes: Vec::new(),
            first: seq,
            last: seq,
            hash,
            since,
            missing,
            has_news: false,
        });
        lines.bytes.extend_from_slice(line);
        lines.bytes.push(b'\n');
        (lines.last, lines.hash) = (seq, hash);
        lines.has_news |= is_news;
        self.at.after = seq;
        true
    }

    /// The lines of `segment` from `offset` on, whatever form it has.
    fn open(&self, segment: SegmentName, offset: u64) -> Result<Box<dyn BufRead>, ReadLogError> {
        let opened = || -> io::Result<Box<dyn BufRead>> {
            match self.disk.reader(&segment.to_string()) {
                Ok(mut file) => {
                    file.seek(SeekFrom::Start(offset))?;
                    Ok(Box::new(BufReader::with_capacity(1 << 16, file)))
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let mut lines = StoredSegment::open(self.disk, segment)?.lines;
                    io::copy(&mut lines.by_ref().take(offset), &mut io::sink())?;
                    Ok(lines)
                }
                Err(error) => Err(error),
            }
        };
        Ok(opened().map_err(AccessError::file(segment))?)
    }
}

/// The number, the time and the hash of a line's entry, and whether it is news; `None` when it is
/// none.
fn position(line: &[u8]) -> Option<(u64, Timestamp, ChainHash, bool)> {
    let line = Line::parse(line)?;
    let (seq, time) = line.position()?;
    let time = Timestamp::from_text(std::str::from_utf8(time).ok()?)?;
    let hash = ChainHash::from_hex(std::str::from_utf8(line.hash).ok()?)?;
    Some((seq, time, hash, !line.event()?.is_housekeeping()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Folder;
    use crate::support::{Fixture, at, log_key, settings};
    use crate::{Durability, EventType, Filter, Record};
    use std::ops::ControlFlow;
    use std::sync::Arc;
    use std::time::Duration;

    const RECORD: Record<'static> = Record::new(EventType::FileOpen);

    fn put(log: &Log, time: u64) -> u64 {
        log.append(RECORD, Durability::Durable, at(time)).unwrap().seq()
    }

    fn all(log: &Log, follower: &mut Follower, most: usize) -> Vec<Lines> {
        std::iter::from_fn(|| log.follow(follower, most).unwrap()).collect()
    }

    /// The lines as they lie in the files, in whatever form.
    fn stored(fixture: &Fixture) -> Vec<u8> {
        let folder = Folder::open(fixture.path()).unwrap();
        let mut bytes = Vec::new();
        for segment in segments_among(&folder.names().unwrap()) {
            let mut lines = StoredSegment::open(&folder, segment).unwrap().lines;
            lines.read_to_end(&mut bytes).unwrap();
        }
        let end = bytes.iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
        bytes.truncate(end);
        bytes
    }

    fn bytes(parts: &[Lines]) -> Vec<u8> {
        parts.iter().flat_map(|lines| lines.bytes.clone()).collect()
    }

    #[test]
    fn who_follows_gets_every_line_once_as_it_is_whatever_the_parts_and_whatever_becomes_of_segments()
     {
        for most in [1, 700, 4_000, 1 << 20] {
            let fixture = Fixture::new();
            let log = fixture.log();
            let mut follower = Follower::after(0);
            let mut got = Vec::new();
            let hour = 3_600_000_000;
            for number in 1..=40 {
                put(&log, number * hour);
                if number % 3 == 0 {
                    got.extend(all(&log, &mut follower, most));
                }
                if number % 4 == 0 {
                    log.tend(at(number * hour + 1)).unwrap();
                }
            }
            log.sync().unwrap();
            got.extend(all(&log, &mut follower, most));
            assert_eq!(bytes(&got), stored(&fixture), "{most}");
            let last = log.head().unwrap().unwrap();
            assert_eq!(
                got.last().map(|lines| (lines.last, lines.hash)),
                Some((last.seq, last.hash))
            );
            assert!(got.windows(2).all(|pair| pair[0].last + 1 == pair[1].first));
            assert!(got.iter().all(|lines| lines.missing == 0));
            assert!(most == 1 || got.iter().all(|lines| lines.bytes.len() <= most.max(2_000)));
        }
    }

    #[test]
    fn who_begins_anywhere_gets_the_rest_and_its_entries() {
        let fixture = Fixture::new();
        let log = fixture.log();
        let hour = 3_600_000_000;
        for number in 1..=12 {
            put(&log, number * hour);
            log.tend(at(number * hour + 1)).unwrap();
        }
        log.sync().unwrap();
        let mut entries = Vec::new();
        log.read(&Filter::default(), |shown| {
            entries.push(shown);
            ControlFlow::Continue(())
        })
        .unwrap();
        for (after, rest) in (0_u64..).zip((0..=entries.len()).map(|from| &entries[from..])) {
            let got = all(&log, &mut Follower::after(after), 1 << 20);
            let shown: Vec<_> = got.iter().flat_map(|lines| log.shown(lines).unwrap()).collect();
            assert_eq!(shown, rest, "{after}");
        }
    }

    #[test]
    fn what_is_not_on_disk_is_not_given_yet() {
        let fixture = Fixture::new();
        let log = fixture.log();
        let mut follower = Follower::after(0);
        put(&log, 1);
        let before = all(&log, &mut follower, 1 << 20);
        let written = log.append(RECORD, Durability::Written, at(2)).unwrap().seq();
        assert_eq!(all(&log, &mut follower, 1 << 20), []);
        log.sync().unwrap();
        let [lines] = &all(&log, &mut follower, 1 << 20)[..] else { panic!("one part") };
        assert_eq!((lines.first, lines.last), (written, written));
        assert_eq!(before.last().unwrap().last + 1, written);
    }

    #[test]
    fn housekeeping_is_no_news() {
        let fixture = Fixture::new();
        let log = fixture.log();
        let mut follower = Follower::after(put(&log, 1));
        let _receipt = log.append(Record::shipped("a", 2), Durability::Durable, at(2)).unwrap();
        log.keep(Duration::ZERO, at(3)).unwrap();
        log.sync().unwrap();
        let quiet = all(&log, &mut follower, 1 << 20);
        assert!(quiet.iter().all(|lines| !lines.has_news) && !quiet.is_empty());
        put(&log, 4);
        assert!(all(&log, &mut follower, 1 << 20).iter().any(|lines| lines.has_news));
    }

    #[test]
    fn a_start_knows_how_far_each_sink_was() {
        let fixture = Fixture::new();
        let hour = 3_600_000_000;
        {
            let log = fixture.log();
            for (number, sink, seq) in [(1, "a", 5), (2, "b", 2), (3, "a", 9)] {
                let record = Record::shipped(sink, seq);
                let _receipt = log.append(record, Durability::Durable, at(number)).unwrap();
            }
            for number in 1..=3 {
                put(&log, number * hour);
                log.tend(at(number * hour + 1)).unwrap();
            }
        }
        let folder = Arc::new(Folder::open_for_writing(fixture.path()).unwrap());
        let (_log, recovered) = Log::open_on(folder, log_key(), settings(), at(4 * hour)).unwrap();
        assert_eq!(recovered.cursors, [("a".to_owned(), 9), ("b".to_owned(), 2)]);
    }

    #[test]
    fn who_comes_too_late_hears_how_many_entries_are_gone() {
        let fixture = Fixture::new();
        let log = fixture.log();
        let day = 24 * 3_600_000_000;
        for number in 1..=6 {
            put(&log, number * day);
            log.tend(at(number * day + 1)).unwrap();
        }
        let kept = Duration::from_secs(24 * 60 * 60);
        let mut early = Follower::after(0);
        let first = log.follow(&mut early, 1).unwrap().unwrap();
        log.retire(kept, first.last, at(6 * day + 2)).unwrap();
        assert_eq!(log.follow(&mut Follower::after(0), 1).unwrap().unwrap().first, 1);
        log.retire(kept, u64::MAX, at(6 * day + 3)).unwrap();
        let late = log.follow(&mut Follower::after(0), 1).unwrap().unwrap();
        assert!(late.first > 1);
        assert_eq!(late.missing, late.first - 1);
        let going_on = log.follow(&mut early, 1).unwrap().unwrap();
        assert_eq!((going_on.first, going_on.missing), (late.first, late.first - first.last - 1));
    }
}
