//! Why something is not written.

use std::io;

/// Why a vault takes no changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadOnly {
    /// A part that was synced is not what it was.
    #[error("the vault is damaged; run ward vault fsck and restore a backup")]
    Damaged,
    /// The disk failed to keep what it was given.
    #[error("the disk failed to sync; check it, then unlock the vault again")]
    Poisoned,
    /// It is older than its pin says.
    #[error(
        "the vault was rolled back; if you restored a backup, say so with ward vault accept-restore"
    )]
    RolledBack,
    /// It was opened so.
    #[error("the vault was opened for reading only")]
    Asked,
}

/// Why something was not written.
#[derive(Debug)]
pub(crate) enum WriteError {
    /// The disk has no room for another segment. Nothing was changed.
    NoSpace,
    ReadOnly(ReadOnly),
    /// Longer than any frame.
    TooLong,
    Io(io::Error),
}
