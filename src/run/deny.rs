//! `ward deny`: a human's no to one request.

use crate::client::Client;
use crate::command::DenyArguments;
use crate::output::{Report, escaped};
use crate::settings::Settings;
use crate::trouble::Trouble;
use ward_mountd::control::message::{Command, Done};

/// Says no.
pub(crate) fn run(arguments: DenyArguments, settings: &Settings) -> Result<Report<Done>, Trouble> {
    let text = format!("denied {}\n", escaped(&arguments.request));
    let command = Command::Deny { request: arguments.request, reason: arguments.reason };
    Ok(Report::new(Client::connect(settings)?.ask(command)?, text))
}
