//! Handing files out: who may read one lets somebody else read it, for a time.
//!
//! It is an operation (`handoff.grant`), not an approval: no human is asked, and nobody gives what
//! takes a human that it has not asked. What was handed out cannot be handed on: it is no right that
//! counts for giving.

use super::ahead::{AheadError, LONGEST_REASON, Wanted};
use super::open::Attempt;
use super::{OpenError, Pipeline};
use crate::clock;
use crate::handoff_table::{
    CannotAsk, Given, HandoffState, HandoffTerms, HandoffView, WantedHandoff,
};
use crate::helper::Notice;
use crate::lease_table::{NoRandomness, Reach};
use crate::vault_table::OpenVault;
use std::sync::Arc;
use ward_audit::{Durability, EventType, Outcome, Record};
use ward_policy::{
    Caller, Decision, Denial, Digest, FileId, Handoff, Operation, OperationSet, Question, Reading,
    RequestId, VaultName,
};
use ward_store::{NodeKind, NodeType, VaultKind};

/// What a giver says beside yes: nothing is what was asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LessOf {
    pub(crate) uses: Option<u32>,
    pub(crate) lease: Option<std::time::Duration>,
}

/// Why an answer to a request for a handoff changes nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandOutError {
    /// No such request waits, or none that the caller may answer.
    #[error("no request with this id waits for an answer of yours")]
    NotYours,
    /// It would be nothing, or more than was asked for.
    #[error("give at least one open and one second, and no more than was asked for")]
    Terms,
    /// It could not be recorded.
    #[error(transparent)]
    Open(#[from] OpenError),
}

impl Pipeline {
    /// Asks whoever may hand it out for a file of `vault`. Whether the file is there is not told.
    pub(crate) fn ask_for_handoff(
        &self,
        asker: &Arc<Caller>,
        vault: &OpenVault,
        wanted: WantedHandoff,
    ) -> Result<HandoffView, AheadError> {
        if wanted.reason.trim().is_empty() || wanted.reason.len() > LONGEST_REASON {
            return Err(AheadError::Reason);
        }
        let usual = self.policy.rules().usual_lease();
        if wanted.terms.lease > usual {
            return Err(AheadError::LongHandoff(usual));
        }
        if wanted.terms.uses == Some(0) || wanted.terms.lease.is_zero() {
            return Err(AheadError::TooWide(ward_policy::TooWide::Nothing));
        }
        let read = OperationSet::of(Operation::FileRead);
        let asked = Wanted {
            vault: &wanted.vault,
            path: &wanted.path,
            file: vault.find(&wanted.path),
            expires: None,
            operations: read,
            reason: &wanted.reason,
            ticket: wanted.ticket.as_ref(),
            wished: ward_policy::Narrowing::default(),
        };
        self.permit_to_ask(asker, &asked)?;
        let question = asked.question(read);
        match self.policy.evaluate(asker, &question) {
            Decision::Permitted(permit) => {
                let _needs_nobody = permit;
                return Err(AheadError::Allowed);
            }
            Decision::NeedsApproval(request) if self.leases.has(&request, asker) => {
                return Err(AheadError::Allowed);
            }
            // Once it is handed out, opening it asks that human.
            Decision::NeedsApproval(_) | Decision::Denied(Denial::NoRule) => {}
            Decision::Denied(denial) => {
                return Err(
                    OpenError::Denied(self.record_refusal(asker, &question, &denial)?).into()
                );
            }
        }
        let (view, is_new) = match self.handoffs.ask(asker, wanted.clone()) {
            Ok(asked) => asked,
            Err(CannotAsk::NoRandomness) => return Err(OpenError::from(NoRandomness).into()),
            Err(CannotAsk::Silenced) => {
                let why = crate::approval_queue::AskError::Silenced;
                return Err(OpenError::Denied(self.record_refusal(asker, &question, &why)?).into());
            }
        };
        if is_new {
            let record = about(EventType::HandoffAsked, &view, vault.vault.kind());
            let record = record.by(asker).decision(Outcome::NeedsApproval);
            let record = record.reason(&view.wanted.reason);
            if let Err(error) = self.log.append(record, Durability::Durable, clock::stamp()) {
                self.end_handoffs(&self.handoffs.end_one(view.id), "the log took no record");
                return Err(OpenError::from(error).into());
            }
            self.approvals.announce();
            let words = notice(&view);
            self.notifier.tell(view.id, || Notice::new(view.id, Some(&vault.name), &words));
        }
        Ok(view)
    }

