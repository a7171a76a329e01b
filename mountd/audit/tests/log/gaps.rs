//! A log that broke, and somebody accepted it: it goes on, shows what is whole, and says so for ever.
#![expect(clippy::unwrap_used, reason = "only tests use it")]

use crate::support::{FIRST, Place, SECOND, append, at, entries, log_key, settings};
use std::ops::ControlFlow;
use ward_audit::{AcceptBreakError, Filter, Verdict, accept_break};

const THIRD: &str = "0000000003.jsonl";

fn accept(place: &Place, after: u64, time: u64) -> Result<(), AcceptBreakError> {
    accept_break(place.path(), log_key(), settings(), (after, "a broken disk"), at(time)).map(drop)
}

/// Changes one byte in the middle of the line of that number.
fn damage(place: &Place, file: &str, line: usize) {
    let mut bytes = place.bytes(file);
    let ends: Vec<usize> =
        bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at).collect();
    bytes[(ends[line - 2] + ends[line - 1]) / 2] ^= 1;
    place.put(file, &bytes);
}

fn assert_whole_with_gap(place: &Place, after: u64) {
    let report = place.verify();
    assert_eq!(report.verdict, Verdict::Whole, "{report}");
    assert_eq!(report.good.gaps.iter().map(|gap| gap.after).collect::<Vec<_>>(), [after]);
    assert!(report.to_string().contains(&format!("damaged or lost behind entry {after}")));
}

#[test]
fn a_broken_open_segment_is_put_aside_and_the_log_goes_on_behind_its_good_part() {
    let place = Place::with_entries(9);
    damage(&place, FIRST, 6);
    let broken = place.bytes(FIRST);
    assert!(ward_audit::Log::open(place.path(), log_key(), settings(), at(50)).is_err());
    assert!(matches!(accept(&place, 4, 60), Err(AcceptBreakError::Elsewhere { after: 5, .. })));
    accept(&place, 5, 60).unwrap();
    assert_eq!(place.bytes("0000000001.jsonl.broken"), broken);
    assert_whole_with_gap(&place, 5);
    let log = place.open_at(at(70));
    append(&log, 71..75);
    let gap = entries(&log).into_iter().find(|it| it.entry.event_type.name() == "log.gap").unwrap();
    assert_eq!(gap.entry.seq.0, 7);
    assert_eq!(gap.entry.reason.as_deref(), Some("a broken disk"));
    log.close(at(80)).unwrap();
    drop(log);
    assert_whole_with_gap(&place, 5);
    assert!(matches!(accept(&place, 5, 90), Err(AcceptBreakError::NoBreak)));
}

#[test]
fn a_broken_ended_segment_and_a_lost_one_are_passed_over() {
    for is_lost in [false, true] {
        let place = Place::with_two_segments();
        let log = place.open_at(at(40));
        append(&log, 41..45);
        log.close(at(50)).unwrap();
        drop(log);
        if is_lost {
            std::fs::remove_file(place.file(SECOND)).unwrap();
        } else {
            damage(&place, SECOND, 2);
        }
        let after = if is_lost { 4 } else { 5 };
        accept(&place, after, 60).unwrap();
        assert_whole_with_gap(&place, after);
        assert!(place.file(THIRD).exists());
        let report = place.verify();
        assert_eq!(report.good.gaps[0].until, 8);
        // Segments behind it are compressed; their tree is not, since leaves of it are lost.
        let log = place.open_at(at(70));
        log.tend(at(80)).unwrap();
        drop(log);
        assert_whole_with_gap(&place, after);
    }
}

/// Three segments that have ended; the second says, after three lines of its own, that the first one was
/// compressed.
fn place_with_a_compressed_segment() -> Place {
    let place = Place::with_entries(9);
    let log = place.open_at(at(20));
    append(&log, 21..23);
    log.tend(at(30)).unwrap();
    append(&log, 31..35);
    log.close(at(40)).unwrap();
    drop(log);
    assert!(place.file("0000000001.jsonl.zst").exists());
    let log = place.open_at(at(50));
    append(&log, 51..55);
    log.close(at(60)).unwrap();
    place
}

