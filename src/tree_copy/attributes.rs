//! Owners, modes, extended attributes and times, where the other side can hold them.

use super::{Fidelity, Pair, TreeCopy};
use rustix::fs::{
    AtFlags, Gid, Mode, Stat, Timespec, Timestamps, Uid, XattrFlags, chownat, fchmod, fchown,
    fgetxattr, flistxattr, fsetxattr, utimensat,
};
use std::ffi::{CStr, CString};
use std::os::fd::BorrowedFd;

/// The longest value of an extended attribute, and the longest list of their names (xattr(7)).
const LONGEST: usize = 64 << 10;

impl TreeCopy<'_> {
    /// Gives an open file or directory all but its times.
    pub(super) fn settle(
        &mut self,
        (source, target): (BorrowedFd<'_>, BorrowedFd<'_>),
        stat: &Stat,
    ) {
        let names = xattr_names(source);
        if self.fidelity == Fidelity::Values {
            if !names.is_empty() {
                self.lose("extended attributes");
            }
            return;
        }
        if fchown(target, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))
            .is_err()
        {
            self.lose("owner");
        }
        for name in names {
            if copy_xattr(source, target, &name).is_none() {
                self.lose(&format!("extended attribute {}", name.to_string_lossy()));
            }
        }
        // After the owner, which takes the set-user-id bit away.
        if fchmod(target, Mode::from_raw_mode(stat.st_mode)).is_err() {
            self.lose("mode");
        }
    }

    /// Gives a link or a special file its owner and times.
    pub(super) fn settle_link(&mut self, pair: Pair<'_>, name: &CStr, stat: &Stat) {
        let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        if chownat(pair.target, name, Some(uid), Some(gid), flags).is_err() {
            self.lose("owner");
        }
        self.set_times(pair.target, name, stat);
    }

    /// Sets when it was read and changed; the folders of a secrets vault have no times of their own.
    pub(super) fn set_times(&mut self, directory: BorrowedFd<'_>, name: &CStr, stat: &Stat) {
        let time = |seconds: i64, nanoseconds: u64| Timespec {
            tv_sec: seconds,
            tv_nsec: i64::try_from(nanoseconds).unwrap_or(0),
        };
        let times = Timestamps {
            last_access: time(stat.st_atime, stat.st_atime_nsec),
            last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
        };
        if utimensat(directory, name, &times, AtFlags::SYMLINK_NOFOLLOW).is_err() {
            self.lose("time");
        }
    }
}

/// The names of the extended attributes; none where there cannot be any.
fn xattr_names(file: BorrowedFd<'_>) -> Vec<CString> {
    let mut list = vec![0_u8; LONGEST];
    let Ok(length) = flistxattr(file, &mut list[..]) else { return Vec::new() };
    let list = list.get(..length).unwrap_or_default();
    let names = list.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    names.filter_map(|name| CString::new(name).ok()).collect()
}

fn copy_xattr(source: BorrowedFd<'_>, target: BorrowedFd<'_>, name: &CStr) -> Option<()> {
    let mut value = vec![0_u8; LONGEST];
    let length = fgetxattr(source, name, &mut value[..]).ok()?;
    fsetxattr(target, name, value.get(..length)?, XattrFlags::empty()).ok()
}
