//! The words of `ward audit`.

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Of `ward audit`.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Show entries of the log, the newest 100 unless told otherwise
    Show(AuditShowArguments),
    /// Check that the log is whole: exits with 0 whole, 3 torn, 4 broken, 5 missing
    Verify(AuditVerifyArguments),
    /// Go on without a part of the log that is damaged or lost (no daemon may run)
    AcceptBreak(AcceptBreakArguments),
    /// Show the newest signed head of the log: keep it elsewhere, and a cut log shows
    Head(AuditHeadArguments),
    /// Prove that an entry is in the log
    Prove(AuditProveArguments),
    /// Check a proof, without the log: exits with 0 proved, 4 not
    CheckProof(CheckProofArguments),
}

/// Of `ward audit verify`.
#[derive(Debug, Args)]
pub(crate) struct AuditVerifyArguments {
    /// A file with a head of this log that was kept elsewhere: the log must reach and have it
    #[arg(long, value_name = "FILE")]
    pub(crate) head: Option<PathBuf>,
}

/// Of `ward audit accept-break`.
#[derive(Debug, Args)]
pub(crate) struct AcceptBreakArguments {
    /// The last good entry before the damage, as `ward audit verify` names it
    #[arg(long, value_name = "NUMBER")]
    pub(crate) after: u64,
    /// Why it is accepted; the log keeps it
    #[arg(long)]
    pub(crate) reason: String,
}

/// Of `ward audit head`.
#[derive(Debug, Args)]
pub(crate) struct AuditHeadArguments {
    /// The key that signs heads, instead of the head
    #[arg(long)]
    pub(crate) key: bool,
}

/// Of `ward audit prove`.
#[derive(Debug, Args)]
pub(crate) struct AuditProveArguments {
    /// The number of the entry
    pub(crate) seq: u64,
}

/// Of `ward audit check-proof`.
#[derive(Debug, Args)]
pub(crate) struct CheckProofArguments {
    /// A file with what `ward audit prove` printed
    pub(crate) file: PathBuf,
    /// What `ward audit head --key` printed; that of the root's log when absent
    #[arg(long)]
    pub(crate) key: Option<String>,
}

/// Of `ward audit show`.
#[derive(Debug, Args)]
pub(crate) struct AuditShowArguments {
    /// Only of this vault
    #[arg(long)]
    pub(crate) vault: Option<String>,
    /// Only of paths that match this glob
    #[arg(long, value_name = "GLOB")]
    pub(crate) path: Option<String>,
    /// Only of this user number
    #[arg(long)]
    pub(crate) uid: Option<u32>,
    /// Only of this event type, such as file.open
    #[arg(long, value_name = "TYPE")]
    pub(crate) event: Option<String>,
    /// Only with this decision: permitted, denied or needs-approval
    #[arg(long, value_name = "DECISION")]
    pub(crate) decision: Option<String>,
    /// Only at or after this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Only before this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// Only after the entry of this number
    #[arg(long, value_name = "NUMBER")]
    pub(crate) after: Option<u64>,
    /// At most so many, up to 500
    #[arg(long, value_name = "COUNT")]
    pub(crate) limit: Option<u64>,
}
