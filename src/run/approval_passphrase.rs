//! `ward approval-passphrase`: sets the passphrase of the root with which one answers requests of one's
//! own uid, or changes it.

use crate::client::Client;
use crate::command::ApprovalPassphraseArguments;
use crate::output::Report;
use crate::passphrase;
use crate::settings::Settings;
use crate::trouble::Trouble;
use ward_mountd::control::message::{Command, Done, Passphrase};

/// Sets it.
pub(crate) fn run(
    arguments: &ApprovalPassphraseArguments,
    settings: &Settings,
) -> Result<Report<Done>, Trouble> {
    let mut client = Client::connect(settings)?;
    let old = match arguments.first {
        true => None,
        false => Some(passphrase::for_approval(arguments.passphrase_file.as_deref())?),
    };
    let new = passphrase::for_new_root(true, arguments.new_passphrase_file.as_deref())?;
    let wire = |text: &str| Passphrase(text.to_owned());
    let (old, new) = (old.map(|old| wire(&old)), wire(&new.unwrap_or_default()));
    let done: Done = client.ask(Command::ApprovalPassphrase { old, new })?;
    Ok(Report::new(done, "the approval passphrase is the new one\n".to_owned()))
}
