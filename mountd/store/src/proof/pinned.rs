//! A pin outside the vault notices an older copy, and never takes a crash for one.

use super::support::{Fixture, at, get, name, put};
use super::workspace;
use crate::{
    ChangeError, NodeType, ReadOnly, Recovered, UnlockPinnedError, Vault, VaultKind, fsck,
};
use std::path::PathBuf;
use std::time::Duration;
use ward_policy::{FileId, SecretPath};

fn pin(fixture: &Fixture) -> PathBuf {
    fixture.folder.path().join("pin")
}

fn unlock(fixture: &Fixture) -> Result<(Vault, Recovered), UnlockPinnedError> {
    Vault::unlock_pinned(&fixture.directory(), &fixture.secret(), &pin(fixture), at(10))
}

/// The vault directory as `older` has it, beside the newer pin.
fn roll_back(fixture: &Fixture, older: &Fixture) {
    std::fs::copy(pin(fixture), pin(older)).unwrap();
}

fn is_rolled_back(fixture: &Fixture) -> bool {
    matches!(unlock(fixture), Err(UnlockPinnedError::RolledBack(_)))
}

#[test]
fn an_older_copy_of_a_vault_is_not_served_and_the_check_still_reads_it() {
    let fixture = Fixture::new();
    let (vault, _) = unlock(&fixture).unwrap();
    put(&vault, "a", b"old");
    vault.close().unwrap();
    let older = fixture.copy();
    assert!(unlock(&older).is_ok());
    let older = fixture.copy();
    let (vault, _) = unlock(&fixture).unwrap();
    put(&vault, "a", b"new");
    vault.close().unwrap();
    roll_back(&fixture, &older);
    let Err(UnlockPinnedError::RolledBack(found)) = unlock(&older) else { panic!("served") };
    let pinned = found.pinned.unwrap();
    assert!(pinned.head.segment > found.found.segment && pinned.time == at(10));
    assert!(found.to_string().contains("segment 3") && found.to_string().contains("segment 2"));
    assert_eq!(fsck(&older.directory(), &older.secret()).unwrap().findings, []);
    assert_eq!(get(&unlock(&fixture).unwrap().0, "a").unwrap(), b"new");
}

#[test]
fn a_fork_and_an_older_header_are_seen_too() {
    let fixture = Fixture::new();
    drop(unlock(&fixture).unwrap());
    let fork = fixture.copy();
    for (fixture, content) in [(&fixture, b"one"), (&fork, b"two")] {
        let (vault, _) = unlock(fixture).unwrap();
        put(&vault, "a", content);
        vault.close().unwrap();
    }
    roll_back(&fixture, &fork);
    assert!(is_rolled_back(&fork));

    let older = fixture.copy();
    let (vault, _) = unlock(&fixture).unwrap();
    let code = crate::RecoveryCode::generate().unwrap();
    vault.add_slot(&crate::NewSlot::Recovery(&code)).unwrap();
    drop(vault);
    roll_back(&fixture, &older);
    assert!(is_rolled_back(&older));
}

#[test]
fn a_missing_or_changed_pin_counts_as_a_rollback_once_one_was_written() {
    let fixture = Fixture::new();
    drop(unlock(&fixture).unwrap());
    let bytes = std::fs::read(pin(&fixture)).unwrap();
    std::fs::remove_file(pin(&fixture)).unwrap();
    assert!(is_rolled_back(&fixture));
    for changed in [&bytes[..100], &[7; 160], &[0; 1000]] {
        crate::durable::replace(&crate::durable::RealDisk, &pin(&fixture), changed).unwrap();
        assert!(is_rolled_back(&fixture));
    }
    let other = Fixture::new();
    drop(unlock(&other).unwrap());
    roll_back(&other, &fixture);
    assert!(is_rolled_back(&fixture), "a pin of another vault is none");
    crate::durable::replace(&crate::durable::RealDisk, &pin(&fixture), &bytes).unwrap();
    assert!(unlock(&fixture).is_ok());
}

