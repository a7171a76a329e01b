//! What only the owner of a root does with its log, by the key that lies there: accept that it is
//! broken, while no daemon runs, since none serves on a broken log; and export it.

use crate::clock;
use crate::root::{AUDIT, Root};
use std::io::Write;
use std::path::Path;
use ward_audit::{AcceptBreakError, BootIdError, ExportError, Illuvrse, SegmentName, Settings};
use ward_store::KeyfileError;

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum OwnerError {
    /// There is no root, or it cannot be entered.
    #[error("cannot open the root")]
    Root(#[from] std::io::Error),
    /// The key of its log cannot be read.
    #[error(transparent)]
    Key(#[from] KeyfileError),
    /// The kernel does not name its boot.
    #[error(transparent)]
    Boot(#[from] BootIdError),
    /// The log.
    #[error(transparent)]
    Break(#[from] AcceptBreakError),
    /// The log, or the file it is written to.
    #[error(transparent)]
    Export(#[from] ExportError),
}

/// Goes on without what comes after the entry `after` of a broken segment, and records that this uid
/// accepted it for `reason`.
///
/// # Errors
/// Nothing is broken there, or the log cannot be written.
pub fn accept_break(root: &Path, after: u64, reason: &str) -> Result<SegmentName, OwnerError> {
    let root = Root::open(root)?;
    let settings = Settings::new(clock::boot_id()?);
    let reason = format!("accepted by uid {}: {reason}", rustix::process::getuid().as_raw());
    let (folder, key) = (root.join(AUDIT), root.log_key()?);
    Ok(ward_audit::accept_break(&folder, key, settings, (after, &reason), clock::stamp())?)
}

/// Writes the log of `root` as rows for `PostgreSQL`; how many there are, and who signed them.
///
/// # Errors
/// The log cannot be read, or not be written.
pub fn export_rows(root: &Path, to: &mut dyn Write) -> Result<(u64, String), OwnerError> {
    let root = Root::open(root)?;
    let key = root.log_key()?;
    let count = ward_audit::export_rows(&root.join(AUDIT), &key, to)?;
    Ok((count, format!("{:#}\n", Illuvrse::new(&key).signers())))
}
