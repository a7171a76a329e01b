//! A vault of each released format opens, reads and goes on, for ever.

#![expect(clippy::unwrap_used, reason = "what does not open is a failed test")]

#[path = "support/copy.rs"]
mod copy;
#[path = "support/lease.rs"]
mod lease;

use copy::copy_released;
use lease::{NOW, caller, lease};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use ward_audit::{BootId, Durability, Log, LogKey, Record, Settings, Stamp};
use ward_memory::SecretBox;
use ward_policy::{FileId, Moment, Operation, SecretPath};
use ward_store::{
    DecryptError, EntryName, ImageUse, Keyfile, NodeType, Passphrase, Recovered, RecoveryCode,
    SlotSecret, TreeError, Vault, WallTime, fsck,
};
use zeroize::Zeroizing;

/// A copy of a released vault, which the test may change.
struct Released {
    folder: tempfile::TempDir,
}

impl Released {
    fn of(format: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let released = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/released").join(format);
        copy_released(&released, folder.path()).unwrap();
        Self { folder }
    }

    fn directory(&self) -> PathBuf {
        self.folder.path().join("vault")
    }

    fn keyfile(&self) -> SlotSecret {
        SlotSecret::Keyfile(Keyfile::read(&self.folder.path().join("key")).unwrap())
    }

    fn unlock(&self, secret: &SlotSecret) -> (Vault, Recovered) {
        Vault::unlock(&self.directory(), secret).unwrap()
    }
}

/// The content of a path, by the way a daemon reads: lease, decrypt, record, reveal.
fn read(vault: &Vault, log: &Log, path: &str, offset: u64, length: usize) -> Vec<u8> {
    let path = SecretPath::try_from(path).unwrap();
    let file = vault.find(&path).unwrap();
    let version = vault.current_version(file).unwrap();
    let lease = lease(Operation::FileRead, &path, file).unwrap();
    let lease = lease.active_for(&caller(), NOW).unwrap();
    let plaintext = vault.decrypt(&lease, (file, version), offset, length).unwrap();
    let reader = caller();
    let record = Record::reading(&reader, &lease, offset, 0);
    let receipt = log.append(record, Durability::Written, stamp()).unwrap();
    plaintext.reveal(&receipt).to_vec()
}

/// All bytes of a file of a workspace, the same way.
fn read_file(vault: &Vault, log: &Log, path: &str, file: FileId) -> Vec<u8> {
    let lease = lease(Operation::FileRead, &SecretPath::try_from(path).unwrap(), file).unwrap();
    let lease = lease.active_for(&caller(), NOW).unwrap();
    let plaintext = vault.read_node(&lease, file, 0, 1 << 20).unwrap();
    let reader = caller();
    let record = Record::reading(&reader, &lease, 0, 0);
    let receipt = log.append(record, Durability::Written, stamp()).unwrap();
    plaintext.reveal(&receipt).to_vec()
}

const fn stamp() -> Stamp {
    Stamp { wall: 1_795_234_965_000_000, boot: Moment::from_nanoseconds(5) }
}

fn log(folder: &Path) -> Log {
    let directory = folder.join("audit");
    std::fs::create_dir(&directory).unwrap();
    std::fs::set_permissions(&directory, PermissionsExt::from_mode(0o700)).unwrap();
    let boot = BootId::try_from("7c6a1b52-0d3e-4f6a-9b1c-2d3e4f5a6b7c").unwrap();
    let key = LogKey::from_bytes(&SecretBox::make(|| [7; 32]));
    Log::open(&directory, key, Settings::new(boot), stamp()).unwrap().0
}

