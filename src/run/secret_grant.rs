//! `ward secrets grant`: lets a client of the policy read a secret.

use super::set::ttl;
use crate::client::Client;
use crate::command::SecretGrantArguments;
use crate::output::{Report, escaped, user};
use crate::secret_reference::SecretReference;
use crate::settings::Settings;
use crate::trouble::Trouble;
use ward_mountd::control::message::{Command, GrantState, Lifetime};

/// Grants it.
pub(crate) fn run(
    arguments: SecretGrantArguments,
    settings: &Settings,
) -> Result<Report<GrantState>, Trouble> {
    let SecretReference { vault, path } = SecretReference::parse(&arguments.name)?;
    let seconds = match ttl(&arguments.ttl)? {
        Lifetime::Never => None,
        Lifetime::Seconds(seconds) => Some(seconds),
    };
    let command =
        Command::SecretGrant { vault: vault.clone(), path, client: arguments.to, seconds };
    let mut client = Client::connect(settings)?;
    let grant: GrantState = client.ask_unlocked(command, None, &vault, &arguments.unlock)?;
    let text = format!(
        "{} may read {}:{}{}\ntake it back: {} grants revoke {}\n",
        escaped(&grant.client),
        escaped(&grant.vault),
        escaped(&grant.path),
        end(&grant),
        settings.program,
        escaped(&grant.grant)
    );
    Ok(Report::new(grant, text))
}

/// A grant in a row.
pub(crate) fn row(grant: &GrantState) -> Vec<String> {
    vec![
        escaped(&grant.grant).to_string(),
        format!("{}:{}", escaped(&grant.vault), escaped(&grant.path)),
        "file.read".to_owned(),
        format!("for the client {}", escaped(&grant.client)),
        format!("by {}{}", user(grant.given_by), end(grant)),
        String::new(),
    ]
}

fn end(grant: &GrantState) -> String {
    let end = grant.ends.as_deref().map(|end| format!(" until {}", escaped(end)));
    end.unwrap_or_default()
}
