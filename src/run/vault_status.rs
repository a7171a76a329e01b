//! `ward vault status`: the state of one vault.

use crate::client::Client;
use crate::output::{Report, table};
use crate::run::vault_list::row;
use crate::secret_reference::vault_name;
use crate::settings::Settings;
use crate::trouble::Trouble;
use ward_mountd::control::message::{Command, VaultState};

/// Shows it.
pub(crate) fn run(vault: &str, settings: &Settings) -> Result<Report<VaultState>, Trouble> {
    let command = Command::VaultStatus { vault: vault_name(vault)? };
    let state: VaultState = Client::connect(settings)?.ask(command)?;
    let text = table(&[row(&state)]);
    Ok(Report::new(state, text))
}
