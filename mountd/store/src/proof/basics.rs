//! What a vault does when nothing goes wrong.

use super::support::{Fixture, at, content, content_of, get, name, put};
use crate::{
    ChangeError, CreateError, Existing, Keyfile, NewSlot, NewVault, NodeKind, Passphrase,
    RecoveryCode, SlotSecret, UnlockError, Vault, VaultKind, fsck,
};
use ward_policy::SecretPath;
use zeroize::Zeroizing;

#[test]
fn what_was_synced_is_there_after_the_next_unlock() {
    let fixture = Fixture::new();
    let vault = fixture.vault();
    let folder = vault.make_directory(vault.root(), &name("db"), at(1)).unwrap();
    let file = vault.create_file(folder, &name("password"), at(2)).unwrap();
    let version = vault.write_version(file, b"hunter2", at(3)).unwrap();
    let head = vault.sync().unwrap();
    assert_eq!(vault.close().unwrap(), head);

    let (vault, recovered) = fixture.unlock();
    assert_eq!(recovered.head, head);
    assert_eq!((recovered.torn, recovered.damage.len()), (None, 0));
    assert_eq!(get(&vault, "db/password").unwrap(), b"hunter2");
    assert_eq!(vault.current_version(file), Some(version));
    assert_eq!(vault.path_of(file).unwrap().to_string(), "db/password");
    let attributes = vault.attributes(file).unwrap();
    assert_eq!((attributes.kind, attributes.size, attributes.versions), (NodeKind::File, 7, 1));
    assert_eq!((attributes.created, attributes.modified), (at(2), at(3)));
    assert_eq!(vault.entries(folder).len(), 1);
}

#[test]
fn an_unlock_that_changes_nothing_writes_nothing() {
    let fixture = Fixture::new();
    let vault = fixture.vault();
    put(&vault, "a", b"1");
    let head = vault.close().unwrap();
    let before = fixture.files();
    for _ in 0..3 {
        let (vault, recovered) = fixture.unlock();
        assert_eq!(recovered.head, head);
        assert_eq!(vault.close().unwrap(), head);
    }
    assert_eq!(fixture.files(), before);
}

#[test]
fn values_of_every_length_come_back() {
    let fixture = Fixture::new();
    let vault = fixture.vault();
    let lengths = [0, 1, 511, 512, 513, 65_535, 65_536, 65_537, 1 << 20, (5 << 20) + 3];
    for length in lengths {
        let value: Vec<u8> = (0..length).map(|place: u32| place.to_le_bytes()[0]).collect();
        put(&vault, &format!("v{length}"), &value);
    }
    vault.close().unwrap();
    let vault = fixture.vault();
    for length in lengths {
        let value: Vec<u8> = (0..length).map(|place: u32| place.to_le_bytes()[0]).collect();
        assert!(get(&vault, &format!("v{length}")).unwrap() == value, "{length}");
    }
    vault.close().unwrap();
    assert_eq!(fsck(&fixture.directory(), &fixture.secret()).unwrap().findings, []);
}

#[test]
fn a_value_over_16_mib_is_refused_by_its_length() {
    let fixture = Fixture::new();
    let vault = fixture.vault();
    let file = vault.create_file(vault.root(), &name("a"), at(1)).unwrap();
    let refused = vault.write_version(file, &vec![0; (16 << 20) + 1], at(1));
    assert!(matches!(refused, Err(ChangeError::TooLong { limit: 16_777_216 })));
    vault.write_version(file, &vec![7; 16 << 20], at(1)).unwrap();
    assert_eq!(content(&vault, file).unwrap().len(), 16 << 20);
}

#[test]
fn a_file_renamed_onto_a_name_goes_on_with_the_history_of_the_name() {
    let fixture = Fixture::new();
    let vault = fixture.vault();
    let root = vault.root();
    let old = put(&vault, "password", b"old");
    let old_version = vault.current_version(old).unwrap();
    let new = put(&vault, ".password.swp", b"new");
    let (from, to) = ((root, &name(".password.swp")), (root, &name("password")));
    assert!(matches!(vault.rename(from, to, Existing::Keep, at(3)), Err(ChangeError::Exists)));
    vault.rename(from, to, Existing::Replace, at(3)).unwrap();
    assert_eq!(vault.lookup(root, &name("password")), Some(new));
    assert_eq!(vault.versions(new).len(), 2);
    assert_eq!(get(&vault, "password").unwrap(), b"new");
    assert_eq!(content_of(&vault, new, old_version).unwrap(), b"old");
    assert_eq!(content_of(&vault, old, old_version).unwrap(), b"old", "an open handle reads on");
    vault.close().unwrap();
    assert_eq!(fixture.vault().versions(new).len(), 2);
}

