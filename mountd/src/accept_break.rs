//! Accepting that the log of a root is broken: what only the owner of the root can do, while no daemon
//! runs, since none serves on a broken log.

use crate::clock;
use crate::root::{AUDIT, Root};
use std::path::Path;
use ward_audit::{AcceptBreakError, BootIdError, SegmentName, Settings};
use ward_store::KeyfileError;

/// Why nothing was accepted.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
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
}

/// Goes on without what comes after the entry `after` of a broken segment, and records that this uid
/// accepted it for `reason`.
///
/// # Errors
/// Nothing is broken there, or the log cannot be written.
pub fn accept_break(root: &Path, after: u64, reason: &str) -> Result<SegmentName, AcceptError> {
    let root = Root::open(root)?;
    let settings = Settings::new(clock::boot_id()?);
    let reason = format!("accepted by uid {}: {reason}", rustix::process::getuid().as_raw());
    let (folder, key) = (root.join(AUDIT), root.log_key()?);
    Ok(ward_audit::accept_break(&folder, key, settings, (after, &reason), clock::stamp())?)
}