    /// Whether `giver` may answer that request now: the file is there, it may hand it out and read it
    /// without a new question, and does not ask for it itself.
    pub(crate) fn may_hand_out(
        &self,
        giver: &Arc<Caller>,
        vault: &OpenVault,
        view: &HandoffView,
    ) -> bool {
        let Some(file) = self.file_to_hand_out(giver, vault, view) else { return false };
        let question = question(view, OperationSet::of(Operation::HandoffGrant), file);
        let reading = question_of_reading(view, file);
        let may_grant = match self.policy.evaluate(giver, &question) {
            Decision::Permitted(permit) => {
                let _looked_at_only = permit;
                true
            }
            Decision::NeedsApproval(_) | Decision::Denied(_) => false,
        };
        may_grant
            && match self.decide(giver, vault.vault.kind(), &reading) {
                Decision::Permitted(permit) => {
                    let _looked_at_only = permit;
                    true
                }
                Decision::NeedsApproval(request) => self.leases.has(&request, giver),
                Decision::Denied(_) => false,
            }
    }

    /// The giver's yes: recorded, then given.
    pub(crate) fn hand_out(
        &self,
        giver: &Arc<Caller>,
        vault: &OpenVault,
        (id, less): (RequestId, LessOf),
    ) -> Result<(), HandOutError> {
        let view = self.handoffs.find(id).filter(|view| matches!(view.state, HandoffState::Waits));
        let view = view.ok_or(HandOutError::NotYours)?;
        let terms = less.of(view.wanted.terms).ok_or(HandOutError::Terms)?;
        let file = self.file_to_hand_out(giver, vault, &view).ok_or(HandOutError::NotYours)?;
        let granting = OperationSet::of(Operation::HandoffGrant);
        let Decision::Permitted(granting) =
            self.policy.evaluate(giver, &question(&view, granting, file))
        else {
            return Err(HandOutError::NotYours);
        };
        let now = clock::now();
        let (permit, lease);
        let reading = question_of_reading(&view, file);
        let (reading, latest) = match self.decide(giver, vault.vault.kind(), &reading) {
            Decision::Permitted(permitted) => {
                permit = permitted;
                (Reading::Rule(&permit), None)
            }
            // One that serves so many opens is used up by this as by an open.
            Decision::NeedsApproval(request) => {
                lease = self.leases.find(&request, giver).ok_or(HandOutError::NotYours)?;
                let active = lease.active_for(giver, now).map_err(|_| HandOutError::NotYours)?;
                (Reading::Lease(active), Some(lease.ends()))
            }
            Decision::Denied(_) => return Err(HandOutError::NotYours),
        };
        let ends = now.after(terms.lease);
        let ends = latest.map_or(ends, |latest| ends.min(latest));
        let handoff =
            Handoff::begin(&granting, &reading, id, ends).ok_or(HandOutError::NotYours)?;
        let reach = Reach::of(terms.uses, 0).name();
        let record = Record::handing(&handoff, &reach).by(giver).vault_kind(vault.vault.kind());
        let recorded = self.log.append(record, Durability::Durable, clock::stamp());
        let _recorded = recorded.map_err(OpenError::from)?;
        let given = Given { handoff, terms };
        let is_first = self.handoffs.answer(id, HandoffState::Given(Arc::new(given)));
        self.approvals.announce();
        if is_first { Ok(()) } else { Err(HandOutError::NotYours) }
    }

    /// The no of who could hand it out, or an end to what was handed out.
    pub(crate) fn keep_back(
        &self,
        giver: &Arc<Caller>,
        vault: &OpenVault,
        (id, words): (RequestId, Option<&str>),
    ) -> Result<(), HandOutError> {
        let view = self.handoffs.find(id).filter(|view| self.may_hand_out(giver, vault, view));
        let view = view.ok_or(HandOutError::NotYours)?;
        let record = about(EventType::HandoffDenied, &view, vault.vault.kind());
        let record = record.by(giver).decision(Outcome::Denied);
        let record = record.reason(words.unwrap_or_default());
        let recorded = self.log.append(record, Durability::Durable, clock::stamp());
        let _recorded = recorded.map_err(OpenError::from)?;
        if !self.handoffs.answer(id, HandoffState::Denied(words.map(Arc::from))) {
            self.end_handoffs(&self.handoffs.end_one(id), "it was taken back");
        }
        self.approvals.announce();
        Ok(())
    }

    /// Takes a request back that its asker wants no more.
    pub(crate) fn take_back_handoff(&self, id: RequestId) {
        self.end_handoffs(&self.handoffs.end_one(id), "who asked took it back");
    }

