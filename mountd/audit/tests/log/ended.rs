//! What becomes of segments that have ended.
#![expect(clippy::unwrap_used, reason = "only tests use it")]

use crate::support::{FIRST, Place, SECOND, append, at, entries, log_key, settings};
use crate::tampering::named;
use std::path::Path;
use std::time::Duration;
use ward_audit::{EventType, HeadNote, Log, OpenLogError, Stamp, Verdict};

const COMPRESSED: &str = "0000000001.jsonl.zst";
const QUARTER: u64 = 15 * 60 * 1_000_000;

/// A log of two runs, the first one's segment put away by the second, which has ended too.
fn put_away(count: u64) -> (Place, Vec<u8>) {
    let place = Place::with_entries(count);
    let lines = place.bytes(FIRST);
    let log = place.open_at(at(1000));
    log.tend(at(1001)).unwrap();
    log.close(at(1002)).unwrap();
    drop(log);
    (place, lines)
}

fn segments(log: &Log) -> usize {
    let starts = entries(log).into_iter();
    starts.filter(|shown| shown.entry.event_type == EventType::SegmentStart).count()
}

#[test]
fn a_segment_that_has_ended_is_compressed_and_reads_as_before() {
    let (place, lines) = put_away(500);
    assert!(!place.file(FIRST).exists());
    assert!(place.bytes(COMPRESSED).len() * 2 < lines.len());
    assert_eq!(zstd::decode_all(&place.bytes(COMPRESSED)[..]).unwrap(), lines);
    let report = place.verify();
    assert_eq!(report.verdict, Verdict::Whole);
    let log = place.open_at(at(2000));
    let shown = entries(&log);
    assert_eq!(shown.len() as u64, report.good.head.unwrap().seq + 1);
    let digest = |bytes: &[u8]| {
        use sha2::Digest as _;
        let sum = sha2::Sha256::digest(bytes);
        ward_policy::Digest::from_bytes(sum.into()).to_string()
    };
    let said = shown.iter().find(|it| it.entry.event_type == EventType::SegmentCompressed).unwrap();
    assert_eq!(said.entry.sha256.as_deref(), Some(&*digest(&lines)));
    assert_eq!(said.entry.compressed.as_deref(), Some(&*digest(&place.bytes(COMPRESSED))));
}

#[test]
fn every_flipped_bit_of_a_compressed_segment_and_every_cut_and_added_byte_is_found() {
    let (place, _) = put_away(12);
    let whole = place.bytes(COMPRESSED);
    let is_found = |bytes: &[u8]| {
        place.put(COMPRESSED, bytes);
        named(&place.verify().verdict).is_some_and(|(file, _)| file == FIRST)
    };
    for position in 0..whole.len() {
        for bit in 0..8 {
            let mut flipped = whole.clone();
            flipped[position] ^= 1 << bit;
            assert!(is_found(&flipped), "{position} {bit}");
        }
        assert!(is_found(&whole[..position]), "cut at {position}");
    }
    // A frame that every reader of the format skips, and nothing.
    for added in [&b"\x50\x2a\x4d\x18\0\0\0\0"[..], b"\0"] {
        assert!(is_found(&[&whole[..], added].concat()));
    }
    place.put(COMPRESSED, &whole);
    assert_eq!(place.verify().verdict, Verdict::Whole);
}

#[test]
fn a_crash_before_the_lines_were_removed_leaves_a_whole_log_and_they_are_removed_later() {
    let (place, lines) = put_away(12);
    for (name, bytes) in [(FIRST, &lines[..]), ("0000000001.jsonl.zst.new", b"half")] {
        place.put(name, bytes);
    }
    assert_eq!(place.verify().verdict, Verdict::Whole);
    let log = place.open_at(at(2000));
    log.tend(at(2001)).unwrap();
    assert!(!place.file(FIRST).exists() && !place.file(SECOND).exists());
    assert_eq!(place.verify().verdict, Verdict::Whole);
}

#[test]
fn a_segment_that_was_changed_is_not_put_away() {
    let place = Place::with_entries(6);
    let log = place.open_at(at(1000));
    let mut bytes = place.bytes(FIRST);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    place.put(FIRST, &bytes);
    let error = log.tend(at(1001)).unwrap_err();
    assert!(error.to_string().contains("0000000001.jsonl of the log is broken at line"), "{error}");
    assert_eq!(place.bytes(FIRST), bytes);
}

#[test]
fn a_segment_ends_after_a_quarter_of_an_hour_if_anything_was_recorded_in_it() {
    let place = Place::new();
    let log = place.open();
    log.tend(at(QUARTER + 1)).unwrap();
    assert_eq!(segments(&log), 1);
    let later = |micro: u64| -> Stamp { at(2 * QUARTER + micro) };
    append(&log, 2 * QUARTER..2 * QUARTER + 1);
    log.tend(later(1)).unwrap();
    assert_eq!(segments(&log), 2);
    assert!(place.file(SECOND).exists() && !place.file(FIRST).exists());
    append(&log, 2 * QUARTER + 10..2 * QUARTER + 11);
    log.tend(later(20)).unwrap();
    log.tend(later(QUARTER - 1)).unwrap();
    assert_eq!(segments(&log), 2);
    log.tend(later(QUARTER + 1)).unwrap();
    assert_eq!(segments(&log), 3);
    assert_eq!(place.verify().verdict, Verdict::Whole);
}

