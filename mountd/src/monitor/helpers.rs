//! Helpers are started here, as the user who was named when the monitor started.

use super::message::{MonitorError, MonitorFault};
use crate::helper::RunAs;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// Starts the helper `notify`; gives the socket on which it takes notices.
pub(super) fn start_notify(notify: Option<&RunAs>) -> Result<OwnedFd, MonitorError> {
    let notify = notify.ok_or_else(|| fault("none is configured"))?;
    start("notify", notify).map_err(|error| fault(&error.to_string()))
}

/// Closing the socket ends it.
fn start(name: &str, run_as: &RunAs) -> io::Result<OwnedFd> {
    let pair = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC);
    let (ours, theirs) = pair?;
    let mut command = Command::new("/proc/self/exe");
    command
        .arg(name)
        .args(&run_as.program)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(theirs))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if rustix::process::geteuid().is_root() {
        // Also gives up every supplementary group.
        command.uid(run_as.uid).gid(run_as.gid);
    }
    let mut process = command.spawn()?;
    std::thread::Builder::new().name(name.to_owned()).spawn(move || process.wait())?;
    Ok(ours)
}

fn fault(why: &str) -> MonitorError {
    MonitorError {
        fault: MonitorFault::Machine,
        message: format!("the helper cannot be started: {why}"),
        next: "see [notify] in ward.toml of the root".to_owned(),
    }
}
