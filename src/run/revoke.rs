//! `ward revoke`: destroys every version of a secret.

use crate::client::Client;
use crate::command::SecretArguments;
use crate::output::{Report, escaped};
use crate::secret_reference::SecretReference;
use crate::settings::Settings;
use crate::trouble::Trouble;
use ward_mountd::control::message::{Command, Done};

/// Destroys it.
pub(crate) fn run(
    arguments: &SecretArguments,
    settings: &Settings,
) -> Result<Report<Done>, Trouble> {
    let SecretReference { vault, path } = SecretReference::parse(&arguments.name)?;
    let text = format!("revoked {}:{}\n", vault, escaped(&path));
    let command = Command::Revoke { vault: vault.clone(), path };
    let mut client = Client::connect(settings)?;
    Ok(Report::new(client.ask_unlocked(command, None, &vault, &arguments.unlock)?, text))
}
