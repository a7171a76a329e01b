//! The words of commands that print something for a shell or about a client.

use super::UnlockArguments;
use clap::{Args, Subcommand};

/// Of `ward env`.
#[derive(Debug, Args)]
#[command(after_help = "\
The line never has the value: the shell that evaluates it reads the secret then, through the mount where the
vault is mounted, else by ward get, where [pipe] of ward.toml lets raw bytes go to more than a terminal.
For a program alone: VAR=\"$(cat FILE)\" program, where FILE is that of the mount.")]
pub(crate) struct EnvArguments {
    /// The secret: PATH or VAULT:PATH
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// The variable: a letter or _, then letters, digits and _
    #[arg(value_name = "VAR")]
    pub(crate) variable: String,
    /// How to unlock.
    #[command(flatten)]
    pub(crate) unlock: UnlockArguments,
}

/// What `ward access` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum AccessCommand {
    /// Show what the rules of the policy say to a client, and about which names
    Paths(AccessPathsArguments),
}

/// Of `ward access paths`.
#[derive(Debug, Args)]
pub(crate) struct AccessPathsArguments {
    /// The client it is about; who asks stays who that is
    #[arg(id = "asked", long = "agent", value_name = "ID")]
    pub(crate) client: String,
}
