//! The words of `ward secrets`: what is about one secret, in a group. Each is a command without it, too.

use super::{
    Command, GetArguments, ListArguments, RestoreArguments, SecretArguments, SetArguments,
};
use clap::Subcommand;

/// What `ward secrets` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum SecretsCommand {
    /// Store a secret
    Set(SetArguments),
    /// Show a secret
    Get(GetArguments),
    /// List names, or with --pending the requests that wait for an answer
    #[command(visible_alias = "ls")]
    List(ListArguments),
    /// Destroy every version of a secret
    Revoke(SecretArguments),
    /// Show the versions of a secret that can be restored, of a removed one too
    History(SecretArguments),
    /// Make an older version current again, or bring a removed secret back
    Restore(RestoreArguments),
}

impl From<SecretsCommand> for Command {
    fn from(command: SecretsCommand) -> Self {
        match command {
            SecretsCommand::Set(arguments) => Self::Set(arguments),
            SecretsCommand::Get(arguments) => Self::Get(arguments),
            SecretsCommand::List(arguments) => Self::List(arguments),
            SecretsCommand::Revoke(arguments) => Self::Revoke(arguments),
            SecretsCommand::History(arguments) => Self::History(arguments),
            SecretsCommand::Restore(arguments) => Self::Restore(arguments),
        }
    }
}
