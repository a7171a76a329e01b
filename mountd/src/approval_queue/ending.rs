//! What ends requests before their time: their asker, the end of a mount, of an agent, of the daemon.

use super::{ApprovalQueue, Pending, Unanswered, release};
use ward_policy::{AgentSessionId, Moment, RequestId, VaultName};

/// Why a request ended without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// Nobody answered in time.
    Unanswered,
    /// Its user asked too much after it.
    TooMany,
    /// The mount ended under an open that waited.
    MountEnded,
    /// Who asked wants it no more.
    TakenBack,
    /// The agent session that asked is over.
    AgentEnded,
    /// The same was asked for another reason, and approved.
    AnsweredWithEqual,
}

impl Why {
    /// The words of the log.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Unanswered => "nobody answered in time",
            Self::TooMany => "its user asked too much after it",
            Self::MountEnded => "the mount ended",
            Self::TakenBack => "who asked took it back",
            Self::AgentEnded => "the agent ended",
            Self::AnsweredWithEqual => "the same was asked for another reason, and approved",
        }
    }

    /// Whether an approver missed it: it ended without one, though somebody wanted it to the end.
    pub(crate) fn is_missed(text: &str) -> bool {
        [Self::Unanswered, Self::TooMany, Self::MountEnded].iter().any(|why| why.text() == text)
    }
}

impl Pending {
    /// Has it end, which its keeper sees.
    pub(super) const fn end_now(&mut self, why: Why) {
        self.expires = Moment::from_nanoseconds(0);
        self.why = why;
    }
}

impl ApprovalQueue {
    /// Takes a request back that its asker wants no more; its expiry is recorded in turn.
    pub(crate) fn take_back(&self, id: RequestId) {
        self.end_early(Why::TakenBack, |of, _| of == id);
    }

    /// Lets everybody held for `vault` go, because its mount ends. Requests of held opens end too.
    pub(crate) fn end_vault(&self, vault: &VaultName) {
        self.release_vault(vault, |pending| pending.end_now(Why::MountEnded));
    }

    /// The same, because the daemon ends: the next one finds the requests in the log.
    pub(crate) fn leave_vault(&self, vault: &VaultName) {
        self.release_vault(vault, |_| ());
    }

    fn release_vault(&self, vault: &VaultName, each_of_opens: impl Fn(&mut Pending)) {
        let mut released = Vec::new();
        let mut state = self.state();
        let is_meant = |it: &&mut Pending| it.question.vault.as_ref() == Some(vault);
        for pending in state.pending.values_mut().filter(is_meant) {
            if pending.holds_an_open() {
                each_of_opens(pending);
            }
            released.append(&mut pending.held);
        }
        drop(state);
        release(released, Unanswered::Ended);
        self.wake();
    }

    /// Ends the requests of an agent session that is over; their expiry is recorded in turn.
    pub(crate) fn end_agent(&self, session: AgentSessionId) {
        self.end_early(Why::AgentEnded, |_, pending| {
            pending.question.holder.agent() == Some(session)
        });
    }

    fn end_early(&self, why: Why, is_meant: impl Fn(RequestId, &Pending) -> bool) {
        let mut state = self.state();
        for (_, pending) in state.pending.iter_mut().filter(|(id, it)| is_meant(**id, it)) {
            pending.end_now(why);
        }
        drop(state);
        self.wake();
    }
}
