//! `ward approve`: a human's yes to one request.

use crate::client::Client;
use crate::command::ApproveArguments;
use crate::output::{Report, escaped};
use crate::settings::Settings;
use crate::trouble::Trouble;
use ward_mountd::control::message::{Command, Done};

/// Says yes.
pub(crate) fn run(
    arguments: ApproveArguments,
    settings: &Settings,
) -> Result<Report<Done>, Trouble> {
    let text = format!("approved {}\n", escaped(&arguments.request));
    let command = Command::Approve { request: arguments.request };
    Ok(Report::new(Client::connect(settings)?.ask(command)?, text))
}
