//! The lock: one daemon on a vault.

use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// The lock of a vault; given back when dropped, by the kernel when the process dies.
#[derive(Debug)]
pub(crate) struct VaultLock {
    _file: File,
}

/// Why the lock is not ours.
#[derive(Debug)]
pub(crate) enum LockError {
    /// Another process holds it; its pid when it left one.
    Held(Option<u32>),
    Io(io::Error),
}

impl VaultLock {
    /// Takes the lock in the directory of a vault, without waiting.
    pub(crate) fn take(directory: &Path) -> Result<Self, LockError> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = open(directory.join("lock"), flags, Mode::RUSR | Mode::WUSR)
            .map_err(|error| LockError::Io(error.into()))?;
        let mut file = File::from(file);
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut text = String::new();
                let holder =
                    file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
                return Err(LockError::Held(holder));
            }
            Err(error) => return Err(LockError::Io(error.into())),
        }
        let pid = format!("{}\n", std::process::id());
        file.set_len(0).map_err(LockError::Io)?;
        file.write_all_at(pid.as_bytes(), 0).map_err(LockError::Io)?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_taker_is_refused_and_told_who_holds_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let lock = VaultLock::take(folder.path()).unwrap();
        let refused = VaultLock::take(folder.path());
        assert!(matches!(refused, Err(LockError::Held(Some(pid))) if pid == std::process::id()));
        drop(lock);
        assert!(VaultLock::take(folder.path()).is_ok());
    }
}
