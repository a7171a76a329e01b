//! `ward vault accept-restore`: says that an older copy of a vault was put back on purpose.

use crate::client::Client;
use crate::command::UnlockedVaultArguments;
use crate::output::{Report, count, escaped};
use crate::secret_reference::vault_name;
use crate::settings::Settings;
use crate::trouble::Trouble;
use ward_mountd::control::message::{Command, RestoreAccepted};

/// Says it; the daemon asks a human first.
pub(crate) fn run(
    arguments: &UnlockedVaultArguments,
    settings: &Settings,
) -> Result<Report<RestoreAccepted>, Trouble> {
    let vault = vault_name(&arguments.vault)?;
    let mut client = Client::connect(settings)?;
    let accepted: RestoreAccepted =
        client.ask_with_passphrase(&vault, &arguments.unlock, |passphrase| {
            Command::VaultAcceptRestore { vault: vault.clone(), passphrase }
        })?;
    let text = words(&accepted);
    Ok(Report::new(accepted, text))
}

fn words(accepted: &RestoreAccepted) -> String {
    let mut text = format!(
        "{}\naccepted: this is the newest state of {} now\n",
        escaped(&accepted.state),
        escaped(&accepted.vault)
    );
    let lists = [
        ("set since, and lost", &accepted.set),
        ("removed since, and back", &accepted.removed),
        ("revoked since", &accepted.revoked),
        ("shredded again", &accepted.shredded_again),
    ];
    for (what, names) in lists {
        for name in names {
            text.push_str(&format!("{what}: {}\n", escaped(name)));
        }
    }
    for done in &accepted.activity {
        let (what, last) = (escaped(&done.what), escaped(&done.last));
        text.push_str(&format!(
            "since: {what}, {}, the last at {last}\n",
            count(done.times, "time")
        ));
    }
    if accepted.key_changes > 0 {
        let changes = count(accepted.key_changes, "change");
        text.push_str(&format!(
            "{changes} of key slots since: see ward vault key list for what opens it now\n"
        ));
    }
    if accepted.unreadable > 0 {
        let entries = count(accepted.unreadable, "entry in the log does not open");
        text.push_str(&format!("{entries}: what it names may be newer, too\n"));
    }
    text
}