#[test]
fn a_compressed_segment_before_a_gap_stays_good_though_the_gap_has_what_the_log_said_of_it() {
    for line in [2, 9] {
        let place = place_with_a_compressed_segment();
        damage(&place, SECOND, line);
        let after = place.verify().good.head.unwrap().seq;
        accept(&place, after, 70).unwrap();
        assert_whole_with_gap(&place, after);
        // What the good lines of the segment say is still demanded.
        let mut file = place.bytes("0000000001.jsonl.zst");
        file.extend(b"\x50\x2a\x4d\x18\0\0\0\0");
        place.put("0000000001.jsonl.zst", &file);
        let is_whole = place.verify().verdict == Verdict::Whole;
        assert_eq!(is_whole, line == 2);
    }
    let place = place_with_a_compressed_segment();
    std::fs::remove_file(place.file(SECOND)).unwrap();
    let report = place.verify();
    assert!(matches!(report.verdict, Verdict::MissingSegment { .. }), "{report}");
    accept(&place, 9, 70).unwrap();
    assert_whole_with_gap(&place, 9);
    assert!(place.file("0000000001.jsonl.zst").exists());
}

#[test]
fn a_gap_of_which_another_gap_took_the_entry_is_accepted_once_more() {
    let place = Place::with_two_segments();
    damage(&place, FIRST, 2);
    accept(&place, 1, 60).unwrap();
    place.open_at(at(70)).close(at(80)).unwrap();
    std::fs::remove_file(place.file(THIRD)).unwrap();
    assert!(matches!(place.verify().verdict, Verdict::MissingSegment { .. }));
    let last = || place.verify().good.head.unwrap().seq;
    accept(&place, last(), 90).unwrap();
    assert!(matches!(place.verify().verdict, Verdict::Broken { .. }));
    accept(&place, last(), 100).unwrap();
    let report = place.verify();
    assert_eq!((&report.verdict, report.good.gaps.len()), (&Verdict::Whole, 2), "{report}");
    place.open_at(at(110)).close(at(120)).unwrap();
}

#[test]
fn a_segment_that_somebody_put_aside_without_an_entry_is_a_break() {
    let place = Place::with_two_segments();
    std::fs::rename(place.file(FIRST), place.file("0000000001.jsonl.broken")).unwrap();
    assert!(matches!(place.verify().verdict, Verdict::Broken { .. }));
    // Another one in the place of the one that was accepted is noticed, too.
    let place = Place::with_two_segments();
    damage(&place, FIRST, 2);
    accept(&place, 1, 60).unwrap();
    assert_whole_with_gap(&place, 1);
    place.put("0000000001.jsonl.broken", b"");
    assert!(matches!(place.verify().verdict, Verdict::Broken { .. }));
}

#[test]
fn every_flipped_bit_behind_a_gap_is_found() {
    let place = Place::with_entries(4);
    damage(&place, FIRST, 3);
    accept(&place, 2, 60).unwrap();
    let bytes = place.bytes(SECOND);
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        place.put(SECOND, &flipped);
        assert_ne!(place.verify().verdict, Verdict::Whole, "bit {bit}");
    }
}

#[test]
fn what_is_whole_of_a_damaged_segment_is_shown_and_what_is_not_is_told() {
    let place = Place::with_entries(300);
    let log = place.open_at(at(400));
    log.tend(at(401)).unwrap();
    drop(log);
    let compressed = format!("{FIRST}.zst");
    let whole = place.bytes(&compressed);
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 16;
    let shown = |bytes: &[u8]| {
        place.put(&compressed, bytes);
        let mut count = 0;
        let unread = ward_audit::read(place.path(), &Filter::default(), |_| {
            count += 1;
            ControlFlow::Continue(())
        });
        (count, unread.unwrap())
    };
    let (all, none) = shown(&whole);
    assert_eq!(none, []);
    let (some, told) = shown(&damaged);
    assert!(some < all && told.len() == 1, "{some} of {all}: {told:?}");
    assert!(told[0].to_string().starts_with("0000000001.jsonl is damaged at line"), "{told:?}");
    // Lines that are no lines are passed over one by one.
    let place = Place::with_entries(9);
    damage(&place, FIRST, 4);
    let mut seqs = Vec::new();
    let unread = ward_audit::read(place.path(), &Filter::default(), |shown| {
        seqs.push(shown.entry.seq.0);
        ControlFlow::Continue(())
    });
    assert_eq!(seqs, [1, 2, 3, 5, 6, 7, 8, 9]);
    assert_eq!(unread.unwrap()[0].line, 4);
}
