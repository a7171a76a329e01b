//! Group commit: one fdatasync for everybody who waits.
//!
//! The first to wait becomes the leader and syncs on its own thread, without the tail's mutex, so
//! that others go on writing. Everybody whose line was written before that sync began is released
//! by it; one of the others leads the next. A thread of its own would cost each open two hand-overs
//! (30 to 90 us measured), a write is 1 us.

use crate::AppendError;
use crate::tail::Tail;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Who waits for which sync.
#[derive(Debug, Default)]
pub(crate) struct Commits {
    /// Guards a few words. Never held while the disk works, nor together with the tail's mutex.
    state: Mutex<State>,
    finished: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Everything up to this seq is on disk.
    synced: u64,
    /// Whether somebody is syncing now.
    has_leader: bool,
    /// Why nothing will be synced any more.
    stopped: Option<Arc<str>>,
}

impl Commits {
    /// Returns once the entry `seq` is on disk.
    pub(crate) fn wait_for(&self, seq: u64, tail: &Mutex<Tail>) -> Result<(), AppendError> {
        let mut state = self.lock();
        loop {
            if state.synced >= seq {
                return Ok(());
            }
            if let Some(cause) = &state.stopped {
                return Err(AppendError::Poisoned { cause: Arc::clone(cause) });
            }
            if state.has_leader {
                state = self.finished.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.has_leader = true;
            drop(state);
            let result = sync(tail);
            state = self.lock();
            state.has_leader = false;
            match result {
                Ok(synced) => state.synced = state.synced.max(synced),
                Err(cause) => state.stopped = Some(cause),
            }
            self.finished.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One sync; an error is final, since Linux marks the pages clean that could not be written
/// (`fsync(2)`) and a second try would lie.
fn sync(tail: &Mutex<Tail>) -> Result<u64, Arc<str>> {
    let lock = || tail.lock().map_err(|_| Arc::from(crate::log::PANICKED));
    let batch = lock()?.batch().map_err(|error| Arc::from(error.to_string()))?;
    match batch.sync() {
        Ok(()) => {
            lock()?.epochs.synced_up_to(batch.seq);
            Ok(batch.seq)
        }
        Err(cause) => {
            let cause: Arc<str> = cause.into();
            lock()?.stop(Arc::clone(&cause));
            Err(cause)
        }
    }
}
