//! What the queue takes over from an earlier daemon, as the log has it.

use super::{ApprovalQueue, Approved, Pending, Question, recall};
use crate::clock;
use std::collections::BTreeSet;
use std::sync::Arc;
use ward_policy::{ApprovalRequest, Caller, Fingerprint, Moment, RequestId, UserId};

/// A request that an earlier daemon was asked, as the log has it.
pub(crate) struct Taken {
    pub(crate) request: ApprovalRequest,
    pub(crate) holder: Fingerprint,
    pub(crate) asker: Arc<Caller>,
    pub(crate) reason: Option<Arc<str>>,
    pub(crate) expires: Moment,
    pub(crate) approved_by: BTreeSet<UserId>,
}

impl ApprovalQueue {
    /// Takes a request of an earlier daemon up; a yes when enough approvers had given theirs.
    pub(crate) fn take_up(&self, id: RequestId, taken: Taken) -> Option<Approved> {
        let Taken { request, holder, asker, reason, expires, approved_by } = taken;
        let (quorum, require) = (request.obligations().quorum, request.obligations().require);
        let is_answered = approved_by.len() >= usize::try_from(quorum).unwrap_or(usize::MAX);
        if is_answered && expires > clock::now() {
            let permit = recall(id, request);
            return Some(Approved {
                permit,
                holder,
                require,
                held: Vec::new(),
                onlookers: Vec::new(),
            });
        }
        let question = Question::of(request.grant(), holder);
        let held = Vec::new();
        let pending = Pending { request, question, asker, reason, expires, approved_by, held };
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
