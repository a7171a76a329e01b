//! What `ward.toml` says of helpers.

use nix::unistd::{Uid, User};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

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

/// A helper as the monitor was told to run it, before anybody could ask it to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RunAs {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// The program it runs; `None` is `notify-send`.
    pub(crate) program: Option<PathBuf>,
}

/// Why a helper cannot be run as it is configured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResolveError {
    #[error("[notify] names the user {0:?}, whom this machine does not know")]
    NoUser(String),
    #[error("[notify] names root; a helper runs as an ordinary user")]
    Root,
    #[error(
        "[notify] names the user {0:?}; only a daemon of root can run a helper as another user"
    )]
    AnotherUser(String),
    #[error("[notify] names the program {0}, which is no absolute path")]
    Program(PathBuf),
}

impl Notify {
    /// Looks the user up, while that can be done.
    pub(crate) fn resolve(&self) -> Result<RunAs, ResolveError> {
        let user = User::from_name(&self.user).ok().flatten();
        let user = user.ok_or_else(|| ResolveError::NoUser(self.user.clone()))?;
        let ours = Uid::effective();
        if user.uid.is_root() && ours.is_root() {
            return Err(ResolveError::Root);
        }
        if !ours.is_root() && user.uid != ours {
            return Err(ResolveError::AnotherUser(self.user.clone()));
        }
        if let Some(program) = self.program.as_ref().filter(|program| !program.is_absolute()) {
            return Err(ResolveError::Program(program.clone()));
        }
        let (uid, gid) = (user.uid.as_raw(), user.gid.as_raw());
        Ok(RunAs { uid, gid, program: self.program.clone() })
    }
}

impl RunAs {
    /// As arguments of the monitor.
    pub(crate) fn arguments(&self) -> Vec<std::ffi::OsString> {
        let numbers = [self.uid.to_string(), self.gid.to_string()];
        let program = self.program.iter().map(|program| program.clone().into_os_string());
        numbers.into_iter().map(Into::into).chain(program).collect()
    }

    /// Reads [`Self::arguments`].
    pub(crate) fn parse(arguments: &[std::ffi::OsString]) -> Option<Self> {
        let number = |place: usize| arguments.get(place)?.to_str()?.parse().ok();
        let program = arguments.get(2).map(PathBuf::from);
        Some(Self { uid: number(0)?, gid: number(1)?, program })
    }
}

/// The program and its arguments for a notice; the variables that it needs.
pub(super) fn command(program: Option<PathBuf>, notice: &super::Notice) -> std::process::Command {
    let super::Notice { request, vault, text } = notice;
    match program {
        Some(program) => {
            let mut command = std::process::Command::new(program);
            command.args([request, vault, text]).env_clear();
            command
        }
        None => {
            let mut command = std::process::Command::new(NOTIFY_SEND);
            let bus = format!("unix:path=/run/user/{}/bus", Uid::effective());
            command.args(["--app-name=wardfs", "--", &format!("wardfs: {request}"), text]);
            command.env_clear().env("DBUS_SESSION_BUS_ADDRESS", bus);
            command
        }
    }
}
