//! The words about requests and what they gave.

use clap::{Args, Subcommand};

/// What `ward requests` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum RequestsCommand {
    /// Walk through all that wait: approve, deny with a reason, skip or quit each
    Review,
}

/// What `ward grants` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum GrantsCommand {
    /// List what approvals gave and still lives
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
