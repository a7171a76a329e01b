//! A new key shuts out who kept an old header, and loses nothing on the way.

use super::crash::Machine;
use super::support::{Fixture, at, get, name, put};
use crate::durable::{RealDisk, replace};
use crate::kind::VaultKind;
use crate::{
    HeaderBackupError, Keyfile, NewSlot, RecoveryCode, RekeyError, SlotSecret, UnlockError,
    UnlockPinnedError, Vault, backup_header, fsck, restore_header,
};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use ward_audit::{BootId, Durability, EventType, Filter, Log, LogKey, Record, Settings, Stamp};
use ward_memory::SecretBox;
use ward_policy::{Moment, SecretPath, VaultName};

/// A vault with versions, dead ones among them, in several segments.
fn filled(vault: &Vault) {
    (0..14_u8).for_each(|number| {
        put(vault, "often", &[number; 20_000]);
    });
    put(vault, "a", b"first");
    vault.sync().unwrap();
}

fn is_whole(vault: &Vault) -> bool {
    get(vault, "often").as_deref() == Some(&[13; 20_000][..])
        && get(vault, "a").as_deref() == Some(b"first")
}

/// Compacts until the old key is gone.
pub(super) fn finish(vault: &Vault) {
    for _ in 0..10 {
        vault.compact(u64::MAX).unwrap();
        if !vault.is_rekeying() {
            return;
        }
    }
    panic!("{} segments are still under an old key", vault.segments_to_rekey());
}

fn copy_headers(from: &Path, to: &Path) {
    for copy in crate::header_file::COPIES {
        std::fs::copy(from.join(copy), to.join(copy)).unwrap();
    }
}

#[test]
fn an_old_header_opens_the_vault_while_it_is_rewritten_and_never_again_after() {
    let fixture = Fixture::new();
    let vault = fixture.vault();
    filled(&vault);
    let slots = vault.slots();
    let old = fixture.folder.path().join("old");
    std::fs::create_dir(&old).unwrap();
    copy_headers(&fixture.directory(), &old);
    let backup = backup_header(&fixture.directory()).unwrap();
    vault.rekey(&[fixture.secret()], &[]).unwrap();
    assert!(vault.is_rekeying() && vault.segments_to_rekey() > 2);
    assert_eq!((vault.slots()[0].id, vault.slots()[0].created), (slots[0].id, 2));
    put(&vault, "b", b"under the new key");
    finish(&vault);
    assert_eq!(vault.segments_to_rekey(), 0);
    vault.close().unwrap();
    assert_eq!(fsck(&fixture.directory(), &fixture.secret()).unwrap().findings, []);
    let vault = fixture.vault();
    assert!(is_whole(&vault) && get(&vault, "b").unwrap() == b"under the new key");
    let often = vault.lookup(vault.root(), &name("often")).unwrap();
    assert_eq!(vault.versions(often).len(), 10);
    vault.close().unwrap();

    let refused = restore_header(&fixture.directory(), &backup, &fixture.secret());
    assert!(matches!(refused, Err(HeaderBackupError::Outdated)));
    copy_headers(&old, &fixture.directory());
    assert!(matches!(fixture.try_unlock(), Err(UnlockError::HeaderOutdated)));
    let refused = fsck(&fixture.directory(), &fixture.secret());
    assert!(matches!(refused, Err(UnlockError::HeaderOutdated)));
}

#[test]
fn a_slot_without_its_secret_is_named_and_goes_only_with_consent() {
    let fixture = Fixture::new();
    let vault = fixture.vault();
    filled(&vault);
    let code = RecoveryCode::generate().unwrap();
    let printed = vault.add_slot(&NewSlot::Recovery(&code)).unwrap();
    let other = Keyfile::create(&fixture.folder.path().join("other")).unwrap();
    let file = vault.add_slot(&NewSlot::Keyfile(&other)).unwrap();
    let before = vault.slots();
    let Err(RekeyError::SlotsWithoutSecret(named)) = vault.rekey(&[fixture.secret()], &[file])
    else {
        panic!("a slot was lost")
    };
    assert_eq!(named.iter().map(|slot| slot.id).collect::<Vec<_>>(), [printed]);
    let unknown = vault.rekey(&[fixture.secret()], &[crate::SlotId(9)]);
    assert!(matches!(unknown, Err(RekeyError::NoSuchSlot(crate::SlotId(9)))));
    let all: Vec<_> = before.iter().map(|slot| slot.id).collect();
    assert!(matches!(vault.rekey(&[], &all), Err(RekeyError::NoSlotLeft)));
    assert_eq!((vault.slots(), vault.is_rekeying()), (before, false), "nothing was changed");

    let code = SlotSecret::Recovery(code);
    vault.rekey(&[fixture.secret(), code], &[file]).unwrap();
    assert_eq!(vault.slots().len(), 2);
    vault.close().unwrap();
    let other = SlotSecret::Keyfile(other);
    let refused = Vault::unlock_on(fixture.disk.clone(), &fixture.directory(), &other);
    assert!(matches!(refused, Err(UnlockError::WrongSecret)));
    assert!(is_whole(&fixture.vault()));
}

