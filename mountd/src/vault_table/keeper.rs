//! The keeper: writes, syncs, pins, images and compacts unlocked vaults while others use them.

use super::{OpenVault, VaultTable};
use crate::clock;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use ward_policy::Moment;

/// How long a change may be written and not yet synced.
const SYNC_AGE: Duration = Duration::from_secs(5);
/// How old a pin may be while the log goes on.
const PIN_AGE: Duration = Duration::from_secs(60);
/// How much is compacted at once, in bytes: little, so that foreground work hardly waits.
const COMPACTED_AT_ONCE: u64 = 16 << 20;

/// When what was last done. One for the daemon.
#[derive(Debug, Default)]
pub(crate) struct Keeper {
    synced: Option<Moment>,
}

impl Keeper {
    /// Does what is due. To be called once a second.
    pub(crate) fn keep(&mut self, vaults: &VaultTable) {
        // Held while vaults are in our hands, so that who closes one need not find it held.
        let _keeping = vaults.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock::now();
        let is_due = self.synced.is_none_or(|synced| synced.after(SYNC_AGE) <= now);
        if is_due {
            self.synced = Some(now);
        }
        let open: Vec<Arc<OpenVault>> = vaults.table().open.values().cloned().collect();
        for open in open.iter().filter(|open| open.vault.read_only().is_none()) {
            // A store that cannot write says so to whoever writes or closes next.
            let _said_to_the_next_writer = open.vault.flush();
            if is_due {
                let _said_to_the_next_writer = keep_one(open);
            }
        }
    }
}

fn keep_one(open: &OpenVault) -> Result<(), ward_store::ChangeError> {
    open.vault.sync()?;
    open.vault.pin_if_older(PIN_AGE, clock::file_time())?;
    open.vault.write_image_if_due()?;
    open.vault.compact(COMPACTED_AT_ONCE)?;
    Ok(())
}
