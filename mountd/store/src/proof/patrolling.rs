//! The patrol reads everything in parts, finds what is hurt, and takes nothing else for damage.

use super::support::{Fixture, at, name, put};
use super::workspace::{entry, make};
use crate::durable::{RealDisk, replace};
use crate::{Fault, Finding, NodeType, Patrolled, Vault, VaultKind};
use std::path::{Path, PathBuf};

/// A vault with something of everything, in several segments.
fn filled(fixture: &Fixture) -> Vault {
    let vault = fixture.vault();
    for number in 0..12_u8 {
        put(&vault, "often", &[number; 30_000]);
    }
    let gone = put(&vault, "gone", &[7; 9000]);
    vault.shred(gone, at(3)).unwrap();
    put(&vault, "last", &[8; 70_000]);
    vault.close().unwrap();
    fixture.vault()
}

/// Calls until a round is complete.
fn round(vault: &Vault, budget: u64) -> (Vec<Finding>, Patrolled) {
    let mut findings = Vec::new();
    for _ in 0..10_000 {
        let done = vault.patrol(budget, at(100));
        findings.extend(done.findings.clone());
        if done.is_round_complete {
            return (findings, done);
        }
    }
    panic!("the round never ends")
}

fn flip(path: &Path, place: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[place] ^= 8;
    replace(&RealDisk, path, &bytes).unwrap();
}

#[test]
fn a_whole_vault_is_found_whole_in_parts_of_any_size() {
    for budget in [0, 1, 5000, 40_000, u64::MAX] {
        let fixture = Fixture::new();
        let vault = filled(&fixture);
        put(&vault, "open", b"in the open segment");
        vault.sync().unwrap();
        put(&vault, "open", b"not synced");
        let (findings, done) = round(&vault, budget);
        assert_eq!((findings, done.last_round), (vec![], None), "{budget}");
        vault.compact(u64::MAX).unwrap();
        vault.compact(u64::MAX).unwrap();
        let (findings, done) = round(&vault, budget);
        assert_eq!((findings, done.last_round), (vec![], Some(at(100))), "{budget}");
    }
}

#[test]
fn what_is_hurt_is_found_with_the_path_it_hurts() {
    let fixture = Fixture::new();
    let vault = filled(&fixture);
    let find = |path: PathBuf, place: usize| {
        flip(&path, place);
        let found = round(&vault, 50_000).0;
        flip(&path, place);
        assert_eq!(round(&vault, 50_000).0, [], "mended");
        found
    };
    let last = vault.lookup(vault.root(), &name("last")).unwrap();
    let version = vault.current_version(last).unwrap();
    let extent = vault.read_index().secrets().unwrap().content(last, version).unwrap().extents[0];
    let (segment, position) = (extent.segment, extent.position);
    for place in [50, 4200, 60_000] {
        let place = crate::fields::in_memory(position) + place;
        let found = find(fixture.segment(segment), place);
        let [finding] = &found[..] else { panic!("{found:?}") };
        assert_eq!((finding.fault, finding.position), (Fault::Content, Some(position)));
        assert_eq!(finding.path.as_ref().unwrap().to_string(), "last");
    }
    let found = find(fixture.segment(segment), crate::fields::in_memory(position) + 20);
    assert_eq!(found[0].fault, Fault::Frame, "the header of a frame");
    assert_eq!(found[0].path.as_ref().unwrap().to_string(), "last");
    assert_eq!(find(fixture.segment(2), 200)[0].fault, Fault::Frame);
    assert_eq!(find(fixture.segment(2), 100)[0].fault, Fault::SegmentHeader);
    let image = crate::segment::path_of(&fixture.directory().join("images"), 1);
    assert_eq!(find(image, 70)[0].fault, Fault::Image);
    assert_eq!(find(fixture.directory().join("header.2"), 90)[0].fault, Fault::HeaderCopy);
    let moved = fixture.segment(1).with_extension("away");
    std::fs::rename(fixture.segment(1), &moved).unwrap();
    assert_eq!(round(&vault, 50_000).0, [Finding::of_segment(Fault::SegmentMissing, 1)]);
}

