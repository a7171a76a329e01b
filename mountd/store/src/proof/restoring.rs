//! What was overwritten or removed comes back.

use super::support::{Fixture, at, content_of, get, name, put};
use crate::{ChangeError, HeaderBackupError, backup_header, fsck, restore_header};

#[test]
fn an_older_version_becomes_current_again_as_a_new_version() {
    let fixture = Fixture::new();
    let vault = fixture.vault();
    let file = put(&vault, "a", &[1; 70_000]);
    let first = vault.current_version(file).unwrap();
    put(&vault, "a", b"2");
    let restored = vault.restore(file, first, at(7)).unwrap();
    assert_eq!(vault.current_version(file), Some(restored));
    assert_eq!((vault.versions(file).len(), vault.attributes(file).unwrap().modified), (3, at(7)));
    // The copy does not need what it was made from.
    (0..9).for_each(|number| {
        put(&vault, "a", &[number; 10]);
    });
    assert!(matches!(vault.restore(file, first, at(8)), Err(ChangeError::NotFound)));
    vault.sync().unwrap();
    (0..3).for_each(|_| {
        vault.compact(u64::MAX).unwrap();
    });
    assert_eq!(content_of(&vault, file, restored).unwrap(), [1; 70_000]);
    vault.close().unwrap();
    assert_eq!(fsck(&fixture.directory(), &fixture.secret()).unwrap().findings, []);
}

#[test]
fn a_removed_file_comes_back_under_its_path_unless_that_is_taken_or_gone() {
    let fixture = Fixture::new();
    let vault = fixture.vault();
    let folder = vault.make_directory(vault.root(), &name("db"), at(1)).unwrap();
    let file = vault.create_file(folder, &name("password"), at(1)).unwrap();
    vault.write_version(file, b"hunter2", at(1)).unwrap();
    assert!(matches!(vault.restore_removed(file, at(2)), Err(ChangeError::NotFound)));
    vault.unlink(folder, &name("password"), at(2)).unwrap();
    vault.remove_directory(vault.root(), &name("db"), at(2)).unwrap();
    assert!(matches!(vault.restore_removed(file, at(3)), Err(ChangeError::NotFound)));
    vault.make_directory(vault.root(), &name("db"), at(3)).unwrap();
    let back = vault.restore_removed(file, at(4)).unwrap();
    assert_eq!(get(&vault, "db/password").unwrap(), b"hunter2");
    assert_eq!((vault.removed().len(), vault.versions(back).len()), (0, 2));
    vault.close().unwrap();
    assert_eq!(get(&fixture.vault(), "db/password").unwrap(), b"hunter2");
}

#[test]
fn a_new_file_under_the_name_of_a_removed_one_is_empty_and_has_its_history() {
    let fixture = Fixture::new();
    let vault = fixture.vault();
    put(&vault, "password", b"hunter2");
    vault.unlink(vault.root(), &name("password"), at(2)).unwrap();
    let file = vault.create_file(vault.root(), &name("password"), at(3)).unwrap();
    assert_eq!((vault.current_version(file), vault.versions(file).len()), (None, 1));
    assert_eq!(vault.attributes(file).unwrap().size, 0);
    vault.close().unwrap();
    let vault = fixture.vault();
    assert_eq!((vault.current_version(file), vault.versions(file).len()), (None, 1));
    vault.write_version(file, b"new", at(4)).unwrap();
    assert_eq!(get(&vault, "password").unwrap(), b"new");
}

#[test]
fn a_header_that_was_lost_is_put_back_from_its_backup_and_no_other_vaults() {
    let fixture = Fixture::new();
    let vault = fixture.vault();
    put(&vault, "a", b"1");
    vault.close().unwrap();
    let directory = fixture.directory();
    let backup = backup_header(&directory).unwrap();
    for copy in ["header", "header.2"] {
        std::fs::remove_file(directory.join(copy)).unwrap();
    }
    let lost = backup_header(&directory);
    assert!(matches!(lost, Err(HeaderBackupError::NotHeader(_))));
    let refused = restore_header(&directory, &backup[1..], &fixture.secret());
    assert!(matches!(refused, Err(HeaderBackupError::NotBackup)));
    let other = Fixture::new();
    let refused = restore_header(&directory, &backup, &other.secret());
    assert!(matches!(refused, Err(HeaderBackupError::WrongSecret)));
    let refused = restore_header(&other.directory(), &backup, &fixture.secret());
    assert!(matches!(refused, Err(HeaderBackupError::OtherVault)));
    restore_header(&directory, &backup, &fixture.secret()).unwrap();
    let vault = fixture.vault();
    assert_eq!(get(&vault, "a").unwrap(), b"1");
    let refused = restore_header(&directory, &backup, &fixture.secret());
    assert!(matches!(refused, Err(HeaderBackupError::Locked)));
}
