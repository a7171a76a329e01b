//! `ward vault rekey`: gives a vault a new key, so that an old header opens nothing any more.

use crate::client::Client;
use crate::command::{RekeyArguments, UnlockArguments};
use crate::output::{Report, count};
use crate::passphrase;
use crate::secret_reference::vault_name;
use crate::settings::Settings;
use crate::trouble::Trouble;
use ward_mountd::control::message::{Command, Done, FailureCode, Passphrase, Rekeyed};
use zeroize::Zeroizing;

/// Gives it one.
pub(crate) fn run(
    arguments: &RekeyArguments,
    settings: &Settings,
) -> Result<Report<Rekeyed>, Trouble> {
    let vault = vault_name(&arguments.vault)?;
    let mut client = Client::connect(settings)?;
    let files = arguments.passphrase_file.iter();
    let mut known: Vec<Zeroizing<String>> =
        files.map(|file| passphrase::from_file(file)).collect::<Result<_, _>>()?;
    if let Some(first) = known.first() {
        unlock(&mut client, &vault, first)?;
    }
    // Each key slot is kept by its own secret: whatever is missing is asked for, one by one.
    let rekeyed: Rekeyed = loop {
        let passphrases = known.iter().map(|text| Passphrase(text.to_string())).collect();
        let remove = arguments.remove.clone();
        let command = Command::VaultRekey { vault: vault.clone(), passphrases, remove };
        match client.ask(command) {
            Err(trouble) if trouble.failure.code == FailureCode::Locked => {
                if !passphrase::can_ask() {
                    return Err(trouble);
                }
                let none = UnlockArguments { passphrase_file: None };
                known.push(passphrase::for_locked_vault(&vault, &none)?);
                if let [only] = known.as_slice() {
                    unlock(&mut client, &vault, only)?;
                }
            }
            answered => break answered?,
        }
    };
    let segments = count(rekeyed.segments_to_rekey, "segment");
    let text = format!(
        "{vault} has a new key; {segments} under the old one to be rewritten in the background\n\
         An old copy of the header opens the vault until then: see ward vault info {vault}.\n"
    );
    Ok(Report::new(rekeyed, text))
}

/// Unlocks the vault, which changes nothing when it is unlocked.
fn unlock(client: &mut Client, vault: &str, text: &Zeroizing<String>) -> Result<(), Trouble> {
    let passphrase = Passphrase(text.to_string());
    let Done {} = client.ask(Command::VaultUnlock { vault: vault.to_owned(), passphrase })?;
    Ok(())
}
