//! Asking a human ahead of an open.

use super::expiry::EXPIRED;
use super::{OpenError, Pipeline};
use crate::clock;
use std::sync::Arc;
use std::time::Duration;
use ward_audit::{Durability, EventType, Record};
use ward_policy::{
    Caller, Decision, FileId, Narrowing, Operation, OperationSet, Question, RequestId, SecretPath,
    Ticket, TooWide, VaultName,
};
use ward_store::{VaultKind, WallTime};

/// The longest reason, in bytes.
pub(crate) const LONGEST_REASON: usize = 1024;

/// What is asked for, and why.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) vault: &'a VaultName,
    pub(crate) path: &'a SecretPath,
    pub(crate) file: Option<FileId>,
    /// When the file's value ends.
    pub(crate) expires: Option<WallTime>,
    pub(crate) operations: OperationSet,
    pub(crate) reason: &'a str,
    pub(crate) ticket: Option<&'a Ticket>,
    /// How much less than the policy allows the asker wants.
    pub(crate) wished: Narrowing,
}

/// A question that a human is asked now.
#[derive(Clone, Debug)]
pub(crate) struct AskedAhead {
    pub(crate) id: RequestId,
    /// For whom: who of the asker's session was refused it last, else the asker.
    pub(crate) holder: Arc<Caller>,
}

/// Why no human is asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AheadError {
    /// A reason is missing, or a novel.
    #[error("a reason is 1 to {LONGEST_REASON} bytes long")]
    Reason,
    /// Not there, or not for the caller to know.
    #[error("there is no such secret")]
    NoSuchSecret,
    /// No human is needed.
    #[error("the policy allows it already")]
    Allowed,
    /// More is asked for than the policy allows.
    #[error(transparent)]
    TooWide(#[from] TooWide),
    /// The same of a handoff.
    #[error("a handoff lasts {} s at most", .0.as_secs())]
    LongHandoff(Duration),
    /// Refused, or impossible.
    #[error(transparent)]
    Open(#[from] OpenError),
}

/// The operations of these names; only those of files can be asked for.
pub(crate) fn file_operations(words: &[String]) -> Option<OperationSet> {
    let file = [Operation::FileRead, Operation::FileWrite];
    let mut operations = OperationSet::EMPTY;
    for word in words {
        operations = operations.with(file.into_iter().find(|it| it.name() == word)?);
    }
    Some(operations).filter(|operations| !operations.is_empty())
}

impl Pipeline {
    /// Puts a question to a human for `asker`, who must be permitted to ask.
    pub(crate) fn ask_ahead(
        &self,
        asker: &Arc<Caller>,
        wanted: Wanted<'_>,
    ) -> Result<AskedAhead, AheadError> {
        if wanted.reason.trim().is_empty() || wanted.reason.len() > LONGEST_REASON {
            return Err(AheadError::Reason);
        }
        self.permit_to_ask(asker, &wanted)?;
        let name = (wanted.vault, wanted.path);
        let is_visible = self.is_visible(asker, name, wanted.file);
        if wanted.file.is_none() || !is_visible {
            return Err(AheadError::NoSuchSecret);
        }
        // No yes could be of use.
        if self.calendar.is_over(wanted.expires) {
            let question = wanted.question(wanted.operations);
            let id = self.record_refusal(asker, &question, &EXPIRED)?;
            return Err(OpenError::Expired(id).into());
        }
        let refused = self.refusals.refused(asker, name, wanted.operations);
        let holder = refused.unwrap_or_else(|| Arc::clone(asker));
        let question = wanted.question(wanted.operations);
        match self.decide_reading(&holder, VaultKind::Secrets, &question) {
            Decision::NeedsApproval(request) => {
                let request = request.no_more_than(&wanted.wished)?;
                let id = self.request(&holder, &question, request, (Some(wanted.reason), None))?;
                Ok(AskedAhead { id, holder })
            }
            Decision::Permitted(permit) => {
                let _nothing_to_ask = permit;
                Err(AheadError::Allowed)
            }
            Decision::Denied(denial) => {
                Err(OpenError::Denied(self.record_refusal(&holder, &question, &denial)?).into())
            }
        }
    }

    /// Asking is an operation of its own, and recorded; nobody is asked whether somebody may ask.
    pub(super) fn permit_to_ask(
        &self,
        asker: &Caller,
        wanted: &Wanted<'_>,
    ) -> Result<(), OpenError> {
        let question = wanted.question(OperationSet::of(Operation::RequestCreate));
        let why: &dyn std::fmt::Display = match self.policy.evaluate(asker, &question) {
            Decision::Permitted(permit) => {
                let (grant, _) = permit.spend();
                let record = Record::new(EventType::Command).by(asker).granted(&grant);
                let _recorded = self.log.append(record, Durability::Durable, clock::stamp())?;
                return Ok(());
            }
            Decision::NeedsApproval(_) => &"a rule wants an approval for asking",
            Decision::Denied(ref denial) => &denial.to_string(),
        };
        Err(OpenError::Denied(self.record_refusal(asker, &question, why)?))
    }
}

impl<'a> Wanted<'a> {
    pub(super) fn question(self, operations: OperationSet) -> Question<'a> {
        Question {
            operations,
            vault: Some(self.vault),
            path: Some(self.path),
            file: self.file,
            ticket: self.ticket,
            ..Question::default()
        }
    }
}
