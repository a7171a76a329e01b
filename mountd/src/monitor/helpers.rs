//! Helpers are started here, as the user who was named when the monitor started.

use super::message::{MonitorError, MonitorFault, send};
use crate::helper::{Helpers, RunAs};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// Starts the helper `name`; gives the socket that joins it to the core. Closing that ends it.
pub(super) fn start_helper(helpers: &Helpers, name: &str) -> Result<OwnedFd, MonitorError> {
    let helper = helpers.get(name).ok_or_else(|| fault(name, "none is configured"))?;
    start(name, helper).map_err(|error| fault(name, &error.to_string()))
}

fn start(name: &str, run_as: &RunAs) -> io::Result<OwnedFd> {
    let pair = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC);
    let (ours, theirs) = pair?;
    let mut command = Command::new("/proc/self/exe");
    command
        .args(["helper", name])
        .env_clear()
        .envs(&run_as.environment)
        .current_dir("/")
        .stdin(Stdio::from(theirs))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if rustix::process::geteuid().is_root() {
        // Also gives up every supplementary group.
        command.uid(run_as.uid).gid(run_as.gid);
    }
    // What it is for is said here, so that the core cannot say it.
    send(ours.as_fd(), &run_as.work, &[])?;
    let mut process = command.spawn()?;
    std::thread::Builder::new().name(name.to_owned()).spawn(move || process.wait())?;
    Ok(ours)
}

fn fault(name: &str, why: &str) -> MonitorError {
    MonitorError {
        fault: MonitorFault::Machine,
        message: format!("the helper {name} cannot be started: {why}"),
        next: "see ward.toml of the root".to_owned(),
    }
}
