//! `ward request`: asks a human ahead of an open.

use crate::client::Client;
use crate::command::RequestArguments;
use crate::output::{Report, escaped};
use crate::secret_reference::SecretReference;
use crate::settings::Settings;
use crate::trouble::Trouble;
use ward_mountd::control::message::{Command, Requested};
use ward_policy::Operation;

/// Asks.
pub(crate) fn run(
    arguments: RequestArguments,
    settings: &Settings,
) -> Result<Report<Requested>, Trouble> {
    let SecretReference { vault, path } = SecretReference::parse(&arguments.name)?;
    let mut operations = vec![Operation::FileRead.name().to_owned()];
    if arguments.write {
        operations.push(Operation::FileWrite.name().to_owned());
    }
    let RequestArguments { reason, ticket, .. } = arguments;
    let command = Command::Request { vault, path, operations, reason, ticket };
    let requested: Requested = Client::connect(settings)?.ask(command)?;
    let text = format!(
        "asked: {}, waits until {}\n",
        escaped(&requested.request),
        escaped(&requested.expires)
    );
    Ok(Report::new(requested, text))
}
