//! Handoffs by command: asking for a file, and answering.

use super::failure::{bad_input, failure, of_open};
use super::message::{
    Approved, Done, Failure, FailureCode, HandoffRequested, PendingRequest, RequestState, YesTerms,
};
use super::requests::{names, of_ahead, process};
use super::session::Control;
use crate::clock;
use crate::handoff_table::{HandoffState, HandoffTerms, HandoffView, WantedHandoff};
use crate::pipeline::{AheadError, HandOutError, LessOf};
use crate::vault_table::OpenVault;
use std::sync::Arc;
use std::time::Duration;
use ward_policy::{Operation, Question, Require, Ticket};

impl Control<'_> {
    /// Asks to be handed a file.
    pub(super) fn ask_file(
        &self,
        (vault, path): (&str, &str),
        (reason, from): (String, Option<String>),
        ticket: Option<&str>,
        (uses, seconds): (Option<u32>, Option<u64>),
    ) -> Result<HandoffRequested, Failure> {
        let (vault, path) = names(vault, path)?;
        let ticket = ticket.map(Ticket::try_from).transpose();
        let ticket = ticket.map_err(|error| bad_input(error, "leave --ticket out, or mend it"))?;
        let pipeline = &self.daemon.pipeline;
        let open = self.reach(&vault)?;
        let mount = self.daemon.mounts.view(&vault).ok_or_else(|| {
            let next = format!("mount it first: ward vault mount {vault}");
            failure(FailureCode::NotFound, format!("the vault {vault} is not mounted"), &next)
        })?;
        let usual = pipeline.policy.rules().usual_lease();
        let lease = seconds.map_or(usual, Duration::from_secs);
        let wanted = WantedHandoff {
            vault: vault.clone(),
            path: path.clone(),
            reason: reason.into(),
            ticket,
            from: from.map(Arc::from),
            terms: HandoffTerms { uses, lease },
        };
        let asked = pipeline.ask_for_handoff(&self.caller, &open, wanted);
        let view = asked.map_err(|error| match error {
            AheadError::Open(error) => {
                let (vault, path) = (Some(&vault), Some(&path));
                self.refused(&error, &Question { vault, path, ..Question::default() })
            }
            other @ (AheadError::Reason
            | AheadError::NoSuchSecret
            | AheadError::Allowed
            | AheadError::TooWide(_)
            | AheadError::LongHandoff(_)) => of_ahead(&other),
        })?;
        let (id, name) = (view.id, String::from_utf8_lossy(view.file_name()).into_owned());
        Ok(HandoffRequested {
            request: id.to_string(),
            vault: vault.to_string(),
            path: path.to_string(),
            asker: process(&view.receiver),
            inbox: format!("{}/.ward/inbox/{id}", mount.path),
            file: format!("{}/.ward/handoff/{id}/{name}", mount.path),
            expires: clock::wall_text(view.expires),
        })
    }

    /// Requests for handoffs that the caller may answer.
    pub(super) fn waiting_handoffs(&self) -> impl Iterator<Item = PendingRequest> {
        let waiting = self.daemon.pipeline.handoffs.waiting().into_iter();
        waiting.filter(|view| self.vault_to_answer(view).is_some()).map(|view| shown(&view))
    }

    /// The yes to a request that is one for a handoff; `None` when it is another.
    pub(super) fn hand_out(
        &self,
        request: &str,
        terms: &YesTerms,
    ) -> Option<Result<Approved, Failure>> {
        let view = self.handoff(request)?;
        let less = LessOf { uses: terms.uses, lease: terms.seconds.map(Duration::from_secs) };
        if terms.until_unmount || terms.scope.is_some() {
            let next = "give --uses or --for";
            return Some(Err(bad_input("a handoff is for who asked, and ends by a time", next)));
        }
        let vault = self.vault_to_answer(&view);
        let answered = vault
            .ok_or(HandOutError::NotYours)
            .and_then(|vault| self.daemon.pipeline.hand_out(&self.caller, &vault, (view.id, less)));
        Some(answered.map(|()| Approved { missing: 0 }).map_err(|error| of_hand_out(&error)))
    }

    /// The no, in the same way.
    pub(super) fn keep_back(
        &self,
        request: &str,
        reason: Option<&str>,
    ) -> Option<Result<Done, Failure>> {
        let view = self.handoff(request)?;
        let vault = self.vault_to_answer(&view);
        let answered = vault.ok_or(HandOutError::NotYours).and_then(|vault| {
            self.daemon.pipeline.keep_back(&self.caller, &vault, (view.id, reason))
        });
        Some(answered.map(|()| Done {}).map_err(|error| of_hand_out(&error)))
    }

    /// How a request for a handoff stands, for who asked and who may answer.
    pub(super) fn handoff_state(&self, request: &str) -> Option<RequestState> {
        let view = self.handoff(request)?;
        let may_know =
            view.receiver.uid == self.caller.uid || self.vault_to_answer(&view).is_some();
        let (state, reason) = match view.state {
            HandoffState::Waits => ("pending", None),
            HandoffState::Given(_) => ("approved", None),
            HandoffState::Denied(reason) => ("denied", reason),
            HandoffState::Over => ("expired", None),
        };
        let reason = reason.as_deref().map(str::to_owned);
        let request = view.id.to_string();
        may_know.then(|| RequestState { request, state: state.to_owned(), reason })
    }

    fn handoff(&self, request: &str) -> Option<HandoffView> {
        let id = ulid::Ulid::from_string(request).ok().map(ward_policy::RequestId)?;
        self.daemon.pipeline.handoffs.find(id)
    }

    /// The vault of a request, when the caller may answer it.
    fn vault_to_answer(&self, view: &HandoffView) -> Option<Arc<OpenVault>> {
        let vault = self.daemon.vaults.unlocked(&view.wanted.vault)?;
        self.daemon.pipeline.may_hand_out(&self.caller, &vault, view).then_some(vault)
    }
}

fn shown(view: &HandoffView) -> PendingRequest {
    let wanted = &view.wanted;
    PendingRequest {
        request: view.id.to_string(),
        vault: wanted.vault.to_string(),
        path: wanted.path.to_string(),
        operations: vec![Operation::HandoffGrant.name().to_owned()],
        asker: process(&view.receiver),
        reason: Some(wanted.reason.to_string()),
        ticket: wanted.ticket.as_ref().map(|ticket| ticket.as_str().to_owned()),
        lease_seconds: wanted.terms.lease.as_secs(),
        uses: wanted.terms.uses,
        require: Require::FirstUse.name().to_owned(),
        factors: Vec::new(),
        is_held: false,
        expires: clock::wall_text(view.expires),
        expires_in: view.expires.remaining(clock::now()).as_secs(),
        may_answer: true,
    }
}

fn of_hand_out(error: &HandOutError) -> Failure {
    match error {
        HandOutError::NotYours => {
            failure(FailureCode::NotFound, error, "see .ward/inbox of the mount")
        }
        HandOutError::Terms => bad_input(error, "see ward list --pending"),
        HandOutError::Open(error) => of_open(error),
    }
}
