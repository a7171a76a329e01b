//! The disk: the only file that makes system calls. Behind two traits, so that tests can let it fail.

use rustix::fs::{self, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// What room for lines is filled with.
const ZEROS: &[u8] = &[0; 64 << 10];

/// The directory of a log.
pub(crate) trait Disk: fmt::Debug + Send + Sync {
    /// The names of the files in it.
    fn names(&self) -> io::Result<Vec<String>>;
    /// A new file, 0600, whose name survives a power cut.
    fn create(&self, name: &str) -> io::Result<Arc<dyn SegmentFile>>;
    /// A file that is there, for reading and writing.
    fn open(&self, name: &str) -> io::Result<Arc<dyn SegmentFile>>;
    /// A file that is there, for reading.
    fn reader(&self, name: &str) -> io::Result<File>;
    /// Puts `bytes` in the place of a file that need not survive a power cut, all at once.
    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()>;
    /// A new file for writing, in the place of one of that name.
    fn writer(&self, name: &str) -> io::Result<File>;
    /// Gives a file another name, in the place of one of that name, so that it survives a power cut.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Frees a file.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Whether `name` still is that very file.
    fn is_named(&self, file: &dyn SegmentFile, name: &str) -> io::Result<bool>;
}

/// A file of it that is being written.
pub(crate) trait SegmentFile: fmt::Debug + Send + Sync {
    /// Everything in it, as the disk has it: the page cache may show what a failed sync lost.
    fn read_past_cache(&self) -> io::Result<Vec<u8>>;
    /// `pwrite(2)`; may write less.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;
    /// Makes it `size` bytes long, zeros at the end, with room on the disk for them.
    fn extend(&self, size: u64) -> io::Result<()>;
    /// Makes it `size` bytes short.
    fn cut(&self, size: u64) -> io::Result<()>;
    /// `fdatasync(2)`.
    fn sync(&self) -> io::Result<()>;
    /// Device and inode; `None` once no name leads to it.
    fn identity(&self) -> io::Result<Option<(u64, u64)>>;
}

/// The directory on a real disk, by descriptor: nobody can put another one in its place.
#[derive(Debug)]
pub(crate) struct Folder {
    descriptor: OwnedFd,
}

impl Folder {
    /// The directory, for reading.
    pub(crate) fn open(directory: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let descriptor = fs::open(directory, flags, Mode::empty())?;
        Ok(Self { descriptor })
    }

    /// The directory for the one writer of the log, made (0700) when it is not there.
    /// [`io::ErrorKind::WouldBlock`] says that somebody else writes it.
    pub(crate) fn open_for_writing(directory: &Path) -> io::Result<Self> {
        match fs::mkdir(directory, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let folder = Self::open(directory)?;
        fs::flock(&folder.descriptor, fs::FlockOperation::NonBlockingLockExclusive)?;
        Ok(folder)
    }

    /// Whether others than its owner may look into it or change it.
    pub(crate) fn is_exposed(&self) -> io::Result<bool> {
        Ok(fs::fstat(&self.descriptor)?.st_mode & 0o077 != 0)
    }

    fn open_file(&self, name: &str, flags: OFlags) -> io::Result<File> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let mode = Mode::RUSR | Mode::WUSR;
        let file = retry_on_intr(|| fs::openat(&self.descriptor, name, flags, mode))?;
        let file = File::from(file);
        if file.metadata()?.is_file() {
            Ok(file)
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"))
        }
    }
}

impl Disk for Folder {
    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::Dir::read_from(&self.descriptor)? {
            names.extend(entry?.file_name().to_str().map(str::to_owned));
        }
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn SegmentFile>> {
        let file = self.open_file(name, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL)?;
        retry_on_intr(|| fs::fsync(&self.descriptor))?;
        Ok(Arc::new(OpenFile { file }))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn SegmentFile>> {
        Ok(Arc::new(OpenFile { file: self.open_file(name, OFlags::RDWR)? }))
    }

    fn reader(&self, name: &str) -> io::Result<File> {
        self.open_file(name, OFlags::RDONLY)
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        for (slash, _) in name.match_indices('/') {
            match fs::mkdirat(&self.descriptor, name.get(..slash).unwrap_or_default(), Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let beside = format!("{name}.new");
        self.writer(&beside)?.write_all_at(bytes, 0)?;
        Ok(fs::renameat(&self.descriptor, &beside, &self.descriptor, name)?)
    }

    fn writer(&self, name: &str) -> io::Result<File> {
        self.open_file(name, OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::renameat(&self.descriptor, from, &self.descriptor, to)?;
        Ok(retry_on_intr(|| fs::fsync(&self.descriptor))?)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::unlinkat(&self.descriptor, name, fs::AtFlags::empty())?;
        Ok(retry_on_intr(|| fs::fsync(&self.descriptor))?)
    }

    fn is_named(&self, file: &dyn SegmentFile, name: &str) -> io::Result<bool> {
        let Some(identity) = file.identity()? else {
            return Ok(false);
        };
        match fs::statat(&self.descriptor, name, fs::AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => Ok((found.st_dev, found.st_ino) == identity),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

#[derive(Debug)]
struct OpenFile {
    file: File,
}

impl SegmentFile for OpenFile {
    fn read_past_cache(&self) -> io::Result<Vec<u8>> {
        fs::fadvise(&self.file, 0, None, fs::Advice::DontNeed)?;
        let size = usize::try_from(self.file.metadata()?.len()).unwrap_or(usize::MAX);
        let mut bytes = vec![0; size];
        self.file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.file.write_at(bytes, offset)
    }

    fn extend(&self, size: u64) -> io::Result<()> {
        let mut written = self.file.metadata()?.len();
        let flags = fs::FallocateFlags::empty();
        match retry_on_intr(|| fs::fallocate(&self.file, flags, 0, size)) {
            Err(Errno::OPNOTSUPP) => {}
            done => done?,
        }
        // Room that was never written costs the sync of each record in it a commit of the journal.
        while written < size {
            let length = usize::try_from(size - written).unwrap_or(usize::MAX).min(ZEROS.len());
            let zeros = ZEROS.get(..length).unwrap_or_default();
            self.file.write_all_at(zeros, written)?;
            written += zeros.len() as u64;
        }
        Ok(())
    }

    fn cut(&self, size: u64) -> io::Result<()> {
        self.file.set_len(size)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn identity(&self) -> io::Result<Option<(u64, u64)>> {
        let found = fs::fstat(&self.file)?;
        Ok((found.st_nlink > 0).then_some((found.st_dev, found.st_ino)))
    }
}

/// Whether an error says that there is no room, which is no damage.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}