#[test]
fn a_removed_file_keeps_its_versions_for_the_next_of_its_path() {
    let fixture = Fixture::new();
    let vault = fixture.vault();
    let first = put(&vault, "a", b"1");
    let version = vault.current_version(first).unwrap();
    vault.unlink(vault.root(), &name("a"), at(3)).unwrap();
    assert_eq!(vault.find(&SecretPath::try_from("a").unwrap()), None);
    assert_eq!(vault.removed().len(), 1);
    assert_eq!(content_of(&vault, first, version).unwrap(), b"1");
    let second = put(&vault, "a", b"2");
    assert_ne!(first, second);
    assert_eq!((vault.versions(second).len(), vault.removed().len()), (2, 0));
}

#[test]
fn a_change_that_does_not_fit_is_refused_by_its_reason() {
    let fixture = Fixture::new();
    let vault = fixture.vault();
    let root = vault.root();
    let folder = vault.make_directory(root, &name("d"), at(1)).unwrap();
    let inner = vault.make_directory(folder, &name("e"), at(1)).unwrap();
    let file = put(&vault, "f", b"x");
    let rename = |from, to| vault.rename(from, to, Existing::Replace, at(2)).unwrap_err();
    assert!(matches!(vault.create_file(root, &name("f"), at(1)), Err(ChangeError::Exists)));
    assert!(matches!(vault.create_file(file, &name("g"), at(1)), Err(ChangeError::NotDirectory)));
    assert!(matches!(vault.create_file(root, &name(".ward"), at(1)), Err(ChangeError::Name(_))));
    assert!(matches!(vault.unlink(root, &name("g"), at(1)), Err(ChangeError::NotFound)));
    assert!(matches!(vault.unlink(root, &name("d"), at(1)), Err(ChangeError::IsDirectory)));
    let removed = vault.remove_directory(root, &name("d"), at(1));
    assert!(matches!(removed, Err(ChangeError::NotEmpty)));
    let (d, f, in_e) = (name("d"), name("f"), name("x"));
    assert!(matches!(rename((root, &d), (inner, &in_e)), ChangeError::IntoItself));
    assert!(matches!(rename((root, &d), (root, &f)), ChangeError::NotDirectory));
    assert!(matches!(rename((root, &f), (root, &d)), ChangeError::IsDirectory));
    assert!(matches!(vault.write_version(folder, b"x", at(1)), Err(ChangeError::NotFound)));
    vault.close().unwrap();
    assert_eq!(fixture.vault().entries(root).len(), 2);
}

#[test]
fn a_directory_does_not_go_where_a_path_below_it_would_be_too_long() {
    let fixture = Fixture::new();
    let vault = fixture.vault();
    let long = name(&"x".repeat(250));
    let mut folder = vault.root();
    for _ in 0..15 {
        folder = vault.make_directory(folder, &long, at(1)).unwrap();
    }
    let mut other = vault.make_directory(vault.root(), &name("o"), at(1)).unwrap();
    let (from, moved) = ((vault.root(), &name("o")), name("m"));
    vault.rename(from, (folder, &moved), Existing::Keep, at(2)).unwrap();
    vault.rename((folder, &moved), from, Existing::Keep, at(2)).unwrap();
    for _ in 0..2 {
        other = vault.make_directory(other, &long, at(1)).unwrap();
    }
    let refused = vault.rename(from, (folder, &moved), Existing::Keep, at(3));
    assert!(matches!(refused, Err(ChangeError::Name(_))));
    assert!(vault.path_of(other).is_some());
}

#[test]
fn a_number_that_a_crash_took_back_is_not_given_to_another_file() {
    let fixture = Fixture::new();
    let vault = fixture.vault();
    let lost = put(&vault, "never-synced", b"1");
    drop(vault);
    let vault = fixture.vault();
    assert_eq!(vault.entries(vault.root()), []);
    assert_ne!(put(&vault, "another", b"2"), lost);
}

