//! An open that a human is asked about: held beside everything else, and gone on with after the answer.

use super::Pipeline;
use super::open::{Attempt, OpenError};
use crate::approval_queue::{Resume, Unanswered};
use crate::clock;
use crate::handle_table::HandleId;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use ward_policy::{Ending, Lease, RequestId};
use ward_store::VaultKind;

/// An open that waits for a human. Nobody else waits behind it.
pub(crate) struct HeldOpen {
    pipeline: Arc<Pipeline>,
    attempt: Attempt,
    id: RequestId,
    patience: Duration,
}

impl HeldOpen {
    /// Holds `attempt` under request `id` for `hold` at most.
    pub(super) fn new(
        pipeline: &Arc<Pipeline>,
        attempt: Attempt,
        id: RequestId,
        hold: Duration,
    ) -> Self {
        let patience = hold.min(kernel_patience());
        Self { pipeline: Arc::clone(pipeline), attempt, id, patience }
    }

    /// Answers the open with `reply`: by a human's yes or no, at the end of its patience, when a
    /// signal reaches the caller, or when the mount ends.
    pub(crate) fn answer_with(
        self,
        reply: impl FnOnce(Result<HandleId, OpenError>) + Send + 'static,
    ) {
        let Self { pipeline, attempt, id, patience } = self;
        let thread = attempt.request.asker.thread;
        let deadline = clock::now().after(patience);
        let resumed = Arc::clone(&pipeline);
        let hold = |resume| pipeline.approvals.hold(id, deadline, resume);
        let told = Box::new(move |answer| match resumed.resume(&attempt, id, answer) {
            Ok(lease) => resumed.admit_with(attempt, lease, reply),
            Err(error) => reply(Err(error)),
        });
        let _answered_by_the_queue = pipeline.while_watched(thread, hold, told);
    }
}

impl Pipeline {
    /// Holds something for `thread`, whose signals are looked for until it is answered by `told`; gives
    /// the token under which it is held.
    pub(crate) fn while_watched(
        &self,
        thread: u32,
        hold: impl FnOnce(Resume) -> Option<u64>,
        told: Resume,
    ) -> Option<u64> {
        let token = Arc::new(OnceLock::new());
        let (watched, monitor) = (Arc::clone(&token), Arc::clone(&self.monitor));
        let resume = Box::new(move |answer: Result<Arc<Lease>, Unanswered>| {
            if let Some(token) = watched.get() {
                // Without the monitor the daemon is ending, and nobody is watched.
                let _monitor_is_gone = monitor.unwatch(*token);
            }
            told(answer);
        });
        let held = hold(resume)?;
        let _only_setter = token.set(held);
        // A caller that cannot be watched is answered at its deadline.
        let _unwatched = self.monitor.watch(thread, held);
        Some(held)
    }

    /// The lease under which a held open goes on after its answer; who asks is looked at again.
    fn resume(
        &self,
        attempt: &Attempt,
        id: RequestId,
        answer: Result<Arc<Lease>, Unanswered>,
    ) -> Result<Arc<Lease>, OpenError> {
        let lease = answer.map_err(|why| {
            if why == Unanswered::Refused {
                self.note(attempt, Ending::Denied);
            }
            self.refuse_unanswered(attempt, id, Some(why))
        })?;
        let caller = self.callers.identify(attempt.request.asker)?;
        if !lease.holder().is(&caller) || caller.process != attempt.caller.process {
            return Err(self.refuse_unanswered(attempt, id, Some(Unanswered::NotServed)));
        }
        if attempt.place.kind() == VaultKind::Workspace {
            // Of a file with several names one was asked about; another may want a yes of its own.
            let hardest = self.hardest_name(&attempt.place, &caller, &attempt.request)?;
            if hardest.path != attempt.secret.path && !self.may_now(&caller, &hardest, attempt) {
                return Err(self.refuse_unanswered(attempt, id, Some(Unanswered::NotServed)));
            }
        }
        Ok(lease)
    }
}

/// The kernel aborts a whole mount under an open held longer than this sysctl says
/// (`fs.fuse.max_request_timeout`, seconds, 0 for none): hold no longer than half of it.
fn kernel_patience() -> Duration {
    static SECONDS: OnceLock<u64> = OnceLock::new();
    let seconds = *SECONDS.get_or_init(|| {
        let limits =
            ["default_request_timeout", "max_request_timeout"].into_iter().filter_map(|name| {
                let text = std::fs::read_to_string(format!("/proc/sys/fs/fuse/{name}")).ok()?;
                text.trim().parse().ok().filter(|seconds| *seconds > 0)
            });
        limits.min().unwrap_or(u64::MAX)
    });
    Duration::from_secs(seconds / 2)
}
