//! Time and segments: what goes on while a log grows.
#![expect(clippy::unwrap_used, reason = "only tests use it")]

use crate::support::{FIRST, Place, at, entries, log_key, settings};
use std::ops::ControlFlow;
use ward_audit::{Durability, EventType, Filter, Log, PathGlob, Record, Settings, Stamp, Verdict};

const RECORD: Record<'static> = Record::new(EventType::FileOpen);

fn open_small(place: &Place) -> Log {
    let small = Settings { segment_bytes: 2000, ..settings() };
    Log::open(place.path(), log_key(), small, at(0)).unwrap().0
}

#[test]
fn when_the_clock_goes_back_time_goes_on_and_the_jump_is_recorded_once() {
    let place = Place::new();
    let log = place.open();
    let _receipt = log.append(RECORD, Durability::Written, at(9_000_000)).unwrap();
    for number in 0..2 {
        let now = Stamp { wall: at(10).wall + number, boot: at(9_000_001 + number).boot };
        let _receipt = log.append(RECORD, Durability::Written, now).unwrap();
    }
    let entries = entries(&log);
    let events: Vec<_> = entries.iter().map(|shown| shown.entry.event_type).collect();
    let [jump, command] = [EventType::ClockJump, EventType::FileOpen];
    assert_eq!(events[1..], [command, jump, command, command]);
    let times: Vec<_> = entries.iter().map(|shown| shown.entry.ts.microseconds()).collect();
    assert_eq!(times[2..], [at(9_000_001).wall, at(9_000_002).wall, at(9_000_003).wall]);
    assert_eq!(entries[2].entry.wall.unwrap().microseconds(), at(10).wall);
}

#[test]
fn threads_that_overtake_each_other_are_no_clock_jump() {
    let place = Place::new();
    let log = place.open();
    for number in [50_000, 20_000, 20_000, 60_000] {
        let _receipt = log.append(RECORD, Durability::Written, at(number)).unwrap();
    }
    assert!(entries(&log).iter().all(|shown| shown.entry.event_type != EventType::ClockJump));
    assert_eq!(place.verify().verdict, Verdict::Whole);
}

#[test]
fn a_full_segment_is_closed_and_the_next_one_goes_on() {
    let place = Place::new();
    let log = open_small(&place);
    for number in 1..40 {
        let _receipt = log.append(RECORD, Durability::Durable, at(number)).unwrap();
    }
    log.close(at(500)).unwrap();
    let head = log.head().unwrap();
    drop(log);
    let report = place.verify();
    assert_eq!((report.verdict, report.good.head), (Verdict::Whole, head));
    assert!(report.good.segments > 3, "{}", report.good.segments);
    assert!(place.bytes(FIRST).ends_with(b"}\n"));
    let log = open_small(&place);
    assert_eq!(log.head().unwrap().unwrap().seq, head.unwrap().seq + 1);
    let first: Vec<_> = entries(&log)
        .into_iter()
        .filter(|shown| shown.entry.event_type == EventType::SegmentStart)
        .map(|shown| (shown.entry.segment.unwrap().0, shown.entry.previous.is_some()))
        .collect();
    assert_eq!(first[..2], [(1, false), (2, true)]);
}

#[test]
fn the_last_few_entries_come_from_the_end_of_the_log() {
    let place = Place::new();
    let log = open_small(&place);
    for number in 1..40 {
        let _receipt = log.append(RECORD, Durability::Written, at(number)).unwrap();
    }
    for (last, path) in [(12, None), (3, Some(PathGlob::new("no/such")))] {
        let is_absent = path.is_some();
        let filter = Filter { last: Some(last), path, ..Filter::default() };
        let mut found = Vec::new();
        log.read(&filter, |shown| {
            found.push(shown.entry.seq.0);
            ControlFlow::Continue(())
        })
        .unwrap();
        let end = log.head().unwrap().unwrap().seq;
        let wanted: Vec<_> = if is_absent { vec![] } else { (end - 11..=end).collect() };
        assert_eq!(found, wanted);
    }
}