#[test]
fn old_segments_are_deleted_and_the_log_says_so_and_verifies_from_the_first_one_kept() {
    let place = Place::new();
    let day = 24 * 60 * 60 * 1_000_000;
    let kept = Duration::from_secs(3 * 24 * 60 * 60 + 1);
    for number in 0..6 {
        let log = place.open_at(at(number * day));
        append(&log, number * day + 1..number * day + 20);
        log.tend(at(number * day + 30)).unwrap();
        log.close(at(number * day + 40)).unwrap();
    }
    let before = place.verify();
    let log = place.open_at(at(6 * day));
    log.tend(at(6 * day + 1)).unwrap();
    log.retire(kept, u64::MAX, at(6 * day + 2)).unwrap();
    // The third was ended by the start of the fourth, a second after the limit.
    let is_kept = |number: u64| place.file(&format!("000000000{number}.jsonl.zst")).exists();
    assert_eq!([1, 2, 3, 4].map(is_kept), [false, false, true, true]);
    let report = place.verify();
    assert_eq!((&report.verdict, report.good.retired), (&Verdict::Whole, 2));
    assert!(report.to_string().contains("first 2 segments were deleted by the policy"), "{report}");
    let shown = entries(&log);
    assert!(shown.first().unwrap().entry.seq.0 > 20);
    assert!(
        ward_audit::verify(place.path(), Some(before.good.tree)).unwrap().verdict == Verdict::Whole
    );
    let seq = shown.len() as u64;
    log.retire(kept, u64::MAX, at(6 * day + 3)).unwrap();
    assert_eq!(entries(&log).len() as u64, seq, "once is enough");
    log.close(at(6 * day + 4)).unwrap();
    drop(log);
    // The next segment knows it from its start.
    drop(place.open_at(at(6 * day + 5)));
    assert_eq!(place.verify().verdict, Verdict::Whole);
    std::fs::remove_file(place.file("0000000003.jsonl.zst")).unwrap();
    let verdict = place.verify().verdict;
    assert!(
        matches!(verdict, Verdict::MissingSegment { file } if file.number() == 3),
        "{verdict:?}"
    );
    let refused = Log::open(place.path(), log_key(), settings(), at(7 * day)).unwrap_err();
    assert!(matches!(refused, OpenLogError::Missing { missing } if missing.number() == 3));
}

/// An independent reader of tiles over `folder`.
struct Files<'place>(&'place Path);

impl tlog_tiles::TileReader for Files<'_> {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[tlog_tiles::Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        // They name the height too, which the specification has done away with.
        let path = |tile: &tlog_tiles::Tile| self.0.join(tile.path().replacen("/8/", "/", 1));
        Ok(tiles.iter().map(|tile| std::fs::read(path(tile)).unwrap()).collect())
    }

    fn save_tiles(&self, _tiles: &[tlog_tiles::Tile], _data: &[Vec<u8>]) {}
}

#[test]
fn independent_readers_of_notes_and_tiles_prove_each_entry_of_the_log() {
    let (place, _) = put_away(700);
    let log = place.open_at(at(2000));
    log.tend(at(2001)).unwrap();
    let notes = place.verify().good.notes.unwrap();
    let text = std::fs::read_to_string(place.file("tiles/checkpoint")).unwrap();
    let note = HeadNote::parse(&text).unwrap();
    let key = ward_audit::verifier_key(&note.log, notes);
    let verifier = signed_note::StandardVerifier::new(&key).unwrap();
    let known = signed_note::VerifierList::new(vec![Box::new(verifier)]);
    let theirs = signed_note::Note::from_bytes(text.as_bytes()).unwrap();
    assert_eq!(theirs.verify(&known).unwrap().0.len(), 1);
    let head = tlog_tiles::Checkpoint::from_bytes(theirs.text()).unwrap();
    let folder = place.file("tiles");
    let files = Files(&folder);
    let reader = tlog_tiles::TileHashReader::new(head.size(), *head.hash(), &files);
    let shown = entries(&log);
    assert!(head.size() > 700);
    for number in 0..head.size() {
        let entry = &shown[usize::try_from(number).unwrap()].entry;
        let leaf = tlog_tiles::record_hash(&serde_json::to_vec(entry).unwrap());
        let proof = tlog_tiles::prove_record(head.size(), number, &reader).unwrap();
        tlog_tiles::check_record(&proof, head.size(), *head.hash(), number, leaf).unwrap();
    }
}
