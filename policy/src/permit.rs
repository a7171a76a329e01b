//! A permit: proof of a yes, spent once.

use crate::{
    Digest, HandleTerms, Moment, OperationSet, RequestId, SecretGrantId, SecretPath, Ticket,
    VaultName,
};
use smallvec::SmallVec;
use std::sync::Arc;
use std::time::Duration;

/// A file of a vault by number; a name that moves keeps it, a new file under the name has another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub u64);

/// Names of rules or of clients. A few of them take no memory of their own.
pub type Names = SmallVec<[Arc<str>; 4]>;

/// What exactly was permitted, and which text said so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Everything the caller may do with it.
    pub operations: OperationSet,
    /// The vault; absent for commands about the daemon itself.
    pub vault: Option<VaultName>,
    /// The secret; absent for commands about a whole vault.
    pub path: Option<SecretPath>,
    /// The file behind the path when it was asked.
    pub file: Option<FileId>,
    /// The ticket it was asked with.
    pub ticket: Option<Ticket>,
    /// The names of secrets that the daemon derived from the question.
    pub secrets: Vec<SecretPath>,
    /// The rules that decided, in the order of the file.
    pub rules: Names,
    /// SHA-256 of the policy that decided.
    pub policy: Digest,
    /// Of a file that is opened with it: who may go on with it, and how.
    pub handle: HandleTerms,
}

/// Whose yes it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Basis {
    /// An allow rule's.
    Rule,
    /// A human's answer to this request.
    Approval {
        /// The request answered.
        request: RequestId,
        /// How long the lease may last.
        lifetime: Duration,
        /// How many opens of the same holder it serves; `None` for any number.
        uses: Option<u32>,
    },
    /// That of somebody who could read it, and handed it out to who asked by this request.
    Handoff {
        /// The request answered.
        request: RequestId,
        /// When it ends.
        ends: Moment,
    },
    /// That of somebody who could read it, and granted it to a client of the policy.
    SecretGrant {
        /// The grant.
        grant: SecretGrantId,
        /// When it ends.
        ends: Moment,
    },
}

/// Proof of a yes. Made by an allow rule, by [`crate::ApprovalRequest::approve`], by a
/// [`crate::Handoff`] or a [`crate::SecretGrant`], spent by
/// [`crate::Lease::begin`] or by the command it was asked for.
///
/// ```compile_fail
/// fn twice(permit: ward_policy::Permit) -> (ward_policy::Permit, ward_policy::Permit) {
///     (permit.clone(), permit)
/// }
/// ```
///
/// Its twin compiles, so the refusal above is for the second use:
///
/// ```
/// fn once(permit: ward_policy::Permit) -> ward_policy::Permit {
///     permit
/// }
/// ```
#[derive(Debug)]
#[must_use = "a permit that is not spent permits nothing"]
pub struct Permit {
    grant: Grant,
    basis: Basis,
}

impl Permit {
    pub(crate) const fn new(grant: Grant, basis: Basis) -> Self {
        Self { grant, basis }
    }

    /// What is permitted.
    pub const fn grant(&self) -> &Grant {
        &self.grant
    }

    /// Whose yes it is.
    pub const fn basis(&self) -> &Basis {
        &self.basis
    }

    /// Spends it: what was permitted, and by whom.
    pub fn spend(self) -> (Grant, Basis) {
        (self.grant, self.basis)
    }
}
