//! A disk in memory that knows what was synced, and loses some of the rest when the machine crashes.
//!
//! Unsynced pages of 4096 bytes are kept or lost each for itself, the length of a file too; names are
//! kept in the order in which they were changed.

use crate::buffer::Buffer;
use crate::durable::{Access, Disk, DiskFile, RealDisk};
use crate::fields::{in_memory, on_disk};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

const PAGE: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct CrashDisk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    files: Vec<Content>,
    directories: BTreeSet<PathBuf>,
    names: Names,
    durable_names: Names,
    /// Changes of names that no sync of their directory has covered.
    pending: Vec<NameChange>,
    steps: u64,
    dies_at: Option<u64>,
}

type Names = BTreeMap<PathBuf, usize>;

#[derive(Debug, Default)]
struct Content {
    now: Vec<u8>,
    durable: Vec<u8>,
}

#[derive(Clone, Debug)]
enum NameChange {
    Made(PathBuf, usize),
    Renamed(PathBuf, PathBuf),
    Removed(PathBuf),
}

#[derive(Debug)]
struct CrashFile {
    state: Arc<Mutex<State>>,
    number: usize,
}

impl CrashDisk {
    /// How many steps were taken.
    pub(super) fn steps(&self) -> u64 {
        self.state().steps
    }

    /// Lets everything fail from this step on.
    pub(super) fn die_at(&self, step: u64) {
        self.state().dies_at = Some(step);
    }

    /// The machine crashes and starts again; `seed` decides what of the unsynced is lost.
    pub(super) fn crash(&self, seed: u64) {
        let mut state = self.state();
        let mut random = seed | 1;
        let mut coin = move || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random & 64 == 0
        };
        let State { files, names, durable_names, pending, dies_at, .. } = &mut *state;
        for change in std::mem::take(pending) {
            if coin() {
                break;
            }
            change.apply(durable_names);
        }
        names.clone_from(durable_names);
        for Content { now, durable } in files {
            let length = if coin() { now.len() } else { durable.len() };
            now.resize(length, 0);
            durable.resize(length, 0);
            for (page, old) in now.chunks_mut(PAGE).zip(durable.chunks_mut(PAGE)) {
                if page != old {
                    if coin() { old.copy_from_slice(page) } else { page.copy_from_slice(old) }
                }
            }
        }
        *dies_at = None;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

impl State {
    fn step(&mut self) -> io::Result<()> {
        self.steps += 1;
        match self.dies_at {
            Some(step) if self.steps >= step => Err(io::Error::other("dead")),
            Some(_) | None => Ok(()),
        }
    }

    fn change(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.pending.push(change);
    }
}

impl NameChange {
    fn apply(&self, names: &mut Names) {
        match self {
            Self::Made(path, number) => {
                names.insert(path.clone(), *number);
            }
            Self::Renamed(from, to) => {
                if let Some(number) = names.remove(from) {
                    names.insert(to.clone(), number);
                }
            }
            Self::Removed(path) => {
                names.remove(path);
            }
        }
    }

    fn is_in(&self, directory: &Path) -> bool {
        match self {
            Self::Made(path, _) | Self::Renamed(_, path) | Self::Removed(path) => {
                path.parent() == Some(directory)
            }
        }
    }
}

impl Disk for CrashDisk {
    fn make_directory(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.step()?;
        if !state.directories.insert(path.to_owned()) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        // The lock of the vault lies on the disk of this machine.
        RealDisk.make_directory(path)
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        let there = state.names.get(path).copied();
        let number = match (access, there) {
            (Access::Read | Access::ReadWrite, None) => return Err(io::ErrorKind::NotFound.into()),
            (Access::Read | Access::ReadWrite, Some(number)) => number,
            (Access::Create, Some(number)) => {
                state.step()?;
                state.files[number].now.clear();
                number
            }
            (Access::Create, None) => {
                state.step()?;
                state.files.push(Content::default());
                let number = state.files.len() - 1;
                state.change(NameChange::Made(path.to_owned(), number));
                number
            }
        };
        Ok(Box::new(CrashFile { state: self.0.clone(), number }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.step()?;
        state.change(NameChange::Renamed(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.step()?;
        if !state.names.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.change(NameChange::Removed(path.to_owned()));
        Ok(())
    }

    fn names(&self, directory: &Path) -> io::Result<Vec<OsString>> {
        let state = self.state();
        let own = state.names.keys().filter(|path| path.parent() == Some(directory));
        Ok(own.filter_map(|path| path.file_name().map(ToOwned::to_owned)).collect())
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.step()?;
        let (own, others) = std::mem::take(&mut state.pending)
            .into_iter()
            .partition::<Vec<_>, _>(|change| change.is_in(path));
        own.iter().for_each(|change| change.apply(&mut state.durable_names));
        state.pending = others;
        Ok(())
    }
}

impl CrashFile {
    fn with<T>(&self, work: impl FnOnce(&mut Content) -> T) -> T {
        work(&mut self.state.lock().unwrap().files[self.number])
    }

    fn stepping<T>(&self, work: impl FnOnce(&mut Content) -> T) -> io::Result<T> {
        self.state.lock().unwrap().step()?;
        Ok(self.with(work))
    }
}

impl DiskFile for CrashFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.with(|content| on_disk(content.now.len())))
    }

    fn read(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        let start = in_memory(offset);
        self.with(|content| {
            let there = content.now.get(start..start + bytes.len());
            bytes.copy_from_slice(there.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    fn read_past_cache(&self, length: usize, offset: u64) -> io::Result<Buffer> {
        let mut buffer = Buffer::for_file(offset, length);
        self.read(buffer.as_mut_slice(), offset)?;
        Ok(buffer)
    }

    fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let start = in_memory(offset);
        self.stepping(|content| {
            let end = start + bytes.len();
            content.now.resize(content.now.len().max(end), 0);
            content.now[start..end].copy_from_slice(bytes);
        })
    }

    fn begin_sync(&self, _offset: u64, _length: u64) {}

    fn sync(&self) -> io::Result<()> {
        self.stepping(|content| content.durable.clone_from(&content.now))
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        let length = in_memory(length);
        self.stepping(|content| content.now.resize(content.now.len().max(length), 0))
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.stepping(|content| content.now.resize(in_memory(length), 0))
    }

    fn punch(&self, offset: u64, length: u64) -> io::Result<()> {
        let range = in_memory(offset)..in_memory(offset + length);
        self.stepping(|content| {
            if let Some(bytes) = content.now.get_mut(range) {
                bytes.fill(0);
            }
        })
    }
}
