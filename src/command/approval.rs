//! The words about requests, their answers, and what they gave.

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// What `ward requests` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum RequestsCommand {
    /// List the requests that wait for an answer
    #[command(visible_alias = "ls")]
    List,
    /// Answer a request with yes
    Approve(ApproveArguments),
    /// Answer a request with no
    Deny(DenyArguments),
    /// Walk through all that wait: approve, deny with a reason, skip or quit each
    Review(SigningArguments),
}

/// What `ward grants` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum GrantsCommand {
    /// List what approvals and grants of secrets gave and still lives
    List,
    /// Take a grant back: open files of it end within a second
    Revoke(GrantArguments),
}

/// Names a grant.
#[derive(Debug, Args)]
pub(crate) struct GrantArguments {
    /// Its id, from `ward grants list`
    #[arg(value_name = "ID")]
    pub(crate) grant: String,
}

/// Of `ward approve`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a word of the command line")]
#[command(after_help = "\
What is not said is what the policy allows; what is said can only be less.

Where the rule wants the factor \"signed\" or \"hardware\", --sign has ssh-keygen sign what is granted
(ssh-keygen -Y sign -n ward-approval@v1): with the key in FILE, a FIDO key too, or with a key that an
agent has. The key must be in allowed_signers of the root, for a client of the policy that may answer.")]
pub(crate) struct ApproveArguments {
    /// The request, from `ward list --pending`
    #[arg(value_name = "ID")]
    pub(crate) request: String,
    /// Let it serve N opens and no more
    #[arg(long, value_name = "N")]
    pub(crate) uses: Option<u32>,
    /// How long it lasts, such as 10m
    #[arg(long = "for", value_name = "TIME", conflicts_with = "until_unmount")]
    pub(crate) time: Option<String>,
    /// Let it last until the mount ends, where the rule says lease = "unmount"
    #[arg(long)]
    pub(crate) until_unmount: bool,
    /// Only for the very process that asked
    #[arg(long, conflicts_with_all = ["session", "program"])]
    pub(crate) process: bool,
    /// For the processes of its session that run the same program
    #[arg(long, conflicts_with = "program")]
    pub(crate) session: bool,
    /// For every process of its user that runs the same program, where the rule allows that
    #[arg(long)]
    pub(crate) program: bool,
    /// Sign what is granted
    #[arg(long, conflicts_with_all = ["passphrase", "passphrase_file"])]
    pub(crate) sign: bool,
    /// With the private key in FILE, or with the agent's for the public key in FILE
    #[arg(long, value_name = "FILE", requires = "sign")]
    pub(crate) key: Option<PathBuf>,
    /// Give the approval passphrase of the root, asked for on the terminal
    #[arg(long, conflicts_with = "passphrase_file")]
    pub(crate) passphrase: bool,
    /// Give the approval passphrase in FILE, less one final newline
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

/// Of `ward approval-passphrase`.
#[derive(Debug, Args)]
#[command(after_help = "\
With it one answers requests of one's own uid: ward approve ID --passphrase. The terminal is asked for the one
before, if there is one, and twice for the new one. The first is set by root or the user of the daemon.")]
pub(crate) struct ApprovalPassphraseArguments {
    /// The one before is in FILE, less one final newline
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// The new one is in FILE, less one final newline
    #[arg(long, value_name = "FILE")]
    pub(crate) new_passphrase_file: Option<PathBuf>,
    /// There is none yet: nothing is asked for but the new one
    #[arg(long, conflicts_with = "passphrase_file")]
    pub(crate) first: bool,
}

/// How a front end signs.
#[derive(Debug, Args)]
pub(crate) struct SigningArguments {
    /// Sign with the private key in FILE where a rule wants that; otherwise with a key that an agent has
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
}

/// Of `ward deny`.
#[derive(Debug, Args)]
pub(crate) struct DenyArguments {
    /// The request, from `ward list --pending`
    #[arg(value_name = "ID")]
    pub(crate) request: String,
    /// Why, for the asker
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
}
