//! `ward vault unmount`: ends the mount of a vault.

use crate::client::Client;
use crate::command::VaultArguments;
use crate::output::Report;
use crate::secret_reference::vault_name;
use crate::settings::Settings;
use crate::trouble::Trouble;
use ward_mountd::control::message::{Command, Done};

/// Ends it.
pub(crate) fn run(
    arguments: &VaultArguments,
    settings: &Settings,
) -> Result<Report<Done>, Trouble> {
    let vault = vault_name(&arguments.vault)?;
    let text = format!("unmounted {vault}\n");
    Ok(Report::new(Client::connect(settings)?.ask(Command::VaultUnmount { vault })?, text))
}
