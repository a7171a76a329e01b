//! Looks at files that others name, without ever asking their filesystems: attributes are those the
//! kernel has (`AT_STATX_DONT_SYNC`), and paths are walked by `path_walk.rs`.

use super::path_walk::{Last, PathWalk};
use rustix::fs::{AtFlags, CWD, Statx, StatxFlags, statx};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// `STATX_MNT_ID_UNIQUE` (Linux 6.8): a mount by a number that never comes again.
const MOUNT_UNIQUE: StatxFlags = StatxFlags::from_bits_retain(0x4000);
/// A file as the kernel knows it now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct FileView {
    pub(super) device: u64,
    pub(super) inode: u64,
    pub(super) size: u64,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) modified: (i64, u32),
    pub(super) changed: (i64, u32),
    /// The mount it was reached through.
    pub(super) mount: u64,
}

impl FileView {
    pub(super) fn of(file: BorrowedFd<'_>) -> io::Result<Self> {
        let seen = look(file, StatxFlags::BASIC_STATS | MOUNT_UNIQUE)?;
        Ok(Self {
            device: rustix::fs::makedev(seen.stx_dev_major, seen.stx_dev_minor),
            inode: seen.stx_ino,
            size: seen.stx_size,
            mode: u32::from(seen.stx_mode),
            uid: seen.stx_uid,
            gid: seen.stx_gid,
            modified: (seen.stx_mtime.tv_sec, seen.stx_mtime.tv_nsec),
            changed: (seen.stx_ctime.tv_sec, seen.stx_ctime.tv_nsec),
            mount: seen.stx_mnt_id,
        })
    }

    /// Whether both are the same inode.
    pub(super) const fn is_file_of(&self, other: &Self) -> bool {
        self.device == other.device && self.inode == other.inode
    }

    pub(super) const fn is_regular(&self) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFREG
    }

    pub(super) const fn is_link(&self) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFLNK
    }

    /// Whether somebody else than root can put a file into this folder, sticky or not.
    pub(super) const fn takes_files_of_others(&self) -> bool {
        self.is_open_to_others() || self.mode & 0o002 != 0
    }

    /// Whether somebody else than root can change it, by owner and mode.
    const fn is_open_to_others(&self) -> bool {
        let is_sticky = self.mode & 0o1000 != 0;
        // The mode of a link says nothing.
        let by_mode =
            (self.mode & 0o020 != 0 && self.gid != 0) || (self.mode & 0o002 != 0 && !is_sticky);
        self.uid != 0 || (by_mode && !self.is_link())
    }
}

/// The number of the mount of a file, as mountinfo has it (proc(5)); numbers come again.
pub(super) fn mount_number(file: BorrowedFd<'_>) -> io::Result<u64> {
    Ok(look(file, StatxFlags::MNT_ID)?.stx_mnt_id)
}

fn look(file: BorrowedFd<'_>, wanted: StatxFlags) -> io::Result<Statx> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    Ok(statx(file, "", flags, wanted)?)
}

/// Which folders somebody else than root can change, as far as one caller is looked at.
#[derive(Debug, Default)]
pub(super) struct Folders {
    known: BTreeMap<PathBuf, bool>,
    pub(super) walk: PathWalk,
}

impl Folders {
    /// The file that a path leads to in our own view of the files.
    pub(super) fn view(&mut self, path: &[u8]) -> io::Result<FileView> {
        FileView::of(self.walk.find(CWD, path, Last::Followed)?.as_fd())
    }

    /// Whether `path` leads to `file` in our own view of the files.
    pub(super) fn lead_to(&mut self, path: &[u8], file: &FileView) -> bool {
        path.starts_with(b"/") && self.view(path).is_ok_and(|ours| ours.is_file_of(file))
    }

    /// Whether somebody else than root can change a file, or put another in its place.
    pub(super) fn let_others_change(&mut self, path: &[u8], file: &FileView) -> bool {
        file.is_open_to_others() || self.are_open(Path::new(OsStr::from_bytes(path)).parent())
    }

    fn are_open(&mut self, folder: Option<&Path>) -> bool {
        let Some(folder) = folder else {
            return false;
        };
        if let Some(known) = self.known.get(folder) {
            return *known;
        }
        let view = self.view(folder.as_os_str().as_bytes());
        // What cannot be looked at is not known to be safe.
        let is_open =
            view.map_or(true, |view| view.is_open_to_others()) || self.are_open(folder.parent());
        self.known.insert(folder.to_owned(), is_open);
        is_open
    }
}
