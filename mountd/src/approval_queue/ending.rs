//! What ends requests before their time: their asker, the end of a mount, of an agent, of the daemon.

use super::{ApprovalQueue, Pending, Unanswered, release};
use ward_policy::{AgentSessionId, Moment, RequestId, VaultName};

impl ApprovalQueue {
    /// Takes a request back that its asker wants no more; its expiry is recorded in turn.
    pub(crate) fn take_back(&self, id: RequestId) {
        self.end_early(|of, _| of == id);
    }

    /// Lets everybody held for `vault` go, because its mount ends. Requests of held opens end too.
    pub(crate) fn end_vault(&self, vault: &VaultName) {
        self.release_vault(vault, |pending| pending.expires = Moment::from_nanoseconds(0));
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
        self.end_early(|_, pending| pending.question.holder.agent() == Some(session));
    }

    fn end_early(&self, is_meant: impl Fn(RequestId, &Pending) -> bool) {
        let mut state = self.state();
        for (_, pending) in state.pending.iter_mut().filter(|(id, it)| is_meant(**id, it)) {
            pending.expires = Moment::from_nanoseconds(0);
        }
        drop(state);
        self.wake();
    }
}