    /// Ends what is over by its time.
    pub(crate) fn end_late_handoffs(&self) {
        self.end_handoffs(&self.handoffs.end_late(), "its time was over");
    }

    /// Ends every handoff of a vault, with its mount.
    pub(crate) fn end_handoffs_of(&self, vault: &VaultName) {
        self.end_handoffs(&self.handoffs.end_vault(vault), "the mount ended");
    }

    /// Ends what another policy let givers give.
    pub(crate) fn end_handoffs_of_other_policies(&self, policy: Digest) {
        self.end_handoffs(&self.handoffs.end_other_policies(policy), "the policy changed");
    }

    /// Withdraws and records what has ended; `views` are as it was before.
    pub(super) fn end_handoffs(&self, views: &[HandoffView], why: &str) {
        for view in views {
            self.leases.withdraw_handoff(view.id);
            let record = Record::new(EventType::HandoffEnded).by(&view.receiver);
            let record = record.on(&view.wanted.vault, &view.wanted.path).request(view.id);
            // A log that takes no records refuses everything already.
            let _log_has_stopped =
                self.log.append(record.reason(why), Durability::Written, clock::stamp());
        }
        if !views.is_empty() {
            self.approvals.announce();
        }
    }

    /// Decides an open: by the rules, or of what was handed out by the handoff and the rules.
    pub(super) fn decide_open(&self, attempt: &Attempt) -> Decision {
        let (caller, question) = (&attempt.caller, attempt.question());
        let Some(id) = attempt.request.handed else {
            return self.decide_reading(caller, attempt.place.kind(), &question);
        };
        match self.handoffs.given_to(caller, id) {
            Some(given) => {
                let rules = self.policy.rules();
                rules.evaluate_handed(caller, &question, clock::local(&rules), &given.handoff)
            }
            None => Decision::Denied(Denial::NoRule),
        }
    }

    /// The file of a request that `giver` is asked, and does not ask itself.
    fn file_to_hand_out(
        &self,
        giver: &Caller,
        vault: &OpenVault,
        view: &HandoffView,
    ) -> Option<FileId> {
        let is_asked = view.wanted.from.as_deref().is_none_or(|from| {
            giver.agent.as_deref().is_some_and(|agent| agent.name.as_str() == from)
                || self.policy.rules().clients_of(giver).contains(&from)
        });
        if !is_asked || view.is_of(giver) || view.wanted.vault != vault.name {
            return None;
        }
        let file = vault.find(&view.wanted.path)?;
        let is_file = match vault.vault.kind() {
            VaultKind::Secrets => {
                vault.vault.attributes(file).is_some_and(|it| it.kind == NodeKind::File)
            }
            VaultKind::Workspace => {
                vault.vault.node(file).is_some_and(|it| it.node_type == NodeType::File)
            }
        };
        is_file.then_some(file)
    }
}

impl LessOf {
    /// What is given of what was asked for; `None` when that is nothing, or more.
    fn of(self, asked: HandoffTerms) -> Option<HandoffTerms> {
        let lease = self.lease.unwrap_or(asked.lease);
        let uses = self.uses.or(asked.uses);
        let is_more = lease > asked.lease
            || uses.is_some_and(|uses| asked.uses.is_some_and(|asked| uses > asked));
        let is_nothing = lease.is_zero() || uses == Some(0);
        (!is_more && !is_nothing).then_some(HandoffTerms { uses, lease })
    }
}

fn question(view: &HandoffView, operations: OperationSet, file: FileId) -> Question<'_> {
    Question {
        operations,
        vault: Some(&view.wanted.vault),
        path: Some(&view.wanted.path),
        file: Some(file),
        ..Question::default()
    }
}

fn question_of_reading(view: &HandoffView, file: FileId) -> Question<'_> {
    question(view, OperationSet::of(Operation::FileRead), file)
}

/// A record about a request for a handoff.
fn about(event: EventType, view: &HandoffView, kind: VaultKind) -> Record<'_> {
    let record = Record::new(event).on(&view.wanted.vault, &view.wanted.path).vault_kind(kind);
    let record = record.operations(OperationSet::of(Operation::HandoffGrant)).request(view.id);
    view.wanted.ticket.iter().fold(record, Record::ticket)
}

/// What a human is told.
fn notice(view: &HandoffView) -> String {
    let program = view.receiver.executable.as_ref().and_then(|it| it.path.as_deref());
    let program = program.map(String::from_utf8_lossy).unwrap_or_default();
    let (uid, wanted) = (view.receiver.uid.0, &view.wanted);
    format!("uid {uid} asks by {program} to be handed {}: {}", wanted.path, wanted.reason)
}
