//! Who has not the log's keys cannot write in it, whatever hashes are made to fit.
#![expect(clippy::unwrap_used, reason = "only tests use it")]

use crate::support::{FIRST, Place, SECOND, append, at, entries, log_key, settings};
use crate::tampering::{forged, lines, named};
use std::time::Duration;
use ward_audit::{
    Durability, EventType, HEAD_FILE, HeadNote, Log, LogKey, OpenLogError, Record, Verdict,
};
use ward_memory::SecretBox;

const CONTROL: Record<'static> = Record::new(EventType::RequestApproved);

/// A log that a crash left: its start, an open, an answer, an open.
fn with_an_answer() -> Place {
    let place = Place::new();
    let log = place.open();
    append(&log, 1..2);
    let _receipt = log.append(CONTROL.reason("because"), Durability::Durable, at(2)).unwrap();
    append(&log, 3..4);
    drop(log);
    let bytes = place.bytes(FIRST);
    let end = bytes.iter().rposition(|byte| *byte == b'\n').unwrap();
    place.put(FIRST, &bytes[..=end]);
    place
}

fn said(place: &Place) -> String {
    place.verify().to_string()
}

#[test]
fn an_answer_without_its_signature_is_found() {
    let place = with_an_answer();
    let mut lines = lines(&place.bytes(FIRST));
    let line = String::from_utf8(lines[2].clone()).unwrap();
    let (unsigned, _) = line.split_once(",\"sig\":").unwrap();
    lines[2] = format!("{unsigned}}}\n").into_bytes();
    place.put(FIRST, &lines.concat());
    assert_eq!(named(&place.verify().verdict), Some((FIRST.to_owned(), 3)));
    assert!(said(&place).contains("is signed, and this one is not"), "{}", said(&place));
}

#[test]
fn an_open_with_a_signature_is_found() {
    let place = with_an_answer();
    let mut lines = lines(&place.bytes(FIRST));
    let [answer, open] = [&lines[2], &lines[3]].map(|it| String::from_utf8(it.clone()).unwrap());
    let (_, signature) = answer.split_once(",\"sig\":").unwrap();
    lines[3] = format!("{},\"sig\":{signature}", open.trim_end().trim_end_matches('}')).into();
    lines[3] = String::from_utf8(lines[3].clone()).unwrap().replace("\"\"", "\"").into();
    place.put(FIRST, &lines.concat());
    assert_eq!(named(&place.verify().verdict), Some((FIRST.to_owned(), 4)));
}

#[test]
fn a_forged_answer_at_the_end_with_a_hash_made_to_fit_is_found_by_its_signature() {
    let place = with_an_answer();
    let mut lines = lines(&place.bytes(FIRST));
    lines.truncate(3);
    lines[2] = forged(&lines[2], "because", "be cause");
    place.put(FIRST, &lines.concat());
    assert_eq!(named(&place.verify().verdict), Some((FIRST.to_owned(), 3)));
    assert!(said(&place).contains("not by the key that must sign it"), "{}", said(&place));
}

#[test]
fn what_is_not_signed_is_said_until_a_checkpoint_comes() {
    let place = Place::new();
    let log = place.open();
    append(&log, 1..4);
    assert_eq!(place.verify().good.unsigned, 3);
    assert!(said(&place).ends_with("No checkpoint has signed the last 3 yet."));
    let age = Duration::from_millis(50);
    log.keep(age, at(50_000)).unwrap();
    assert_eq!(place.verify().good.unsigned, 3);
    log.keep(age, at(50_001)).unwrap();
    assert_eq!(place.verify().good.unsigned, 0);
    // Nothing new: no further checkpoint.
    let seq = log.head().unwrap().unwrap().seq;
    log.keep(age, at(200_000)).unwrap();
    assert_eq!(log.head().unwrap().unwrap().seq, seq);
}

#[test]
fn at_most_256_entries_wait_for_a_checkpoint() {
    let place = Place::new();
    let log = place.open();
    append(&log, 1..1000);
    let mut waiting = 0;
    for shown in entries(&log) {
        let is_signed = shown.entry.event_type != EventType::FileOpen;
        waiting = if is_signed { 0 } else { waiting + 1 };
        assert!(waiting <= 256);
    }
    assert_eq!(place.verify().verdict, Verdict::Whole);
}

#[test]
fn the_head_beside_the_log_is_signed_synced_and_that_of_the_checkpoint() {
    let place = Place::new();
    let log = place.open();
    append(&log, 1..4);
    log.keep(Duration::ZERO, at(10)).unwrap();
    let note = String::from_utf8(place.bytes(HEAD_FILE)).unwrap();
    let note = HeadNote::parse(&note).unwrap();
    let checkpoint = entries(&log).pop().unwrap().entry;
    assert_eq!(checkpoint.event_type, EventType::Checkpoint);
    assert_eq!(Some(note.head.root), checkpoint.root);
    assert_eq!(note.head.size, 4);
    assert!(note.is_signed_by(place.verify().good.notes.unwrap()));
    log.close(at(20)).unwrap();
    let note = String::from_utf8(place.bytes(HEAD_FILE)).unwrap();
    assert_eq!(HeadNote::parse(&note).unwrap().head.size, 5);
}

#[test]
fn a_run_that_did_not_end_is_named_by_the_next_one_and_only_so() {
    for is_closed in [true, false] {
        let place = Place::new();
        let log = place.open();
        append(&log, 1..4);
        if is_closed {
            log.close(at(10)).unwrap();
        }
        drop(log);
        let log = place.open_at(at(20));
        append(&log, 30..32);
        let shown = entries(&log);
        let start = shown.iter().rfind(|it| it.entry.event_type == EventType::SegmentStart);
        assert_eq!(start.unwrap().entry.unclosed, (!is_closed).then_some(true));
        assert_eq!(place.verify().verdict, Verdict::Whole);
    }
}

#[test]
fn entries_taken_off_a_segment_that_has_ended_are_missing_though_another_follows() {
    let place = Place::with_two_segments();
    let whole = lines(&place.bytes(FIRST));
    for kept in 1..whole.len() {
        place.put(FIRST, &whole[..kept].concat());
        assert_eq!(named(&place.verify().verdict), Some((SECOND.to_owned(), 1)));
    }
}

#[test]
fn a_log_of_another_key_is_refused_by_a_start() {
    let place = Place::with_entries(6);
    let other = LogKey::from_bytes(&SecretBox::make(|| [8; 32]));
    let error = Log::open(place.path(), other, settings(), at(100)).unwrap_err();
    assert!(error.to_string().contains("under another identity"), "{error}");
    assert!(matches!(error, OpenLogError::Signer { .. }));
    drop(Log::open(place.path(), log_key(), settings(), at(100)).unwrap());
}

#[test]
fn a_segment_of_another_identity_is_found_where_it_begins() {
    let place = Place::with_two_segments();
    let other = Place::new();
    let key = LogKey::from_bytes(&SecretBox::make(|| [8; 32]));
    drop(Log::open(other.path(), key, settings(), at(0)).unwrap());
    place.put(SECOND, &other.bytes(FIRST));
    assert_eq!(named(&place.verify().verdict), Some((SECOND.to_owned(), 1)));
}
