//! Commands that look at everything: what rules say to a client, and whether vaults are whole.

use super::failure::{failure, of_reach};
use super::message::{AccessVerdict, Failure, FailureCode, Verified, VerifiedVault};
use super::session::{About, Control};
use super::vaults::number;
use crate::vault_table::{ReachError, check_all};
use ward_audit::EventType;
use ward_policy::{Basis, Operation, VaultName};

impl Control<'_> {
    /// What the rules say to a client, for who may check the policy.
    pub(super) fn access(&self, client: &str) -> Result<AccessVerdict, Failure> {
        self.permit(Operation::PolicyCheck, EventType::Command, About::default())?;
        let rules = self.daemon.pipeline.policy.rules();
        let access = rules.access_of(client).ok_or_else(|| {
            let message = format!("no client of the policy is named {client:?}");
            failure(FailureCode::NotFound, message, "name one of [clients] of the policy")
        })?;
        let policy = rules.digest().to_string();
        Ok(AccessVerdict { client: client.to_owned(), policy, access })
    }

    /// Reads all of every vault that needs no passphrase. Changes nothing; what is over has ended by
    /// itself.
    pub(super) fn verify(&self) -> Result<Verified, Failure> {
        self.permit(Operation::AuditVerify, EventType::Command, About::default())?;
        let names = self.daemon.vaults.names();
        let names = names.map_err(|error| of_reach(&ReachError::Folder(error)))?;
        let pipeline = &self.daemon.pipeline;
        let leases = pipeline.leases.approved();
        let is_given = |basis: &Basis| matches!(basis, Basis::Approval { .. });
        Ok(Verified {
            pending: number(pipeline.approvals.pending().len()),
            leases: number(leases.iter().filter(|lease| is_given(lease.basis())).count()),
            mounts: number(names.iter().filter_map(|name| self.daemon.mounts.view(name)).count()),
            vaults: names.iter().map(|name| self.verify_one(name)).collect(),
        })
    }

    fn verify_one(&self, name: &VaultName) -> VerifiedVault {
        let vaults = &self.daemon.vaults;
        let (state, findings) = match vaults.reach(name) {
            Ok(open) => {
                let findings = check_all(&open, vaults);
                (if findings.is_empty() { "whole" } else { "damaged" }, findings)
            }
            Err(ReachError::Locked(_)) => ("locked", Vec::new()),
            Err(error) => ("damaged", vec![error.to_string()]),
        };
        VerifiedVault { vault: name.to_string(), state: state.to_owned(), findings }
    }
}
