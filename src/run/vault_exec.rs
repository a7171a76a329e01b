//! `ward vault exec`: a command with a vault mounted. The mount that is there serves, and stays; one
//! that was made for it ends with the last command that uses it, however that ends: the daemon
//! watches the connection.

use crate::agent_command::not_started;
use crate::agent_tree::{failed, follow};
use crate::client::Client;
use crate::command::{ExecArguments, MountArguments};
use crate::exit_code::ExitCode;
use crate::private_mount::SharedMount;
use crate::run::vault_mount::mount;
use crate::settings::Settings;
use crate::trouble::Trouble;
use nix::errno::Errno;
use nix::unistd::Pid;
use std::process;
use ward_mountd::control::message::{Command, Done, MountState, Purpose};

/// Where the command finds the mount.
const VARIABLE: &str = "WARD_MOUNT";

/// Runs it to its end.
pub(crate) fn run(arguments: &ExecArguments, settings: &Settings) -> Result<ExitCode, Trouble> {
    with_mount(&arguments.mount, settings, |state| run_in(state, arguments))
}

/// Does something while a vault is mounted, which the caller can see.
pub(super) fn with_mount(
    arguments: &MountArguments,
    settings: &Settings,
    work: impl FnOnce(&MountState) -> Result<ExitCode, Trouble>,
) -> Result<ExitCode, Trouble> {
    // The connection is what the daemon holds the mount by: it stays open until the command ended.
    let (state, _connection) = mount(arguments, Purpose::Exec, settings)?;
    let shared = SharedMount { vault: state.vault.clone(), path: state.path.clone().into() };
    let ended = shared.open().and_then(|_is_there| work(&state));
    let left = leave(state, settings);
    let code = ended?;
    left?;
    Ok(code)
}

fn run_in(state: &MountState, arguments: &ExecArguments) -> Result<ExitCode, Trouble> {
    let (program, words) = arguments.command.split_first().ok_or_else(|| failed(Errno::EINVAL))?;
    let mut command = process::Command::new(program);
    command.args(words).env(VARIABLE, &state.path);
    let child = command.spawn().map_err(|error| not_started(program, &error))?;
    let number = i32::try_from(child.id()).map_err(|_| failed(Errno::ESRCH))?;
    follow(Pid::from_raw(number))
}

/// Comes back when the mount is gone, if nobody else uses it.
fn leave(state: MountState, settings: &Settings) -> Result<(), Trouble> {
    let (Some(hold), Some(mut client)) = (state.hold, Client::running(settings)?) else {
        return Ok(());
    };
    match client.ask(Command::VaultLeave { vault: state.vault, hold }) {
        Ok(Done {}) => Ok(()),
        // It ended meanwhile, by its time or by somebody's command.
        Err(trouble) if trouble.exit == ExitCode::NotFound => Ok(()),
        Err(trouble) => Err(trouble),
    }
}
