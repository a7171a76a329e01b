//! A full disk, a failing disk, a process killed at any step.

use super::support::{Faults, Fixture, at, get, name, put};
use crate::{ChangeError, ReadOnly, fsck};
use std::sync::atomic::Ordering;

#[test]
fn a_full_disk_is_told_to_the_writer_and_leaves_nothing_half_done() {
    let fixture = Fixture::new();
    let vault = fixture.vault();
    put(&vault, "a", b"1");
    vault.sync().unwrap();
    Faults::set(&fixture.disk.faults().is_full);
    let file = vault.lookup(vault.root(), &name("a")).unwrap();
    let refused = vault.write_version(file, &vec![7; 8 << 20], at(3));
    assert!(matches!(refused, Err(ChangeError::NoSpace)));
    assert_eq!(get(&vault, "a").unwrap(), b"1");
    // What fits the segment that is open still goes, and syncs.
    put(&vault, "b", b"2");
    vault.sync().unwrap();
    let mut number = 0_u32;
    let full = loop {
        number += 1;
        let made = vault.create_file(vault.root(), &name(&format!("n{number}")), at(4));
        match made {
            Ok(_) => vault.sync().map(drop).unwrap(),
            Err(error) => break error,
        }
    };
    assert!(matches!(full, ChangeError::NoSpace));
    assert_eq!(vault.lookup(vault.root(), &name(&format!("n{number}"))), None);
    fixture.disk.faults().is_full.store(false, Ordering::SeqCst);
    put(&vault, "c", b"3");
    vault.close().unwrap();
    let vault = fixture.vault();
    assert_eq!(vault.entries(vault.root()).len(), 3 + usize::try_from(number - 1).unwrap());
}

#[test]
fn after_a_failed_write_the_frame_is_sealed_anew_in_the_next_segment() {
    let fixture = Fixture::new();
    let vault = fixture.vault();
    put(&vault, "a", b"1");
    Faults::set(&fixture.disk.faults().fails_write);
    put(&vault, "a", b"2");
    vault.sync().unwrap();
    assert_eq!(vault.head().segment, 3);
    Faults::set(&fixture.disk.faults().fails_write);
    vault.create_file(vault.root(), &name("b"), at(3)).unwrap();
    vault.sync().unwrap();
    assert_eq!(vault.head().segment, 4);
    vault.close().unwrap();
    assert_eq!(fsck(&fixture.directory(), &fixture.secret()).unwrap().findings, []);
    assert_eq!(get(&fixture.vault(), "a").unwrap(), b"2");
}

#[test]
fn the_first_failed_sync_ends_all_writing_until_the_next_unlock() {
    let fixture = Fixture::new();
    let vault = fixture.vault();
    put(&vault, "a", b"1");
    vault.sync().unwrap();
    put(&vault, "a", b"2");
    Faults::set(&fixture.disk.faults().fails_sync);
    assert!(matches!(vault.sync(), Err(ChangeError::ReadOnly(ReadOnly::Poisoned))));
    assert!(matches!(vault.sync(), Err(ChangeError::ReadOnly(ReadOnly::Poisoned))));
    let refused = vault.create_file(vault.root(), &name("b"), at(3));
    assert!(matches!(refused, Err(ChangeError::ReadOnly(ReadOnly::Poisoned))));
    assert!(get(&vault, "a").is_some(), "it is still read");
    drop(vault);
    let vault = fixture.vault();
    put(&vault, "b", b"3");
    vault.close().unwrap();
}

#[test]
fn a_process_killed_at_any_step_loses_nothing_that_was_synced() {
    for steps in 1.. {
        let fixture = Fixture::new();
        let vault = fixture.vault();
        fixture.disk.faults().die_after(steps);
        let (mut synced, mut tried) = (0, 0);
        for number in 1..=6_u8 {
            let file = vault.lookup(vault.root(), &name("a"));
            let file = file.map_or_else(|| vault.create_file(vault.root(), &name("a"), at(1)), Ok);
            let Ok(file) = file else { break };
            tried = number;
            let length = if number == 3 { 5 << 20 } else { 100 };
            let written = vault.write_version(file, &vec![number; length], at(2));
            if written.is_err() || vault.sync().is_err() {
                break;
            }
            synced = number;
        }
        let is_closed = vault.close().is_ok();
        let alive = Fixture { folder: fixture.folder, ..Fixture::new() };
        let (vault, recovered) = alive.unlock();
        assert_eq!(recovered.damage, [], "after {steps} steps");
        let found = get(&vault, "a").map_or(0, |value| value[0]);
        assert!((synced..=tried).contains(&found), "{synced} <= {found} after {steps} steps");
        vault.close().unwrap();
        assert_eq!(fsck(&alive.directory(), &alive.secret()).unwrap().findings, []);
        if is_closed {
            break;
        }
    }
}

#[test]
fn a_recovery_killed_at_any_step_is_done_again() {
    for steps in 1.. {
        let fixture = Fixture::new();
        let vault = fixture.vault();
        put(&vault, "a", b"synced");
        vault.sync().unwrap();
        put(&vault, "b", b"in the tail");
        vault.flush().unwrap();
        drop(vault);
        fixture.disk.faults().die_after(steps);
        let is_whole = fixture.try_unlock().is_ok();
        let alive = Fixture { folder: fixture.folder, ..Fixture::new() };
        let (vault, recovered) = alive.unlock();
        assert_eq!((recovered.damage, recovered.torn), (Vec::new(), None), "after {steps} steps");
        assert_eq!(get(&vault, "a").unwrap(), b"synced");
        assert_eq!(get(&vault, "b").unwrap(), b"in the tail", "after {steps} steps");
        if is_whole {
            break;
        }
    }
}

#[test]
fn many_writers_share_syncs_and_each_finds_its_change_durable() {
    let fixture = Fixture::new();
    let vault = fixture.vault();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let vault = &vault;
            scope.spawn(move || {
                for number in 0..25_u8 {
                    put(vault, &format!("t{thread}"), &[number; 3000]);
                    vault.sync().unwrap();
                }
            });
        }
    });
    drop(vault);
    let (vault, recovered) = fixture.unlock();
    assert_eq!((recovered.torn, recovered.damage.len()), (None, 0));
    for thread in 0..8 {
        assert_eq!(get(&vault, &format!("t{thread}")).unwrap(), [24; 3000]);
    }
}
