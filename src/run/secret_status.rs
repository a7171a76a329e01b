//! `ward status NAME`: how a secret stands for who asks.

use super::list::{end, made_by};
use crate::client::Client;
use crate::command::UnlockArguments;
use crate::output::{Report, count, escaped, table, time};
use crate::run::secret_grant;
use crate::secret_reference::SecretReference;
use crate::settings::Settings;
use crate::trouble::Trouble;
use ward_mountd::control::message::{Command, SecretState};

/// Shows it.
pub(crate) fn run(
    name: &str,
    unlock: &UnlockArguments,
    settings: &Settings,
) -> Result<Report<SecretState>, Trouble> {
    let SecretReference { vault, path } = SecretReference::parse(name)?;
    let command = Command::SecretStatus { vault: vault.clone(), path };
    let mut client = Client::connect(settings)?;
    let state: SecretState = client.ask_unlocked(command, None, &vault, unlock)?;
    let text = show(&state);
    Ok(Report::new(state, text))
}

fn show(state: &SecretState) -> String {
    let row = |label: &str, words: String| vec![label.to_owned(), words];
    let by = state.made_by.as_ref().map(|maker| format!(" by {}", made_by(maker)));
    let is_expired = state.state == "expired";
    let mut rows = vec![
        row("secret", format!("{}:{}", escaped(&state.vault), escaped(&state.path))),
        row("state", escaped(&state.state).to_string()),
        row("made", escaped(&state.made).to_string()),
        row("set", format!("{}{}", escaped(&state.modified), by.unwrap_or_default())),
        row("end", end(state.expires.as_deref(), is_expired).unwrap_or_else(|| "never".into())),
    ];
    rows.extend(state.versions.map(|it| row("kept", count(it, "version"))));
    let last = state.last_read.as_ref();
    let last = last.map(|it| format!(", last {} by {}", escaped(&it.at), made_by(&it.by)));
    let last = last.unwrap_or_default();
    rows.extend(state.reads.map(|it| row("opened", format!("{}{last}", count(it, "time")))));
    if let Some(request) = &state.request {
        let words = request.reason.as_deref().map(|words| format!(": {}", escaped(words)));
        let words = words.unwrap_or_default();
        let (id, state) = (escaped(&request.request), escaped(&request.state));
        rows.push(row("request", format!("{id} {state}{words}")));
    }
    if let Some(lease) = &state.lease {
        let (id, left) = (escaped(&lease.lease), time(lease.ends_in));
        rows.push(row("lease", format!("{id}, {left} left")));
    }
    let grants = state.grants.iter().map(secret_grant::row);
    rows.extend(grants.map(|grant| row("grant", grant.join(" ").trim_end().to_owned())));
    table(&rows)
}
