//! `ward vault init`: makes a vault.

use crate::client::Client;
use crate::command::{KindWord, OwnerWord, VaultInitArguments};
use crate::output::{Report, escaped};
use crate::passphrase;
use crate::secret_reference::vault_name;
use crate::settings::Settings;
use crate::trouble::Trouble;
use ward_mountd::control::message::{Command, NewSlot, Owner, Passphrase, VaultKind, VaultState};

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
    let kind = match arguments.kind {
        KindWord::Secrets => VaultKind::Secrets,
        KindWord::Workspace => VaultKind::Workspace,
    };
    let owner = match arguments.owner {
        OwnerWord::Agent => Owner::Agent,
        OwnerWord::Human => Owner::Human,
    };
    let command = Command::VaultInit { vault, kind, owner, slot };
    let state: VaultState = Client::connect(settings)?.ask(command)?;
    let text = format!(
        "made the vault {}, kind {}, owner {}, unlocked by {}\n",
        escaped(&state.vault),
        escaped(&state.kind),
        escaped(&state.owner),
        escaped(&state.unlocked_by)
    );
    Ok(Report::new(state, text))
}
