//! A FUSE session: the event loops of one mount.

use super::control_directory::ControlDirectory;
use super::controlled::Controlled;
use super::invalidation::{Invalidator, serve};
use super::secrets::SecretsFilesystem;
use super::workspace::WorkspaceFilesystem;
use crate::lifecycle::Hurry;
use crate::pipeline::Pipeline;
use crate::place::Place;
use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use fuser::{Filesystem, Notifier};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;
use ward_policy::FileId;
use ward_store::VaultKind;

/// How many requests of one mount are served at once. An open that waits for a human takes none of
/// them; one that waits for the disk takes one for as long as the disk takes.
const EVENT_LOOPS: usize = 4;
/// How long the end of a mount waits for pages to be taken back, before it aborts all the same.
const LONGEST_TAKING: Duration = Duration::from_millis(300);
/// The same where pages may have to be written back.
const LONGEST_WRITING: Duration = Duration::from_secs(5);

/// How long the end of a mount waits for its event loops. They end with the connection, which an
/// ordinary user can abort only through fusectl; where that is not mounted it ends with the last
/// descriptor of its files, which yield nothing any more.
const LONGEST_GOODBYE: Duration = Duration::from_secs(1);

/// The running event loops of one mount.
#[derive(Debug)]
pub(crate) struct Session {
    kind: VaultKind,
    /// Closes when the last event loop has ended.
    loops: Receiver<()>,
    invalidator: Invalidator,
}

/// Answers the kernel's first message on `fuse` and starts the event loops.
pub(crate) fn start(
    fuse: OwnedFd,
    pipeline: Arc<Pipeline>,
    place: Arc<Place>,
) -> io::Result<Session> {
    let (invalidator, orders) = Invalidator::new();
    let kind = place.kind();
    let control = ControlDirectory::new(Arc::clone(&pipeline), Arc::clone(&place));
    let (loops, notifier) = match kind {
        VaultKind::Secrets => {
            let vault = SecretsFilesystem::new(pipeline, place, invalidator.clone());
            run(Controlled::new(control, vault), fuse)?
        }
        VaultKind::Workspace => {
            place.keep_pages(invalidator.clone());
            let vault = WorkspaceFilesystem::new(pipeline, place, invalidator.clone());
            run(Controlled::new(control, vault), fuse)?
        }
    };
    std::thread::Builder::new()
        .name("invalidation".to_owned())
        .spawn(move || serve(&orders, &notifier))?;
    Ok(Session { kind, loops, invalidator })
}

fn run<F: Filesystem>(filesystem: F, fuse: OwnedFd) -> io::Result<(Receiver<()>, Notifier)> {
    let mut config = fuser::Config::default();
    config.n_threads = Some(EVENT_LOOPS);
    // Who may do what is ours to say, for every uid.
    let acl = fuser::SessionACL::All;
    let session = fuser::Session::from_fd(filesystem, fuse, acl, config)?;
    let notifier = session.notifier();
    let (running, loops) = bounded::<()>(0);
    std::thread::Builder::new().name("fuse".to_owned()).spawn(move || {
        let _an_aborted_session_is_an_ended_one = session.run();
        drop(running);
    })?;
    Ok((loops, notifier))
}

impl Session {
    /// Has all pages taken back that somebody could still reach, those of `open` files where files
    /// keep theirs; false when that took too long.
    pub(crate) fn take_pages(&self, open: impl IntoIterator<Item = FileId>, hurry: &Hurry) -> bool {
        let (taken, longest) = match self.kind {
            VaultKind::Secrets => (self.invalidator.take_barred(), LONGEST_TAKING),
            VaultKind::Workspace => {
                let open = open.into_iter().map(|file| file.0);
                (self.invalidator.take_all(open), LONGEST_WRITING)
            }
        };
        hurry.wait(&taken, longest).is_ok()
    }

    /// Waits for the event loops, which end once the connection is aborted; false when that took too
    /// long.
    pub(crate) fn join(self, hurry: &Hurry) -> bool {
        // The last sender closes the invalidation thread too.
        drop(self.invalidator);
        hurry.wait(&self.loops, LONGEST_GOODBYE) == Err(RecvTimeoutError::Disconnected)
    }
}
