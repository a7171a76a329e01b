//! `ward list`: the names in a vault that the caller may see.

use crate::client::Client;
use crate::command::ListArguments;
use crate::output::{Report, escaped, table};
use crate::secret_reference::{DEFAULT_VAULT, vault_name};
use crate::settings::Settings;
use crate::trouble::Trouble;
use ward_mountd::control::message::{Command, Name, Names};

/// Lists them.
pub(crate) fn run(
    arguments: &ListArguments,
    settings: &Settings,
) -> Result<Report<Names>, Trouble> {
    let vault = vault_name(arguments.vault.as_deref().unwrap_or(DEFAULT_VAULT))?;
    let command = Command::List { vault: vault.clone() };
    let mut client = Client::connect(settings)?;
    let names: Names = client.ask_unlocked(command, None, &vault, &arguments.unlock)?;
    let text = table(&names.names.iter().map(row).collect::<Vec<_>>());
    Ok(Report::new(names, text))
}

fn row(name: &Name) -> Vec<String> {
    let size = name.bytes.map_or_else(|| "-".to_owned(), |bytes| format!("{bytes} B"));
    let modified = escaped(&name.modified);
    vec![escaped(&name.path).to_string(), format!("{size:>9}"), modified.to_string()]
}