#[test]
fn a_copy_of_the_header_from_before_does_not_bring_the_old_key_back() {
    let fixture = Fixture::new();
    let vault = fixture.vault();
    filled(&vault);
    let other = Keyfile::create(&fixture.folder.path().join("other")).unwrap();
    let removed = vault.add_slot(&NewSlot::Keyfile(&other)).unwrap();
    let older = std::fs::read(fixture.directory().join("header.2")).unwrap();
    let other = SlotSecret::Keyfile(other);
    vault.rekey(&[fixture.secret()], &[removed]).unwrap();
    put(&vault, "b", b"new");
    let second = || replace(&RealDisk, &fixture.directory().join("header.2"), &older).unwrap();
    let open =
        |secret: &SlotSecret| Vault::unlock_on(fixture.disk.clone(), &fixture.directory(), secret);
    vault.close().unwrap();
    second();
    assert!(matches!(open(&other), Err(UnlockError::WrongSecret)));
    let (vault, recovered) = open(&fixture.secret()).unwrap();
    assert!(recovered.header_repaired && get(&vault, "b").unwrap() == b"new");
    finish(&vault);
    vault.close().unwrap();
    // The mark outlives the key.
    second();
    assert!(matches!(open(&other), Err(UnlockError::WrongSecret)));
    assert!(is_whole(&fixture.unlock().0));
}

#[test]
fn a_vault_may_get_a_third_key_before_the_first_is_gone() {
    let fixture = Fixture::new();
    let vault = fixture.vault();
    filled(&vault);
    for text in ["b", "c"] {
        vault.rekey(&[fixture.secret()], &[]).unwrap();
        put(&vault, text, b"1");
        vault.compact(0).unwrap();
    }
    vault.close().unwrap();
    let vault = fixture.vault();
    assert!(is_whole(&vault) && vault.is_rekeying());
    finish(&vault);
    put(&vault, "d", b"1");
    vault.close().unwrap();
    let vault = fixture.vault();
    assert!(is_whole(&vault) && ["b", "c", "d"].iter().all(|text| get(&vault, text).is_some()));
    vault.close().unwrap();
    assert_eq!(fsck(&fixture.directory(), &fixture.secret()).unwrap().findings, []);
}