#[test]
fn what_is_hurt_in_a_workspace_is_found_with_the_path_it_hurts() {
    let fixture = Fixture::of_kind(VaultKind::Workspace);
    let vault = fixture.vault();
    let folder = make(&vault, vault.root(), "a\nfolder", NodeType::Directory);
    let file = make(&vault, folder, "file", NodeType::File);
    let other = make(&vault, vault.root(), "other", NodeType::File);
    vault.write_node(other, 0, &[7; 9000], at(2)).unwrap();
    vault.write_node(file, 0, &[8; 70_000], at(2)).unwrap();
    vault.write_node(file, 20_000, &[9; 100], at(3)).unwrap();
    // Of this frame no byte lives.
    let dead = make(&vault, vault.root(), "dead", NodeType::File);
    vault.write_node(dead, 0, &[1; 500], at(4)).unwrap();
    let frames = |file| {
        let mut frames = Vec::new();
        let index = vault.read_index();
        let node = index.workspace().unwrap().node(file).unwrap();
        node.extents().unwrap().for_each(|piece| frames.push(piece.frame()));
        frames.dedup();
        frames
    };
    let (gone, found) = (frames(dead), frames(file));
    vault.unlink_entry(vault.root(), &entry("dead"), at(5)).unwrap();
    vault.sync().unwrap();
    assert_eq!(round(&vault, 20_000).0, []);
    let hurt = |(segment, position): (u64, u64), place: usize| {
        let (path, place) = (fixture.segment(segment), crate::fields::in_memory(position) + place);
        flip(&path, place);
        let found = round(&vault, 20_000).0;
        flip(&path, place);
        let [finding] = &found[..] else { panic!("{found:?} at {place}") };
        assert_eq!((finding.fault, finding.position), (Fault::Content, Some(position)));
        finding.path.as_ref().map(ToString::to_string)
    };
    let [long, short, behind] = found[..] else { panic!("{found:?}") };
    assert_eq!(long, behind);
    for (frame, place) in [(long, 50), (long, 5000), (long, 60_000), (short, 70)] {
        assert_eq!(hurt(frame, place).as_deref(), Some("a\\x0afolder/file"), "{place}");
    }
    assert_eq!(hurt(frames(other)[0], 5000).as_deref(), Some("other"));
    assert_eq!(hurt(gone[0], 70), None);
    assert_eq!(round(&vault, 20_000).0, []);
}

#[test]
fn the_patrol_goes_on_after_a_restart_and_believes_nothing_of_what_it_remembered() {
    let fixture = Fixture::new();
    let vault = filled(&fixture);
    let all = round(&vault, u64::MAX).1.bytes;
    let half = vault.patrol(all / 2, at(200)).bytes;
    vault.close().unwrap();
    let vault = fixture.vault();
    let rest = vault.patrol(u64::MAX, at(300));
    assert!(rest.is_round_complete && rest.bytes < all && half + rest.bytes >= all);
    assert_eq!(rest.last_round, Some(at(100)));
    drop(vault);
    for hint in
        [&b"nonsense"[..], b"wardptl\0\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0\0\0\0\0", b""]
    {
        replace(&RealDisk, &fixture.directory().join("patrol"), hint).unwrap();
        let vault = fixture.vault();
        assert_eq!(round(&vault, 50_000).0, []);
        assert_eq!(round(&vault, 50_000).0, []);
    }
}

#[test]
fn writers_shreds_and_the_compactor_are_not_taken_for_damage() {
    let fixture = Fixture::new();
    let vault = filled(&fixture);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for number in 0..80_u8 {
                let file = put(&vault, "busy", &[number; 20_000]);
                if number % 9 == 8 {
                    vault.shred(file, at(5)).unwrap();
                    vault.compact(u64::MAX).unwrap();
                }
                vault.sync().unwrap();
            }
        });
        while !writer.is_finished() {
            assert_eq!(vault.patrol(60_000, at(6)).findings, []);
        }
    });
    assert_eq!(round(&vault, u64::MAX).0, []);
}
