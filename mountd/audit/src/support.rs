//! What the tests of this crate share: a clock of their own, and a disk that fails on demand.

use crate::disk::{Disk, Folder, SegmentFile};
use crate::{BootId, Log, LogKey, Settings, Stamp};
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use ward_memory::SecretBox;
use ward_policy::Moment;

/// The moment `microseconds` after an arbitrary one, the same on both clocks.
pub(crate) fn at(microseconds: u64) -> Stamp {
    Stamp {
        wall: 1_795_234_965_000_000 + microseconds,
        boot: Moment::from_nanoseconds((5_000_000 + microseconds) * 1000),
    }
}

pub(crate) fn settings() -> Settings {
    let boot = BootId::try_from("7c6a1b52-0d3e-4f6a-9b1c-2d3e4f5a6b7c").unwrap();
    Settings { preallocated_bytes: 8192, reserve_bytes: 4096, ..Settings::new(boot) }
}

pub(crate) fn log_key() -> LogKey {
    LogKey::from_bytes(&SecretBox::make(|| [7; 32]))
}

/// A directory of a log on a disk that does what [`Faults`] says.
#[derive(Debug)]
pub(crate) struct Fixture {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) faults: Arc<Faults>,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { directory, faults: Arc::new(Faults::default()) }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn log(&self) -> Log {
        self.log_with(settings())
    }

    pub(crate) fn log_with(&self, settings: Settings) -> Log {
        let folder = Folder::open_for_writing(self.path()).unwrap();
        let disk = FaultyDisk { folder, faults: Arc::clone(&self.faults) };
        Log::open_on(Arc::new(disk), log_key(), settings, at(0)).unwrap().0
    }
}

/// What goes wrong, and how often the disk was asked.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    pub(crate) syncs: AtomicU64,
    pub(crate) fails_syncs: AtomicBool,
    pub(crate) fails_writes: AtomicBool,
    pub(crate) writes_half: AtomicBool,
    /// Bytes that files may still grow by; `None` is no limit.
    pub(crate) room: Mutex<Option<u64>>,
    /// As though extending kept no room, so that it is the write that finds the disk full.
    pub(crate) is_sparse: AtomicBool,
    pub(crate) gate: Gate,
}

/// Holds every sync back while it is closed.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    is_closed: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    pub(crate) fn set_closed(&self, is_closed: IsClosed) {
        *self.is_closed.lock().unwrap() = is_closed == IsClosed::Yes;
        self.opened.notify_all();
    }

    fn pass(&self) {
        let closed = self.is_closed.lock().unwrap();
        let _open = self.opened.wait_while(closed, |is_closed| *is_closed).unwrap();
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IsClosed {
    Yes,
    No,
}

#[derive(Debug)]
struct FaultyDisk {
    folder: Folder,
    faults: Arc<Faults>,
}

impl FaultyDisk {
    fn faulty(&self, file: Arc<dyn SegmentFile>) -> Arc<dyn SegmentFile> {
        Arc::new(FaultyFile { file, faults: Arc::clone(&self.faults), size: AtomicU64::new(0) })
    }
}

impl Disk for FaultyDisk {
    fn names(&self) -> io::Result<Vec<String>> {
        self.folder.names()
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn SegmentFile>> {
        self.folder.create(name).map(|file| self.faulty(file))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn SegmentFile>> {
        self.folder.open(name).map(|file| self.faulty(file))
    }

    fn reader(&self, name: &str) -> io::Result<File> {
        self.folder.reader(name)
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.folder.replace(name, bytes)
    }

    fn writer(&self, name: &str) -> io::Result<File> {
        self.folder.writer(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.folder.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        if let Some(room) = &mut *self.faults.room.lock().unwrap() {
            *room += self.folder.reader(name)?.metadata()?.len();
        }
        self.folder.remove(name)
    }

    fn is_named(&self, file: &dyn SegmentFile, name: &str) -> io::Result<bool> {
        self.folder.is_named(file, name)
    }
}

#[derive(Debug)]
struct FaultyFile {
    file: Arc<dyn SegmentFile>,
    faults: Arc<Faults>,
    size: AtomicU64,
}

impl FaultyFile {
    fn take_room(&self, size: u64) -> io::Result<()> {
        let growth = size.saturating_sub(self.size.load(Ordering::Relaxed));
        if let Some(room) = &mut *self.faults.room.lock().unwrap() {
            *room = room.checked_sub(growth).ok_or(io::ErrorKind::StorageFull)?;
        }
        self.size.fetch_max(size, Ordering::Relaxed);
        Ok(())
    }
}

impl SegmentFile for FaultyFile {
    fn read_past_cache(&self) -> io::Result<Vec<u8>> {
        self.file.read_past_cache()
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        if self.faults.fails_writes.load(Ordering::Relaxed) {
            return Err(io::Error::from_raw_os_error(5));
        }
        let is_half = self.faults.writes_half.load(Ordering::Relaxed) && bytes.len() > 1;
        let bytes = if is_half { &bytes[..bytes.len() / 2] } else { bytes };
        if self.faults.is_sparse.load(Ordering::Relaxed) {
            self.take_room(offset + bytes.len() as u64)?;
        }
        self.file.write_at(bytes, offset)
    }

    fn extend(&self, size: u64) -> io::Result<()> {
        if !self.faults.is_sparse.load(Ordering::Relaxed) {
            self.take_room(size)?;
        }
        self.file.extend(size)
    }

    fn cut(&self, size: u64) -> io::Result<()> {
        self.size.store(size, Ordering::Relaxed);
        self.file.cut(size)
    }

    fn sync(&self) -> io::Result<()> {
        self.faults.gate.pass();
        self.faults.syncs.fetch_add(1, Ordering::SeqCst);
        if self.faults.fails_syncs.load(Ordering::Relaxed) {
            return Err(io::Error::from_raw_os_error(5));
        }
        self.file.sync()
    }

    fn identity(&self) -> io::Result<Option<(u64, u64)>> {
        self.file.identity()
    }
}
