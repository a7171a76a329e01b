//! Durable writing: every byte of a vault reaches the disk through here.
//!
//! The [`Disk`] is a trait so that tests can let it fail, fill up or crash at any step.

use crate::buffer::{Buffer, PAGE};
use crate::fields::{in_memory, on_disk};
use rustix::fs::{Advice, FallocateFlags, Mode, OFlags, fadvise, fallocate, open};
use rustix::io::retry_on_intr;
use std::ffi::OsString;
use std::fmt::Debug;
use std::fs::{DirBuilder, File};
use std::io;
use std::num::NonZeroU64;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _};
use std::path::{Path, PathBuf};

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    ReadWrite,
    /// New, empty and 0600; one that is there already is replaced.
    Create,
}

/// Directories and names.
pub(crate) trait Disk: Debug + Send + Sync {
    /// Makes a directory 0700 that must not exist.
    fn make_directory(&self, path: &Path) -> io::Result<()>;
    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn DiskFile>>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove(&self, path: &Path) -> io::Result<()>;
    fn names(&self, directory: &Path) -> io::Result<Vec<OsString>>;
    /// Makes names of the directory durable.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;
    /// Bytes of the filesystem at a path: all, those that nobody uses, those that a user may use.
    fn room(&self, path: &Path) -> io::Result<(u64, u64, u64)> {
        let room = rustix::fs::statvfs(path)?;
        let unit = room.f_frsize;
        Ok((room.f_blocks * unit, room.f_bfree * unit, room.f_bavail * unit))
    }
}

/// The bytes of one file.
pub(crate) trait DiskFile: Debug + Send + Sync {
    fn size(&self) -> io::Result<u64>;
    fn read(&self, bytes: &mut [u8], offset: u64) -> io::Result<()>;
    /// Reads what the disk holds, not what the page cache does.
    fn read_past_cache(&self, length: usize, offset: u64) -> io::Result<Buffer>;
    /// Writes all bytes or fails; after a failure any of them may be there.
    fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Has the disk begin to write what was written there, so that the next sync finds less to wait
    /// for. Nothing is durable by it.
    fn begin_sync(&self, offset: u64, length: u64);
    /// fdatasync(2).
    fn sync(&self) -> io::Result<()>;
    /// Takes blocks for the first `length` bytes, so that writing there cannot find the disk full.
    fn allocate(&self, length: u64) -> io::Result<()>;
    fn truncate(&self, length: u64) -> io::Result<()>;
    /// Gives whole blocks back; they read as zeros.
    fn punch(&self, offset: u64, length: u64) -> io::Result<()>;
}

/// Puts `bytes` in the place of the file at `path`: the old ones or the new, never a mixture.
pub(crate) fn replace(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    let file = disk.open(&new, Access::Create)?;
    file.write(bytes, 0)?;
    file.sync()?;
    disk.rename(&new, path)?;
    disk.sync_directory(path.parent().unwrap_or_else(|| Path::new(".")))
}

/// The whole of a small file; one over `limit` bytes is refused before memory is taken.
pub(crate) fn read_whole(disk: &dyn Disk, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let file = disk.open(path, Access::Read)?;
    let size = in_memory(file.size()?);
    if size > limit {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the file is too long"));
    }
    let mut bytes = vec![0; size];
    file.read(&mut bytes, 0)?;
    Ok(bytes)
}

/// The disk of this machine.
#[derive(Debug)]
pub(crate) struct RealDisk;

/// A file of this machine, and its path for a second descriptor that goes past the page cache.
#[derive(Debug)]
struct RealFile {
    file: File,
    path: PathBuf,
}

