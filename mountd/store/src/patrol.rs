//! The patrol: a check of an open vault, a part each time, so that damage is known before it is needed.
//!
//! It goes from segment to segment and then to images and header, and begins again. A file beside
//! the segments says where it goes on after a restart; nothing is believed of it.

use crate::durable::{Access, read_whole, replace};
use crate::fields::Fields;
use crate::finding::{Fault, Finding};
use crate::header::{LONGEST, SealedHeader};
use crate::header_file::COPIES;
use crate::image_file::{self, ImageFile};
use crate::segment::{Segment, Standing};
use crate::segment_scan::{Piece, PieceContent, Source, is_content_whole, scan_part};
use crate::vault::{IMAGES, SEGMENTS, Vault};
use crate::wall_time::WallTime;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The file that says where the patrol goes on.
const PLACE: &str = "patrol";
const MAGIC: &[u8; 8] = b"wardptl\0";
const LENGTH: usize = 24;

/// What a part of a patrol found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patrolled {
    /// How many bytes of segments were read.
    pub bytes: u64,
    /// Everything in them that is not what was written, with the path it hurts.
    pub findings: Vec<Finding>,
    /// This part was the last of a round: images and header were read too.
    pub is_round_complete: bool,
    /// When the round before this part was complete, if it ever was.
    pub last_round: Option<WallTime>,
}

/// Where the patrol of an open vault stands. Held while it reads; taken before everything else.
#[derive(Debug, Default)]
pub(crate) struct PatrolPlace(Mutex<Option<Place>>);

#[derive(Clone, Copy, Debug)]
struct Place {
    /// The segment to go on with.
    segment: u64,
    /// Where in it; its beginning after a restart.
    within: Option<Standing>,
    last_round: Option<WallTime>,
}

/// What one step through a segment came to.
enum Step {
    /// Goes on there.
    Within(Standing),
    /// The segment is done.
    Next,
}

impl Vault {
    /// Reads and verifies about `budget` bytes from where the last call stopped, at least one frame.
    ///
    /// Changes nothing, and keeps nobody from reading or writing meanwhile.
    pub fn patrol(&self, budget: u64, now: WallTime) -> Patrolled {
        let mut held = self.patrol.lock();
        let mut place = held.unwrap_or_else(|| self.read_place());
        let (findings, last_round) = (Vec::new(), place.last_round);
        let mut done = Patrolled { bytes: 0, findings, is_round_complete: false, last_round };
        let (began_in, budget) = (place.segment, budget.max(1));
        while done.bytes < budget {
            let segments = self.segments.all();
            let Some(segment) = segments.iter().find(|one| one.number >= place.segment) else {
                self.patrol_rest(&mut done.findings);
                done.is_round_complete = true;
                place = Place { segment: 1, within: None, last_round: Some(now) };
                break;
            };
            let number = segment.number;
            let within = place.within.filter(|within| within.segment == number);
            let step = self.patrol_segment(number, (within, budget - done.bytes), &mut done);
            let step = step.unwrap_or_else(|_| {
                done.findings.push(Finding::of_segment(Fault::Unreadable, number));
                Step::Next
            });
            (place.segment, place.within) = match step {
                Step::Within(standing) => (number, Some(standing)),
                Step::Next => (number + 1, None),
            };
        }
        if (place.segment != began_in || done.is_round_complete) && self.read_only().is_none() {
            // Forgotten, it only reads something again.
            let _may_fail = self.write_place(&place);
        }
        *held = Some(place);
        done
    }

