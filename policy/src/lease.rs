//! A lease: a permit with a holder and an end.

use crate::{Basis, Caller, Fingerprint, Grant, Moment, Permit, Share};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use ulid::Ulid;

/// The id of a lease, as shown by `ward status` and in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(pub Ulid);

impl fmt::Display for LeaseId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

/// Why a lease yields nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeaseEnd {
    /// Its time is over.
    #[error("the lease has ended")]
    Expired,
    /// Somebody took it back: revoke, unmount, policy change.
    #[error("the lease was withdrawn")]
    Withdrawn,
    /// The process that asks is not the one it was given to.
    #[error("the lease belongs to another process or program")]
    NotHolder,
}

/// A permit with a holder and an end.
#[derive(Debug)]
pub struct Lease {
    id: LeaseId,
    grant: Grant,
    basis: Basis,
    holder: Fingerprint,
    begun: Moment,
    ends: Moment,
    withdrawn: AtomicBool,
}

/// A lease that was alive, and held by the one who asks, a moment ago. Cannot be kept.
///
/// ```compile_fail
/// use ward_policy::{ActiveLease, Caller, Lease, Moment};
/// fn keep(lease: Lease, caller: &Caller, now: Moment) -> ActiveLease<'static> {
///     lease.active_for(caller, now).unwrap()
/// }
/// ```
///
/// Its twin compiles:
///
/// ```
/// use ward_policy::{ActiveLease, Caller, Lease, Moment};
/// fn use_now<'lease>(lease: &'lease Lease, caller: &Caller, now: Moment) -> ActiveLease<'lease> {
///     lease.active_for(caller, now).unwrap()
/// }
/// ```
#[derive(Debug)]
pub struct ActiveLease<'lease> {
    lease: &'lease Lease,
}

impl Lease {
    /// Spends `permit` on a lease of `holder`, from `begun` until `ends` (both on the boot clock:
    /// a lease does not survive a closed lid).
    pub fn begin(
        permit: Permit,
        id: LeaseId,
        holder: Fingerprint,
        begun: Moment,
        ends: Moment,
    ) -> Self {
        let (grant, basis) = permit.spend();
        Self { id, grant, basis, holder, begun, ends, withdrawn: AtomicBool::new(false) }
    }

    /// Proof, for the length of one step, that the lease lives and `caller` holds it.
    ///
    /// # Errors
    /// Says why not; at the very moment of its end a lease is over.
    pub fn active_for(&self, caller: &Caller, now: Moment) -> Result<ActiveLease<'_>, LeaseEnd> {
        self.lives(now)?;
        if !self.holder.is(caller) {
            return Err(LeaseEnd::NotHolder);
        }
        Ok(ActiveLease { lease: self })
    }

    /// The same for `user`, who goes on with what `opener`, its holder, opened under it.
    ///
    /// # Errors
    /// Says why not; [`LeaseEnd::NotHolder`] to whom the rules let nobody hand it.
    pub fn active_through(
        &self,
        opener: &Caller,
        user: &Caller,
        now: Moment,
    ) -> Result<ActiveLease<'_>, LeaseEnd> {
        self.lives(now)?;
        match self.grant.handle.share.right_of(opener, user) {
            Share::Nobody => Err(LeaseEnd::NotHolder),
            Share::Exec | Share::Children => Ok(ActiveLease { lease: self }),
        }
    }

    fn lives(&self, now: Moment) -> Result<(), LeaseEnd> {
        if self.withdrawn.load(Ordering::Acquire) {
            return Err(LeaseEnd::Withdrawn);
        }
        if now >= self.ends { Err(LeaseEnd::Expired) } else { Ok(()) }
    }

    /// Whether it still yields anything to its holder.
    pub fn is_live(&self, now: Moment) -> bool {
        self.lives(now).is_ok()
    }

    /// Ends it now, for every open file under it. Cannot be undone.
    pub fn withdraw(&self) {
        self.withdrawn.store(true, Ordering::Release);
    }

    /// Its id.
    pub const fn id(&self) -> LeaseId {
        self.id
    }

    /// What it permits.
    pub const fn grant(&self) -> &Grant {
        &self.grant
    }

    /// Whose yes it stands on.
    pub const fn basis(&self) -> &Basis {
        &self.basis
    }

    /// Who holds it.
    pub const fn holder(&self) -> &Fingerprint {
        &self.holder
    }

    /// When it began.
    pub const fn begun(&self) -> Moment {
        self.begun
    }

    /// When it ends by itself.
    pub const fn ends(&self) -> Moment {
        self.ends
    }
}

impl ActiveLease<'_> {
    /// The lease's id.
    pub const fn id(&self) -> LeaseId {
        self.lease.id
    }

    /// What it permits.
    pub const fn grant(&self) -> &Grant {
        &self.lease.grant
    }
}
