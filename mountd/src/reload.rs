//! A new policy takes the place of the one in force, and says what that changes.

use crate::clock;
use crate::daemon::Daemon;
use crate::policy_in_force::{self, LoadPolicyError};
use crate::root::POLICY;
use crate::settings::{Settings, SettingsChange, SettingsError};
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
    /// What differs from the settings before.
    pub(crate) settings: SettingsChange,
}

/// Why a policy was not taken, or not recorded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReloadError {
    /// It does not load; the one before stays.
    #[error(transparent)]
    Load(#[from] LoadPolicyError),
    /// `ward.toml` is not taken; nothing changed.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// It is in force, and the log took no record.
    #[error(transparent)]
    Log(#[from] AppendError),
}

impl Daemon {
    /// Takes policy and settings as they are in the files now; one that does not load changes nothing.
    pub(crate) fn reload(&self) -> Result<Reloaded, ReloadError> {
        let pipeline = &self.pipeline;
        let _one_at_a_time = self.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let read = || -> Result<_, ReloadError> {
            let settings = Settings::read(&self.root)?;
            Ok((policy_in_force::load(&self.root, POLICY)?, settings))
        };
        let (rules, new) = match read() {
            Ok(read) => read,
            Err(error) => {
                let reason = error.to_string();
                self.append(Record::new(EventType::PolicyRefused).reason(&reason))?;
                return Err(error);
            }
        };
        let settings = self.settings().change_to(&new);
        self.take_settings(new);
        let policy = rules.digest();
        let changes = pipeline.policy.rules().changes_to(&rules);
        // A log that has stopped names nobody any more.
        let _log_has_stopped = pipeline.log.record_names(rules.record_names());
        pipeline.callers.look_at_ancestors(rules.asks_for_ancestors());
        pipeline.policy.replace(rules);
        let is_approved = |lease: &Arc<Lease>| matches!(lease.basis(), Basis::Approval { .. });
        let ended = pipeline.leases.withdraw_other_policies(policy);
        pipeline.end_handoffs_of_other_policies(policy);
        let ended: Vec<Arc<Lease>> = ended.into_iter().filter(is_approved).collect();
        let reason = words(&changes, &ended, &settings);
        self.append(Record::new(EventType::PolicyLoaded).policy(policy).reason(&reason))?;
        Ok(Reloaded { policy, changes, ended, settings })
    }

    pub(crate) fn append(&self, record: Record<'_>) -> Result<(), AppendError> {
        self.pipeline.log.append(record, Durability::Durable, clock::stamp()).map(|_receipt| ())
    }
}

/// What changed, for the log: no values, which may name secrets.
fn words(changes: &[Change], ended: &[Arc<Lease>], settings: &SettingsChange) -> String {
    let mut words: Vec<String> = changes.iter().map(ToString::to_string).collect();
    if words.is_empty() {
        words.push("nothing but its form changed".to_owned());
    }
    words.extend(ended.iter().map(|lease| format!("lease {} ended", lease.id())));
    words.extend(settings.taken.iter().map(|key| format!("setting {key} changed")));
    words.extend(settings.waiting.iter().map(|key| format!("setting {key} waits for a restart")));
    words.join("; ")
}
