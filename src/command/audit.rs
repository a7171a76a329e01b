//! The words of `ward audit`.

use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Of `ward audit`: `show` when nothing else is said.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct AuditArguments {
    /// What to do with it.
    #[command(subcommand)]
    pub(crate) command: Option<AuditCommand>,
    /// Or what to show of it.
    #[command(flatten)]
    pub(crate) show: AuditShowArguments,
}

/// Of `ward audit`.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Show entries of the log, the newest 100 unless told otherwise
    Show(AuditShowArguments),
    /// Check that the log is whole: exits with 0 whole, 3 torn, 4 broken, 5 missing
    Verify(AuditVerifyArguments),
    /// Have another key sign the log: the next signer of ward.toml, or a new one in the root
    RotateKey,
    /// Say that a key that signed the log was stolen: verify tells of what stands on it
    Compromise(CompromiseArguments),
    /// Go on without a part of the log that is damaged or lost (no daemon may run)
    AcceptBreak(AcceptBreakArguments),
    /// Write the log in the form of another system
    Export(AuditExportArguments),
    /// Show the newest signed head of the log: keep it elsewhere, and a cut log shows
    Head(AuditHeadArguments),
    /// Bring every sink of ward.toml what it has not yet, now: exits with 1 when one did not get it
    Ship,
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
    /// Check again that each approval stands on its evidence, by the keys in `allowed_signers` that were
    /// valid at its time: exits with 4 when one does not
    #[arg(long)]
    pub(crate) evidence: bool,
}

/// Of `ward audit compromise`.
#[derive(Debug, Args)]
pub(crate) struct CompromiseArguments {
    /// The name of the key, as in signers.json of the log
    pub(crate) kid: String,
    /// From when on what it signed is not to be believed (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub(crate) since: String,
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

/// Of `ward audit export`.
#[derive(Debug, Args)]
pub(crate) struct AuditExportArguments {
    /// Whose form
    #[arg(long)]
    pub(crate) form: ExportForm,
    /// The file to write, which must not be there
    #[arg(long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// The file for the keys by which rows are checked
    #[arg(long, value_name = "FILE")]
    pub(crate) signers: Option<PathBuf>,
    /// Ask the daemon for the names that the log seals
    #[arg(long, conflicts_with = "signers")]
    pub(crate) names: bool,
}

/// The system whose form is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportForm {
    /// JSON Lines of agent-safe, with a chain of their own
    AgentSafe,
    /// Comma-separated values, for spreadsheets
    Csv,
    /// Rows of ILLUVRSE's `audit_events`, as SQL for `PostgreSQL`
    Illuvrse,
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
    /// Only by this client of the policy, by the facts that entries keep
    #[arg(long, value_name = "NAME")]
    pub(crate) client: Option<String>,
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
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..=500))]
    pub(crate) limit: Option<u64>,
    /// Go on with what comes, until the daemon ends
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Show it without a pager, also on a terminal
    #[arg(long)]
    pub(crate) no_pager: bool,
}
