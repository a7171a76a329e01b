//! A new policy takes the place of the one in force, and says what that changes.

use crate::clock;
use crate::daemon::Daemon;
use crate::policy_in_force::{self, LoadPolicyError};
use crate::root::POLICY;
use std::sync::{Arc, PoisonError};
use ward_audit::{AppendError, Durability, EventType, Record};
use ward_policy::{Basis, Change, Digest, Lease};

/// A policy that was taken.
#[derive(Debug)]
pub(crate) struct Reloaded {
    /// SHA-256 of its text.
    pub(crate) policy: Digest,
    /// What differs from the one before.
    pub(crate) changes: Vec<Change>,
    /// Leases of approvals that ended with the one before.
    pub(crate) ended: Vec<Arc<Lease>>,
}

/// Why a policy was not taken, or not recorded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReloadError {
    /// It does not load; the one before stays.
    #[error(transparent)]
    Load(#[from] LoadPolicyError),
    /// It is in force, and the log took no record.
    #[error(transparent)]
    Log(#[from] AppendError),
}

impl Daemon {
    /// Takes the policy as it is in the file now; one that does not load changes nothing.
    pub(crate) fn reload(&self) -> Result<Reloaded, ReloadError> {
        let pipeline = &self.pipeline;
        let _one_at_a_time = self.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let rules = match policy_in_force::load(&self.root, POLICY) {
            Ok(rules) => rules,
            Err(error) => {
                let reason = error.to_string();
                self.append(Record::new(EventType::PolicyRefused).reason(&reason))?;
                return Err(error.into());
            }
        };
        let policy = rules.digest();
        let changes = pipeline.policy.rules().changes_to(&rules);
        // A log that has stopped names nobody any more.
        let _log_has_stopped = pipeline.log.record_names(rules.record_names());
        pipeline.callers.look_at_ancestors(rules.asks_for_ancestors());
        pipeline.policy.replace(rules);
        let is_approved = |lease: &Arc<Lease>| matches!(lease.basis(), Basis::Approval { .. });
        let ended = pipeline.leases.withdraw_other_policies(policy);
        let ended: Vec<Arc<Lease>> = ended.into_iter().filter(is_approved).collect();
        let reason = words(&changes, &ended);
        self.append(Record::new(EventType::PolicyLoaded).policy(policy).reason(&reason))?;
        Ok(Reloaded { policy, changes, ended })
    }

    pub(crate) fn append(&self, record: Record<'_>) -> Result<(), AppendError> {
        self.pipeline.log.append(record, Durability::Durable, clock::stamp()).map(|_receipt| ())
    }
}

/// What changed, for the log: no values, which may name secrets.
fn words(changes: &[Change], ended: &[Arc<Lease>]) -> String {
    let mut words: Vec<String> = changes.iter().map(ToString::to_string).collect();
    if words.is_empty() {
        words.push("nothing but its form changed".to_owned());
    }
    words.extend(ended.iter().map(|lease| format!("lease {} ended", lease.id())));
    words.join("; ")
}
