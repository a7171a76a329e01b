//! A root: the state directory of one daemon, and what lies in it under which name.

use crate::helper::Notify;
use rustix::fs::{Mode, OFlags, openat};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use ward_audit::LogKey;
use ward_store::{Keyfile, KeyfileError};

/// The control socket.
pub const SOCKET: &str = "control.sock";
/// The policy.
pub const POLICY: &str = "policy.toml";
/// The folder of the log.
pub const AUDIT: &str = "audit";
/// The key of the log, from which its identity comes.
pub const LOG_KEY: &str = "log.key";
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
        Keyfile::read(&self.join(LOG_KEY)).map(|file| LogKey::from_bytes(&file.key()))
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

/// The content of `ward.toml`: what a root is, told apart from all others.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mark {
    /// The version of the root's form: 1.
    pub(crate) version: u32,
    pub(crate) layout: Layout,
    /// A ULID; mounts carry it, so that a daemon knows its own.
    pub(crate) instance: String,
    /// Who is told of new requests. The only table that a person adds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) notify: Option<Notify>,
}

/// Why a directory is not known as a root.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MarkError {
    /// There is no mark, or none that can be read.
    #[error("{0} is no root of wardfs ({1}); make one: ward init")]
    Missing(PathBuf, #[source] io::Error),
    /// The mark is not one that this version wrote.
    #[error("{0}/ward.toml is of a newer version; update wardfs")]
    Unknown(PathBuf),
    /// It is no TOML, or says what we do not know.
    #[error("{path}/ward.toml, line {line}, column {column}: {message}")]
    Fault {
        /// The root.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Counted from 1, in characters.
        column: usize,
        /// What is wrong.
        message: String,
    },
}

impl Mark {
    pub(crate) fn read(root: &Root) -> Result<Self, MarkError> {
        let missing = |error: io::Error| MarkError::Missing(root.path.clone(), error);
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(root.as_fd(), MARK, flags, Mode::empty());
        let file = file.map_err(|errno| missing(errno.into()))?;
        let mut text = String::new();
        File::from(file).take(4096).read_to_string(&mut text).map_err(missing)?;
        let mark: Self = toml::from_str(&text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
            MarkError::Fault {
                path: root.path.clone(),
                line: before.matches('\n').count() + 1,
                column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
                message: error.message().to_owned(),
            }
        })?;
        if mark.version == 1 { Ok(mark) } else { Err(MarkError::Unknown(root.path.clone())) }
    }

    pub(crate) fn text(&self) -> String {
        let Self { version, layout, instance, notify: _ } = self;
        let layout = layout.name();
        format!(
            "# Made by ward init. Not for editing, but for the table [notify].\nversion = {version}\nlayout = \"{layout}\"\ninstance = \"{instance}\"\n"
        )
    }
}
