//! What a power cut or a kill leaves behind is never called damage, and never costs a whole line.
#![expect(clippy::unwrap_used, reason = "only tests use it")]

use crate::support::{FIRST, Place, SECOND, append, at, entries, log_key, settings};
use ward_audit::{EventType, Log, SegmentName, Verdict};

/// Opens the log, which must not complain; gives the last seq it found and the bytes it cut.
fn reopen(place: &Place) -> (u64, Option<u64>) {
    let (log, recovered) = Log::open(place.path(), log_key(), settings(), at(1000)).unwrap();
    let recorded = entries(&log)
        .into_iter()
        .filter(|shown| shown.entry.event_type == EventType::LogRecovered)
        .map(|shown| (shown.entry.bytes.unwrap().0, shown.entry.sha256.unwrap().into_owned()))
        .next();
    let cut = recovered.cut.map(|cut| (cut.bytes, cut.sha256.to_string()));
    assert_eq!(recorded, cut);
    drop(log);
    assert_eq!(place.verify().verdict, Verdict::Whole);
    let newest = recovered.head.map_or(FIRST, |_| SECOND);
    std::fs::remove_file(place.file(newest)).unwrap();
    (recovered.head.map_or(0, |head| head.seq), cut.map(|(bytes, _)| bytes))
}

/// Where the lines of a file end.
fn ends(bytes: &[u8]) -> Vec<usize> {
    bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1).collect()
}

#[test]
fn a_tail_cut_at_any_byte_is_torn_or_a_shorter_whole_and_never_broken() {
    let place = Place::with_entries_of_a_crash(6);
    let whole = place.bytes(FIRST);
    let ends = ends(&whole);
    for cut in ends[2]..=whole.len() {
        let lines = ends.iter().filter(|end| **end <= cut).count();
        let torn = cut - ends[lines - 1];
        for room in [0, 5000] {
            let mut bytes = whole[..cut].to_vec();
            bytes.resize(cut + room, 0);
            place.put(FIRST, &bytes);
            let report = place.verify();
            assert_eq!(report.good.head.unwrap().seq, lines as u64);
            let expected = match torn as u64 {
                0 => Verdict::Whole,
                bytes => Verdict::Torn { file: SegmentName::FIRST, bytes },
            };
            assert_eq!(report.verdict, expected, "{cut}");
        }
        // Opening syncs several times, so only some of them.
        if cut % 97 == 0 || torn == 1 {
            let found = reopen(&place);
            assert_eq!(found, (lines as u64, (torn > 0).then_some(torn as u64)));
        }
    }
}

#[test]
fn a_lost_sector_in_the_last_batch_is_torn_and_never_broken() {
    let place = Place::with_entries_of_a_crash(12);
    let whole = place.bytes(FIRST);
    let ends = ends(&whole);
    for sector in (512..whole.len()).step_by(512) {
        let mut bytes = whole.clone();
        let end = whole.len().min(sector + 512);
        bytes[sector..end].fill(0);
        bytes.resize(whole.len() + 3000, 0);
        place.put(FIRST, &bytes);
        let lines = ends.iter().filter(|end| **end <= sector).count();
        let verdict = place.verify().verdict;
        assert!(matches!(verdict, Verdict::Torn { .. }), "{sector}: {verdict:?}");
        assert_eq!(reopen(&place).0, lines as u64);
    }
}

#[test]
fn a_crash_before_the_first_line_of_a_log_begins_it_anew() {
    for leftover in [&b""[..], &[0; 4096], b"{\"entry\":{\"bootId\""] {
        let place = Place::new();
        place.put(FIRST, leftover);
        let (head, _cut) = reopen(&place);
        assert_eq!(head, 0);
    }
}

#[test]
fn a_crash_before_the_first_line_of_a_segment_goes_on_with_the_one_before() {
    for leftover in [&b""[..], &[0; 4096], b"{\"entry\":{\"bootId\""] {
        let place = Place::with_entries(5);
        place.put(SECOND, leftover);
        assert!(matches!(place.verify().verdict, Verdict::Whole | Verdict::Torn { .. }));
        let (head, _cut) = reopen(&place);
        assert_eq!(head, 5);
    }
}

#[test]
fn a_daemon_killed_between_write_and_sync_loses_nothing() {
    let place = Place::new();
    let log = place.open();
    append(&log, 1..50);
    drop(log);
    assert_eq!(reopen(&place), (50, None));
}

#[test]
fn a_clean_close_leaves_nothing_after_the_last_line() {
    let place = Place::with_entries(5);
    assert!(place.bytes(FIRST).ends_with(b"}\n"));
}