#[test]
fn a_workspace_that_was_rolled_back_opens_for_reading_only_and_changes_nothing() {
    let fixture = Fixture::of_kind(VaultKind::Workspace);
    let (vault, _) = unlock(&fixture).unwrap();
    let file = workspace::make(&vault, vault.root(), "a", NodeType::File);
    vault.write_node(file, 0, b"old", at(2)).unwrap();
    vault.close().unwrap();
    let older = fixture.copy();
    let (vault, _) = unlock(&fixture).unwrap();
    vault.write_node(file, 0, b"new", at(3)).unwrap();
    vault.close().unwrap();
    roll_back(&fixture, &older);
    for _ in 0..2 {
        let (vault, _) = unlock(&older).unwrap();
        assert_eq!(vault.read_only(), Some(ReadOnly::RolledBack));
        assert_eq!(workspace::bytes_of(&vault, file), b"old");
        let refused = vault.write_node(file, 0, b"b", at(1));
        assert!(matches!(refused, Err(ChangeError::ReadOnly(_))));
        vault.close().unwrap();
    }
}

#[test]
fn an_accepted_restore_is_a_new_branch_and_what_was_before_it_a_rollback() {
    let fixture = Fixture::new();
    let (vault, _) = unlock(&fixture).unwrap();
    put(&vault, "a", b"old");
    vault.close().unwrap();
    let older = fixture.copy();
    let (vault, _) = unlock(&fixture).unwrap();
    put(&vault, "a", b"new");
    vault.close().unwrap();
    roll_back(&fixture, &older);
    let accept = |fixture: &Fixture| {
        let (directory, secret) = (fixture.directory(), fixture.secret());
        let (vault, _, rolled_back) =
            Vault::unlock_to_look(&directory, &secret, &pin(fixture), at(20)).unwrap();
        assert_eq!(vault.read_only(), rolled_back.map(|_| ReadOnly::RolledBack));
        drop(vault);
        let accepted = Vault::accept_restore(&directory, &secret, &pin(fixture), &[], at(20));
        let accepted = accepted.unwrap();
        assert_eq!(accepted.2, rolled_back);
        accepted
    };
    let (vault, recovered, rolled_back) = accept(&older);
    let rolled_back = rolled_back.unwrap();
    let pinned = rolled_back.pinned.unwrap();
    assert_eq!((pinned.head.branch, pinned.time), (0, at(10)));
    assert_eq!((rolled_back.found.branch, rolled_back.changed), (0, at(2)));
    assert_eq!((vault.head().branch, recovered.head), (1, vault.head()));
    put(&vault, "b", b"goes on");
    vault.close().unwrap();
    let (vault, _) = unlock(&older).unwrap();
    assert_eq!(vault.head().branch, 1);
    assert_eq!(get(&vault, "a").unwrap(), b"old");
    drop(vault);
    roll_back(&older, &fixture);
    assert!(is_rolled_back(&fixture), "the branch that was given up");
    assert_eq!(accept(&older).2, None, "nothing to accept");
}

#[test]
fn an_accepted_restore_destroys_again_what_was_shredded_since() {
    let fixture = Fixture::new();
    let (vault, _) = unlock(&fixture).unwrap();
    let folder = vault.make_directory(vault.root(), &name("db"), at(1)).unwrap();
    for text in ["kept", "shredded", "removed"] {
        let file = vault.create_file(folder, &name(text), at(1)).unwrap();
        vault.write_version(file, text.as_bytes(), at(1)).unwrap();
    }
    vault.unlink(folder, &name("removed"), at(2)).unwrap();
    vault.close().unwrap();
    let older = fixture.copy();
    let (vault, _) = unlock(&fixture).unwrap();
    let path = |text: &str| SecretPath::try_from(text).unwrap();
    let shredded = [
        vault.find(&path("db/shredded")).unwrap(),
        vault.removed()[0].file,
        FileId(1 << 40),
        vault.root(),
    ];
    shredded[..2].iter().for_each(|file| vault.shred(*file, at(3)).unwrap());
    vault.close().unwrap();
    roll_back(&fixture, &older);
    let (directory, secret) = (older.directory(), older.secret());
    let (vault, _, rolled_back) =
        Vault::accept_restore(&directory, &secret, &pin(&older), &shredded, at(4)).unwrap();
    assert!(rolled_back.is_some());
    let is_right = |vault: &Vault| {
        assert_eq!(get(vault, "db/kept").unwrap(), b"kept");
        assert_eq!((get(vault, "db/shredded"), vault.removed()), (None, Vec::new()));
    };
    is_right(&vault);
    drop(vault);
    is_right(&unlock(&older).unwrap().0);
}

