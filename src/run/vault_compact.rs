//! `ward vault compact`: gives the room of dead bytes back now.

use crate::client::Client;
use crate::command::UnlockedVaultArguments;
use crate::output::{Report, bytes, count};
use crate::progress::Progress;
use crate::secret_reference::vault_name;
use crate::settings::Settings;
use crate::trouble::Trouble;
use ward_mountd::control::message::{Command, Compacted, FailureCode};

/// Does it.
pub(crate) fn run(
    arguments: &UnlockedVaultArguments,
    settings: &Settings,
) -> Result<Report<Compacted>, Trouble> {
    let vault = vault_name(&arguments.vault)?;
    let compact = || Command::VaultCompact { vault: vault.clone() };
    let mut client = Client::connect(settings)?;
    let progress = Progress::of(settings.form, &format!("compacting {vault}"));
    let asked = client.ask(compact());
    drop(progress);
    let done: Compacted = match asked {
        Err(trouble) if trouble.failure.code == FailureCode::Locked => {
            client.ask_unlocked(compact(), None, &vault, &arguments.unlock)?
        }
        asked => asked?,
    };
    let (removed, copied) = (count(done.removed, "segment"), bytes(done.copied_bytes));
    let text = format!("compacted {vault}: {removed} removed, {copied} copied\n");
    Ok(Report::new(done, text))
}
