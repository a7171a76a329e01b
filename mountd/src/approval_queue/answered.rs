//! Answered requests: what came of a request, for whoever asked, for an hour after.

use super::{ApprovalQueue, Pending, Question, SILENCE};
use crate::clock;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use ward_policy::{Caller, FileId, Grant, Moment, RequestId, VaultName};

/// How long an answer is remembered.
const MEMORY: Duration = Duration::from_secs(60 * 60);
/// How many are; the oldest is forgotten.
const MOST: usize = 1024;

/// How a request stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RequestState {
    /// It waits for an answer.
    Pending,
    /// A human said yes.
    Approved,
    /// A human said no, perhaps in so many words. They are the approver's: escape them.
    Denied(Option<Arc<str>>),
    /// Nobody answered in time.
    Expired,
}

/// A request that was answered, or not in time.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    pub(crate) id: RequestId,
    pub(crate) grant: Grant,
    pub(crate) asker: Arc<Caller>,
    pub(crate) state: RequestState,
    question: Question,
    at: Moment,
}

/// Those of the last hour, oldest first.
#[derive(Debug, Default)]
pub(super) struct AnsweredRequests(VecDeque<Answered>);

impl ApprovalQueue {
    /// How a request stands, and whose it is; `None` when nothing is known of it any more.
    pub(crate) fn state_of(&self, id: RequestId) -> Option<(Arc<Caller>, RequestState)> {
        let state = self.state();
        if let Some(pending) = state.pending.get(&id) {
            return Some((Arc::clone(&pending.asker), RequestState::Pending));
        }
        let answered = state.answered.find(id, clock::now())?;
        Some((Arc::clone(&answered.asker), answered.state.clone()))
    }

    /// The newest request about a file by the user of `caller`, in the same agent session if in any.
    pub(crate) fn newest_of(
        &self,
        caller: &Caller,
        vault: &VaultName,
        file: FileId,
    ) -> Option<(RequestId, RequestState)> {
        let is_own = |asker: &Caller, grant: &Grant| {
            (asker.uid, asker.agent_session()) == (caller.uid, caller.agent_session())
                && asker.acting_name() == caller.acting_name()
                && grant.vault.as_ref() == Some(vault)
                && grant.file == Some(file)
        };
        let state = self.state();
        let pending = state.pending.iter().filter(|(_, it)| is_own(&it.asker, it.request.grant()));
        let pending = pending.map(|(id, _)| (*id, RequestState::Pending));
        let now = clock::now();
        let answered = state.answered.0.iter().filter(|it| !it.is_old(now));
        let answered = answered.filter(|it| is_own(&it.asker, &it.grant));
        // Ids are in the order of time.
        pending.chain(answered.map(|it| (it.id, it.state.clone()))).max_by_key(|(id, _)| *id)
    }

    /// The last request of `caller` that a human said no to, and in which words.
    pub(crate) fn last_denial(&self, caller: &Caller) -> Option<Answered> {
        self.state().answered.last_denial(caller, clock::now()).cloned()
    }
}

impl Answered {
    /// Whether it was a no to a question that is silent for it still.
    pub(crate) fn is_silent(&self, now: Moment) -> bool {
        now < self.at.after(SILENCE)
    }

    fn is_old(&self, now: Moment) -> bool {
        now >= self.at.after(MEMORY)
    }
}

impl AnsweredRequests {
    pub(super) fn remember(
        &mut self,
        id: RequestId,
        pending: &Pending,
        state: RequestState,
        now: Moment,
    ) {
        while self.0.front().is_some_and(|oldest| oldest.is_old(now)) || self.0.len() >= MOST {
            self.0.pop_front();
        }
        self.0.push_back(Answered {
            id,
            grant: pending.request.grant().clone(),
            asker: Arc::clone(&pending.asker),
            state,
            question: pending.question.clone(),
            at: now,
        });
    }

    pub(super) fn find(&self, id: RequestId, now: Moment) -> Option<&Answered> {
        self.0.iter().rev().find(|answered| answered.id == id && !answered.is_old(now))
    }

    /// The last one of `caller`'s that a human said no to.
    pub(super) fn last_denial(&self, caller: &Caller, now: Moment) -> Option<&Answered> {
        self.0.iter().rev().find(|answered| {
            matches!(answered.state, RequestState::Denied(_))
                && answered.question.holder.is(caller)
                && !answered.is_old(now)
        })
    }
}
