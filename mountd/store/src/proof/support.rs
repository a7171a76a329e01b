//! A vault in a directory that cleans up, and a disk that does what a test says.

use crate::buffer::Buffer;
use crate::durable::{Access, Disk, DiskFile, RealDisk};
use crate::{
    Imprint, Keyfile, Maker, NewSlot, NewVault, Recovered, SlotSecret, UnlockError, Vault,
    VaultKind, WallTime, Writing,
};
use proptest::test_runner::Config;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use ward_policy::{FileId, SecretName, SecretPath};

/// So many random cases; in `scripts/soak` many times as many, by `PROPTEST_CASES` over the usual 256.
pub(super) fn cases(number: u32) -> Config {
    let asked = Config::default();
    let cases = number * (asked.cases / 256).max(1);
    Config { cases, failure_persistence: None, ..asked }
}

pub(super) struct Fixture {
    pub(super) folder: tempfile::TempDir,
    pub(super) disk: Arc<FaultyDisk>,
}

impl Fixture {
    pub(super) fn new() -> Self {
        Self::of_kind(VaultKind::Secrets)
    }

    pub(super) fn of_kind(kind: VaultKind) -> Self {
        let fixture = Self { folder: folder(), disk: Arc::default() };
        let keyfile = Keyfile::create(&fixture.folder.path().join("key")).unwrap();
        let settings = NewVault { kind, label: "test".to_owned() };
        let slot = NewSlot::Keyfile(&keyfile);
        Vault::create_on(fixture.disk.clone(), &fixture.directory(), &settings, &slot).unwrap();
        fixture
    }

    pub(super) fn directory(&self) -> PathBuf {
        self.folder.path().join("vault")
    }

    pub(super) fn segment(&self, number: u64) -> PathBuf {
        crate::segment::path_of(&self.directory().join("segments"), number)
    }

    pub(super) fn secret(&self) -> SlotSecret {
        SlotSecret::Keyfile(Keyfile::read(&self.folder.path().join("key")).unwrap())
    }

    pub(super) fn try_unlock(&self) -> Result<(Vault, Recovered), UnlockError> {
        Vault::unlock_on(self.disk.clone(), &self.directory(), &self.secret())
    }

    pub(super) fn unlock(&self) -> (Vault, Recovered) {
        self.try_unlock().unwrap()
    }

    /// An unlocked vault that had nothing to recover.
    pub(super) fn vault(&self) -> Vault {
        let (vault, recovered) = self.unlock();
        assert_eq!((recovered.torn, recovered.damage), (None, Vec::new()));
        vault
    }

    /// A copy of the vault as its files are now, beside the same key.
    pub(super) fn copy(&self) -> Self {
        let copy = Self { folder: folder(), disk: Arc::default() };
        copy_tree(self.folder.path(), copy.folder.path());
        copy
    }

    /// Every file of the vault directory that says something.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let mut files = files_below(&self.directory());
        let silent = ["lock", "reserve", "patrol"];
        files.retain(|file| !silent.iter().any(|name| file.ends_with(name)));
        files
    }
}

/// In memory where that is possible: the tests of durable.rs and released.rs use the disk.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn copy_tree(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir_all(&target).unwrap();
            copy_tree(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).unwrap();
        }
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            files.extend(files_below(&entry.path()));
        } else {
            files.push(entry.path());
        }
    }
    files.sort();
    files
}

pub(super) fn name(text: &str) -> SecretName {
    SecretName::try_from(text.as_bytes()).unwrap()
}

pub(super) fn at(seconds: i64) -> WallTime {
    WallTime::from_nanoseconds(seconds * 1_000_000_000)
}

/// Makes the file `text` at the top with this content.
pub(super) fn put(vault: &Vault, text: &str, content: &[u8]) -> FileId {
    let parent = vault.root();
    let file = vault.lookup(parent, &name(text));
    let file = file.unwrap_or_else(|| vault.create_file(parent, &name(text), at(1)).unwrap());
    vault.write_version(file, content, at(2)).unwrap();
    file
}

/// How a version is written: every other length by a known maker.
pub(super) fn writing(time: WallTime, length: usize) -> Writing {
    let maker = Maker { uid: 1000, agent: Some("claude".into()), program: Some([7; 20].into()) };
    let imprint = Imprint { expires: length.is_multiple_of(4).then_some(time), maker };
    Writing { imprint: length.is_multiple_of(2).then(|| Box::new(imprint)), ..time.into() }
}

