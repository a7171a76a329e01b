//! The words of `ward secrets`: what is about one secret, in a group. Each but `grant` is a command without
//! it, too.

use super::Late;
use super::{
    Command, GetArguments, ListArguments, RestoreArguments, SecretArguments, SetArguments,
    StatusArguments, UnlockArguments,
};
use clap::{Args, Subcommand};

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
    /// Let a client of the policy read a secret that you may read
    Grant(SecretGrantArguments),
    /// Say how a secret stands for you: its state, its end, who made and read it
    Status(SecretArguments),
}

/// Of `ward secrets grant`.
#[derive(Debug, Args)]
#[command(after_help = "\
It is for the secret, whatever its name will be, and ends with it. A rule of the policy that denies it
counts all the same, and one that wants a human still does. Take it back: ward grants revoke ID")]
pub(crate) struct SecretGrantArguments {
    /// The secret: PATH or VAULT:PATH
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Who may read it: a client of the policy
    #[arg(long, value_name = "AGENT")]
    pub(crate) to: String,
    /// For how long: whole days, a time such as 12h, or never, which is until it is taken back
    #[arg(long, visible_alias = "for", value_name = "DAYS|TIME|never", default_value = "never")]
    pub(crate) ttl: String,
    /// How to unlock.
    #[command(flatten)]
    pub(crate) unlock: UnlockArguments,
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
            grant @ SecretsCommand::Grant(_) => Self::Secrets(Late(grant)),
            SecretsCommand::Status(SecretArguments { name, unlock }) => {
                Self::Status(StatusArguments { name: Some(name), metrics: false, unlock })
            }
        }
    }
}
