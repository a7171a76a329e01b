//! On a full disk nobody gets room but who gives room back.

use super::support::{Fixture, at, get, name, put};
use crate::{
    ChangeError, EntryName, Keyfile, NewNode, NewSlot, NewVault, NodeType, SlotSecret, Vault,
    VaultKind, fsck,
};
use std::path::{Path, PathBuf};
use std::process::Command;
use ward_policy::FileId;

/// A filesystem of a few MiB, which goes with the test.
struct SmallDisk {
    folder: tempfile::TempDir,
}

impl SmallDisk {
    /// `None`, with the reason said, where the test may not mount.
    #[expect(clippy::print_stderr, reason = "a test that is skipped says why")]
    fn new() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=2m,mode=0700", "none"]).arg(folder.path());
        if mount.status().is_ok_and(|status| status.success()) {
            return Some(Self { folder });
        }
        eprintln!("skipped: a small disk takes the right to mount");
        None
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn secret(&self) -> SlotSecret {
        SlotSecret::Keyfile(Keyfile::read(&self.path("key")).unwrap())
    }

    fn unlock(&self) -> Vault {
        let (vault, recovered) = Vault::unlock(&self.path("vault"), &self.secret()).unwrap();
        assert_eq!((recovered.torn, recovered.damage), (None, Vec::new()));
        vault
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(self.folder.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()));
    }
}

/// Takes every block that is left.
fn fill(path: &Path) {
    let file = std::fs::File::create(path).unwrap();
    for size in [1 << 20, 1 << 16, 1 << 12] {
        let end = || file.metadata().unwrap().len();
        while rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), end(), size).is_ok()
        {
        }
    }
}

#[test]
fn on_a_full_disk_compaction_runs_gives_space_back_and_nothing_is_lost() {
    let Some(disk) = SmallDisk::new() else { return };
    let keyfile = Keyfile::create(&disk.path("key")).unwrap();
    let settings = NewVault { kind: VaultKind::Secrets, label: String::new() };
    Vault::create(&disk.path("vault"), &settings, &NewSlot::Keyfile(&keyfile)).unwrap();
    let vault = disk.unlock();
    put(&vault, "kept", &[7; 3000]);
    let often = put(&vault, "often", &[0; 20_000]);
    let mut last = 0;
    for number in 1..=u8::MAX {
        if number == 30 {
            fill(&disk.path("filler"));
        }
        match vault.write_version(often, &[number; 20_000], at(2)).map(|_| vault.sync()) {
            Ok(synced) => {
                synced.unwrap();
                last = number;
            }
            Err(ChangeError::NoSpace) => break,
            Err(error) => panic!("{error}"),
        }
    }
    assert!((30..100).contains(&last), "{last}");
    let refused = vault.create_file(vault.root(), &name("no"), at(3));
    assert!(refused.is_ok() || matches!(refused, Err(ChangeError::NoSpace)));
    let is_there = |vault: &Vault| {
        assert_eq!(get(vault, "kept").unwrap(), [7; 3000]);
        assert_eq!(get(vault, "often").unwrap(), [last; 20_000]);
    };
    let (mut retired, mut removed) = (0, 0);
    for _ in 0..4 {
        let done = vault.compact(u64::MAX).unwrap();
        (retired, removed) = (retired + done.retired, removed + done.removed);
        is_there(&vault);
    }
    assert!(retired >= 3 && removed >= 3, "{retired} {removed}");
    assert!(disk.path("vault/reserve").exists(), "it is put back");
    put(&vault, "again", b"there is room");
    vault.close().unwrap();
    is_there(&disk.unlock());
    let report = fsck(&disk.path("vault"), &disk.secret()).unwrap();
    assert_eq!((report.findings, report.torn), (Vec::new(), None));
}

#[test]
fn on_a_full_disk_a_file_can_be_removed_which_makes_room_for_another() {
    let Some(disk) = SmallDisk::new() else { return };
    let keyfile = Keyfile::create(&disk.path("key")).unwrap();
    let settings = NewVault { kind: VaultKind::Workspace, label: String::new() };
    Vault::create(&disk.path("vault"), &settings, &NewSlot::Keyfile(&keyfile)).unwrap();
    let vault = disk.unlock();
    let files: Vec<_> = (0..40).map_while(|number| fill_file(&vault, number).ok()).collect();
    assert!((5..40).contains(&files.len()), "{}", files.len());
    // Until not even a name fits.
    while fill_file(&vault, 100).is_ok() || make_file(&vault, 101).is_ok() {
        vault.unlink_entry(vault.root(), &entry(101), at(4)).unwrap();
    }
    for (number, _) in (0..).zip(&files) {
        vault.unlink_entry(vault.root(), &entry(number), at(4)).unwrap();
    }
    for _ in 0..4 {
        vault.compact(u64::MAX).unwrap();
    }
    let again: Vec<_> = (0..5).map(|number| fill_file(&vault, number).unwrap()).collect();
    assert_eq!(again.len(), 5);
    vault.close().unwrap();
    let report = fsck(&disk.path("vault"), &disk.secret()).unwrap();
    assert_eq!((report.findings, report.torn), (Vec::new(), None));
}

fn entry(number: u32) -> EntryName {
    EntryName::try_from(number.to_string().as_bytes()).unwrap()
}

fn make_file(vault: &Vault, number: u32) -> Result<FileId, ChangeError> {
    let node_type = NodeType::File;
    let node = NewNode { node_type, mode: 0o644, uid: 0, gid: 0, device: 0, target: b"" };
    Ok(vault.make_node(vault.root(), &entry(number), node, at(3))?.file)
}

fn fill_file(vault: &Vault, number: u32) -> Result<FileId, ChangeError> {
    let file = make_file(vault, number)?;
    vault.write_node(file, 0, &[7; 50_000], at(3))?;
    vault.sync()?;
    Ok(file)
}

#[test]
fn room_that_the_reserve_gave_is_not_for_writers_until_it_is_put_back() {
    let fixture = Fixture::new();
    let vault = fixture.vault();
    for number in 0..30_u8 {
        put(&vault, "often", &[number; 20_000]);
    }
    vault.sync().unwrap();
    assert!(fixture.directory().join("reserve").exists());
    let spent = std::cell::Cell::new(0);
    let result: Result<(), _> = vault.with_reserve(|| {
        spent.set(spent.get() + 1);
        fixture.disk.faults().is_full.store(true, std::sync::atomic::Ordering::SeqCst);
        Err(ChangeError::NoSpace)
    });
    assert!(matches!(result, Err(ChangeError::NoSpace)) && spent.get() == 2);
    assert!(!fixture.directory().join("reserve").exists());
    let refused = vault.create_file(vault.root(), &name("a"), at(3));
    assert!(matches!(refused, Err(ChangeError::NoSpace)));
    let upkeep = vault.with_reserve(|| vault.create_file(vault.root(), &name("b"), at(3)));
    assert!(upkeep.is_ok());
    fixture.disk.faults().is_full.store(false, std::sync::atomic::Ordering::SeqCst);
    put(&vault, "a", b"there is room");
    assert!(fixture.directory().join("reserve").exists());
}
