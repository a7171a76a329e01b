//! `ward restore`: an older version becomes current again, or a removed secret comes back.

use crate::client::Client;
use crate::command::RestoreArguments;
use crate::output::{Report, escaped};
use crate::secret_reference::SecretReference;
use crate::settings::Settings;
use crate::trouble::Trouble;
use ward_mountd::control::message::{Command, Stored};

/// Restores it.
pub(crate) fn run(
    arguments: &RestoreArguments,
    settings: &Settings,
) -> Result<Report<Stored>, Trouble> {
    let SecretReference { vault, path } = SecretReference::parse(&arguments.name)?;
    let text = format!("restored {vault}:{}\n", escaped(&path));
    let command = Command::Restore { vault: vault.clone(), path, version: arguments.version };
    let mut client = Client::connect(settings)?;
    Ok(Report::new(client.ask_unlocked(command, None, &vault, &arguments.unlock)?, text))
}
