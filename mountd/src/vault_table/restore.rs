//! A vault that was rolled back: what is seen of it, and how a human's yes makes it the newest state.

use super::{ReachError, Table, VaultTable, words};
use crate::clock;
use crate::newer::{Newer, newer_in_the_log};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use ward_audit::{Durability, EventType, Record};
use ward_policy::{FileId, SecretPath, VaultName};
use ward_store::{Pin, RolledBack, SlotSecret, SyncedHead, Vault, WallTime};

/// A vault that is older than what was seen here.
#[derive(Clone, Debug)]
pub(crate) struct RolledBackVault {
    name: VaultName,
    /// What was seen here; `None` when the pin is missing or not genuine.
    pinned: Option<Pin>,
    found: SyncedHead,
    /// The last change it knows of.
    changed: WallTime,
}

/// Why no restore was accepted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AcceptError {
    /// The vault is not at hand.
    #[error(transparent)]
    Reach(#[from] ReachError),
    /// It is the newest state that was seen here.
    #[error("the vault {0} was not rolled back")]
    NotRolledBack(VaultName),
    /// It is mounted, or a command uses it.
    #[error("the vault {0} is in use")]
    InUse(VaultName),
    /// It is no longer the state that was looked at.
    #[error("the vault {0} is not what was looked at any more")]
    Changed(VaultName),
}

impl RolledBackVault {
    pub(super) fn of(name: &VaultName, rolled_back: RolledBack) -> Self {
        let RolledBack { pinned, found, changed } = rolled_back;
        Self { name: name.clone(), pinned, found, changed }
    }

    pub(crate) const fn name(&self) -> &VaultName {
        &self.name
    }

    /// A word that names the state that was found and no other, fit for a ticket.
    pub(crate) fn ticket(&self) -> String {
        let SyncedHead { branch, segment, sequence, header_generation, chain } = self.found;
        let digits: String = chain.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let ticket = format!("state-{branch}-{segment}-{sequence}-{header_generation}-{digits}");
        ticket.chars().take(64).collect()
    }
}

impl VaultTable {
    /// Looks at a vault that was rolled back, without a change: what it is, and what the log knows to
    /// be newer. The log can name its secrets from then on, until [`Self::look_away`].
    pub(crate) fn look_at_rolled_back(
        &self,
        name: &VaultName,
        secret: &SlotSecret,
    ) -> Result<(RolledBackVault, Newer), AcceptError> {
        self.exists(name)?;
        self.close_unused(name)?;
        let _nobody_unlocks_it_meanwhile = self.table();
        let (vault, _, rolled_back) = self.look(name, secret)?;
        let Some(rolled_back) = rolled_back else {
            return Err(AcceptError::NotRolledBack(name.clone()));
        };
        let newer = self.newer(name, &vault, &rolled_back)?;
        Ok((RolledBackVault::of(name, rolled_back), newer))
    }

    /// Makes the state that was looked at the newest one, and shreds again what the log says was
    /// shredded. A human has said yes to exactly this state.
    pub(crate) fn accept_restore(
        &self,
        name: &VaultName,
        secret: &SlotSecret,
        looked_at: &RolledBackVault,
    ) -> Result<Newer, AcceptError> {
        self.close_unused(name)?;
        let mut table = self.table();
        let (vault, _, rolled_back) = self.look(name, secret)?;
        let same = rolled_back.filter(|found| found.found == looked_at.found);
        let Some(rolled_back) = same else {
            return Err(AcceptError::Changed(name.clone()));
        };
        let newer = self.newer(name, &vault, &rolled_back)?;
        drop(vault);
        // Recorded before it is done; the store shreds before it pins, so a crash is asked again.
        self.record_shreds(name, newer.shredded_again())?;
        let to_shred: Vec<FileId> = newer.to_shred.iter().map(|(_, file)| *file).collect();
        let folder = self.folder(name);
        let (pin, now) = (self.pin(name), clock::file_time());
        let accepted = Vault::accept_restore(&folder, secret, &pin, &to_shred, now);
        let (vault, recovered, _) = accepted.map_err(ReachError::from)?;
        let mut found = words(&vault, &recovered);
        found.push_str("; a restored state was accepted");
        self.insert(&mut table, (vault, None), name, &found)?;
        table.rolled_back.remove(name);
        Ok(newer)
    }

