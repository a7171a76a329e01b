//! `ward vault key`: what unlocks a vault.

use crate::client::Client;
use crate::command::{AddedSlotWord, KeyAddArguments, KeyRemoveArguments, UnlockedVaultArguments};
use crate::output::{Report, escaped, table};
use crate::passphrase;
use crate::secret_reference::vault_name;
use crate::settings::Settings;
use crate::trouble::Trouble;
use ward_mountd::control::message::{
    AddedSlot, Command, Done, KeyAdded, KeySlot, KeySlots, Passphrase,
};

/// Lists the slots.
pub(crate) fn list(
    arguments: &UnlockedVaultArguments,
    settings: &Settings,
) -> Result<Report<KeySlots>, Trouble> {
    let vault = vault_name(&arguments.vault)?;
    let command = Command::VaultKeyList { vault: vault.clone() };
    let mut client = Client::connect(settings)?;
    let slots: KeySlots = client.ask_unlocked(command, None, &vault, &arguments.unlock)?;
    let text = table(&slots.slots.iter().map(row).collect::<Vec<_>>());
    Ok(Report::new(slots, text))
}

/// Adds a slot.
pub(crate) fn add(
    arguments: &KeyAddArguments,
    settings: &Settings,
) -> Result<Report<KeyAdded>, Trouble> {
    let vault = vault_name(&arguments.vault)?;
    let slot = match arguments.slot {
        AddedSlotWord::Passphrase => {
            let file = arguments.new_passphrase_file.as_deref();
            AddedSlot::Passphrase(Passphrase(passphrase::for_new_slot(file)?.to_string()))
        }
        AddedSlotWord::Keyfile => AddedSlot::Keyfile,
        AddedSlotWord::Recovery => AddedSlot::Recovery,
    };
    let command = Command::VaultKeyAdd { vault: vault.clone(), slot };
    let mut client = Client::connect(settings)?;
    let added: KeyAdded = client.ask_unlocked(command, None, &vault, &arguments.unlock)?;
    let mut text = format!("added key slot {}, {}\n", added.slot, escaped(&added.kind));
    if let Some(code) = &added.recovery_code {
        text.push_str(&format!(
            "{}\nWrite it down: it is not shown again. It is taken where a passphrase is asked for.\n",
            code.0
        ));
    }
    Ok(Report::new(added, text))
}

/// Removes a slot.
pub(crate) fn remove(
    arguments: &KeyRemoveArguments,
    settings: &Settings,
) -> Result<Report<Done>, Trouble> {
    let (vault, slot) = (vault_name(&arguments.vault)?, arguments.slot);
    let command = Command::VaultKeyRemove { vault: vault.clone(), slot };
    let text = format!(
        "removed key slot {slot} of {vault}\n\
         Who kept an older copy of the header still opens the vault with it.\n"
    );
    let mut client = Client::connect(settings)?;
    Ok(Report::new(client.ask_unlocked(command, None, &vault, &arguments.unlock)?, text))
}

fn row(slot: &KeySlot) -> Vec<String> {
    vec![slot.slot.to_string(), escaped(&slot.kind).to_string()]
}
