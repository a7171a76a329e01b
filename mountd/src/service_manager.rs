//! The service manager, where one started us: the socket that it listens on for us
//! (`sd_listen_fds(3)`), and that we are ready, what we do, and that we live (`sd_notify(3)`).

use crate::descriptor::inherited;
use crate::root::{Root, SOCKET};
use crate::start::StartError;
use nix::sys::socket::{getsockopt, sockopt};
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::sync::{Mutex, PoisonError};

/// The first descriptor that is handed over (`SD_LISTEN_FDS_START`).
const FIRST: i32 = 3;

/// Whoever wants to know how we are; nobody, where no service manager started us.
#[derive(Debug, Default)]
pub(crate) struct ServiceManager {
    socket: Option<UnixDatagram>,
    is_watching: bool,
    /// What it was told last. Guards that alone.
    status: Mutex<String>,
}

impl ServiceManager {
    /// Reads what it said by our environment, and reaches it while that can be done.
    pub(crate) fn of_environment() -> Self {
        let address = std::env::var_os("NOTIFY_SOCKET").and_then(|name| address_of(&name));
        let socket = address.and_then(|address| {
            let socket = UnixDatagram::unbound().ok()?;
            socket.connect_addr(&address).ok()?;
            socket.set_nonblocking(true).ok()?;
            Some(socket)
        });
        let for_another = std::env::var_os("WATCHDOG_PID").is_some() && !is_ours("WATCHDOG_PID");
        let is_watching = number_in("WATCHDOG_USEC").is_some() && !for_another;
        Self { socket, is_watching, status: Mutex::default() }
    }

    /// We can be reached.
    pub(crate) fn ready(&self) {
        self.tell("READY=1");
    }

    /// We end, which may take a moment.
    pub(crate) fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=ending every mount");
    }

    /// We live; and what we do, when that has changed.
    pub(crate) fn living(&self, status: impl FnOnce() -> String) {
        if self.socket.is_none() {
            return;
        }
        if self.is_watching {
            self.tell("WATCHDOG=1");
        }
        let mut told = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        let status = status();
        if *told != status {
            self.tell(&format!("STATUS={status}"));
            *told = status;
        }
    }

    fn tell(&self, message: &str) {
        if let Some(socket) = &self.socket {
            // A manager that does not listen notices by itself.
            let _not_listening = socket.send(message.as_bytes());
        }
    }
}

/// The control socket of `root`, when a service manager listens on it for us.
pub(crate) fn inherited_socket(root: &Root) -> Result<Option<UnixListener>, StartError> {
    if !is_ours("LISTEN_PID") {
        return Ok(None);
    }
    let machine =
        |error: io::Error| StartError::Machine("the socket of the service manager", error);
    if number_in("LISTEN_FDS") != Some(1) {
        return Err(StartError::NotOurSocket(root.path().to_owned()));
    }
    let socket = inherited(FIRST).map_err(machine)?;
    let is_listening = getsockopt(&socket, sockopt::AcceptConn).unwrap_or(false);
    let listener = UnixListener::from(socket);
    if !is_listening || !is_of(&listener, root) {
        return Err(StartError::NotOurSocket(root.path().to_owned()));
    }
    listener.set_nonblocking(false).map_err(machine)?;
    Ok(Some(listener))
}

/// Whether it is bound to the name that clients of `root` look for.
fn is_of(listener: &UnixListener, root: &Root) -> bool {
    let bound = listener.local_addr();
    let place = bound.ok().and_then(|address| address.as_pathname().map(ToOwned::to_owned));
    let identity = |path: &std::path::Path| {
        let found = std::fs::symlink_metadata(path).ok()?;
        Some((found.dev(), found.ino()))
    };
    place.is_some_and(|place| {
        let ours = identity(&root.join(SOCKET));
        ours.is_some() && identity(&place) == ours
    })
}

/// The address of a socket by its name: a path, or one without a place, which begins with `@`.
fn address_of(name: &OsStr) -> Option<SocketAddr> {
    match name.as_bytes() {
        [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest).ok(),
        [b'/', ..] => SocketAddr::from_pathname(name).ok(),
        _ => None,
    }
}

/// Whether the process that a variable names is this one.
fn is_ours(variable: &str) -> bool {
    number_in(variable) == Some(u64::from(std::process::id()))
}

fn number_in(variable: &str) -> Option<u64> {
    std::env::var_os(variable)?.to_str()?.parse().ok()
}