    /// Reads on in a segment.
    fn patrol_segment(
        &self,
        number: u64,
        (within, enough): (Option<Standing>, u64),
        done: &mut Patrolled,
    ) -> io::Result<Step> {
        let directory = self.directory.join(SEGMENTS);
        let ring = self.keys.ring();
        let place = (&*directory, number);
        let opened = match Segment::open(&*self.disk, place, Access::Read, (self.id(), &ring)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if self.segments.get(number).is_some() {
                    done.findings.push(Finding::of_segment(Fault::SegmentMissing, number));
                }
                return Ok(Step::Next);
            }
            opened => opened?,
        };
        let Some((segment, _, start)) = opened.filter(|(_, header, _)| header.number == number)
        else {
            done.findings.push(Finding::of_segment(Fault::SegmentHeader, number));
            return Ok(Step::Next);
        };
        let Some((end, is_closed)) = self.writer.synced_end(number) else {
            return Ok(Step::Next);
        };
        let start = within.unwrap_or(start);
        let limit = (end.position, enough);
        let (scan, stands) = scan_part(&segment, start, limit, Source::PastCache)?;
        for fault in &scan.faults {
            self.note(Finding::at(Fault::Frame, number, *fault), done);
        }
        self.patrol_contents(&segment, &scan.pieces, done)?;
        let reached = stands.map_or(end.position, |stands| stands.position);
        done.bytes += reached.saturating_sub(start.position);
        match stands {
            Some(stands) if stands.position < end.position => Ok(Step::Within(stands)),
            Some(stands) if stands == end || !is_closed || !scan.faults.is_empty() => {
                Ok(Step::Next)
            }
            Some(_) | None => {
                if scan.faults.is_empty() && start.position < end.position {
                    self.note(Finding::of_segment(Fault::SegmentOrder, number), done);
                }
                Ok(Step::Next)
            }
        }
    }

    /// Opens the content of data frames, but of those that were shredded.
    fn patrol_contents(
        &self,
        segment: &Segment,
        pieces: &[Piece],
        done: &mut Patrolled,
    ) -> io::Result<()> {
        for piece in pieces {
            if let PieceContent::Data(header) = &piece.content
                && !self.read_index().is_shredded(segment.number, piece.position)
                && !is_content_whole(segment, piece.position, header)?
            {
                self.note(Finding::at(Fault::Content, segment.number, piece.position), done);
            }
        }
        Ok(())
    }

    /// Adds a finding, unless a shred or the compactor was there first.
    fn note(&self, finding: Finding, done: &mut Patrolled) {
        let Finding { segment: Some(segment), position, .. } = finding else {
            return;
        };
        let index = self.read_index();
        let is_shredded = position.is_some_and(|position| index.is_shredded(segment, position));
        if is_shredded || self.segments.get(segment).is_none() {
            return;
        }
        let path = position.and_then(|position| index.path_of_frame(segment, position));
        drop(index);
        done.findings.push(Finding { path, ..finding });
    }

    /// Reads the images and both copies of the header.
    fn patrol_rest(&self, findings: &mut Vec<Finding>) {
        let of = |fault| Finding { fault, segment: None, position: None, path: None };
        let ring = self.keys.ring();
        {
            // Held so that no image goes meanwhile.
            let _shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
            let directory = self.directory.join(IMAGES);
            for number in image_file::numbers(&*self.disk, &directory).unwrap_or_default() {
                let image = ImageFile { vault: self.id(), number, kind: self.kind() };
                let read = image_file::read(&*self.disk, &directory, (image, &ring));
                if !matches!(read, Ok(Some(_))) {
                    findings.push(of(Fault::Image));
                }
            }
        }
        let _header = self.lock_header();
        let ring = self.keys.ring();
        for copy in COPIES {
            let bytes = read_whole(&*self.disk, &self.directory.join(copy), LONGEST);
            let sealed = bytes.ok().and_then(|bytes| SealedHeader::decode(&bytes).ok());
            if !sealed.is_some_and(|sealed| sealed.is_genuine(ring.newest())) {
                findings.push(of(Fault::HeaderCopy));
            }
        }
    }

    fn read_place(&self) -> Place {
        let bytes = read_whole(&*self.disk, &self.directory.join(PLACE), LENGTH);
        let last = self.writer.open_segment();
        let place = bytes.ok().and_then(|bytes| Place::decode(&bytes));
        let place = place.filter(|place| place.segment <= last);
        place.unwrap_or(Place { segment: 1, within: None, last_round: None })
    }

    fn write_place(&self, place: &Place) -> io::Result<()> {
        replace(&*self.disk, &self.directory.join(PLACE), &place.encode())
    }
}

impl PatrolPlace {
    fn lock(&self) -> MutexGuard<'_, Option<Place>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Segment and time of the last round; the least time stands for none.
    fn encode(&self) -> Vec<u8> {
        let time = self.last_round.map_or(i64::MIN, WallTime::nanoseconds);
        [MAGIC.as_slice(), &self.segment.to_le_bytes(), &time.to_le_bytes()].concat()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(bytes);
        let is_ours = fields.bytes(MAGIC.len())? == MAGIC;
        let (segment, time) = (fields.u64()?, fields.i64()?);
        let last_round = (time != i64::MIN).then(|| WallTime::from_nanoseconds(time));
        (is_ours && fields.is_empty()).then_some(Self { segment, within: None, last_round })
    }
}
