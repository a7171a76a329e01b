//! Compaction gives room back, loses nothing that lives, and hides nothing from a shred.

use super::support::{Fixture, at, get, name, put};
use crate::{ImageUse, Vault, fsck};
use std::collections::BTreeSet;

/// A vault in which most of the first segments is dead: many versions of one file, one of others.
fn worn(fixture: &Fixture) -> Vault {
    let vault = fixture.vault();
    for number in 0..40_u8 {
        put(&vault, "often", &[number; 20_000]);
        if number % 10 == 0 {
            put(&vault, &format!("kept{number}"), &[number; 3000]);
        }
    }
    put(&vault, "gone", &[9; 5000]);
    vault.sync().unwrap();
    vault
}

fn is_whole(vault: &Vault) -> bool {
    let kept = (0..40_u8)
        .step_by(10)
        .all(|number| get(vault, &format!("kept{number}")).as_deref() == Some(&[number; 3000][..]));
    kept && get(vault, "often").as_deref() == Some(&[39; 20_000][..])
}

fn bytes(fixture: &Fixture) -> usize {
    fixture.files().iter().map(|path| std::fs::read(path).unwrap().len()).sum()
}

#[test]
fn what_is_dead_leaves_the_disk_and_what_lives_stays() {
    let fixture = Fixture::new();
    let vault = worn(&fixture);
    let before = bytes(&fixture);
    let first = vault.compact(u64::MAX).unwrap();
    assert!(first.retired >= 4 && first.removed == 0, "{first:?}");
    let second = vault.compact(u64::MAX).unwrap();
    assert!(second.removed >= first.retired, "{second:?}");
    assert!(bytes(&fixture) * 2 < before, "{} of {before}", bytes(&fixture));
    let often = vault.lookup(vault.root(), &name("often")).unwrap();
    assert!(is_whole(&vault) && vault.versions(often).len() == 10);
    let oldest = vault.versions(often)[0];
    let content = super::support::content_of(&vault, often, oldest).unwrap();
    assert_eq!(content, [30; 20_000]);
    vault.close().unwrap();
    assert_eq!(fsck(&fixture.directory(), &fixture.secret()).unwrap().findings, []);
    let vault = fixture.vault();
    assert!(is_whole(&vault) && vault.image_use() == ImageUse::Newest);
    vault.close().unwrap();
    // With the older image alone it still opens, for nothing that it needs is gone.
    let images = fixture.directory().join("images");
    let numbers = crate::image_file::numbers(&crate::durable::RealDisk, &images).unwrap();
    let newest = crate::segment::path_of(&images, *numbers.last().unwrap());
    std::fs::remove_file(newest).unwrap();
    assert!(is_whole(&fixture.vault()));
    // Without any, the segments that are gone are missed.
    std::fs::remove_dir_all(images).unwrap();
    assert_ne!(fixture.unlock().1.damage, []);
}

#[test]
fn a_compaction_copies_no_more_than_it_was_asked_to() {
    let fixture = Fixture::new();
    let vault = worn(&fixture);
    let done = vault.compact(0).unwrap();
    assert!(done.retired > 0 && (done.copied_bytes == 0 || done.retired == 1), "{done:?}");
    let all: u64 = (0..100).map(|_| vault.compact(0).unwrap().retired).sum();
    assert!(all > 0 && is_whole(&vault), "always one, so that it comes to an end");
    assert_eq!(vault.compact(u64::MAX).unwrap().retired, 0);
}

#[test]
fn a_compaction_killed_at_any_step_loses_nothing() {
    for steps in (1..).step_by(3) {
        let fixture = Fixture::new();
        let vault = worn(&fixture);
        fixture.disk.faults().die_after(steps);
        let done = vault.compact(u64::MAX).and_then(|_| vault.compact(u64::MAX));
        drop(vault);
        let alive = Fixture { folder: fixture.folder, ..Fixture::new() };
        let (vault, recovered) = alive.unlock();
        assert_eq!((recovered.torn, recovered.damage), (None, vec![]), "after {steps} steps");
        assert!(is_whole(&vault), "after {steps} steps");
        vault.compact(u64::MAX).unwrap();
        vault.close().unwrap();
        assert_eq!(fsck(&alive.directory(), &alive.secret()).unwrap().findings, []);
        assert!(is_whole(&alive.vault()));
        if done.is_ok() {
            break;
        }
    }
}

