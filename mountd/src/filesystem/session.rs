//! A FUSE session: the event loops of one mount.

use super::WardFilesystem;
use super::invalidation::{Invalidator, serve};
use crate::pipeline::Pipeline;
use crate::place::Place;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::JoinHandle;

/// How many requests of one mount are served at once. An open that waits for a human takes none of
/// them; one that waits for the disk takes one for as long as the disk takes.
const EVENT_LOOPS: usize = 4;

/// The running event loops of one mount.
#[derive(Debug)]
pub(crate) struct Session {
    loops: JoinHandle<io::Result<()>>,
    pub(crate) invalidator: Invalidator,
}

/// Answers the kernel's first message on `fuse` and starts the event loops.
pub(crate) fn start(
    fuse: OwnedFd,
    pipeline: Arc<Pipeline>,
    place: Arc<Place>,
) -> io::Result<Session> {
    let (invalidator, orders) = Invalidator::new();
    let filesystem = WardFilesystem::new(pipeline, place, invalidator.clone());
    let mut config = fuser::Config::default();
    config.n_threads = Some(EVENT_LOOPS);
    // Who may do what is ours to say, for every uid.
    let acl = fuser::SessionACL::All;
    let session = fuser::Session::from_fd(filesystem, fuse, acl, config)?;
    let notifier = session.notifier();
    std::thread::Builder::new()
        .name("invalidation".to_owned())
        .spawn(move || serve(&orders, &notifier))?;
    let loops = std::thread::Builder::new().name("fuse".to_owned()).spawn(move || session.run())?;
    Ok(Session { loops, invalidator })
}

impl Session {
    /// Waits for the event loops, which end once the connection is aborted.
    pub(crate) fn join(self) -> io::Result<()> {
        // The last sender closes the invalidation thread too.
        drop(self.invalidator);
        self.loops.join().unwrap_or_else(|_| Err(io::Error::other("an event loop panicked")))
    }
}
