//! Hurry: whether the end of the daemon still waits for anybody.

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, select};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Waits end at once after a second signal, and for no mount before.
#[derive(Debug)]
pub(crate) struct Hurry {
    /// Closed when there is hurry.
    hurried: Receiver<()>,
    /// A leaf.
    calm: Mutex<Option<Sender<()>>>,
}

impl Default for Hurry {
    fn default() -> Self {
        let (calm, hurried) = bounded(0);
        Self { hurried, calm: Mutex::new(Some(calm)) }
    }
}

impl Hurry {
    /// From now on nobody is waited for.
    pub(crate) fn begin(&self) {
        drop(self.calm.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// What comes from `done`, waited for no longer than `longest`, and not at all in a hurry.
    pub(crate) fn wait<T>(
        &self,
        done: &Receiver<T>,
        longest: Duration,
    ) -> Result<T, RecvTimeoutError> {
        select! {
            recv(done) -> came => came.map_err(|_| RecvTimeoutError::Disconnected),
            recv(self.hurried) -> _ => done.try_recv().map_err(|error| match error {
                crossbeam_channel::TryRecvError::Empty => RecvTimeoutError::Timeout,
                crossbeam_channel::TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
            }),
            default(longest) => Err(RecvTimeoutError::Timeout),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_goes_on_when_there_is_hurry_and_hears_what_was_said_before() {
        let hurry = Hurry::default();
        let (say, said) = bounded(1);
        assert_eq!(hurry.wait(&said, Duration::from_millis(1)), Err(RecvTimeoutError::Timeout));
        hurry.begin();
        let long = Duration::from_secs(3600);
        assert_eq!(hurry.wait(&said, long), Err(RecvTimeoutError::Timeout));
        say.send(7).unwrap();
        assert_eq!(hurry.wait(&said, long), Ok(7));
        drop(say);
        assert_eq!(hurry.wait(&said, long), Err(RecvTimeoutError::Disconnected));
    }
}
