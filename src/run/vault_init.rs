//! `ward vault init`: makes a vault.

use crate::client::Client;
use crate::command::VaultInitArguments;
use crate::output::{Report, escaped};
use crate::passphrase;
use crate::secret_reference::vault_name;
use crate::settings::Settings;
use crate::trouble::Trouble;
use ward_mountd::control::message::{Command, NewSlot, Passphrase, VaultState};

/// Makes it.
pub(crate) fn run(
    arguments: &VaultInitArguments,
    settings: &Settings,
) -> Result<Report<VaultState>, Trouble> {
    let vault = vault_name(&arguments.vault)?;
    let slot = match passphrase::for_new_vault(&arguments.slot)? {
        Some(passphrase) => NewSlot::Passphrase(Passphrase(passphrase.to_string())),
        None => NewSlot::Keyfile,
    };
    let command = Command::VaultInit { vault, slot };
    let state: VaultState = Client::connect(settings)?.ask(command)?;
    let text = format!(
        "made the vault {}, unlocked by {}\n",
        escaped(&state.vault),
        escaped(&state.unlocked_by)
    );
    Ok(Report::new(state, text))
}