    fn record_shreds(&self, name: &VaultName, paths: BTreeSet<&str>) -> Result<(), ReachError> {
        let reason = "shredded again: it was, before an older state was put back";
        for path in paths {
            let path = SecretPath::try_from(path).ok();
            let record = Record::new(EventType::SecretRevoked).reason(reason);
            let record = match &path {
                Some(path) => record.on(name, path),
                None => record.within(name),
            };
            let _recorded = self.log.append(record, Durability::Durable, clock::stamp())?;
        }
        Ok(())
    }

    /// What the log knows about a vault that `vault` does not.
    fn newer(
        &self,
        name: &VaultName,
        vault: &Vault,
        rolled_back: &RolledBack,
    ) -> Result<Newer, ReachError> {
        self.log.seal_names(name, &vault.names_key())?;
        let mut newer = newer_in_the_log(&self.log, name, (vault, rolled_back.changed))?;
        if let Some(pin) = &rolled_back.pinned {
            // The header counts its changes, and the log may know some that it has.
            let (seen, found) = (pin.head.header_generation, rolled_back.found.header_generation);
            newer.keys = newer.keys.min(seen.saturating_sub(found));
        }
        Ok(newer)
    }

    /// Lets go of the key of the names in the log, unless the vault is unlocked.
    pub(crate) fn look_away(&self, name: &VaultName) {
        if !self.table().open.contains_key(name) {
            // A stopped log shows no names anyway.
            let _log_has_stopped = self.log.forget_names(name);
        }
    }

    /// Says in the log, once, that a vault was found rolled back and is not served.
    pub(super) fn refuse(
        &self,
        table: &mut Table,
        (vault, rolled_back): (&Vault, RolledBackVault),
    ) -> Result<ReachError, ReachError> {
        let name = rolled_back.name.clone();
        if table.rolled_back.insert(name.clone(), rolled_back.found) != Some(rolled_back.found) {
            let reason = rolled_back.to_string();
            let record = Record::new(EventType::VaultRolledBack).within(&name).reason(&reason);
            // Reasons are sealed as names are.
            self.log.seal_names(&name, &vault.names_key())?;
            let recorded = self.log.append(record, Durability::Durable, clock::stamp());
            let _log_has_stopped = self.log.forget_names(&name);
            let _recorded = recorded?;
        }
        Ok(ReachError::RolledBack(Box::new(rolled_back)))
    }

    /// Closes a vault, unless a mount or a command uses it.
    pub(crate) fn close_unused(&self, name: &VaultName) -> Result<(), AcceptError> {
        let _keeper_holds_none = self.keeping();
        let mut table = self.table();
        let Some(open) = table.open.get(name) else { return Ok(()) };
        if Arc::strong_count(open) > 1 {
            return Err(AcceptError::InUse(name.clone()));
        }
        if let Some(open) = table.open.remove(name) {
            self.close(open);
        }
        Ok(())
    }
}

impl fmt::Display for RolledBackVault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |time: WallTime| clock::text(clock::wall_of(time));
        let Self { name, pinned, found, changed } = self;
        write!(formatter, "the vault {name} was rolled back: it stands at {}", position(found))?;
        if *changed != WallTime::default() {
            write!(formatter, ", last changed {}", time(*changed))?;
        }
        match pinned {
            Some(pin) => {
                let (seen, at) = (position(&pin.head), time(pin.time));
                write!(formatter, ", and {seen} was seen here at {at}")
            }
            None => formatter.write_str(", and its pin is missing or not genuine"),
        }
    }
}

fn position(head: &SyncedHead) -> String {
    let SyncedHead { branch, segment, sequence, header_generation, .. } = head;
    format!("branch {branch}, segment {segment}, frame {sequence}, header {header_generation}")
}
