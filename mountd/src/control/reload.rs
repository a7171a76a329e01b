//! `policy-reload`: has the daemon take the policy as it is in the file now.

use super::failure::{bad_input, of_open};
use super::message::{Failure, PolicyReloaded};
use super::session::{About, Control};
use super::state::shown;
use crate::pipeline::OpenError;
use crate::reload::ReloadError;
use ward_audit::EventType;
use ward_policy::Operation;

impl Control<'_> {
    pub(super) fn policy_reload(&self) -> Result<PolicyReloaded, Failure> {
        self.permit(Operation::PolicyReload, EventType::Command, About::default())?;
        let reloaded = self.daemon.reload().map_err(|error| match error {
            ReloadError::Load(error) => bad_input(error, "mend the file; the running policy stays"),
            ReloadError::Settings(error) => {
                bad_input(error, "mend the file; the running settings and policy stay")
            }
            ReloadError::Log(error) => of_open(&OpenError::from(error)),
        })?;
        Ok(PolicyReloaded {
            policy: reloaded.policy.to_string(),
            changes: reloaded.changes,
            settings_changed: reloaded.settings.taken,
            settings_waiting: reloaded.settings.waiting,
            leases_ended: reloaded.ended.iter().filter_map(|lease| shown(lease, None)).collect(),
        })
    }
}