impl Disk for RealDisk {
    fn make_directory(&self, path: &Path) -> io::Result<()> {
        DirBuilder::new().mode(0o700).create(path)
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn DiskFile>> {
        let flags = match access {
            Access::Read => OFlags::RDONLY,
            Access::ReadWrite => OFlags::RDWR,
            Access::Create => OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC,
        };
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = retry_on_intr(|| open(path, flags, Mode::RUSR | Mode::WUSR))?;
        let file = File::from(file);
        Ok(Box::new(RealFile { file, path: path.to_owned() }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn names(&self, directory: &Path) -> io::Result<Vec<OsString>> {
        std::fs::read_dir(directory)?.map(|entry| Ok(entry?.file_name())).collect()
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}

impl DiskFile for RealFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(bytes, offset)
    }

    fn read_past_cache(&self, length: usize, offset: u64) -> io::Result<Buffer> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::DIRECT;
        if offset.is_multiple_of(on_disk(PAGE))
            && let Ok(direct) = retry_on_intr(|| open(&self.path, flags, Mode::empty()))
        {
            // The last page may end behind the file; the kernel gives what there is.
            let mut buffer = Buffer::for_file(0, length.next_multiple_of(PAGE));
            if read_up_to(&File::from(direct), buffer.as_mut_slice(), offset)? >= length {
                buffer.shorten(length);
                return Ok(buffer);
            }
        }
        // No direct input on this filesystem: let the kernel forget clean pages, and read again.
        self.file.sync_data()?;
        fadvise(&self.file, offset, NonZeroU64::new(on_disk(length)), Advice::DontNeed)?;
        let mut buffer = Buffer::for_file(offset, length);
        self.file.read_exact_at(buffer.as_mut_slice(), offset)?;
        Ok(buffer)
    }

    fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        // One call: what a short write left out is written elsewhere, never here again.
        if uninterrupted(|| self.file.write_at(bytes, offset))? == bytes.len() {
            Ok(())
        } else {
            Err(io::ErrorKind::WriteZero.into())
        }
    }

    #[expect(unsafe_code, reason = "sync_file_range(2) is in libc only")]
    fn begin_sync(&self, offset: u64, length: u64) {
        let [offset, length] = [offset, length].map(|number| i64::try_from(number).unwrap_or(0));
        let descriptor = self.file.as_raw_fd();
        // SAFETY: the descriptor is open for as long as `file` lives, and no memory is handed over.
        let begun = unsafe {
            libc::sync_file_range(descriptor, offset, length, libc::SYNC_FILE_RANGE_WRITE)
        };
        // Whatever it says, the sync that counts says it again.
        let _begun_or_not = begun;
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        Ok(retry_on_intr(|| fallocate(&self.file, FallocateFlags::empty(), 0, length))?)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    fn punch(&self, offset: u64, length: u64) -> io::Result<()> {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        Ok(retry_on_intr(|| fallocate(&self.file, flags, offset, length))?)
    }
}

/// Makes a call again that a signal interrupted before it did anything.
///
/// The standard library does so itself in `read_exact_at`, `sync_data`, `sync_all` and `set_len`.
fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// Reads until the bytes are full or the file ends.
fn read_up_to(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < bytes.len() {
        match uninterrupted(|| file.read_at(&mut bytes[done..], offset + on_disk(done)))? {
            0 => break,
            // Behind an end that is no whole page, direct input cannot go on.
            count if !count.is_multiple_of(PAGE) => return Ok(done + count),
            count => done += count,
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_leaves_nothing_else_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("header");
        replace(&RealDisk, &path, b"old").unwrap();
        replace(&RealDisk, &path, b"newer").unwrap();
        assert_eq!(read_whole(&RealDisk, &path, 10).unwrap(), b"newer");
        assert_eq!(RealDisk.names(folder.path()).unwrap(), ["header"]);
        assert!(read_whole(&RealDisk, &path, 4).is_err());
    }

    #[test]
    fn a_signal_in_the_middle_of_a_call_is_no_error() {
        let mut answers = [Err(io::ErrorKind::Interrupted.into()), Ok(7)].into_iter();
        assert_eq!(uninterrupted(|| answers.next().unwrap()).unwrap(), 7);
        let mut answers = [Err(io::ErrorKind::StorageFull.into()), Ok(7)].into_iter();
        assert!(uninterrupted(|| answers.next().unwrap()).is_err(), "any other error is one");
    }

    #[test]
    fn what_is_read_past_the_page_cache_is_what_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("segment");
        let file = RealDisk.open(&path, Access::Create).unwrap();
        let bytes: Vec<u8> = (0..20_003_u32).map(|number| number.to_le_bytes()[0]).collect();
        file.write(&bytes, 0).unwrap();
        for (length, offset) in [(20_003, 0), (4096, 8192), (3, 20_000), (100, 64)] {
            let read = file.read_past_cache(length, offset).unwrap();
            let from = in_memory(offset);
            assert_eq!(read.as_slice(), &bytes[from..from + length]);
        }
    }
}
