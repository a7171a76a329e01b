//! `ward audit rotate-key` and `ward audit compromise`: what signs the log, and what is not believed.

use crate::client::Client;
use crate::command::CompromiseArguments;
use crate::output::{Report, escaped};
use crate::settings::Settings;
use crate::trouble::Trouble;
use ward_mountd::control::message::{Command, SignerDistrusted, SignerRotated};

/// Has the next key sign.
pub(crate) fn rotate(settings: &Settings) -> Result<Report<SignerRotated>, Trouble> {
    let rotated: SignerRotated = Client::connect(settings)?.ask(Command::AuditRotateKey {})?;
    let SignerRotated { from, to } = &rotated;
    let text = format!("{} signs the log from now on, after {}\n", escaped(to), escaped(from));
    Ok(Report::new(rotated, text))
}

/// Says that a key was stolen.
pub(crate) fn compromise(
    arguments: CompromiseArguments,
    settings: &Settings,
) -> Result<Report<SignerDistrusted>, Trouble> {
    let CompromiseArguments { kid, since } = arguments;
    let command = Command::AuditCompromise { kid, since };
    let said: SignerDistrusted = Client::connect(settings)?.ask(command)?;
    let stands = match said.distrusted.first() {
        None => "nothing in the log stands on it since then".to_owned(),
        Some(it) => format!(
            "{} of the log's entries stand on it, from {} to {}; see ward audit verify",
            it.count, it.first, it.last
        ),
    };
    let text = format!(
        "what {} signed is not believed since {}: {stands}\n",
        escaped(&said.kid),
        escaped(&said.since)
    );
    Ok(Report::new(said, text))
}