#[test]
fn a_vault_of_format_1_reads_as_it_was_written() {
    let released = Released::of("v1");
    let (vault, recovered) = released.unlock(&released.keyfile());
    assert_eq!((recovered.torn, recovered.damage, recovered.shreds_finished), (None, vec![], 0));
    assert!(!recovered.header_repaired);
    let log = log(released.folder.path());
    assert_eq!(read(&vault, &log, "db/password", 0, 100), b"second");
    let long: Vec<u8> = (0..70_000_u32).map(|number| number.to_le_bytes()[0]).collect();
    assert_eq!(read(&vault, &log, "long", 0, 100_000), long);
    assert_eq!(read(&vault, &log, "long", 65_000, 2_000), long[65_000..67_000]);
    assert_eq!(read(&vault, &log, "long", 69_999, 2_000), long[69_999..]);
    assert_eq!(read(&vault, &log, "long", u64::MAX, 1), b"");

    let file = vault.find(&SecretPath::try_from("db/password").unwrap()).unwrap();
    let attributes = vault.attributes(file).unwrap();
    assert_eq!((attributes.size, attributes.versions), (6, 2));
    assert_eq!(attributes.modified, WallTime::from_nanoseconds(11));
    let names: Vec<String> =
        vault.entries(vault.root()).iter().map(|entry| entry.name.to_string()).collect();
    assert_eq!(names, ["db", "long"]);
    assert_eq!(vault.removed()[0].path.to_string(), "removed");
    assert_eq!((vault.removed().len(), vault.label().as_str()), (1, "released"));
}

#[test]
fn a_vault_of_format_1_opens_with_each_of_its_slots_and_is_whole() {
    let released = Released::of("v1");
    let code = std::fs::read_to_string(released.folder.path().join("recovery-code")).unwrap();
    let words = Passphrase::new(Zeroizing::new(b"a vault of each format".to_vec()));
    for secret in [
        released.keyfile(),
        SlotSecret::Recovery(RecoveryCode::parse(&code).unwrap()),
        SlotSecret::Passphrase(words),
    ] {
        let report = fsck(&released.directory(), &secret).unwrap();
        assert_eq!((report.findings, report.torn, report.files), (vec![], None, 2));
    }
}

#[test]
fn a_vault_of_format_1_goes_on() {
    let released = Released::of("v1");
    let (vault, _) = released.unlock(&released.keyfile());
    let file = vault.find(&SecretPath::try_from("long").unwrap()).unwrap();
    vault.write_version(file, b"short now", WallTime::from_nanoseconds(20)).unwrap();
    vault.close().unwrap();
    let (vault, _) = released.unlock(&released.keyfile());
    assert_eq!(vault.attributes(file).unwrap().size, 9);
}

#[test]
fn a_vault_with_its_third_key_opens_and_lets_go_of_the_second() {
    let released = Released::of("v1-rekeyed");
    let (vault, recovered) = released.unlock(&released.keyfile());
    assert_eq!((recovered.torn, recovered.damage), (None, vec![]));
    assert!(vault.is_rekeying() && vault.segments_to_rekey() == 1);
    let log = log(released.folder.path());
    let is_whole = |vault: &Vault| {
        ["first", "second", "third"].iter().all(|name| {
            read(vault, &log, name, 0, 100) == format!("written under the {name} key").as_bytes()
        })
    };
    assert!(is_whole(&vault));
    (0..3).for_each(|_| {
        vault.compact(u64::MAX).unwrap();
    });
    assert!(is_whole(&vault) && !vault.is_rekeying());
    vault.close().unwrap();
    assert_eq!(fsck(&released.directory(), &released.keyfile()).unwrap().findings, vec![]);
}

