//! `ward history`: the versions of a secret that can be restored.

use crate::client::Client;
use crate::command::SecretArguments;
use crate::output::{Report, count, escaped, table};
use crate::secret_reference::SecretReference;
use crate::settings::Settings;
use crate::trouble::Trouble;
use ward_mountd::control::message::{Command, History, VersionState};

/// Shows them.
pub(crate) fn run(
    arguments: &SecretArguments,
    settings: &Settings,
) -> Result<Report<History>, Trouble> {
    let SecretReference { vault, path } = SecretReference::parse(&arguments.name)?;
    let command = Command::History { vault: vault.clone(), path };
    let mut client = Client::connect(settings)?;
    let history: History = client.ask_unlocked(command, None, &vault, &arguments.unlock)?;
    let mut text = table(&history.versions.iter().map(row).collect::<Vec<_>>());
    if history.is_removed {
        text.push_str("it was removed; ward restore brings it back\n");
    } else if history.versions.is_empty() {
        text.push_str("nothing was written yet\n");
    }
    Ok(Report::new(history, text))
}

fn row(version: &VersionState) -> Vec<String> {
    vec![
        version.version.to_string(),
        escaped(&version.written).to_string(),
        count(version.bytes, "byte"),
        if version.is_current { "current" } else { "" }.to_owned(),
    ]
}
