//! `ward vault unmount`: ends the mount of a vault.

use crate::client::Client;
use crate::command::VaultArguments;
use crate::output::Report;
use crate::run::status::holders;
use crate::secret_reference::vault_name;
use crate::settings::Settings;
use crate::trouble::Trouble;
use ward_mountd::control::message::{Command, VaultUnmounted};

/// Ends it.
pub(crate) fn run(
    arguments: &VaultArguments,
    settings: &Settings,
) -> Result<Report<VaultUnmounted>, Trouble> {
    let vault = vault_name(&arguments.vault)?;
    let command = Command::VaultUnmount { vault: vault.clone() };
    let unmounted: VaultUnmounted = Client::connect(settings)?.ask(command)?;
    let cut: String =
        holders(&unmounted.holders).map(|it| format!("{it}, closed by force\n")).collect();
    Ok(Report::new(unmounted, format!("unmounted {vault}\n{cut}")))
}
