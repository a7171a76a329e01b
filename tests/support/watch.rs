//! A watch on a directory: a test waits for the file that somebody puts there.

use super::wait;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::fs::inotify::{CreateFlags, Reader, WatchFlags, add_watch, init};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

/// A watch on a directory, from when it was set on.
pub(crate) struct Watch(OwnedFd);

impl Watch {
    /// Sets it.
    pub(crate) fn of(directory: &Path) -> Self {
        let watch = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).unwrap();
        add_watch(&watch, directory, WatchFlags::MOVED_TO).unwrap();
        Self(watch)
    }

    /// Whether a file gets that name within `patience`.
    pub(crate) fn sees(&mut self, name: &str, patience: Duration) -> bool {
        self.meets(patience, |seen| seen == name.as_bytes())
    }

    /// Whether any file gets there within `patience`.
    pub(crate) fn sees_any(&mut self, patience: Duration) -> bool {
        self.meets(patience, |_| true)
    }

    fn meets(&mut self, patience: Duration, is_it: impl Fn(&[u8]) -> bool) -> bool {
        let end = wait::seconds() + patience.as_secs_f64();
        loop {
            let left = Duration::from_secs_f64((end - wait::seconds()).max(0.0));
            let mut sources = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
            if poll(&mut sources, PollTimeout::try_from(left).unwrap()).unwrap() == 0 {
                return false;
            }
            let mut room = [MaybeUninit::uninit(); 4096];
            let mut events = Reader::new(&self.0, &mut room);
            while let Ok(event) = events.next() {
                if event.file_name().is_some_and(|name| is_it(name.to_bytes())) {
                    return true;
                }
            }
        }
    }
}
