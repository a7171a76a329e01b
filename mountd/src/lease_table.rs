//! The lease table: which leases live, who finds one instead of asking again, and their end.

use crate::clock;
use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use ward_audit::{AppendError, Durability, EventType, Log, Record};
use ward_policy::{
    AgentSessionId, ApprovalRequest, Basis, Caller, Digest, FileId, Fingerprint, Lease, LeaseId,
    Moment, Permit, RequestId, SecretGrantId, Ticket, VaultName,
};

/// Every lease that may still be found or must still be withdrawn.
///
/// Those of approvals stand in the log as well: it has their begin before anybody holds them, their
/// use before it is of use, and their end.
#[derive(Debug)]
pub(crate) struct LeaseTable {
    /// Guards the list only. Never held while a human thinks or the disk works.
    leases: Mutex<Vec<Entry>>,
    log: Arc<Log>,
}

/// A lease that an earlier daemon gave, as the log has it.
pub(crate) struct TakenLease {
    pub(crate) permit: Permit,
    pub(crate) id: LeaseId,
    pub(crate) holder: Fingerprint,
    pub(crate) begins: Moment,
    pub(crate) ends: Moment,
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
    /// It serves so many more opens of its holder.
    NextOpens(u32),
    /// It serves every open of its holder until it ends.
    EveryOpen,
}

impl Reach {
    /// That of a lease for so many opens, of which `served` are.
    pub(crate) fn of(uses: Option<u32>, served: usize) -> Self {
        let Some(uses) = uses else {
            return Self::EveryOpen;
        };
        match uses.saturating_sub(u32::try_from(served).unwrap_or(u32::MAX)) {
            0 => Self::Handle,
            left => Self::NextOpens(left),
        }
    }

    /// The word of the log.
    pub(crate) fn name(self) -> Cow<'static, str> {
        match self {
            Self::Handle => Cow::Borrowed("handle"),
            Self::NextOpens(0 | 1) => Cow::Borrowed("next-open"),
            Self::NextOpens(left) => Cow::Owned(format!("next-{left}-opens")),
            Self::EveryOpen => Cow::Borrowed("every-open"),
        }
    }

    /// What is left of it after an open.
    const fn after_use(self) -> Self {
        match self {
            Self::Handle | Self::NextOpens(0 | 1) => Self::Handle,
            Self::NextOpens(left) => Self::NextOpens(left - 1),
            Self::EveryOpen => Self::EveryOpen,
        }
    }

    /// The reach of that name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        match name {
            "handle" => Some(Self::Handle),
            "next-open" => Some(Self::NextOpens(1)),
            "every-open" => Some(Self::EveryOpen),
            other => {
                let left = other.strip_prefix("next-")?.strip_suffix("-opens")?;
                left.parse().ok().map(Self::NextOpens)
            }
        }
    }
}

impl Entry {
    /// Whether the log has it among what stands.
    fn stands(&self) -> bool {
        self.reach != Reach::Handle && is_approved(&self.lease)
    }

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

/// Why no lease begins.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BeginLeaseError {
    /// It has no id.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// The log did not take it.
    #[error(transparent)]
    Log(#[from] AppendError),
}

impl LeaseTable {
    pub(crate) fn new(log: Arc<Log>) -> Self {
        Self { leases: Mutex::default(), log }
    }

    /// Spends `permit` on a lease of `holder` that ends by its approval, and at `latest`.
    pub(crate) fn begin(
        &self,
        permit: Permit,
        holder: Fingerprint,
        reach: Reach,
        latest: Moment,
    ) -> Result<Arc<Lease>, BeginLeaseError> {
        let now = clock::now();
        let ends = match permit.basis() {
            Basis::Rule => latest,
            Basis::Approval { lifetime, .. } => now.after(*lifetime).min(latest),
            Basis::Handoff { ends, .. } | Basis::SecretGrant { ends, .. } => (*ends).min(latest),
        };
        let id = LeaseId(clock::new_id().ok_or(NoRandomness)?);
        let lease = Arc::new(Lease::begin(permit, id, holder, now, ends));
        if is_approved(&lease) {
            let name = reach.name();
            let record = Record::leasing(&lease, &name);
            let _recorded = self.log.append(record, Durability::Durable, clock::stamp())?;
        }
        let mut leases = self.leases();
        // Whoever holds a dead lease learns of its end from the lease itself; the end of one that
        // stands in the log is recorded in turn.
        leases.retain(|entry| {
            let is_of_use = Arc::strong_count(&entry.lease) > 1 && entry.lease.is_live(now);
            is_of_use || entry.stands()
        });
        leases.push(Entry { lease: Arc::clone(&lease), reach });
        Ok(lease)
    }

