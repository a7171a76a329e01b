//! `ward whoami`: what the daemon attests about this very process.

use crate::client::Client;
use crate::output::Report;
use crate::settings::Settings;
use crate::trouble::Trouble;
use ward_mountd::control::message::{Command, Whoami};

/// Shows it.
pub(crate) fn run(settings: &Settings) -> Result<Report<Whoami>, Trouble> {
    let whoami: Whoami = Client::connect(settings)?.ask(Command::Whoami {})?;
    let text = whoami.to_string();
    Ok(Report::new(whoami, text))
}
