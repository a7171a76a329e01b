//! After a shred no byte of the old ciphertext is in the directory, whatever happens on the way.

use super::support::{Fixture, at, content_of, get, name, put};
use crate::fsck;
use std::collections::BTreeSet;

/// Every 16 bytes of ciphertext of every version of the file, read from the segments.
fn ciphertext(
    fixture: &Fixture,
    vault: &crate::Vault,
    file: ward_policy::FileId,
) -> BTreeSet<Vec<u8>> {
    let mut pieces = BTreeSet::new();
    for region in vault.read_index().secrets().unwrap().regions_of(file) {
        let bytes = std::fs::read(fixture.segment(region.segment)).unwrap();
        let start = crate::fields::in_memory(region.position) + crate::frame::HEADER;
        let end = crate::fields::in_memory(region.position + region.length);
        pieces.extend(bytes[start..end].chunks_exact(16).map(<[u8]>::to_vec));
    }
    // The gap between tags and chunks is zeros.
    pieces.remove(&vec![0; 16]);
    pieces
}

fn is_anywhere(fixture: &Fixture, pieces: &BTreeSet<Vec<u8>>) -> bool {
    fixture.files().iter().any(|path| {
        let bytes = std::fs::read(path).unwrap();
        bytes.chunks_exact(16).any(|piece| pieces.contains(piece))
    })
}

fn with_versions(fixture: &Fixture) -> (crate::Vault, ward_policy::FileId) {
    let vault = fixture.vault();
    put(&vault, "kept", &[3; 9000]);
    let file = put(&vault, "gone", &[1; 200_000]);
    put(&vault, "gone", b"second");
    vault.close().unwrap();
    let vault = fixture.vault();
    (1..15).for_each(|number| {
        put(&vault, "gone", &[number; 700]);
    });
    (vault, file)
}

#[test]
fn after_a_shred_no_old_ciphertext_is_left_and_the_vault_is_whole() {
    let fixture = Fixture::new();
    let (vault, file) = with_versions(&fixture);
    let pieces = ciphertext(&fixture, &vault, file);
    let version = vault.current_version(file).unwrap();
    assert!(pieces.len() > 12_000 && is_anywhere(&fixture, &pieces));
    vault.shred(file, at(9)).unwrap();
    assert!(!is_anywhere(&fixture, &pieces));
    assert_eq!(get(&vault, "gone"), None);
    assert_eq!(content_of(&vault, file, version), None);
    assert!(vault.shred(file, at(9)).is_err(), "it is gone");
    vault.close().unwrap();
    assert_eq!(fsck(&fixture.directory(), &fixture.secret()).unwrap().findings, []);
    assert_eq!(get(&fixture.vault(), "kept").unwrap(), [3; 9000]);
}

#[test]
fn a_removed_file_and_what_a_name_took_over_are_shredded_too() {
    let fixture = Fixture::new();
    let (vault, file) = with_versions(&fixture);
    let pieces = ciphertext(&fixture, &vault, file);
    vault.unlink(vault.root(), &name("gone"), at(4)).unwrap();
    let next = put(&vault, "gone", b"new");
    vault.unlink(vault.root(), &name("gone"), at(4)).unwrap();
    vault.sync().unwrap();
    vault.shred(next, at(9)).unwrap();
    assert!(!is_anywhere(&fixture, &pieces));
    assert_eq!(vault.removed(), []);
}

#[test]
fn a_shred_interrupted_at_any_step_is_finished_by_the_next_unlock() {
    let mut interrupted = 0;
    for steps in 1.. {
        let fixture = Fixture::new();
        let (vault, file) = with_versions(&fixture);
        vault.sync().unwrap();
        let pieces = ciphertext(&fixture, &vault, file);
        fixture.disk.faults().die_after(steps);
        let shredded = vault.shred(file, at(9));
        drop(vault);
        let alive = Fixture { folder: fixture.folder, ..Fixture::new() };
        let (vault, recovered) = alive.unlock();
        assert_eq!(recovered.damage, [], "after {steps} steps");
        assert_eq!(get(&vault, "kept").unwrap(), [3; 9000]);
        if get(&vault, "gone").is_none() {
            interrupted += recovered.shreds_finished;
            assert!(!is_anywhere(&alive, &pieces), "after {steps} steps");
        } else {
            assert!(shredded.is_err());
        }
        vault.close().unwrap();
        assert_eq!(fsck(&alive.directory(), &alive.secret()).unwrap().findings, []);
        if shredded.is_ok() {
            break;
        }
    }
    assert!(interrupted > 5, "{interrupted}");
}

#[test]
fn a_shred_in_an_unsynced_tail_is_no_damage() {
    let fixture = Fixture::new();
    let vault = fixture.vault();
    let file = put(&vault, "gone", &[5; 700]);
    put(&vault, "kept", b"kept");
    let pieces = {
        vault.flush().unwrap();
        ciphertext(&fixture, &vault, file)
    };
    vault.shred(file, at(9)).unwrap();
    // No later frame carries a mark: to recovery all of it is tail.
    drop(vault);
    let (vault, recovered) = fixture.unlock();
    assert_eq!((recovered.torn, recovered.damage.len()), (None, 0));
    assert_eq!((get(&vault, "gone"), get(&vault, "kept")), (None, Some(b"kept".to_vec())));
    assert!(!is_anywhere(&fixture, &pieces));
}
