//! Starting the daemon of a root: who may, which program, and what it inherits, which is nothing.

use crate::client::{connected, no_root};
use crate::output;
use crate::trouble::Trouble;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{Uid, close, setsid};
use std::io::{self, Read};
use std::os::fd::{AsFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use ward_mountd::control::Connection;

/// The program of the daemon, beside ours.
const PROGRAM: &str = "ward-mountd";
/// What it prints when its socket is there.
const READY: &[u8] = b"ready\n";
/// What a daemon complains about when another one was faster.
const ANOTHER: &str = "serves this root already";
/// How long to wait for a daemon, ours or the one that was faster, in milliseconds.
const PATIENCE: u64 = 10_000;
/// How often to look for the socket of a faster one, in milliseconds.
const PAUSE: u8 = 10;

/// Starts the daemon of `root` and connects to it. Of several at once one wins; the others connect
/// to it, too.
pub(crate) fn start(root: &Path) -> Result<Connection, Trouble> {
    check_owner(root)?;
    let end = now().saturating_add(PATIENCE);
    let complaint = match spawn(root).and_then(|child| wait_until_ready(child, end)) {
        Ok(complaint) => complaint,
        Err(error) => return Err(cannot(root, &error).next("run ward daemon start --foreground")),
    };
    loop {
        if let Some(connection) = connected(root)? {
            return Ok(connection);
        }
        let lost_the_race = complaint.contains(ANOTHER);
        if !lost_the_race || now() >= end {
            return Err(cannot(root, complaint.trim()));
        }
        // The faster one may still read its log; nobody tells us when its socket is there.
        pause().map_err(|error| cannot(root, error))?;
    }
}

/// Becomes the daemon of `root`; comes back only in trouble.
pub(crate) fn become_daemon(root: &Path) -> Trouble {
    match sibling() {
        Ok(program) => {
            let error = Command::new(&program).arg("--root").arg(root).exec();
            cannot(root, format!("{}: {error}", program.display()))
        }
        Err(error) => cannot(root, error),
    }
}

/// Leaves the session and closes every descriptor but the first three.
pub(crate) fn detach() -> Result<(), Trouble> {
    let trouble = |error: io::Error| Trouble::unreachable(format!("cannot detach: {error}"));
    setsid().map_err(|errno| trouble(errno.into()))?;
    let mut inherited: Vec<RawFd> = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd").map_err(trouble)? {
        let name = entry.map_err(trouble)?.file_name();
        inherited.extend(name.to_str().and_then(|name| name.parse::<RawFd>().ok()));
    }
    // The listing's own descriptor is among them and closed already.
    for number in inherited.into_iter().filter(|number| *number > 2) {
        let _closed = close(number);
    }
    Ok(())
}

/// Only the owner of the root may start its daemon: it runs with the rights of whoever does.
fn check_owner(root: &Path) -> Result<(), Trouble> {
    let owner = std::fs::metadata(root).map_err(|error| no_root(root, &error))?.uid();
    if owner == Uid::effective().as_raw() {
        return Ok(());
    }
    let shown = root.display();
    let owner = output::user(owner);
    Err(Trouble::unreachable(format!("no daemon runs for {shown}, and only {owner} may start it"))
        .next(format!("as {owner}: ward --root {shown} daemon start")))
}

/// Our own program, which detaches and then becomes the daemon. The paths come from the kernel.
fn spawn(root: &Path) -> io::Result<Child> {
    Command::new("/proc/self/exe")
        .arg("--root")
        .arg(root)
        .args(["daemon", "start", "--foreground", "--detached"])
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
}

/// Waits until the daemon is ready or has ended; gives what it complained about.
fn wait_until_ready(mut child: Child, end: u64) -> io::Result<String> {
    let mut output = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let mut said = Vec::new();
    loop {
        let left = u16::try_from(end.saturating_sub(now())).unwrap_or(u16::MAX);
        let mut sources = [PollFd::new(output.as_fd(), PollFlags::POLLIN)];
        if poll(&mut sources, PollTimeout::from(left))? == 0 {
            child.kill()?;
            child.wait()?;
            return Err(io::Error::other(format!("not ready after {} s", PATIENCE / 1000)));
        }
        let mut chunk = [0; 64];
        let count = output.read(&mut chunk)?;
        said.extend_from_slice(chunk.get(..count).unwrap_or_default());
        if said.ends_with(READY) {
            return Ok(String::new());
        }
        if count == 0 {
            break;
        }
    }
    let ended = child.wait_with_output()?;
    let complaint = String::from_utf8_lossy(&ended.stderr).into_owned();
    Ok(if complaint.is_empty() { ended.status.to_string() } else { complaint })
}

/// The daemon's program, beside the file that we really are.
fn sibling() -> io::Result<PathBuf> {
    Ok(std::fs::read_link("/proc/self/exe")?.with_file_name(PROGRAM))
}

fn cannot(root: &Path, reason: impl std::fmt::Display) -> Trouble {
    Trouble::unreachable(format!("cannot start the daemon of {}: {reason}", root.display()))
}

fn pause() -> io::Result<()> {
    poll(&mut [], PollTimeout::from(PAUSE))?;
    Ok(())
}

/// Milliseconds since boot.
fn now() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_BOOTTIME);
    time.map_or(u64::MAX, |time| {
        let seconds = u64::try_from(time.tv_sec()).unwrap_or(u64::MAX);
        let milliseconds = u64::try_from(time.tv_nsec() / 1_000_000).unwrap_or_default();
        seconds.saturating_mul(1000).saturating_add(milliseconds)
    })
}
