//! Who wrote a version and until when it is served stays with the version, whatever becomes of the
//! vault.

use super::support::{Fixture, at, get, name, put, writing};
use crate::{ChangeError, Existing, Imprint, Vault, VersionId, Writing, fsck};
use ward_policy::FileId;

/// A vault with a secret that ends, and its version.
fn ending(vault: &Vault) -> (FileId, VersionId, Imprint) {
    let file = vault.create_file(vault.root(), &name("token"), at(1)).unwrap();
    let writing = writing(at(50), 8);
    let imprint = writing.imprint.clone().unwrap();
    let version = vault.write_version(file, b"value", writing).unwrap();
    assert_eq!(imprint.expires, Some(at(50)));
    (file, version, *imprint)
}

#[test]
fn an_imprint_outlives_a_crash_images_compaction_and_another_key() {
    let fixture = Fixture::new();
    let vault = fixture.vault();
    let (file, version, imprint) = ending(&vault);
    vault.sync().unwrap();
    drop(vault);
    let (vault, _) = fixture.unlock();
    assert_eq!(vault.imprint(file, version), Some(imprint.clone()), "after a crash");
    vault.close().unwrap();
    let vault = fixture.vault();
    assert_eq!(vault.imprint(file, version), Some(imprint.clone()), "by an image");
    vault.rekey(&[fixture.secret()], &[]).unwrap();
    for number in 0..3 {
        put(&vault, &format!("other{number}"), &[number; 600]);
        vault.sync().unwrap();
        vault.compact(u64::MAX).unwrap();
    }
    assert_eq!(vault.imprint(file, version), Some(imprint.clone()), "after compaction");
    vault.close().unwrap();
    let vault = fixture.vault();
    assert_eq!(vault.imprint(file, version), Some(imprint));
    assert_eq!(vault.expires(file, version), Some(at(50)));
    vault.close().unwrap();
    assert_eq!(fsck(&fixture.directory(), &fixture.secret()).unwrap().findings, []);
}

#[test]
fn an_older_version_that_comes_back_ends_when_it_always_did() {
    let fixture = Fixture::new();
    let vault = fixture.vault();
    let (file, version, imprint) = ending(&vault);
    vault.write_version(file, b"newer", at(60)).unwrap();
    let newer = vault.current_version(file).unwrap();
    assert_eq!((vault.expires(file, newer), vault.imprint(file, newer)), (None, None));
    let restored = vault.restore(file, version, at(70)).unwrap();
    assert_eq!(vault.imprint(file, restored), Some(imprint.clone()));
    vault.unlink(vault.root(), &name("token"), at(71)).unwrap();
    let made = vault.restore_removed(file, at(72)).unwrap();
    let current = vault.current_version(made).unwrap();
    assert_eq!(vault.imprint(made, current), Some(imprint));
}

#[test]
fn of_writers_who_replace_nothing_the_first_one_wins_and_the_others_leave_nothing() {
    let fixture = Fixture::new();
    let vault = fixture.vault();
    let file = vault.create_file(vault.root(), &name("once"), at(1)).unwrap();
    let first = || Writing { existing: Existing::Keep, ..at(2).into() };
    let won: Vec<bool> = std::thread::scope(|scope| {
        let write = |number: u8| {
            let vault = &vault;
            scope.spawn(move || match vault.write_version(file, &[number; 9], first()) {
                Ok(_) => true,
                Err(ChangeError::Exists) => false,
                Err(error) => panic!("{error}"),
            })
        };
        let writers: Vec<_> = (0..20).map(write).collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    assert_eq!(won.iter().filter(|won| **won).count(), 1);
    let winner = won.iter().position(|won| *won).unwrap();
    assert_eq!(get(&vault, "once").unwrap(), [u8::try_from(winner).unwrap(); 9]);
    assert_eq!(vault.versions(file).len(), 1);
    vault.close().unwrap();
    assert_eq!(fsck(&fixture.directory(), &fixture.secret()).unwrap().findings, []);
}
