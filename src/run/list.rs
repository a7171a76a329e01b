//! `ward list`: the names in a vault that the caller may see.

use crate::client::Client;
use crate::command::ListArguments;
use crate::output::{Report, count, escaped, table, user};
use crate::secret_reference::{DEFAULT_VAULT, vault_name};
use crate::settings::Settings;
use crate::trouble::Trouble;
use ward_mountd::control::message::{Command, Maker, Name, Names};

/// Lists them.
pub(crate) fn run(
    arguments: &ListArguments,
    settings: &Settings,
) -> Result<Report<Names>, Trouble> {
    let vault = vault_name(arguments.vault.as_deref().unwrap_or(DEFAULT_VAULT))?;
    let command = Command::List { vault: vault.clone() };
    let mut client = Client::connect(settings)?;
    let names: Names = client.ask_unlocked(command, None, &vault, &arguments.unlock)?;
    let row = if arguments.long { long_row } else { row };
    let text = table(&names.names.iter().map(row).collect::<Vec<_>>());
    Ok(Report::new(names, text))
}

fn row(name: &Name) -> Vec<String> {
    let size = name.bytes.map_or_else(|| "-".to_owned(), |bytes| format!("{bytes} B"));
    let modified = escaped(&name.modified);
    let mut row = vec![escaped(&name.path).to_string(), format!("{size:>9}"), modified.to_string()];
    row.extend(end(name.expires.as_deref(), name.is_expired));
    row
}

fn long_row(name: &Name) -> Vec<String> {
    let mut row = row(name);
    if name.expires.is_none() {
        row.push("never expires".to_owned());
    }
    row.push(name.versions.map_or_else(|| "-".to_owned(), |number| count(number, "version")));
    row.push(name.made_by.as_ref().map_or_else(|| "-".to_owned(), made_by));
    row
}

/// When a secret ends, or has ended.
pub(crate) fn end(expires: Option<&str>, is_expired: bool) -> Option<String> {
    let word = if is_expired { "expired" } else { "expires" };
    expires.map(|time| format!("{word} {}", escaped(time)))
}

/// Who wrote it.
pub(crate) fn made_by(maker: &Maker) -> String {
    let agent = maker.agent.as_ref().map(|agent| format!(" as {}", escaped(agent)));
    let program = maker.program.as_ref().map(|program| format!(" by {}", escaped(program)));
    format!("{}{}{}", user(maker.uid), agent.unwrap_or_default(), program.unwrap_or_default())
}
