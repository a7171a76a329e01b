//! `ward audit head`: the newest head of the log, to be kept elsewhere.

use crate::client::Client;
use crate::command::AuditHeadArguments;
use crate::output::Report;
use crate::settings::Settings;
use crate::trouble::Trouble;
use std::io;
use ward_mountd::control::message::{AuditHead, Command, FailureCode};
use ward_mountd::root::AUDIT;

/// Shows it, or the key that signed it.
pub(crate) fn run(
    arguments: &AuditHeadArguments,
    settings: &Settings,
) -> Result<Report<AuditHead>, Trouble> {
    let head = read(settings)?;
    let text = if arguments.key { format!("{}\n", head.key) } else { head.head.clone() };
    Ok(Report::new(head, text))
}

/// Reads it ourselves, or asks the daemon when we may not.
pub(super) fn read(settings: &Settings) -> Result<AuditHead, Trouble> {
    match AuditHead::read(&settings.root.join(AUDIT)) {
        Ok(head) => Ok(head),
        Err(error) if error.kind() == Some(io::ErrorKind::PermissionDenied) => {
            Client::connect(settings)?.ask(Command::AuditHead {})
        }
        Err(error) => Err(Trouble::new(FailureCode::from(&error), error)),
    }
}
