//! Front ends that want to know of every change of the queue.

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use std::sync::{Mutex, PoisonError};

/// Their ends of channels; one that was dropped is forgotten with the next change.
#[derive(Debug, Default)]
pub(super) struct FrontEnds(Mutex<Vec<Sender<()>>>);

impl FrontEnds {
    /// A channel that has a word when the queue has changed since it was read last.
    pub(super) fn add(&self) -> Receiver<()> {
        let (told, changes) = bounded(1);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(told);
        changes
    }

    /// Tells everybody.
    pub(super) fn tell(&self) {
        let mut front_ends = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Full means that a word is on its way already.
        front_ends.retain(|told| told.try_send(()) != Err(TrySendError::Disconnected(())));
    }
}
