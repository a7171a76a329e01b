//! Helpers: a third kind of process, for what neither core nor monitor should do: to run foreign
//! programs and to speak to other machines. The monitor starts them, from a fixed list; they run as
//! a configured user, with no privilege, and are joined to the core by one socket. None ever sees a
//! value.

#[cfg_attr(not(test), expect(dead_code, reason = "helpers that use it are being added"))]
pub(crate) mod http;
mod notify;
mod run_as;
mod settings;

pub(crate) use notify::{NOTIFY, Notice, Notifier};
pub(crate) use run_as::{Helpers, ResolveError, RunAs, Work};
pub(crate) use settings::Notify;

use crate::monitor::message::receive;
use std::io;
use std::os::fd::AsFd;

/// A helper: hears on standard input what it is for, and is that until the core is gone.
pub(crate) fn serve() -> io::Result<()> {
    let socket = rustix::io::dup(rustix::stdio::stdin())?;
    match receive::<Work>(socket.as_fd())? {
        Some((Work::Notify { program }, _)) => notify::serve(&socket, program.as_ref()),
        None => Ok(()),
    }
}

#[cfg(test)]
#[path = "../../tests/support/http_server.rs"]
mod http_server;
