//! The last refusals of each session: what `.ward/last-denial` tells whoever was refused.

use crate::session_key::SessionKey;
use lru::LruCache;
use std::collections::VecDeque;
use std::fmt::{self, Display, Formatter};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use ward_policy::{Caller, OperationSet, RequestId, SecretPath, VaultName};

/// Of how many sessions something is remembered.
const SESSIONS: NonZeroUsize = NonZeroUsize::new(1024).unwrap();
/// How much of one session.
const MOST_OF_ONE: usize = 16;
/// How much of all together, beside that.
const MOST_OF_ALL: usize = 64;

/// One refusal, as the refused may know it: never the rule.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) caller: Arc<Caller>,
    pub(crate) id: RequestId,
    /// When (RFC 3339).
    pub(crate) when: String,
    pub(crate) errno: &'static str,
    pub(crate) vault: VaultName,
    pub(crate) path: SecretPath,
    pub(crate) operations: OperationSet,
    /// What to do now.
    pub(crate) next: String,
}

/// The last refusals. One for the daemon; a restart forgets them.
#[derive(Debug)]
pub(crate) struct RefusalTable {
    /// Guards the map only.
    known: Mutex<LruCache<SessionKey, VecDeque<Arc<Refusal>>>>,
    /// The newest of all sessions, for operators. A leaf.
    newest: Mutex<VecDeque<Arc<Refusal>>>,
}

impl Default for RefusalTable {
    fn default() -> Self {
        Self { known: Mutex::new(LruCache::new(SESSIONS)), newest: Mutex::default() }
    }
}

impl RefusalTable {
    /// Remembers one.
    pub(crate) fn note(&self, refusal: Refusal) {
        let refusal = Arc::new(refusal);
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        newest.truncate(MOST_OF_ALL - 1);
        newest.push_front(Arc::clone(&refusal));
        drop(newest);
        let mut known = self.known();
        let of_session =
            known.get_or_insert_mut(SessionKey::of(&refusal.caller), VecDeque::default);
        if of_session.len() == MOST_OF_ONE {
            of_session.pop_front();
        }
        of_session.push_back(refusal);
    }

    /// The last one of this very process, else of its session.
    pub(crate) fn last(&self, caller: &Caller) -> Option<Arc<Refusal>> {
        self.newest(caller, |refusal| refusal.caller.process == caller.process)
            .or_else(|| self.newest(caller, |_| true))
    }

    /// The newest of all sessions, newest first.
    pub(crate) fn newest_of_all(&self) -> Vec<Arc<Refusal>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Who of the caller's session was refused `operations` on that file last.
    pub(crate) fn refused(
        &self,
        caller: &Caller,
        (vault, path): (&VaultName, &SecretPath),
        operations: OperationSet,
    ) -> Option<Arc<Caller>> {
        let refusal = self.newest(caller, |refusal| {
            refusal.vault == *vault
                && refusal.path == *path
                && refusal.operations.iter().all(|each| operations.contains(each))
        })?;
        Some(Arc::clone(&refusal.caller))
    }

    fn newest(&self, caller: &Caller, is_it: impl Fn(&Refusal) -> bool) -> Option<Arc<Refusal>> {
        let mut known = self.known();
        let of_session = known.get(&SessionKey::of(caller))?;
        of_session.iter().rev().find(|refusal| is_it(refusal)).cloned()
    }

    fn known(&self) -> MutexGuard<'_, LruCache<SessionKey, VecDeque<Arc<Refusal>>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Display for Refusal {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let mut line = |key: &str, value: &dyn Display| writeln!(formatter, "{key:<11} {value}");
        line("errno", &self.errno)?;
        line("id", &self.id)?;
        line("when", &self.when)?;
        line("process", &self.caller.process.number)?;
        let path = self.path.to_string();
        line("path", &crate::whoami::shown(path.as_bytes()))?;
        let operations: Vec<_> = self.operations.iter().map(|each| each.name()).collect();
        line("operation", &operations.join(", "))?;
        line("next", &self.next)
    }
}
