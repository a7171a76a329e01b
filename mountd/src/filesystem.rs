//! The adapters: a FUSE request in, a call of the pipeline, a FUSE reply out. No logic.
//!
//! The only file, with those below `filesystem/`, that names the FUSE library. One adapter for each
//! kind of vault: of `secrets` nothing stays with the kernel, of a `workspace` all that may.

mod control_directory;
mod controlled;
mod invalidation;
mod open;
mod secrets;
mod session;
mod workspace;

pub(crate) use invalidation::Invalidator;
pub(crate) use session::{Session, start};

use crate::caller::Asker;
use fuser::{Errno, Generation, ReplyEmpty, Request};
use std::fmt::Debug;
use std::io;

/// No number of an inode is ever used again, so one generation is enough.
const GENERATION: Generation = Generation(0);

fn asker(request: &Request) -> Asker {
    Asker { thread: request.pid(), uid: request.uid(), gid: request.gid() }
}

fn empty(reply: ReplyEmpty, outcome: Result<(), Errno>) {
    match outcome {
        Ok(()) => reply.ok(),
        Err(errno) => reply.error(errno),
    }
}

/// Why a mount does not begin: the kernel's first message offers less than we need.
fn refused(what: impl Debug) -> io::Error {
    io::Error::other(format!("the kernel refuses {what:?}"))
}