/// The current content of a file, without a lease.
pub(super) fn content(vault: &Vault, file: FileId) -> Option<Vec<u8>> {
    content_of(vault, file, vault.current_version(file)?)
}

/// The content of a version, without a lease; none when it is damaged.
pub(super) fn content_of(
    vault: &Vault,
    file: FileId,
    version: crate::VersionId,
) -> Option<Vec<u8>> {
    let index = vault.read_index();
    let extents = index.secrets()?.content(file, version)?.extents.clone();
    drop(index);
    let mut bytes = Vec::new();
    for extent in extents {
        let (plain, range) = vault.segments.read(&extent, 0..extent.length).ok()?;
        bytes.extend_from_slice(&plain.as_slice()[range]);
    }
    Some(bytes)
}

/// The content of the file at a path.
pub(super) fn get(vault: &Vault, path: &str) -> Option<Vec<u8>> {
    content(vault, vault.find(&SecretPath::try_from(path).unwrap())?)
}

/// The disk of this machine, until a test says otherwise.
#[derive(Debug, Default)]
pub(super) struct FaultyDisk(Arc<Faults>);

#[derive(Debug, Default)]
pub(super) struct Faults {
    /// Steps that still succeed; 0 stands for no end.
    steps_left: AtomicU64,
    pub(super) steps: AtomicU64,
    pub(super) is_full: AtomicBool,
    pub(super) fails_write: AtomicBool,
    pub(super) fails_sync: AtomicBool,
    is_dead: AtomicBool,
}

impl FaultyDisk {
    pub(super) fn faults(&self) -> &Faults {
        &self.0
    }
}

impl Faults {
    /// Lets every step after the next `count` fail, as when the process is killed there.
    pub(super) fn die_after(&self, count: u64) {
        self.is_dead.store(count == 0, Ordering::SeqCst);
        self.steps_left.store(count, Ordering::SeqCst);
    }

    pub(super) fn set(flag: &AtomicBool) {
        flag.store(true, Ordering::SeqCst);
    }

    fn step(&self) -> io::Result<()> {
        if self.is_dead.load(Ordering::SeqCst) {
            return Err(io::Error::other("dead"));
        }
        self.steps.fetch_add(1, Ordering::SeqCst);
        let left = self.steps_left.load(Ordering::SeqCst);
        if left != 0 {
            self.steps_left.store(left - 1, Ordering::SeqCst);
            self.is_dead.store(left == 1, Ordering::SeqCst);
        }
        Ok(())
    }
}

impl Disk for FaultyDisk {
    fn make_directory(&self, path: &Path) -> io::Result<()> {
        self.0.step()?;
        RealDisk.make_directory(path)
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn DiskFile>> {
        if access == Access::Create {
            self.0.step()?;
        }
        let file = RealDisk.open(path, access)?;
        Ok(Box::new(FaultyFile { file, faults: self.0.clone() }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.step()?;
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.step()?;
        RealDisk.remove(path)
    }

    fn names(&self, directory: &Path) -> io::Result<Vec<OsString>> {
        RealDisk.names(directory)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.0.step()?;
        RealDisk.sync_directory(path)
    }
}

#[derive(Debug)]
struct FaultyFile {
    file: Box<dyn DiskFile>,
    faults: Arc<Faults>,
}

impl DiskFile for FaultyFile {
    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }

    fn read(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read(bytes, offset)
    }

    fn read_past_cache(&self, length: usize, offset: u64) -> io::Result<Buffer> {
        self.file.read_past_cache(length, offset)
    }

    fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.faults.step()?;
        if self.faults.fails_write.swap(false, Ordering::SeqCst) {
            // A short write: half of it arrives.
            self.file.write(&bytes[..bytes.len() / 2], offset)?;
            return Err(io::Error::other("the write fails"));
        }
        self.file.write(bytes, offset)
    }

    fn begin_sync(&self, _offset: u64, _length: u64) {}

    fn sync(&self) -> io::Result<()> {
        self.faults.step()?;
        if self.faults.fails_sync.swap(false, Ordering::SeqCst) {
            return Err(io::Error::other("the sync fails"));
        }
        // The process dies in these tests, not the machine.
        Ok(())
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        self.faults.step()?;
        if self.faults.is_full.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.allocate(length)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.faults.step()?;
        self.file.truncate(length)
    }

    fn punch(&self, offset: u64, length: u64) -> io::Result<()> {
        self.faults.step()?;
        self.file.punch(offset, length)
    }
}