#[test]
fn a_shred_destroys_the_dead_copies_too() {
    let fixture = Fixture::new();
    let vault = worn(&fixture);
    for file in ["often", "gone"] {
        let file = vault.lookup(vault.root(), &name(file)).unwrap();
        let old = ciphertext(&fixture, &vault, file);
        vault.compact(u64::MAX).unwrap();
        let all: BTreeSet<_> = old.union(&ciphertext(&fixture, &vault, file)).cloned().collect();
        vault.shred(file, at(9)).unwrap();
        let found = fixture.files().iter().any(|path| {
            let bytes = std::fs::read(path).unwrap();
            bytes.chunks_exact(16).any(|piece| all.contains(piece))
        });
        assert!(!found);
    }
    vault.compact(u64::MAX).unwrap();
    vault.close().unwrap();
    assert_eq!(fsck(&fixture.directory(), &fixture.secret()).unwrap().findings, []);
}

fn ciphertext(fixture: &Fixture, vault: &Vault, file: ward_policy::FileId) -> BTreeSet<Vec<u8>> {
    let mut pieces = BTreeSet::new();
    for region in vault.read_index().secrets().unwrap().regions_of(file) {
        let bytes = std::fs::read(fixture.segment(region.segment)).unwrap();
        let start = crate::fields::in_memory(region.position) + crate::frame::HEADER;
        let end = crate::fields::in_memory(region.position + region.length);
        pieces.extend(bytes[start..end].chunks_exact(16).map(<[u8]>::to_vec));
    }
    pieces.remove(&vec![0; 16]);
    pieces
}

#[test]
fn writers_shreds_and_the_compactor_do_not_get_into_each_others_way() {
    let fixture = Fixture::new();
    let vault = worn(&fixture);
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..2)
            .map(|thread| {
                let vault = &vault;
                scope.spawn(move || {
                    for number in 0..40_u8 {
                        let file = put(vault, &format!("t{thread}"), &[number; 9000]);
                        if number % 8 == 7 {
                            vault.shred(file, at(5)).unwrap();
                        }
                    }
                    put(vault, &format!("t{thread}"), b"last");
                })
            })
            .collect();
        while writers.iter().any(|writer| !writer.is_finished()) {
            vault.compact(u64::MAX).unwrap();
        }
    });
    assert!(is_whole(&vault));
    vault.close().unwrap();
    assert_eq!(fsck(&fixture.directory(), &fixture.secret()).unwrap().findings, []);
    let vault = fixture.vault();
    assert!(is_whole(&vault) && get(&vault, "t0").unwrap() == b"last");
}

#[test]
fn a_value_written_for_ever_takes_no_more_room_than_ten_versions() {
    let fixture = Fixture::new();
    let vault = fixture.vault();
    let write = |round: u16| {
        for number in 0..40 {
            put(&vault, "often", &(round * 40 + number).to_le_bytes().repeat(2_000));
        }
        for _ in 0..4 {
            vault.compact(u64::MAX).unwrap();
        }
        let often = vault.lookup(vault.root(), &name("often")).unwrap();
        let index = vault.read_index();
        index.secrets().unwrap().history(often).unwrap().all().len()
    };
    let kept: Vec<usize> = (0..12).map(write).collect();
    assert!(kept[11] <= kept[3] && kept[11] < 100, "versions known: {kept:?}");
    vault.close().unwrap();
    let vault = fixture.vault();
    let often = vault.lookup(vault.root(), &name("often")).unwrap();
    assert_eq!(vault.versions(often).len(), 10);
    assert!(vault.read_index().secrets().unwrap().history(often).unwrap().all().len() <= kept[11]);
}
