//! Helpers: a third kind of process, for what neither core nor monitor should do: to run foreign
//! programs and to speak to other machines. The monitor starts them, from a fixed list; they run as
//! a configured user, with no privilege, and are joined to the core by one socket. None ever sees a
//! value; `source` starts the program that shows one to the core.

pub(crate) mod http;
mod notify;
mod run_as;
mod settings;
mod ship;
mod signer;
mod source;
mod webhook;

use notify::NOTIFY;
pub(crate) use notify::{Notice, Notifier};
pub(crate) use run_as::{Helpers, ResolveError, RunAs, Work};
pub(crate) use settings::Notify;
pub(crate) use ship::{
    Bucket, Destination, IsUsable, MOST, Seen, Webhook, Witness, deliver, deliver_head,
};
pub(crate) use signer::{Order, Reply, SignerPlace, SignerWork, Want};
pub(crate) use source::{PassStore, Told, Wish};

use crate::monitor::message::receive;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// A helper: hears on standard input what it is for, and is that until the core is gone.
pub(crate) fn serve() -> io::Result<()> {
    let socket = rustix::io::dup(rustix::stdio::stdin())?;
    match receive::<Work>(socket.as_fd())? {
        Some((Work::Notify { program }, _)) => notify::serve(&socket, program.as_ref()),
        Some((Work::Ship(destination), _)) => ship::serve(&socket, &destination),
        Some((Work::Tell(hook), _)) => webhook::serve(&socket, &hook),
        Some((Work::Sign(work), _)) => signer::serve(&socket, &work),
        Some((Work::Pass(pass), _)) => source::serve(&socket, &pass),
        None => Ok(()),
    }
}

/// Whether `source` can be read within so many milliseconds.
fn is_ready(source: &OwnedFd, milliseconds: u16) -> bool {
    let mut sources = [PollFd::new(source.as_fd(), PollFlags::POLLIN)];
    poll(&mut sources, PollTimeout::from(milliseconds)).is_ok_and(|ready| ready == 1)
}

#[cfg(test)]
#[path = "../../tests/support/http_server.rs"]
mod http_server;
