//! What `ward.toml` says of the helper `notify`.

use super::{NOTIFY, Notice, ResolveError, RunAs, Work};
use nix::unistd::Uid;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::process::Command;

/// Runs for each new request when nothing else is named.
const NOTIFY_SEND: &str = "/usr/bin/notify-send";

/// The table `[notify]`: who is told of new requests, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Notify {
    /// The program; `notify-send` when absent.
    pub(crate) program: Option<PathBuf>,
    /// The user it runs as.
    pub(crate) user: String,
}

impl Notify {
    pub(crate) fn resolve(&self) -> Result<RunAs, ResolveError> {
        let table = format!("[{NOTIFY}]");
        if let Some(program) = self.program.as_ref().filter(|program| !program.is_absolute()) {
            return Err(ResolveError::Relative(table, program.clone()));
        }
        RunAs::resolve(&table, &self.user, Work::Notify { program: self.program.clone() })
    }
}

/// The program and its arguments for a notice; the variables that it needs.
pub(super) fn command(program: Option<PathBuf>, notice: &Notice) -> Command {
    let Notice { request, vault, text } = notice;
    match program {
        Some(program) => {
            let mut command = Command::new(program);
            command.args([request, vault, text]).env_clear();
            command
        }
        None => {
            let mut command = Command::new(NOTIFY_SEND);
            let bus = format!("unix:path=/run/user/{}/bus", Uid::effective());
            command.args(["--app-name=wardfs", "--", &format!("wardfs: {request}"), text]);
            command.env_clear().env("DBUS_SESSION_BUS_ADDRESS", bus);
            command
        }
    }
}
