//! A crash in the middle of a write is a torn tail, never damage, and never loses what was synced.

use super::support::{Fixture, content, get, put};
use crate::padding::GRID;
use std::fs::File;
use std::os::unix::fs::FileExt as _;

/// A vault whose last bytes nobody has synced: where they start and end in segment 2.
fn unsynced() -> (Fixture, u64, u64) {
    let fixture = Fixture::new();
    let vault = fixture.vault();
    put(&vault, "kept", b"synced");
    vault.sync().unwrap();
    put(&vault, "marked", b"whose frame carries the sync mark");
    vault.sync().unwrap();
    let start = end_of(&fixture);
    put(&vault, "late", b"never synced");
    vault.flush().unwrap();
    let end = end_of(&fixture);
    drop(vault);
    (fixture, start, end)
}

/// Frames end on the grid, and may end in a zero byte.
fn end_of(fixture: &Fixture) -> u64 {
    let bytes = std::fs::read(fixture.segment(2)).unwrap();
    let last = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    crate::fields::on_disk(last + 1).next_multiple_of(GRID)
}

#[test]
fn a_tail_cut_at_any_byte_is_torn_and_what_was_synced_is_there() {
    let (fixture, start, end) = unsynced();
    assert!(end - start > 1100, "a data frame and a metadata frame");
    let whole = std::fs::read(fixture.segment(2)).unwrap();
    for cut in start..=end {
        let rest = &whole[crate::fields::in_memory(cut)..crate::fields::in_memory(end)];
        if cut % 2 != 0 && rest.iter().all(|byte| *byte == 0) {
            continue;
        }
        let copy = fixture.copy();
        let file = File::options().write(true).open(copy.segment(2)).unwrap();
        if cut % 2 == 0 {
            file.set_len(cut).unwrap();
        } else {
            file.write_all_at(&vec![0; crate::fields::in_memory(end - cut)], cut).unwrap();
        }
        let (vault, recovered) = copy.unlock();
        assert_eq!(recovered.damage, [], "cut at {cut}");
        assert_eq!(get(&vault, "kept").unwrap(), b"synced", "cut at {cut}");
        assert!(get(&vault, "marked").is_some(), "cut at {cut}");
        let late = get(&vault, "late");
        assert!(late.is_none() || cut == end, "half a tail at {cut}");
        assert_eq!(late.is_some(), recovered.torn.is_none() && cut == end, "cut at {cut}");
        put(&vault, "after", b"goes on");
        vault.close().unwrap();
        assert_eq!(get(&copy.vault(), "after").unwrap(), b"goes on");
    }
}

#[test]
fn a_changed_byte_in_the_tail_is_torn_and_before_the_sync_mark_damage() {
    let (fixture, start, end) = unsynced();
    for place in (start..end).step_by(7) {
        let copy = fixture.copy();
        flip(&copy, place);
        let (vault, recovered) = copy.unlock();
        assert_eq!(recovered.damage, [], "at {place}");
        assert!(recovered.torn.is_some(), "at {place}");
        assert_eq!(get(&vault, "kept").unwrap(), b"synced");
    }
    // The frame that made "kept": a later frame states that it was synced.
    for place in (192 + 576..192 + 576 + 64).chain(0..192) {
        let copy = fixture.copy();
        flip(&copy, place);
        assert_ne!(copy.unlock().1.damage, [], "at {place}");
    }
}

fn flip(fixture: &Fixture, place: u64) {
    let file = File::options().read(true).write(true).open(fixture.segment(2)).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, place).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], place).unwrap();
}

#[test]
fn a_whole_tail_is_accepted_copied_and_cut_from_the_old_segment() {
    let (fixture, _, end) = unsynced();
    let late = |vault: &crate::Vault| get(vault, "late").unwrap();
    let (vault, recovered) = fixture.unlock();
    assert_eq!((recovered.torn, recovered.head.segment), (None, 3));
    assert_eq!(late(&vault), b"never synced");
    let file = vault.find(&ward_policy::SecretPath::try_from("late").unwrap()).unwrap();
    assert_eq!(content(&vault, file).unwrap(), b"never synced");
    assert!(std::fs::metadata(fixture.segment(2)).unwrap().len() < end, "the old tail is gone");
    drop(vault);
    assert_eq!(late(&fixture.vault()), b"never synced");
}

#[test]
fn a_torn_tail_is_reported_once_with_its_length() {
    let (fixture, start, end) = unsynced();
    flip(&fixture, start);
    let torn = fixture.unlock().1.torn.unwrap();
    assert_eq!((torn.segment, torn.position + torn.length), (2, end));
    assert_eq!(fixture.unlock().1.torn, None);
}