/// Rekeys a vault on a machine that dies at each step of it in turn, and ends the rekey after that.
pub(super) fn die_at_each_step_of_a_rekey(
    kind: VaultKind,
    fill: impl Fn(&Vault),
    is_whole: impl Fn(&Vault) -> bool,
) {
    let run = |machine: &Machine, vault: &Vault| {
        vault.rekey(&[machine.secret()], &[]).is_ok()
            && (0..4).all(|_| vault.compact(u64::MAX).is_ok())
    };
    let begin = || {
        let machine = Machine::of_kind(kind);
        let vault = machine.unlock().unwrap();
        fill(&vault);
        (machine, vault)
    };
    let (machine, vault) = begin();
    let born = machine.disk.steps();
    assert!(run(&machine, &vault) && !vault.is_rekeying());
    let last = machine.disk.steps();
    for death in born + 1..=last + 1 {
        let (machine, vault) = begin();
        machine.disk.die_at(death);
        run(&machine, &vault);
        drop(vault);
        machine.disk.crash(death.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let vault = machine.unlock().unwrap();
        assert!(is_whole(&vault), "dead at {death} of {last}");
        vault.close().unwrap();
        let report = crate::fsck::check(&*machine.disk, &machine.directory(), &machine.secret());
        assert_eq!(report.unwrap().findings, [], "dead at {death} of {last}");
        let vault = machine.unlock().unwrap();
        finish(&vault);
        vault.rekey(&[machine.secret()], &[]).unwrap();
        finish(&vault);
        vault.close().unwrap();
        assert!(is_whole(&machine.unlock().unwrap()), "dead at {death} of {last}");
    }
}

#[test]
fn a_power_cut_at_any_step_of_a_rekey_leaves_a_whole_vault_that_can_end_it() {
    die_at_each_step_of_a_rekey(VaultKind::Secrets, filled, is_whole);
}

#[test]
fn a_kill_at_any_step_of_a_rekey_is_no_rollback_to_the_pin() {
    for steps in (1..).step_by(3) {
        let fixture = Fixture::new();
        let (directory, secret) = (fixture.directory(), fixture.secret());
        let pin = fixture.folder.path().join("pin");
        let unlock = |disk| Vault::unlock_pinned_on(disk, (&directory, &secret), &pin, at(1));
        let (vault, _) = unlock(fixture.disk.clone()).unwrap();
        filled(&vault);
        vault.pin(at(2)).unwrap();
        fixture.disk.faults().die_after(steps);
        let is_done = vault.rekey(&[fixture.secret()], &[]).is_ok()
            && (0..4).all(|_| vault.compact(u64::MAX).is_ok());
        drop(vault);
        let (vault, recovered) = match unlock(Arc::new(RealDisk)) {
            Ok(opened) => opened,
            Err(error) => panic!("after {steps} steps: {error}"),
        };
        assert_eq!(recovered.damage, [], "after {steps} steps");
        assert!(is_whole(&vault), "after {steps} steps");
        vault.close().unwrap();
        if is_done {
            assert!(!unlock(Arc::new(RealDisk)).unwrap().0.is_rekeying());
            return;
        }
    }
}

#[test]
fn a_pin_from_before_the_old_key_went_counts_as_none() {
    let fixture = Fixture::new();
    let (directory, secret) = (fixture.directory(), fixture.secret());
    let pin = fixture.folder.path().join("pin");
    let unlock = || Vault::unlock_pinned(&directory, &secret, &pin, at(1));
    let (vault, _) = unlock().unwrap();
    filled(&vault);
    vault.pin(at(2)).unwrap();
    let old = std::fs::read(&pin).unwrap();
    vault.rekey(&[fixture.secret()], &[]).unwrap();
    drop(vault);
    replace(&RealDisk, &pin, &old).unwrap();
    // Without its pin nobody lets go of the key that the pin is under.
    let vault = fixture.vault();
    (0..4).for_each(|_| {
        vault.compact(u64::MAX).unwrap();
    });
    assert!(vault.is_rekeying() && vault.segments_to_rekey() == 0);
    vault.close().unwrap();
    let (vault, _) = unlock().unwrap();
    finish(&vault);
    vault.close().unwrap();
    replace(&RealDisk, &pin, &old).unwrap();
    let Err(UnlockPinnedError::RolledBack(found)) = unlock() else { panic!("served") };
    assert_eq!(found.pinned, None);
}

#[test]
fn names_that_the_log_sealed_before_a_rekey_still_open_after_it() {
    let fixture = Fixture::new();
    let vault = fixture.vault();
    filled(&vault);
    let folder = fixture.folder.path().join("audit");
    let (name, path) = (VaultName::try_from("work").unwrap(), SecretPath::try_from("a").unwrap());
    let now = |second| Stamp { wall: second * 1_000_000, boot: Moment::from_nanoseconds(second) };
    let boot = BootId::try_from("7c6a1b52-0d3e-4f6a-9b1c-2d3e4f5a6b7c").unwrap();
    let key = LogKey::from_bytes(&SecretBox::make(|| [7; 32]));
    let (log, _) = Log::open(&folder, key, Settings::new(boot), now(1)).unwrap();
    let record = |second| {
        log.seal_names(&name, &vault.names_key()).unwrap();
        let record = Record::new(EventType::SecretSet).on(&name, &path);
        let _receipt = log.append(record, Durability::Written, now(second)).unwrap();
    };
    let shown = || {
        let mut shown = 0;
        log.read(&Filter::default(), |entry| {
            shown += u32::from(entry.entry.path.as_deref() == Some("a"));
            ControlFlow::Continue(())
        })
        .unwrap();
        shown
    };
    record(2);
    for second in [3, 4] {
        vault.rekey(&[fixture.secret()], &[]).unwrap();
        finish(&vault);
        record(second);
    }
    assert_eq!(shown(), 3);
    vault.close().unwrap();
    log.seal_names(&name, &fixture.vault().names_key()).unwrap();
    assert_eq!(shown(), 3);
}
