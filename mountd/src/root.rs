//! A root: the state directory of one daemon, and what lies in it under which name.

use rustix::fs::{Mode, OFlags};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use ward_audit::{LogKey, SoftwareSigner};
use ward_store::{Keyfile, KeyfileError};

/// The control socket.
pub const SOCKET: &str = "control.sock";
/// The policy.
pub const POLICY: &str = "policy.toml";
/// The folder of the log.
pub const AUDIT: &str = "audit";
/// The key of the log, from which its identity comes.
pub const LOG_KEY: &str = "log.key";
/// The key that took over from it as the log's identity, when one did.
pub const SIGNER_KEY: &str = "signer.key";
/// A key that is about to.
pub const SIGNER_KEY_NEW: &str = "signer.key.new";
/// The folder of vaults.
pub const VAULTS: &str = "vaults";
/// The folder of key files.
pub const KEYS: &str = "keys";
/// The folder of pins: how far each vault had come, kept outside of it.
pub const PINS: &str = "pins";
/// The lock of the daemon, with its process number inside.
pub const LOCK: &str = "daemon.lock";
/// What `ward init` made, and the mark by which a directory is known as a root.
pub const MARK: &str = "ward.toml";
/// Which of the two layouts a root has (docs/threats.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// One uid for daemon, owner and agents: protects against mistakes.
    Private,
    /// The daemon belongs to no agent: protects against programs of other uids.
    System,
}

impl Layout {
    /// The word of `ward.toml` and of `ward status`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::System => "system",
        }
    }
}

/// An opened root.
#[derive(Debug)]
pub struct Root {
    path: PathBuf,
    directory: OwnedFd,
}

impl Root {
    /// Opens the directory at `path`; nothing in it is looked at.
    ///
    /// # Errors
    /// As `open(2)`.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(path, flags, Mode::empty())?;
        Ok(Self { path: path.to_owned(), directory })
    }

    /// The path it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The key of its log.
    ///
    /// # Errors
    /// It is not there, or others can read it.
    pub(crate) fn log_key(&self) -> Result<LogKey, KeyfileError> {
        let key = LogKey::from_bytes(&Keyfile::read(&self.join(LOG_KEY))?.key());
        match Keyfile::read(&self.join(SIGNER_KEY)) {
            Ok(file) => Ok(key.with_local(SoftwareSigner::from_bytes(&file.key()))),
            Err(KeyfileError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok(key)
            }
            Err(error) => Err(error),
        }
    }

    /// The path of `name` in it.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}