#[test]
fn a_workspace_that_was_rolled_back_shows_what_was_written_and_not_settled() {
    let fixture = Fixture::of_kind(VaultKind::Workspace);
    let (vault, _) = unlock(&fixture).unwrap();
    let write = |vault: &Vault, text: &str| {
        let file = workspace::make(vault, vault.root(), text, NodeType::File);
        vault.write_node(file, 0, text.as_bytes(), at(2)).unwrap();
        file
    };
    let synced = write(&vault, "synced");
    vault.pin(at(11)).unwrap();
    let tail = write(&vault, "in the tail");
    vault.flush().unwrap();
    drop(vault);
    let older = fixture.copy();
    let (vault, _) = unlock(&fixture).unwrap();
    let newer = write(&vault, "newer");
    vault.close().unwrap();
    roll_back(&fixture, &older);
    let before = fs_of(&older);
    for _ in 0..2 {
        let (vault, _) = unlock(&older).unwrap();
        assert_eq!(vault.read_only(), Some(ReadOnly::RolledBack));
        assert_eq!(workspace::bytes_of(&vault, synced), b"synced");
        assert_eq!(workspace::bytes_of(&vault, tail), b"in the tail");
        assert_eq!(vault.node(newer), None);
        vault.close().unwrap();
    }
    assert!(fs_of(&older) == before, "nothing of it is written");
}

fn fs_of(fixture: &Fixture) -> Vec<Vec<u8>> {
    fixture.files().iter().map(|path| std::fs::read(path).unwrap()).collect()
}

#[test]
fn a_crash_at_any_step_with_any_pin_of_the_past_is_no_rollback() {
    for steps in 1..60 {
        let fixture = Fixture::new();
        let mut pins = Vec::new();
        for (round, text) in (0..).zip(["a", "b", "c"]) {
            let (directory, secret) = (fixture.directory(), fixture.secret());
            let (disk, place) = (fixture.disk.clone(), (&*directory, &secret));
            let (vault, _) =
                Vault::unlock_pinned_on(disk, place, &pin(&fixture), at(round)).unwrap();
            put(&vault, text, b"1");
            vault.pin(at(round)).unwrap();
            pins.push(std::fs::read(pin(&fixture)).unwrap());
            fixture.disk.faults().die_after(steps);
            put_if_alive(&vault, text);
            let _dies = vault.pin(at(round)).and_then(|()| vault.close().map(drop));
            fixture.disk.faults().die_after(u64::MAX);
            // Without the pin, as a rescue would: the tail is moved.
            if steps % 2 == 0 {
                drop(fixture.unlock());
            }
            pins.push(std::fs::read(pin(&fixture)).unwrap());
        }
        for bytes in pins {
            crate::durable::replace(&crate::durable::RealDisk, &pin(&fixture), &bytes).unwrap();
            if let Err(error) = unlock(&fixture) {
                panic!("after {steps} steps: {error}");
            }
        }
    }
}

fn put_if_alive(vault: &Vault, text: &str) {
    let file = vault.lookup(vault.root(), &name(text)).unwrap();
    let _may_die = vault.write_version(file, &[7; 3000], at(3));
}

#[test]
fn the_pin_follows_while_writing_at_most_so_often() {
    let fixture = Fixture::new();
    let (vault, _) = unlock(&fixture).unwrap();
    let minute = Duration::from_secs(60);
    assert!(!vault.pin_if_older(minute, at(100)).unwrap(), "nothing is new");
    put(&vault, "a", b"1");
    vault.sync().unwrap();
    assert!(!vault.pin_if_older(minute, at(69)).unwrap());
    assert!(vault.pin_if_older(minute, at(70)).unwrap());
    assert!(!vault.pin_if_older(minute, at(500)).unwrap());
    put(&vault, "a", b"2");
    vault.sync().unwrap();
    assert!(vault.pin_if_older(minute, at(1)).unwrap(), "a clock that was set back");
}
