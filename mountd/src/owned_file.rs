//! A file of the root that a person writes: it counts only when nobody else could have written it.

use crate::root::Root;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, fstat, fsync, openat, renameat, unlinkat};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd};

/// Why such a file does not count.
#[derive(Debug, thiserror::Error)]
pub enum OwnedFileError {
    /// It cannot be opened or read.
    #[error("cannot read {0} ({1})")]
    Read(String, #[source] io::Error),
    /// It cannot be written.
    #[error("cannot write {0} ({1})")]
    Write(String, #[source] io::Error),
    /// Somebody else could have written it.
    #[error("{path} {why}; run: {mend}")]
    Ownership {
        /// The file.
        path: String,
        /// What is wrong about it.
        why: String,
        /// The command that mends it.
        mend: String,
    },
    /// It is no text, or too long.
    #[error("{path} is no UTF-8 text of at most {longest} bytes")]
    Text {
        /// The file.
        path: String,
        /// The longest that is taken.
        longest: u64,
    },
}

/// Writes `name` in `root` anew, for us alone: the whole of it is there, or what was before.
pub(crate) fn replace(root: &Root, name: &str, bytes: &[u8]) -> Result<(), OwnedFileError> {
    let written = format!("{name}.new");
    let steps = || -> io::Result<()> {
        match unlinkat(root.as_fd(), &written, AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = openat(root.as_fd(), &written, flags, Mode::RUSR | Mode::WUSR)?;
        let mut file = File::from(file);
        file.write_all(bytes)?;
        file.sync_all()?;
        renameat(root.as_fd(), &written, root.as_fd(), name)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(fsync(openat(root.as_fd(), ".", flags, Mode::empty())?)?)
    };
    steps().map_err(|error| OwnedFileError::Write(root.join(name).display().to_string(), error))
}

/// Reads `name` in `root`: owned by root or by us, writable by nobody else, of `longest` bytes at most.
pub(crate) fn read(root: &Root, name: &str, longest: u64) -> Result<String, OwnedFileError> {
    let path = root.join(name).display().to_string();
    let read = |error: io::Error| OwnedFileError::Read(path.clone(), error);
    // Looked at before it is opened: without privileges we may not open what is somebody else's.
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let place =
        openat(root.as_fd(), name, flags, Mode::empty()).map_err(|errno| read(errno.into()))?;
    let stat = fstat(&place).map_err(|errno| read(errno.into()))?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
        return Err(read(rustix::io::Errno::LOOP.into()));
    }
    let ours = rustix::process::geteuid().as_raw();
    if stat.st_uid != 0 && stat.st_uid != ours {
        let why = format!("belongs to uid {}, not to root or uid {ours}", stat.st_uid);
        let mend = format!("chown {ours} {path}");
        return Err(OwnedFileError::Ownership { path, why, mend });
    }
    if stat.st_mode & 0o022 != 0 {
        let why = "can be written by others".to_owned();
        let mend = format!("chmod go-w {path}");
        return Err(OwnedFileError::Ownership { path, why, mend });
    }
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file =
        rustix::fs::open(format!("/proc/self/fd/{}", place.as_raw_fd()), flags, Mode::empty());
    let file = file.map_err(|errno| read(errno.into()))?;
    let mut bytes = Vec::new();
    File::from(file).take(longest + 1).read_to_end(&mut bytes).map_err(read)?;
    let is_too_long = u64::try_from(bytes.len()).is_ok_and(|length| length > longest);
    String::from_utf8(bytes)
        .ok()
        .filter(|_| !is_too_long)
        .ok_or(OwnedFileError::Text { path, longest })
}