    /// Takes a lease up that an earlier daemon gave and the log has.
    pub(crate) fn take_up(&self, taken: TakenLease, reach: Reach) {
        let TakenLease { permit, id, holder, begins, ends } = taken;
        let lease = Arc::new(Lease::begin(permit, id, holder, begins, ends));
        self.leases().push(Entry { lease, reach });
    }

    /// Records the ends of leases of approvals that are over.
    pub(crate) fn record_ends(&self) {
        let now = clock::now();
        let is_over = |entry: &mut Entry| entry.stands() && !entry.lease.is_live(now);
        let over: Vec<Entry> = self.leases().extract_if(.., is_over).collect();
        self.record_end(&over, Durability::Written);
    }

    /// The lease that answers `request` for `caller` without asking a human again.
    ///
    /// One for one open is used up by that: in the log first, so that no daemon gives it twice. When
    /// the log does not take it, there is none.
    pub(crate) fn find(&self, request: &ApprovalRequest, caller: &Caller) -> Option<Arc<Lease>> {
        let now = clock::now();
        let mut leases = self.leases();
        let entry = leases.iter_mut().find(|entry| entry.answers(request, caller, now))?;
        let lease = Arc::clone(&entry.lease);
        let reach = entry.reach;
        entry.reach = reach.after_use();
        let left = entry.reach;
        drop(leases);
        if let Reach::NextOpens(_) = reach {
            let name = left.name();
            let record = match left {
                Reach::NextOpens(_) => Record::leasing(&lease, &name),
                Reach::Handle | Reach::EveryOpen => Record::ending(EventType::LeaseUsed, &lease),
            };
            let _recorded =
                self.log.append(record.by(caller), Durability::Durable, clock::stamp()).ok()?;
        }
        Some(lease)
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

    /// Withdraws every lease on `vault` from this daemon, not from the next one: what a human gave
    /// is not taken back by a restart.
    pub(crate) fn leave_vault(&self, vault: &VaultName) {
        let _stands_in_the_log =
            self.take_back(|lease| lease.grant().vault.as_ref() == Some(vault));
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

    /// Withdraws every lease on what was handed out by this request.
    pub(crate) fn withdraw_handoff(&self, id: RequestId) {
        let is_its = |lease: &Lease| matches!(lease.basis(), Basis::Handoff { request, .. } if *request == id);
        self.withdraw(is_its);
    }

    /// Withdraws every lease by this grant of a secret.
    pub(crate) fn withdraw_granted(&self, id: SecretGrantId) {
        let is_its = |lease: &Lease| matches!(lease.basis(), Basis::SecretGrant { grant, .. } if *grant == id);
        self.withdraw(is_its);
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
        let taken = self.take_back(is_meant);
        self.record_end(&taken, Durability::Durable);
    }

    fn take_back(&self, is_meant: impl Fn(&Lease) -> bool) -> Vec<Entry> {
        let taken: Vec<Entry> =
            self.leases().extract_if(.., |entry| is_meant(&entry.lease)).collect();
        taken.iter().for_each(|entry| entry.lease.withdraw());
        taken
    }

    fn record_end(&self, ended: &[Entry], durability: Durability) {
        for entry in ended.iter().filter(|entry| entry.stands()) {
            let record = Record::ending(EventType::LeaseEnded, &entry.lease);
            // A log that takes no records gives nothing any more.
            let _log_has_stopped = self.log.append(record, durability, clock::stamp());
        }
    }

    fn leases(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_approved(lease: &Lease) -> bool {
    matches!(lease.basis(), Basis::Approval { .. })
}
