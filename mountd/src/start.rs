//! What a daemon needs before it can serve: the lock of its root, and its socket.

use crate::policy_in_force::LoadPolicyError;
use crate::root::{LOCK, Layout, PINS, Root, SOCKET};
use crate::settings::{Settings, SettingsError};
use crate::shipping::SinkError;
use crate::signer::SignerSettingsError;
use nix::fcntl::{Flock, FlockArg};
use rustix::fs::{
    AtFlags, Gid, Mode, OFlags, chmodat, chownat, fsync, ftruncate, mkdirat, openat, unlinkat,
};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;

/// Why a daemon does not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// There is no such directory.
    #[error("cannot open the root {0} ({1}); make one: ward init")]
    Root(PathBuf, #[source] io::Error),
    /// The directory is no root.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A helper cannot be run as it is configured.
    #[error("{0}/ward.toml: {1}")]
    Helper(PathBuf, #[source] SinkError),
    /// The group of the socket is unknown.
    #[error("{0}/ward.toml: [socket] names the group {1:?}, whom this machine does not know")]
    NoGroup(PathBuf, String),
    /// The service manager listens elsewhere.
    #[error(
        "the service manager hands over something else than the control socket of {0}; in its unit: \
         ListenStream={0}/control.sock"
    )]
    NotOurSocket(PathBuf),
    /// What signs for the log cannot be used as it is configured.
    #[error("{0}/ward.toml: {1}")]
    Signer(PathBuf, #[source] SignerSettingsError),
    /// Another daemon serves this root.
    #[error(
        "a daemon serves this root already, as process {0}; use it, or stop it: ward daemon stop"
    )]
    AlreadyRuns(String),
    /// The policy does not load.
    #[error(transparent)]
    Policy(#[from] LoadPolicyError),
    /// The log cannot be opened.
    #[error("the log cannot be opened: {0}")]
    Log(String),
    /// Without privileges, we cannot go where it lies.
    #[error(
        "the daemon cannot reach the root {0} once it has given up its privileges: a directory above is closed to it; move the root to where its owner may go, such as /var/lib"
    )]
    Unreachable(PathBuf),
    /// The kernel lacks what every open takes.
    #[error(
        "this kernel is older than Linux 6.9, and cannot tell the threads of callers apart: take a newer one; \
         Debian 12 has one in backports"
    )]
    OldKernel,
    /// The machine refuses something.
    #[error("the machine refuses {0} ({1})")]
    Machine(&'static str, #[source] io::Error),
}

/// The table `[socket]`: who may connect.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SocketSettings {
    /// A group, in place of everybody in a system root, and beside the owner in a private one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) group: Option<String>,
}

/// The lock of a root, held for as long as the daemon lives.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: Flock<File>,
}

impl Lock {
    /// Takes the lock and writes our process number into it.
    pub(crate) fn take(root: &Root) -> Result<Self, StartError> {
        let machine = |error: io::Error| StartError::Machine("the lock of the root", error);
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(root, LOCK, flags, Mode::RUSR | Mode::WUSR);
        let file = File::from(file.map_err(|errno| machine(errno.into()))?);
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(mut file) => {
                ftruncate(&*file, 0).map_err(|errno| machine(errno.into()))?;
                write!(file, "{}", std::process::id()).map_err(machine)?;
                Ok(Self { _file: file })
            }
            Err((mut file, nix::errno::Errno::EWOULDBLOCK)) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder).map_err(machine)?;
                Err(StartError::AlreadyRuns(holder))
            }
            Err((_, errno)) => Err(machine(errno.into())),
        }
    }
}

/// Makes what an older root has not.
pub(crate) fn complete(root: &Root) -> Result<(), StartError> {
    let machine =
        |errno: rustix::io::Errno| StartError::Machine("the folder of pins", errno.into());
    match mkdirat(root, PINS, Mode::RWXU) {
        Ok(()) => {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            fsync(openat(root, ".", flags, Mode::empty()).map_err(machine)?).map_err(machine)
        }
        Err(rustix::io::Errno::EXIST) => Ok(()),
        Err(errno) => Err(machine(errno)),
    }
}

