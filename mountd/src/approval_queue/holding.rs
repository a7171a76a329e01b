//! Who is held until an answer comes. Before the machine sleeps nobody is: a process that waits in an
//! open cannot be frozen, and would keep the machine awake. Requests go on to wait.

use super::{ApprovalQueue, Held, Resume, Unanswered, release};
use ward_policy::{Moment, RequestId};

impl ApprovalQueue {
    /// Holds an open under request `id` until `deadline`; gives the token to watch it under.
    /// When the request is gone already, or the machine is about to sleep, `resume` is called at once.
    pub(crate) fn hold(&self, id: RequestId, deadline: Moment, resume: Resume) -> Option<u64> {
        let held = Held { token: 0, is_onlooker: false, deadline, resume };
        self.add(id, held).map_err(|(held, why)| (held.resume)(Err(why))).ok()
    }

    /// Tells `resume` how request `id` was answered, or at `deadline` that it was not; gives it back
    /// when the request is gone already.
    pub(crate) fn look_on(
        &self,
        id: RequestId,
        deadline: Moment,
        resume: Resume,
    ) -> Result<u64, Resume> {
        let held = Held { token: 0, is_onlooker: true, deadline, resume };
        self.add(id, held).map_err(|(held, _)| held.resume)
    }

    fn add(&self, id: RequestId, held: Held) -> Result<u64, (Held, Unanswered)> {
        let mut state = self.state();
        if state.is_asleep && !held.is_onlooker {
            return Err((held, Unanswered::Asleep));
        }
        let token = state.last_token + 1;
        let Some(pending) = state.pending.get_mut(&id) else {
            return Err((held, Unanswered::NotServed));
        };
        pending.held.push(Held { token, ..held });
        state.last_token = token;
        drop(state);
        self.wake();
        Ok(token)
    }

    /// Lets go of everybody who is held, and holds nobody until it is told that the machine is awake.
    pub(crate) fn sleep(&self, is_soon: bool) {
        let mut state = self.state();
        state.is_asleep = is_soon;
        let mut released = Vec::new();
        if is_soon {
            let held = state.pending.values_mut().map(|pending| &mut pending.held);
            released.extend(held.flat_map(|held| held.extract_if(.., |it| !it.is_onlooker)));
            released.append(&mut state.lingering);
        }
        drop(state);
        release(released, Unanswered::Asleep);
        self.wake();
    }
}
