//! Which nodes the kernel knows: one that loses its last name lives until it is forgotten.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use ward_policy::FileId;
use ward_store::Vault;

/// The nodes of one mount that the kernel has looked up and not forgotten. Whatever is open, mapped
/// or the directory of a process is among them.
#[derive(Debug, Default)]
pub(super) struct KnownNodes {
    /// Guards the map; the vault's count of holds is taken under it, nothing else.
    nodes: Mutex<BTreeMap<FileId, Known>>,
}

#[derive(Debug, Default)]
struct Known {
    lookups: u64,
    /// Whether the vault holds it for us, since a name of it went.
    is_held: bool,
}

impl KnownNodes {
    /// Counts one more look-up; before the reply that tells the kernel.
    pub(super) fn look_up(&self, file: FileId) {
        self.nodes().entry(file).or_default().lookups += 1;
    }

    /// Has the vault hold a node that is about to lose a name, if the kernel knows it.
    pub(super) fn hold(&self, vault: &Vault, file: FileId) {
        if let Some(known) = self.nodes().get_mut(&file)
            && !known.is_held
        {
            // One that is gone already needs nobody.
            known.is_held = vault.hold(file).is_ok();
        }
    }

    /// The kernel has forgotten `lookups` of its look-ups.
    pub(super) fn forget(&self, vault: &Vault, file: FileId, lookups: u64) {
        let mut nodes = self.nodes();
        let Some(known) = nodes.get_mut(&file) else { return };
        known.lookups = known.lookups.saturating_sub(lookups);
        if known.lookups == 0 {
            let is_held = known.is_held;
            nodes.remove(&file);
            if is_held {
                release(vault, file);
            }
        }
    }

    /// Lets go of everything: the mount is over.
    pub(super) fn forget_all(&self, vault: &Vault) {
        let nodes = std::mem::take(&mut *self.nodes());
        let held = nodes.into_iter().filter(|(_, known)| known.is_held);
        held.for_each(|(file, _)| release(vault, file));
    }

    fn nodes(&self) -> MutexGuard<'_, BTreeMap<FileId, Known>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn release(vault: &Vault, file: FileId) {
    // A node without a name goes at the next unlock then.
    let _stays_until_then = vault.release(file);
}
