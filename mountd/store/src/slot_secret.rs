//! What opens a key slot: a passphrase, a key file or a recovery code.

use crate::key::KEY_LENGTH;
use crate::passphrase::{Passphrase, PassphraseCost};
use crate::recovery_code::RecoveryCode;
use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use ward_memory::SecretBox;
use zeroize::{Zeroize as _, Zeroizing};

/// The number of a key slot; never used again in a vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotId(pub u32);

/// What opens a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotKind {
    /// Words a human knows, through Argon2id.
    Passphrase,
    /// 32 random bytes in a file outside the vault.
    Keyfile,
    /// A printed code of 256 bits.
    Recovery,
}

/// A secret that may open a vault.
#[derive(Debug)]
pub enum SlotSecret {
    /// Tried on every passphrase slot.
    Passphrase(Passphrase),
    /// Tried on every key file slot.
    Keyfile(Keyfile),
    /// Tried on every recovery slot.
    Recovery(RecoveryCode),
}

/// A key slot to be made.
#[derive(Debug)]
pub enum NewSlot<'secret> {
    /// Opened by the passphrase, at this cost.
    Passphrase(&'secret Passphrase, PassphraseCost),
    /// Opened by the key file.
    Keyfile(&'secret Keyfile),
    /// Opened by the printed code.
    Recovery(&'secret RecoveryCode),
}

/// The 32 random bytes of a key file.
pub struct Keyfile(Box<[u8; KEY_LENGTH]>);

/// Why a key file is not made or not read.
#[derive(Debug, thiserror::Error)]
pub enum KeyfileError {
    /// The file system says no.
    #[error("cannot use the key file {path}: {source}; check the path and its permissions")]
    Io {
        /// The file.
        path: PathBuf,
        /// What it says.
        source: io::Error,
    },
    /// Other users can read or write it.
    #[error(
        "the key file {0} is open to other users; chmod 600 it, or add a new key and remove this one"
    )]
    Exposed(PathBuf),
    /// It is no file of 32 bytes.
    #[error("{0} is no key file: one has exactly 32 bytes; name another file")]
    NotKeyfile(PathBuf),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes; check getrandom(2)")]
    NoRandomness,
}

impl SlotKind {
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Passphrase => 1,
            Self::Keyfile => 2,
            Self::Recovery => 3,
        }
    }

    pub(crate) const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Passphrase),
            2 => Some(Self::Keyfile),
            3 => Some(Self::Recovery),
            _ => None,
        }
    }
}

impl SlotSecret {
    /// What a human typed: a recovery code when it is one, which a slip of the pen is not, else a
    /// passphrase.
    pub fn typed(text: Zeroizing<Vec<u8>>) -> Self {
        let code = str::from_utf8(&text).ok().and_then(|text| RecoveryCode::parse(text).ok());
        match code {
            Some(code) => Self::Recovery(code),
            None => Self::Passphrase(Passphrase::new(text)),
        }
    }

    /// The kind of slot it can open.
    pub const fn kind(&self) -> SlotKind {
        match self {
            Self::Passphrase(_) => SlotKind::Passphrase,
            Self::Keyfile(_) => SlotKind::Keyfile,
            Self::Recovery(_) => SlotKind::Recovery,
        }
    }
}

impl Keyfile {
    /// Makes a key file, 0600 and durable; one that is there already is never replaced.
    ///
    /// # Errors
    /// The file exists or cannot be written, or there are no random bytes.
    pub fn create(path: &Path) -> Result<Self, KeyfileError> {
        let mut key = Self(Box::default());
        getrandom::fill(key.0.as_mut_slice()).map_err(|_| KeyfileError::NoRandomness)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let write = || -> io::Result<()> {
            let mut file = File::from(open(path, flags, Mode::RUSR | Mode::WUSR)?);
            file.write_all(key.0.as_slice())?;
            file.sync_all()?;
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
        };
        write().map_err(|source| KeyfileError::Io { path: path.to_owned(), source })?;
        Ok(key)
    }

    /// Reads a key file that no other user can open.
    ///
    /// # Errors
    /// It cannot be read, is open to others, or has not exactly 32 bytes.
    pub fn read(path: &Path) -> Result<Self, KeyfileError> {
        let io = |source: io::Error| KeyfileError::Io { path: path.to_owned(), source };
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let mut file = File::from(open(path, flags, Mode::empty()).map_err(|e| io(e.into()))?);
        let stat = fstat(&file).map_err(|error| io(error.into()))?;
        let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        if !is_file || stat.st_size != i64::try_from(KEY_LENGTH).unwrap_or(i64::MAX) {
            return Err(KeyfileError::NotKeyfile(path.to_owned()));
        }
        if stat.st_mode & 0o077 != 0 {
            return Err(KeyfileError::Exposed(path.to_owned()));
        }
        let mut key = Self(Box::default());
        file.read_exact(key.0.as_mut_slice()).map_err(io)?;
        Ok(key)
    }

    /// The key, in memory for keys, for a use other than opening a vault.
    pub fn key(&self) -> SecretBox<[u8; KEY_LENGTH]> {
        SecretBox::make(|| *self.0)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl Drop for Keyfile {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Keyfile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Keyfile(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_file_is_read_back_and_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let made = Keyfile::create(&path).unwrap();
        assert_eq!(Keyfile::read(&path).unwrap().as_bytes(), made.as_bytes());
        assert!(matches!(Keyfile::create(&path), Err(KeyfileError::Io { .. })));
    }

    #[test]
    fn a_key_file_that_others_can_open_or_of_another_length_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        Keyfile::create(&path).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        assert!(matches!(Keyfile::read(&path), Err(KeyfileError::Exposed(_))));
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        File::options().write(true).open(&path).unwrap().set_len(31).unwrap();
        assert!(matches!(Keyfile::read(&path), Err(KeyfileError::NotKeyfile(_))));
        assert!(matches!(Keyfile::read(folder.path()), Err(KeyfileError::NotKeyfile(_))));
    }
}
