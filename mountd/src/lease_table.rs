//! The lease table: which leases live, who finds one instead of asking again, and their end.

use crate::clock;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use ward_policy::{
    AgentSessionId, ApprovalRequest, Basis, Caller, Digest, FileId, Fingerprint, Lease, LeaseId,
    Moment, Permit, Ticket, VaultName,
};

/// Every lease that may still be found or must still be withdrawn.
#[derive(Debug, Default)]
pub(crate) struct LeaseTable {
    /// Guards the list only. Never held while a human thinks or the disk works.
    leases: Mutex<Vec<Entry>>,
}

#[derive(Debug)]
struct Entry {
    lease: Arc<Lease>,
    reach: Reach,
}

/// Whether a later open may find the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// It serves the open it was begun for.
    Handle,
    /// It serves the next open of its holder, once.
    NextOpen,
    /// It serves every open of its holder until it ends.
    EveryOpen,
}

impl Entry {
    fn answers(&self, request: &ApprovalRequest, caller: &Caller, now: Moment) -> bool {
        let (granted, wanted) = (self.lease.grant(), request.grant());
        self.reach != Reach::Handle
            && granted.file == wanted.file
            && granted.vault == wanted.vault
            && granted.path == wanted.path
            && granted.policy == wanted.policy
            && granted.rules == wanted.rules
            && granted.ticket == wanted.ticket
            && granted.secrets == wanted.secrets
            && wanted.operations.iter().all(|each| granted.operations.contains(each))
            && self.lease.active_for(caller, now).is_ok()
    }
}

/// No lease without an id: the kernel gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the kernel gives no random bytes")]
pub(crate) struct NoRandomness;

impl LeaseTable {
    /// Spends `permit` on a lease of `holder` that ends by its approval, and at `latest`.
    pub(crate) fn begin(
        &self,
        permit: Permit,
        holder: Fingerprint,
        reach: Reach,
        latest: Moment,
    ) -> Result<Arc<Lease>, NoRandomness> {
        let now = clock::now();
        let ends = match permit.basis() {
            Basis::Rule => latest,
            Basis::Approval { lifetime, .. } => now.after(*lifetime).min(latest),
        };
        let id = LeaseId(clock::new_id().ok_or(NoRandomness)?);
        let lease = Arc::new(Lease::begin(permit, id, holder, now, ends));
        let mut leases = self.leases();
        // Whoever holds a dead lease learns of its end from the lease itself.
        leases.retain(|entry| {
            let is_of_use = entry.reach != Reach::Handle || Arc::strong_count(&entry.lease) > 1;
            is_of_use && entry.lease.is_live(now)
        });
        leases.push(Entry { lease: Arc::clone(&lease), reach });
        Ok(lease)
    }

    /// The lease that answers `request` for `caller` without asking a human again.
    pub(crate) fn find(&self, request: &ApprovalRequest, caller: &Caller) -> Option<Arc<Lease>> {
        let now = clock::now();
        let mut leases = self.leases();
        let entry = leases.iter_mut().find(|entry| entry.answers(request, caller, now))?;
        if entry.reach == Reach::NextOpen {
            entry.reach = Reach::Handle;
        }
        Some(Arc::clone(&entry.lease))
    }

    /// Whether there is such a lease; looking does not use it up.
    pub(crate) fn has(&self, request: &ApprovalRequest, caller: &Caller) -> bool {
        let now = clock::now();
        self.leases().iter().any(|entry| entry.answers(request, caller, now))
    }

    /// The ticket under which `caller` holds a lease on a file: an open brings none of its own.
    pub(crate) fn ticket(
        &self,
        caller: &Caller,
        vault: &VaultName,
        file: FileId,
    ) -> Option<Ticket> {
        let now = clock::now();
        let leases = self.leases();
        let held = leases.iter().filter(|entry| {
            let grant = entry.lease.grant();
            entry.reach != Reach::Handle
                && grant.vault.as_ref() == Some(vault)
                && grant.file == Some(file)
                && entry.lease.active_for(caller, now).is_ok()
        });
        held.filter_map(|entry| entry.lease.grant().ticket.clone()).next()
    }

    /// Withdraws every lease on `vault`, open files included.
    pub(crate) fn withdraw_vault(&self, vault: &VaultName) {
        self.withdraw(|lease| lease.grant().vault.as_ref() == Some(vault));
    }

    /// Withdraws every lease on one file of a vault.
    pub(crate) fn withdraw_file(&self, vault: &VaultName, file: FileId) {
        self.withdraw(|lease| {
            lease.grant().vault.as_ref() == Some(vault) && lease.grant().file == Some(file)
        });
    }

    /// Withdraws one lease.
    pub(crate) fn withdraw_lease(&self, id: LeaseId) {
        self.withdraw(|lease| lease.id() == id);
    }

    /// Withdraws every lease that is held within an agent session.
    pub(crate) fn withdraw_agent(&self, session: AgentSessionId) {
        self.withdraw(|lease| lease.holder().agent() == Some(session));
    }

    /// Withdraws every lease that another policy than `policy` gave; says which were alive.
    pub(crate) fn withdraw_other_policies(&self, policy: Digest) -> Vec<Arc<Lease>> {
        let now = clock::now();
        let is_meant = |lease: &Lease| lease.grant().policy != policy;
        let leases = self.leases();
        let alive =
            leases.iter().filter(|entry| is_meant(&entry.lease) && entry.lease.is_live(now));
        let alive = alive.map(|entry| Arc::clone(&entry.lease)).collect();
        drop(leases);
        self.withdraw(is_meant);
        alive
    }

    /// Live leases that approvals opened, for those who ask what is granted.
    pub(crate) fn approved(&self) -> Vec<Arc<Lease>> {
        let now = clock::now();
        let leases = self.leases();
        let approved = leases.iter().filter(|entry| {
            matches!(entry.lease.basis(), Basis::Approval { .. }) && entry.lease.is_live(now)
        });
        approved.map(|entry| Arc::clone(&entry.lease)).collect()
    }

    fn withdraw(&self, is_meant: impl Fn(&Lease) -> bool) {
        self.leases().retain(|entry| {
            let is_meant = is_meant(&entry.lease);
            if is_meant {
                entry.lease.withdraw();
            }
            !is_meant
        });
    }

    fn leases(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
