//! Open files: each under a lease, at a place, on one version of its secret.

use crate::draft::Draft;
use crate::place::Place;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use ward_audit::Receipt;
use ward_policy::{Caller, FileId, Lease, Operation, VaultName};
use ward_store::VersionId;

/// The number of an open file, as the kernel gives it back to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HandleId(pub(crate) u64);

/// An open file.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) place: Arc<Place>,
    pub(crate) lease: Arc<Lease>,
    /// Who opened it, and stands in the record of what is written through it.
    pub(crate) opener: Arc<Caller>,
    pub(crate) file: FileId,
    /// What it reads; `None` when the file had no version yet.
    pub(crate) version: Option<VersionId>,
    /// What it writes; `None` when it was opened for reading only.
    pub(crate) draft: Option<Arc<Draft>>,
}

/// Every open file of the daemon.
#[derive(Debug, Default)]
pub(crate) struct HandleTable {
    /// Guards the map only.
    handles: Mutex<Numbered>,
}

#[derive(Debug, Default)]
struct Numbered {
    last: u64,
    handles: BTreeMap<HandleId, Arc<Handle>>,
}

impl Handle {
    /// Whether it was opened to do `operation`.
    pub(crate) fn permits(&self, operation: Operation) -> bool {
        self.lease.grant().operations.contains(operation)
    }
}

impl HandleTable {
    /// Keeps `handle`; the receipt says that its open is in the log.
    pub(crate) fn insert(&self, handle: Handle, _recorded: &Receipt) -> HandleId {
        let mut numbered = self.numbered();
        numbered.last += 1;
        let id = HandleId(numbered.last);
        numbered.handles.insert(id, Arc::new(handle));
        id
    }

    pub(crate) fn find(&self, id: HandleId) -> Option<Arc<Handle>> {
        self.numbered().handles.get(&id).cloned()
    }

    pub(crate) fn remove(&self, id: HandleId) -> Option<Arc<Handle>> {
        self.numbered().handles.remove(&id)
    }

    /// How many files of a vault are open.
    pub(crate) fn count(&self, vault: &VaultName) -> usize {
        let numbered = self.numbered();
        numbered.handles.values().filter(|handle| handle.place.vault.name == *vault).count()
    }

    /// Drops every open file of a vault, and what was not yet written of it.
    pub(crate) fn remove_vault(&self, vault: &VaultName) {
        self.numbered().handles.retain(|_, handle| handle.place.vault.name != *vault);
    }

    fn numbered(&self) -> MutexGuard<'_, Numbered> {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
