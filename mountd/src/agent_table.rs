//! The agent table: which sessions the daemon began, under which names.

use crate::monitor::is_alive;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use ward_policy::{AgentSession, AgentSessionId, Caller};

/// The sessions that live. One for the daemon, which forgets them when it ends: what runs on is in
/// none of a later daemon's.
#[derive(Debug, Default)]
pub(crate) struct AgentTable {
    /// Guards the table only.
    running: Mutex<BTreeMap<AgentSessionId, Arc<RunningAgent>>>,
}

/// A session, and what tells that it lives.
#[derive(Debug)]
pub(crate) struct RunningAgent {
    /// Its first process, as it asked, and the session itself.
    pub(crate) starter: Caller,
    pub(crate) session: Arc<AgentSession>,
    pub(crate) since: Timestamp,
    /// How the kernel keeps its processes together, in a word.
    pub(crate) kept_by: String,
    /// A pidfd of the first process.
    pub(crate) first: OwnedFd,
}

impl RunningAgent {
    /// Whether its first process, and so the session, lives.
    pub(crate) fn is_alive(&self) -> bool {
        is_alive(&self.first)
    }
}

impl AgentTable {
    pub(crate) fn begin(&self, running: RunningAgent) {
        self.running().insert(running.session.id, Arc::new(running));
    }

    /// The session of that id, as the monitor writes it, while it lives.
    pub(crate) fn find(&self, id: &str) -> Option<Arc<RunningAgent>> {
        let id = AgentSessionId(ulid::Ulid::from_string(id).ok()?);
        let found = self.running().get(&id).cloned();
        found.filter(|running| running.is_alive())
    }

    /// All that live, oldest first.
    pub(crate) fn alive(&self) -> Vec<Arc<RunningAgent>> {
        self.running().values().filter(|running| running.is_alive()).cloned().collect()
    }

    /// Forgets those that have ended, and gives them.
    pub(crate) fn take_ended(&self) -> Vec<Arc<RunningAgent>> {
        let mut running = self.running();
        running.extract_if(.., |_, running| !running.is_alive()).map(|(_, ended)| ended).collect()
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<AgentSessionId, Arc<RunningAgent>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
