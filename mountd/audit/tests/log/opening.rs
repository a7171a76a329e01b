//! A log that is not as it was left is refused, by name.
#![expect(clippy::unwrap_used, reason = "only tests use it")]

use crate::support::{FIRST, Place, SECOND, append, at, log_key, settings};
use std::os::unix::fs::PermissionsExt;
use ward_audit::{Log, OpenLogError};

fn refusal(place: &Place) -> OpenLogError {
    Log::open(place.path(), log_key(), settings(), at(1000)).unwrap_err()
}

#[test]
fn a_broken_chain_is_refused_with_file_and_line() {
    let place = Place::with_entries(6);
    let mut bytes = place.bytes(FIRST);
    let second_line = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 30;
    bytes[second_line] ^= 1;
    place.put(FIRST, &bytes);
    let text = refusal(&place).to_string();
    assert!(text.contains("0000000001.jsonl line 2, after entry 1: "), "{text}");
    assert_eq!(place.bytes(FIRST), bytes, "evidence is left as it is");
}

#[test]
fn a_segment_that_does_not_follow_the_one_before_is_refused() {
    let place = Place::with_two_segments();
    place.put(FIRST, &Place::with_two_segments().bytes(FIRST));
    let text = refusal(&place).to_string();
    assert!(text.contains("0000000002.jsonl line 1, after entry 4: "), "{text}");
}

#[test]
fn a_damaged_end_of_the_segment_before_is_refused() {
    let place = Place::with_two_segments();
    let mut bytes = place.bytes(FIRST);
    let near_end = bytes.len() - 300;
    bytes[near_end] ^= 1;
    place.put(FIRST, &bytes);
    let text = refusal(&place).to_string();
    assert!(text.contains("0000000001.jsonl line 4"), "{text}");
}

#[test]
fn a_missing_segment_is_refused_by_name() {
    let place = Place::with_two_segments();
    std::fs::remove_file(place.file(FIRST)).unwrap();
    let error = refusal(&place);
    assert!(matches!(error, OpenLogError::Missing { missing } if missing.number() == 1), "{error}");
}

#[test]
fn two_daemons_cannot_write_one_log() {
    let place = Place::new();
    let log = place.open();
    assert!(matches!(refusal(&place), OpenLogError::InUse { .. }));
    drop(log);
    drop(place.open());
}

#[test]
fn a_directory_that_others_can_reach_is_refused() {
    let place = Place::new();
    std::fs::set_permissions(place.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    assert!(matches!(refusal(&place), OpenLogError::Exposed { .. }));
}

#[test]
fn a_link_in_the_place_of_a_segment_is_not_followed() {
    let (place, other) = (Place::new(), Place::with_entries(3));
    std::os::unix::fs::symlink(other.file(FIRST), place.file(FIRST)).unwrap();
    assert!(matches!(refusal(&place), OpenLogError::File { .. }));
    let link = other.path().join("link");
    std::os::unix::fs::symlink(place.path(), &link).unwrap();
    let error = Log::open(&link, log_key(), settings(), at(0)).unwrap_err();
    assert!(matches!(error, OpenLogError::Directory { .. }), "{error}");
}

#[test]
fn a_new_log_is_its_owners_alone() {
    let place = Place::new();
    let directory = place.path().join("audit");
    drop(Log::open(&directory, log_key(), settings(), at(0)).unwrap());
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    assert_eq!(mode(&directory.join(FIRST)), 0o600);
    assert!(!directory.join(SECOND).exists());
}

#[test]
fn a_clock_that_was_set_back_is_behind_the_newest_entry_until_it_has_caught_up() {
    let place = Place::new();
    let log = place.open_at(at(60_000_000));
    append(&log, 60_000_001..60_000_003);
    assert_eq!(log.seconds_ahead_of(at(60_000_010)).unwrap(), 0);
    assert_eq!(log.seconds_ahead_of(at(15_000_000)).unwrap(), 45);
}