/// The control socket: that of the service manager where it listens for us, or one of our own.
pub(crate) fn listen(
    root: &Arc<Root>,
    settings: &Settings,
    inherited: Option<UnixListener>,
) -> Result<(UnixListener, Bound), StartError> {
    let (listener, bound) = match inherited {
        Some(listener) => (listener, Bound(None)),
        None => (bind(root, settings)?, Bound(Some(Arc::clone(root)))),
    };
    // Every message then carries who sent it, as the kernel knows it (unix(7)).
    nix::sys::socket::setsockopt(&listener, nix::sys::socket::sockopt::PassCred, &true)
        .map_err(|errno| StartError::Machine("the control socket", errno.into()))?;
    Ok((listener, bound))
}

/// Binds the control socket through a descriptor of the root; the length of its path is no matter.
///
/// Open to all in a system root: attestation and policy decide; or to a group, where one is named.
/// The lock is ours, so a socket that is there belongs to a daemon that died.
fn bind(root: &Root, settings: &Settings) -> Result<UnixListener, StartError> {
    let group = settings.socket.group.as_ref().map(|name| group_of(root, name)).transpose()?;
    let machine = |error: io::Error| StartError::Machine("the control socket", error);
    match unlinkat(root, SOCKET, AtFlags::empty()) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => {}
        Err(errno) => return Err(machine(errno.into())),
    }
    let directory = rustix::fd::AsFd::as_fd(root).as_raw_fd();
    let listener = UnixListener::bind(format!("/proc/self/fd/{directory}/{SOCKET}"));
    let listener = listener.map_err(machine)?;
    let mode = match (group, settings.layout) {
        (Some(_), _) => Mode::from_raw_mode(0o660),
        (None, Layout::Private) => Mode::RUSR | Mode::WUSR,
        (None, Layout::System) => Mode::from_raw_mode(0o666),
    };
    if group.is_some() {
        chownat(root, SOCKET, None, group, AtFlags::empty())
            .map_err(|errno| machine(errno.into()))?;
    }
    chmodat(root, SOCKET, mode, AtFlags::empty()).map_err(|errno| machine(errno.into()))?;
    Ok(listener)
}

fn group_of(root: &Root, name: &str) -> Result<Gid, StartError> {
    let group = nix::unistd::Group::from_name(name).ok().flatten();
    let unknown = || StartError::NoGroup(root.path().to_owned(), name.to_owned());
    group.map(|group| Gid::from_raw(group.gid.as_raw())).ok_or_else(unknown)
}

/// A socket that is ours to remove, and goes when this does. One that stays is removed by the next
/// daemon.
#[derive(Debug)]
pub(crate) struct Bound(Option<Arc<Root>>);

impl Drop for Bound {
    fn drop(&mut self) {
        if let Some(root) = self.0.take() {
            let _stays_behind = unlinkat(&*root, SOCKET, AtFlags::empty());
        }
    }
}

/// What tells whoever started us that we can be reached.
#[derive(Debug)]
pub(crate) struct Announcement {
    null: Option<OwnedFd>,
}

impl Announcement {
    /// Opens what is out of reach when the announcement is made.
    pub(crate) fn prepare() -> Self {
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        Self { null: rustix::fs::open("/dev/null", flags, Mode::empty()).ok() }
    }

    /// Says `ready`, and lets go of their standard output.
    pub(crate) fn make(self) {
        let mut output = io::stdout();
        // Whoever started us may not listen.
        let _nobody_listens = output.write_all(b"ready\n").and_then(|()| output.flush());
        if let Some(null) = self.null {
            let _stays_open = rustix::stdio::dup2_stdout(&null);
        }
    }
}
