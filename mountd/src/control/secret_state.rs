//! The state of one secret, as it is for who asks.

use super::failure::{failure, no_such_secret};
use super::message::{Failure, FailureCode, LastRead, Maker, OwnLease, OwnRequest, SecretState};
use super::requests::names;
use super::secrets::maker_of;
use super::session::{About, Control};
use super::vaults::number;
use crate::approval_queue::RequestState;
use crate::clock;
use crate::read_table::Reads;
use std::sync::Arc;
use ward_policy::{Decision, FileId, Lease, Operation, VaultName};
use ward_store::VaultKind;

impl Control<'_> {
    /// What is known of a secret, and what the caller's own requests and leases have come to. It takes no
    /// permission but to know the name, and leaves no record.
    pub(super) fn secret_status(&self, vault: &str, path: &str) -> Result<SecretState, Failure> {
        let (vault, path) = names(vault, path)?;
        let open = self.reach_secrets(&vault)?;
        let path = self.name_or_entry(&open, path);
        let file = self.visible_file(&open, &path)?;
        let attributes = open.vault.attributes(file).ok_or_else(no_such_secret)?;
        let pipeline = &self.daemon.pipeline;
        let about =
            About { vault: Some(&vault), path: Some(&path), file: Some(file), ..About::default() };
        let request = self.own_request(&vault, file);
        let lease = self.own_lease(&vault, file);
        let question = about.question(Operation::FileRead);
        let decision = pipeline.decide_reading(&self.caller, VaultKind::Secrets, &question);
        let may_read = match &decision {
            Decision::Permitted(_) => true,
            Decision::NeedsApproval(_) | Decision::Denied(_) => lease.is_some(),
        };
        let is_expired = self.is_expired(&open, file);
        let state = if is_expired { "expired" } else { state(&decision, &lease, request.as_ref()) };
        let version = open.vault.current_version(file);
        let imprint = version.and_then(|version| open.vault.imprint(file, version));
        let text = |time| clock::text(clock::wall_of(time));
        let expires = imprint.as_ref().and_then(|imprint| imprint.expires);
        let sees_all = may_read || self.is_approver();
        let reads = if sees_all { Some(pipeline.reads_of(&vault, &path)) } else { None };
        let reads = reads
            .transpose()
            .map_err(|error| failure(FailureCode::Damaged, error, "run: ward audit verify"))?;
        let may_grant = self.may(Operation::SecretGrant, about);
        let grants = pipeline.grants.of_file(&vault, file).into_iter().filter(|given| {
            let rules = pipeline.policy.rules();
            let is_own = rules.clients_of(&self.caller).contains(&&**given.grant.client());
            may_grant || is_own || given.giver == self.caller.uid
        });
        Ok(SecretState {
            vault: vault.to_string(),
            path: path.to_string(),
            state: state.to_owned(),
            made: text(attributes.created),
            modified: text(attributes.modified),
            expires: expires.map(text),
            bytes: may_read.then_some(attributes.size),
            versions: sees_all.then(|| number(attributes.versions)),
            made_by: imprint.filter(|_| sees_all).map(maker_of),
            reads: reads.as_ref().map(|reads| reads.as_ref().map_or(0, |reads| reads.count)),
            last_read: reads.flatten().map(last_read),
            request,
            lease: lease.map(|lease| OwnLease {
                lease: lease.id().to_string(),
                ends_in: lease.ends().remaining(clock::now()).as_secs(),
            }),
            grants: grants.filter_map(|given| self.grant_state(&given)).collect(),
        })
    }

    /// The newest request about a file that the caller's user made, in its agent session if it is in one.
    fn own_request(&self, vault: &VaultName, file: FileId) -> Option<OwnRequest> {
        let newest = self.daemon.pipeline.approvals.newest_of(&self.caller, vault, file);
        newest.map(|(id, state)| {
            let (state, reason) = match state {
                RequestState::Pending => ("pending", None),
                RequestState::Approved => ("approved", None),
                RequestState::Denied(reason) => ("denied", reason),
                RequestState::Expired => ("expired", None),
            };
            let reason = reason.map(|reason| reason.to_string());
            OwnRequest { request: id.to_string(), state: state.to_owned(), reason }
        })
    }

    /// A lease of an approval on a file that the caller's user holds, in the same way.
    fn own_lease(&self, vault: &VaultName, file: FileId) -> Option<Arc<Lease>> {
        self.daemon.pipeline.leases.approved().into_iter().find(|lease| {
            let (grant, holder) = (lease.grant(), lease.holder());
            grant.vault.as_ref() == Some(vault)
                && grant.file == Some(file)
                && grant.operations.contains(Operation::FileRead)
                && (holder.uid(), holder.agent()) == (self.caller.uid, self.caller.agent_session())
                && holder.acting() == self.caller.acting_client()
        })
    }
}

/// The word for how it stands.
fn state(
    decision: &Decision,
    lease: &Option<Arc<Lease>>,
    request: Option<&OwnRequest>,
) -> &'static str {
    let asked = request.map(|request| request.state.as_str());
    match (decision, lease, asked) {
        (Decision::Permitted(_), _, _) => "available",
        (_, Some(_), _) => "approved",
        (_, None, Some("pending")) => "pending",
        (_, None, Some("denied")) => "denied",
        (Decision::NeedsApproval(_), None, _) => "needs-approval",
        (Decision::Denied(_), None, _) => "not-allowed",
    }
}

fn last_read(reads: Reads) -> LastRead {
    let Reads { count: _, last, by } = reads;
    LastRead {
        at: last.to_string(),
        by: Maker { uid: by.uid, agent: by.agent, program: by.program },
    }
}
