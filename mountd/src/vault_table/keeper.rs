//! The keeper: writes, syncs, pins, images, compacts and checks unlocked vaults while others use them.

use super::{OpenVault, VaultTable};
use crate::clock;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use ward_audit::{Durability, EventType, Record};
use ward_policy::{Moment, VaultName};

/// How long a change may be written and not yet synced.
const SYNC_AGE: Duration = Duration::from_secs(5);
/// How old a pin may be while the log goes on: with [`SYNC_AGE`] it is less than a minute.
const PIN_AGE: Duration = Duration::from_secs(50);
/// How much is compacted at once, in bytes: little, so that foreground work hardly waits.
const COMPACTED_AT_ONCE: u64 = 16 << 20;

/// How often a part of each vault is checked; all of it in a day.
const PATROL_AGE: Duration = Duration::from_secs(60);
/// So many parts a day has.
const PATROLS_A_DAY: u64 = 24 * 60;
/// So much is checked each time, in bytes, however small the vault is.
const LEAST_PATROLLED: u64 = 1 << 20;

/// When what was last done. One for the daemon.
#[derive(Debug, Default)]
pub(crate) struct Keeper {
    synced: Option<Moment>,
    patrolled: BTreeMap<VaultName, Moment>,
}

impl Keeper {
    /// Does what is due. To be called once a second.
    pub(crate) fn keep(&mut self, vaults: &VaultTable) {
        // Held while vaults are in our hands, so that who closes one need not find it held.
        let _keeping = vaults.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock::now();
        let is_over = |last: Option<Moment>, age| last.is_none_or(|last| last.after(age) <= now);
        let is_due = is_over(self.synced, SYNC_AGE);
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
            if is_over(self.patrolled.get(&open.name).copied(), PATROL_AGE) {
                self.patrolled.insert(open.name.clone(), now);
                patrol(open, vaults);
            }
        }
    }
}

/// Checks a part of a vault, and says in the log, once, what is damaged.
fn patrol(open: &OpenVault, vaults: &VaultTable) {
    let size = open.vault.usage().map_or(0, |usage| usage.disk_bytes);
    let _noted_and_logged = check(open, vaults, (size / PATROLS_A_DAY).max(LEAST_PATROLLED));
}

/// Checks so many bytes of a vault from where the last check stopped, and gives what is damaged.
fn check(open: &OpenVault, vaults: &VaultTable, budget: u64) -> Vec<String> {
    let mut damaged = Vec::new();
    for finding in open.vault.patrol(budget, clock::file_time()).findings {
        let words = finding.to_string();
        if vaults.note_damage(&open.name, &words) {
            let record = Record::new(EventType::VaultDamaged).within(&open.name).reason(&words);
            // A log that takes no records refuses every open already.
            let _log_has_stopped = vaults.log.append(record, Durability::Durable, clock::stamp());
        }
        damaged.push(words);
    }
    damaged
}

/// Checks all of a vault now, and gives what is damaged.
pub(crate) fn check_all(open: &OpenVault, vaults: &VaultTable) -> Vec<String> {
    // What is left of the round that goes on, and then a whole one.
    let mut damaged = check(open, vaults, u64::MAX);
    damaged.extend(check(open, vaults, u64::MAX));
    damaged.sort();
    damaged.dedup();
    damaged
}

fn keep_one(open: &OpenVault) -> Result<(), ward_store::ChangeError> {
    open.vault.sync()?;
    open.vault.pin_if_older(PIN_AGE, clock::file_time())?;
    open.vault.write_image_if_due()?;
    open.vault.compact(COMPACTED_AT_ONCE)?;
    Ok(())
}
