//! `ward vault extend`: has a mount end later.

use crate::client::Client;
use crate::command::ExtendArguments;
use crate::output::{Report, escaped, time};
use crate::run::vault_mount::lifetime;
use crate::secret_reference::vault_name;
use crate::settings::Settings;
use crate::trouble::Trouble;
use ward_mountd::control::message::{Command, MountState};

/// Extends it.
pub(crate) fn run(
    arguments: &ExtendArguments,
    settings: &Settings,
) -> Result<Report<MountState>, Trouble> {
    let vault = vault_name(&arguments.vault)?;
    let command = Command::VaultExtend { vault, ttl: lifetime(&arguments.ttl)? };
    let state: MountState = Client::connect(settings)?.ask(command)?;
    let left = time(state.ends_in);
    let text = format!("{} ends in {left}, at {}\n", escaped(&state.vault), escaped(&state.ends));
    Ok(Report::new(state, text))
}
