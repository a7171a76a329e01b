//! What waits beside the queue: for something else than an answer in it, by the same deadlines and
//! signals.

use super::{ApprovalQueue, Held, Resume, Unanswered, release};
use crate::clock;
use ward_policy::Moment;

impl ApprovalQueue {
    /// Keeps `resume` until `deadline`, a signal, or [`Self::let_go`] with the token given.
    pub(crate) fn linger(&self, deadline: Moment, resume: Resume) -> u64 {
        let mut state = self.state();
        // Who would wait while the machine is about to sleep is told at once that it took too long.
        let deadline = if state.is_asleep { clock::now() } else { deadline };
        state.last_token += 1;
        let token = state.last_token;
        state.lingering.push(Held { token, is_onlooker: true, deadline, resume });
        drop(state);
        self.wake();
        token
    }

    /// Lets go what was kept under `token`: what it waited for is there.
    pub(crate) fn let_go(&self, token: u64) {
        let taken = self.state().take(|held| held.token == token);
        release(taken, Unanswered::Ended);
    }

    /// Whether something is kept under `token`.
    pub(crate) fn lingers(&self, token: u64) -> bool {
        self.state().lingering.iter().any(|held| held.token == token)
    }

    /// Tells every front end that there is something new to see.
    pub(crate) fn announce(&self) {
        self.front_ends.tell();
    }
}
