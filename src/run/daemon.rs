//! `ward daemon`: starts, stops and looks at the daemon of the root.

use crate::client::Client;
use crate::command::StartArguments;
use crate::daemon_start::{become_daemon, detach};
use crate::output::{Report, escaped};
use crate::settings::Settings;
use crate::trouble::Trouble;
use nix::poll::{PollFd, PollFlags, poll};
use serde::Serialize;
use std::os::fd::{AsFd, OwnedFd};
use ward_mountd::control::message::{Command, Done, FailureCode};

/// How long a daemon may take to end, in milliseconds.
const PATIENCE: u16 = 30_000;

/// The daemon of a root, after the command.
#[derive(Debug, Serialize)]
pub(crate) struct DaemonState {
    /// The root.
    root: String,
    /// Whether it runs.
    running: bool,
    /// Its process number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    /// Whether the command changed anything.
    changed: bool,
}

/// Starts it, or becomes it.
pub(crate) fn start(
    arguments: &StartArguments,
    settings: &Settings,
) -> Result<Report<DaemonState>, Trouble> {
    if arguments.detached {
        detach()?;
    }
    if arguments.foreground {
        return Err(become_daemon(&settings.root));
    }
    let running = Client::running(settings)?;
    let changed = running.is_none();
    let client = running.map_or_else(|| Client::connect(settings), Ok)?;
    let pid = client.daemon()?;
    let text = if changed { "started" } else { "already runs" };
    Ok(report(settings, Some(pid), changed, &format!("{text}, pid {pid}")))
}

/// Ends it and every mount.
pub(crate) fn stop(settings: &Settings) -> Result<Report<DaemonState>, Trouble> {
    let Some(mut client) = Client::running(settings)? else {
        return Ok(report(settings, None, false, "does not run"));
    };
    let process = client.process()?;
    let Done {} = client.ask_promptly(Command::DaemonStop {})?;
    wait_for_end(&process)?;
    Ok(report(settings, None, true, "stopped"))
}

/// Says whether it runs.
pub(crate) fn status(settings: &Settings) -> Result<Report<DaemonState>, Trouble> {
    let Some(client) = Client::running(settings)? else {
        let message = format!("no daemon runs for {}", settings.root.display());
        return Err(Trouble::unreachable(message)
            .next(format!("start it with {} daemon start", settings.program)));
    };
    let pid = client.daemon()?;
    Ok(report(settings, Some(pid), false, &format!("runs, pid {pid}")))
}

/// Busy mounts and stuck invalidations have deadlines of their own, well below this one.
fn wait_for_end(process: &OwnedFd) -> Result<(), Trouble> {
    let mut sources = [PollFd::new(process.as_fd(), PollFlags::POLLIN)];
    match poll(&mut sources, PATIENCE) {
        Ok(0) => {
            Err(Trouble::new(FailureCode::Failed, "the daemon was told to stop and still runs")
                .next("look again in a moment: ward daemon status"))
        }
        Ok(_) => Ok(()),
        Err(errno) => {
            Err(Trouble::new(FailureCode::Failed, format!("cannot wait for the daemon: {errno}")))
        }
    }
}

fn report(
    settings: &Settings,
    pid: Option<u32>,
    changed: bool,
    words: &str,
) -> Report<DaemonState> {
    let root = settings.root.display().to_string();
    let text = format!("the daemon of {} {words}\n", escaped(&root));
    Report::new(DaemonState { root, running: pid.is_some(), pid, changed }, text)
}
