//! What the queue takes over from an earlier daemon, as the log has it.

use super::binding::{Nonce, given_by};
use super::entitlement::Identity;
use super::{ApprovalQueue, Approved, Pending, Question, Why, recall};
use crate::clock;
use std::sync::Arc;
use ward_audit::{Entry, EvidenceKind};
use ward_policy::{ApprovalRequest, Caller, Fingerprint, Given, Moment, RequestId, UserId};

/// A request that an earlier daemon was asked, as the log has it.
pub(crate) struct Taken {
    pub(crate) request: ApprovalRequest,
    pub(crate) holder: Fingerprint,
    pub(crate) asker: Arc<Caller>,
    pub(crate) reason: Option<Arc<str>>,
    pub(crate) expires: Moment,
    pub(crate) answers: Answers,
}

/// What approvers had given, each another one; empty when one of them cannot be read any more.
#[derive(Debug, Default)]
pub(crate) struct Answers(Vec<(Identity, Given)>);

impl Answers {
    /// What they give together and who holds that, when they are enough.
    pub(crate) fn yes(
        &self,
        request: &ApprovalRequest,
        asker: &Caller,
        holder: &Fingerprint,
    ) -> Option<(Given, Fingerprint)> {
        let obligations = request.obligations();
        let quorum = usize::try_from(obligations.quorum).unwrap_or(usize::MAX);
        let both = |one: Given, (_, other): &(Identity, Given)| one.and(*other);
        let given = self.0.iter().fold(obligations.whole(), both);
        let holder = if given.scope == obligations.scope {
            holder.clone()
        } else {
            asker.fingerprint(given.scope)?
        };
        (self.0.len() >= quorum).then_some((given, holder))
    }
}

/// The answers with yes that the log has.
pub(crate) fn answers_of(approved: &[Entry<'_>]) -> Answers {
    let read: Option<Vec<_>> = approved.iter().map(answer_of).collect();
    let mut answers: Vec<(Identity, Given)> = Vec::new();
    for (identity, given) in read.unwrap_or_default() {
        if answers.iter().all(|(other, _)| identity.differs_from(other)) {
            answers.push((identity, given));
        }
    }
    Answers(answers)
}

fn answer_of(approved: &Entry<'_>) -> Option<(Identity, Given)> {
    let given = given_by(approved.binding.as_deref()?)?;
    let evidence = approved.evidence.as_ref()?;
    let signer = match evidence.kind {
        EvidenceKind::Signed | EvidenceKind::Hardware => evidence.approver.as_deref(),
        EvidenceKind::Local | EvidenceKind::Passphrase => None,
    };
    let identity =
        Identity { user: UserId(approved.actor.as_ref()?.uid), signer: signer.map(str::to_owned) };
    Some((identity, given))
}

impl ApprovalQueue {
    /// Takes a request of an earlier daemon up; a yes when enough approvers had given theirs.
    pub(crate) fn take_up(&self, id: RequestId, taken: Taken) -> Option<Approved> {
        let Taken { request, holder, asker, reason, expires, answers } = taken;
        if expires > clock::now()
            && let Some((given, holder)) = answers.yes(&request, &asker, &holder)
        {
            return Some(Approved {
                permit: recall(id, request, given),
                holder,
                uses: given.uses,
                held: Vec::new(),
                onlookers: Vec::new(),
                equal: Vec::new(),
            });
        }
        let Answers(approved) = answers;
        let question = Question::of(request.grant(), holder);
        let (held, why) = (Vec::new(), Why::Unanswered);
        // Without it nobody could sign an answer: it is as if it had expired.
        let nonce = Nonce::new(expires)?;
        let pending =
            Pending { request, question, asker, reason, expires, why, nonce, approved, held };
        self.state().pending.insert(id, pending);
        self.wake();
        None
    }

    /// Refuses the question of a request without asking, until then: a human said no to it.
    pub(crate) fn silence(&self, taken: &Taken, until: Moment) {
        let question = Question::of(taken.request.grant(), taken.holder.clone());
        self.state().silenced.push((question, until));
    }
}
