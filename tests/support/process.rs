//! Processes of the daemon.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Sends a signal.
pub(crate) fn send(pid: u32, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), signal).unwrap();
}

/// The one child of a process: the monitor of a core, the watchman of a monitor.
pub(crate) fn child_of(process: u32) -> u32 {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let children = tasks.map(|task| task.unwrap().path().join("children"));
    let found = children.map(|path| std::fs::read_to_string(path).unwrap_or_default());
    let found: String = found.collect();
    found.trim().parse().unwrap()
}