#[test]
fn a_lease_for_another_file_or_another_operation_decrypts_nothing() {
    let released = Released::of("v1");
    let (vault, _) = released.unlock(&released.keyfile());
    let (path, other) = ("db/password", "long");
    let [path, other] = [path, other].map(|path| SecretPath::try_from(path).unwrap());
    let (file, long) = (vault.find(&path).unwrap(), vault.find(&other).unwrap());
    let version = vault.current_version(file).unwrap();
    let reading = lease(Operation::FileRead, &path, file).unwrap();
    let reading = reading.active_for(&caller(), NOW).unwrap();
    assert!(vault.decrypt(&reading, (file, version), 0, 9).is_ok());
    let other_file = vault.decrypt(&reading, (long, version), 0, 9);
    assert!(matches!(other_file, Err(DecryptError::NotLeased)));
    assert!(matches!(vault.draft(&reading, file), Err(DecryptError::NotLeased)));
    let long_version = vault.current_version(long).unwrap();
    let foreign_version = vault.decrypt(&reading, (file, long_version), 0, 9);
    assert!(matches!(foreign_version, Err(DecryptError::NoSuchVersion)));

    let writing = lease(Operation::FileWrite, &path, file).unwrap();
    let writing = writing.active_for(&caller(), NOW).unwrap();
    assert_eq!(*vault.draft(&writing, file).unwrap(), *b"second");
    let refused = vault.decrypt(&writing, (file, version), 0, 9);
    assert!(matches!(refused, Err(DecryptError::NotLeased)));
}

fn entry(text: &str) -> EntryName {
    EntryName::try_from(text.as_bytes()).unwrap()
}

const fn at(nanoseconds: i64) -> WallTime {
    WallTime::from_nanoseconds(nanoseconds)
}

#[test]
fn a_workspace_of_format_1_is_as_it_was_left_and_goes_on() {
    let released = Released::of("v1-workspace");
    let report = fsck(&released.directory(), &released.keyfile()).unwrap();
    assert_eq!((report.findings, report.torn, report.files), (vec![], None, 6));
    let (vault, recovered) = released.unlock(&released.keyfile());
    assert_eq!((recovered.torn, recovered.damage), (None, vec![]));
    assert_eq!(vault.image_use(), ImageUse::Newest);
    let (log, root) = (log(released.folder.path()), vault.root());
    let folder = vault.find_entry(root, &entry("source")).unwrap();
    let file = vault.find_entry(folder.file, &entry("long")).unwrap();
    assert_eq!(vault.find_entry(root, &entry("second\nname")), Ok(file));
    let mut long: Vec<u8> = (0..70_000_u32).map(|number| number.to_le_bytes()[0]).collect();
    long[100..119].copy_from_slice(b"over what was there");
    long[30_000..35_000].fill(0);
    long.resize(80_000, 0);
    long.extend_from_slice(b"behind a hole");
    assert_eq!(read_file(&vault, &log, "source/long", file.file), long);
    assert_eq!((file.mode, file.uid, file.gid, file.links), (0o4755, 1000, 100, 2));
    assert_eq!((file.allocated, file.size), (65_013, 80_013));
    assert_eq!((file.accessed, file.modified), (at(99), at(9)));
    assert_eq!((file.changed, file.created), (at(15), at(2)));
    assert_eq!(vault.xattr_names(file.file).unwrap(), [b"user.kind"]);
    assert_eq!(vault.xattr(file.file, b"user.kind").unwrap(), b"golden");
    let link = vault.find_entry(root, &entry("link")).unwrap();
    assert_eq!(vault.read_target(link.file).unwrap(), b"source/long");
    let exchanged = vault.find_entry(root, &entry("other")).unwrap();
    assert_eq!(read_file(&vault, &log, "other", exchanged.file), b"appended");
    let moved = vault.find_entry(folder.file, &entry("renamed")).unwrap();
    assert_eq!((moved.node_type, folder.links), (NodeType::Directory, 3));
    assert_eq!(vault.find_entry(root, &entry("device")).unwrap().device, 0x801);
    assert_eq!(vault.find_entry(root, &entry("gone")), Err(TreeError::NotFound));

    vault.write_node(file.file, 0, b"goes on", at(20)).unwrap();
    vault.close().unwrap();
    let (vault, _) = released.unlock(&released.keyfile());
    assert_eq!(read_file(&vault, &log, "source/long", file.file)[..9], *b"goes on\x07\x08");
}