#[test]
fn every_refusal_to_unlock_has_its_own_reason() {
    let fixture = Fixture::new();
    let directory = fixture.directory();
    let nowhere = fixture.folder.path().join("nowhere");
    let unlock = |directory, secret: &SlotSecret| Vault::unlock(directory, secret).unwrap_err();
    assert!(matches!(unlock(&nowhere, &fixture.secret()), UnlockError::NoVault(_)));
    let other = Keyfile::create(&fixture.folder.path().join("other")).unwrap();
    let other = SlotSecret::Keyfile(other);
    assert!(matches!(unlock(&directory, &other), UnlockError::WrongSecret));
    let words = SlotSecret::Passphrase(Passphrase::new(Zeroizing::new(b"words".to_vec())));
    assert!(matches!(unlock(&directory, &words), UnlockError::NoSlot(_)));
    let vault = fixture.vault();
    let locked = unlock(&directory, &fixture.secret());
    assert!(matches!(locked, UnlockError::Locked(Some(pid)) if pid == std::process::id()));
    assert!(locked.to_string().contains("pid"));
    drop(vault);
    for copy in ["header", "header.2"] {
        let mut bytes = std::fs::read(directory.join(copy)).unwrap();
        bytes[8] = 9;
        crate::durable::replace(&crate::durable::RealDisk, &directory.join(copy), &bytes).unwrap();
    }
    let newer = unlock(&directory, &fixture.secret());
    assert!(matches!(newer, UnlockError::Newer { found: 9, known: 1 }));
    assert!(newer.to_string().contains("format 9") && newer.to_string().contains("up to 1"));
}

#[test]
fn a_vault_is_never_made_over_something_that_exists() {
    let fixture = Fixture::new();
    let keyfile = Keyfile::read(&fixture.folder.path().join("key")).unwrap();
    let settings = NewVault { kind: VaultKind::Secrets, label: String::new() };
    let made = Vault::create(&fixture.directory(), &settings, &NewSlot::Keyfile(&keyfile));
    assert!(matches!(made, Err(CreateError::Exists(_))));
    drop(fixture.vault());
}

#[test]
fn a_slot_can_be_added_and_removed_but_not_the_last() {
    let fixture = Fixture::new();
    let vault = fixture.vault();
    let code = RecoveryCode::generate().unwrap();
    let added = vault.add_slot(&NewSlot::Recovery(&code)).unwrap();
    assert_eq!(vault.head().header_generation, 2);
    drop(vault);
    let secret = SlotSecret::Recovery(code);
    let (vault, _) = Vault::unlock(&fixture.directory(), &secret).unwrap();
    assert_eq!(vault.slots().len(), 2);
    vault.remove_slot(vault.slots()[0].id).unwrap();
    assert!(vault.remove_slot(added).is_err());
    drop(vault);
    assert!(matches!(fixture.try_unlock(), Err(UnlockError::WrongSecret | UnlockError::NoSlot(_))));
}

#[test]
fn a_crash_between_the_copies_of_the_header_does_not_bring_back_a_removed_slot() {
    let fixture = Fixture::new();
    let vault = fixture.vault();
    let code = RecoveryCode::generate().unwrap();
    vault.add_slot(&NewSlot::Recovery(&code)).unwrap();
    let second = fixture.directory().join("header.2");
    let older = std::fs::read(&second).unwrap();
    vault.remove_slot(vault.slots()[0].id).unwrap();
    drop(vault);
    crate::durable::replace(&crate::durable::RealDisk, &second, &older).unwrap();
    assert!(fixture.try_unlock().is_err());
    let code = SlotSecret::Recovery(code);
    let (vault, recovered) = Vault::unlock(&fixture.directory(), &code).unwrap();
    assert!(recovered.header_repaired && vault.slots().len() == 1);
}

#[test]
fn two_vaults_with_the_same_content_share_no_ciphertext() {
    let segment = || {
        let fixture = Fixture::new();
        let vault = fixture.vault();
        put(&vault, "a", &[7; 4096]);
        vault.close().unwrap();
        std::fs::read(fixture.segment(2)).unwrap()
    };
    let (one, other) = (segment(), segment());
    // Behind the header all but the frame heads is ciphertext.
    let sealed: std::collections::BTreeSet<&[u8]> = one[192..].chunks_exact(16).collect();
    let shared = other[192..].chunks_exact(16).filter(|block| sealed.contains(block)).count();
    assert!(shared <= 6, "only frame heads are alike: {shared}");
}
