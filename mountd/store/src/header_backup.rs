//! A backup of the header: the key slots as they are, to be put back when both copies are lost.
//!
//! Who has a backup opens the vault with every slot that it had then, removed ones too, until the
//! vault has got a new key and the compactor has let go of the old.

use crate::durable::{Access, Disk as _, RealDisk, read_whole};
use crate::header::{LONGEST, OpenFault, SealedHeader};
use crate::header_file;
use crate::lock::{LockError, VaultLock};
use crate::rekey::is_outdated;
use crate::segment::{Segment, number_of};
use crate::slot_secret::SlotSecret;
use crate::vault::SEGMENTS;
use std::io;
use std::path::{Path, PathBuf};

/// Why a header is not saved or put back.
#[derive(Debug, thiserror::Error)]
pub enum HeaderBackupError {
    /// Neither copy is a header that this program knows.
    #[error("{0} holds no whole header; restore a backup of the vault")]
    NotHeader(PathBuf),
    /// The backup is none that this program knows.
    #[error("this is no whole copy of a header; name another file")]
    NotBackup,
    /// No slot of the backup opens with it.
    #[error("the passphrase, key file or code opens no slot of the backup; try another")]
    WrongSecret,
    /// The backup is whole, and its key opens no segment of this vault.
    #[error("the backup belongs to another vault; name the backup of this one")]
    OtherVault,
    /// It lacks a key of the vault: put back, it would take that key's segments away.
    #[error("the vault was given a new key since this backup; name a later one")]
    Outdated,
    /// A daemon has the vault open.
    #[error("the vault is open in another process; end that one first")]
    Locked,
    /// The disk fails.
    #[error("cannot read or write {path}: {source}; check the disk")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// The newest whole header of a vault, as bytes to be kept elsewhere; needs no secret.
///
/// # Errors
/// The vault has no whole header.
pub fn backup_header(directory: &Path) -> Result<Vec<u8>, HeaderBackupError> {
    let newest = header_file::COPIES
        .iter()
        .filter_map(|copy| read_whole(&RealDisk, &directory.join(copy), LONGEST).ok())
        .filter_map(|bytes| Some((SealedHeader::decode(&bytes).ok()?.generation(), bytes)))
        .max_by_key(|(generation, _)| *generation);
    let whole = newest.map(|(_, bytes)| bytes);
    whole.ok_or_else(|| HeaderBackupError::NotHeader(directory.to_owned()))
}

/// Puts a header back that `secret` opens and that is of this vault.
///
/// A vault with a pin counts as rolled back when the header was changed since the backup.
///
/// # Errors
/// The backup is none, opens with another secret, or belongs to another vault; or the disk fails.
pub fn restore_header(
    directory: &Path,
    backup: &[u8],
    secret: &SlotSecret,
) -> Result<(), HeaderBackupError> {
    let io = |source| HeaderBackupError::Io { path: directory.to_owned(), source };
    let _lock = VaultLock::take(directory).map_err(|error| match error {
        LockError::Held(_) => HeaderBackupError::Locked,
        LockError::Io(source) => io(source),
    })?;
    let sealed = SealedHeader::decode(backup).map_err(|_| HeaderBackupError::NotBackup)?;
    let (header, keys) = sealed.open(secret).map_err(|fault| match fault {
        OpenFault::NoSlot | OpenFault::WrongSecret | OpenFault::TooCostly => {
            HeaderBackupError::WrongSecret
        }
        OpenFault::Changed => HeaderBackupError::NotBackup,
    })?;
    let segments = directory.join(SEGMENTS);
    let names = RealDisk.names(&segments).map_err(io)?;
    let mut is_ours = false;
    for number in names.iter().filter_map(|name| number_of(name.to_str()?)) {
        let keys = (header.vault, &keys);
        let opened = Segment::open(&RealDisk, (&segments, number), Access::Read, keys);
        is_ours |= opened.map_err(io)?.is_some();
    }
    if is_outdated(&RealDisk, &segments, &keys).map_err(io)? {
        return Err(HeaderBackupError::Outdated);
    }
    if !is_ours {
        return Err(HeaderBackupError::OtherVault);
    }
    header_file::write(&RealDisk, directory, &header, keys.newest()).map_err(io)
}
