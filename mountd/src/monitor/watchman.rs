//! The watchman: ends the mounts of a monitor that was killed, and does nothing else.
//!
//! When the core is gone, the monitor ends them. When the monitor is gone, nobody is left who may:
//! the core has no privilege. So the monitor starts this program once more; the pipe between them
//! closes however the monitor ends.

use super::mounting::clean_up;
use std::io::{self, PipeWriter, Read};
use std::process::{Child, Command, Stdio};

/// A watchman, seen from the monitor.
#[derive(Debug)]
pub(super) struct Watchman {
    process: Child,
    alive: PipeWriter,
}

impl Watchman {
    /// Starts one for the mounts of `instance`.
    pub(super) fn start(instance: &str) -> io::Result<Self> {
        let (end, alive) = io::pipe()?;
        let process = Command::new("/proc/self/exe")
            .args(["watchman", instance])
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(end))
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Self { process, alive })
    }

    /// Lets it go, once there is nothing left to watch.
    pub(super) fn dismiss(self) {
        let Self { mut process, alive } = self;
        drop(alive);
        // However it ended, it has ended.
        let _status = process.wait();
    }
}

/// Waits until the monitor at the other end of standard input is gone; then ends the mounts of
/// `instance`.
pub(crate) fn keep_watch(instance: &str) -> io::Result<()> {
    io::stdin().read_to_end(&mut Vec::new())?;
    clean_up(instance);
    Ok(())
}
