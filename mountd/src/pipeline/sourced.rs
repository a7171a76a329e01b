//! Opens of files that a source shows: what it gives is had before the open is recorded, beside
//! everything else, since a human may be asked for a passphrase meanwhile.

use super::open::Attempt;
use super::{OpenError, OpenRequest, Opening, Pipeline};
use crate::approval_queue::Unanswered;
use crate::clock;
use crate::handle_table::HandleId;
use crate::place::Secret;
use crate::source::SourceError;
use std::sync::{Arc, Mutex, PoisonError};
use ward_policy::{Ending, Lease, Operation, SecretPath, VaultName};

/// What to do about a source that says no or nothing.
const LOOK_AT_THE_STORE: &str = "have whoever keeps the password store see whether `pass show` gives it, and \
     ward status";

/// An open under a lease, whose content a source is asked for.
pub(crate) struct FetchedOpen {
    pipeline: Arc<Pipeline>,
    attempt: Attempt,
    lease: Arc<Lease>,
    entry: Vec<u8>,
}

impl Pipeline {
    /// The last steps of an open, or where a source must be asked first what is to be asked.
    pub(super) fn fetch_or_admit(
        self: &Arc<Self>,
        attempt: Attempt,
        lease: Arc<Lease>,
    ) -> Result<Opening, OpenError> {
        match self.sources.entry(&attempt.place, attempt.request.file) {
            Some(entry) => {
                let pipeline = Arc::clone(self);
                Ok(Opening::Fetched(FetchedOpen { pipeline, attempt, lease, entry }))
            }
            None => self.admit(&attempt, lease, None).map(Opening::Admitted),
        }
    }

    /// The same, answered with `reply`.
    pub(super) fn admit_with(
        self: &Arc<Self>,
        attempt: Attempt,
        lease: Arc<Lease>,
        reply: impl FnOnce(Result<HandleId, OpenError>) + Send + 'static,
    ) {
        match self.fetch_or_admit(attempt, lease) {
            Ok(Opening::Fetched(fetched)) => fetched.answer_with(reply),
            Ok(Opening::Admitted(handle)) => reply(Ok(handle)),
            Ok(Opening::Held(_)) => reply(Err(OpenError::Ended)),
            Err(error) => reply(Err(error)),
        }
    }

    /// What a source shows is changed where it is kept, and nowhere else.
    pub(super) fn refuse_changes_of_sources(
        &self,
        secret: &Secret,
        request: &OpenRequest,
    ) -> Result<(), OpenError> {
        let writes = request.operations.contains(Operation::FileWrite);
        if writes && self.is_of_a_source(&secret.vault, &secret.path) {
            return Err(OpenError::ReadOnly);
        }
        Ok(())
    }

    pub(crate) fn is_of_a_source(&self, vault: &VaultName, path: &SecretPath) -> bool {
        self.sources.holds(vault, path)
    }

    /// Records that a source gave nothing, and tells the caller.
    fn refuse_sourced(&self, attempt: &Attempt, error: SourceError) -> OpenError {
        self.note(attempt, Ending::Open);
        let errno = match error {
            SourceError::Refused(_) => "EACCES",
            SourceError::Failed(_) => "EIO",
        };
        let Attempt { secret, caller, .. } = attempt;
        match self.record_no(secret, caller, &attempt.question(), &error) {
            Ok(id) => {
                self.tell(attempt, id, errno, format!("{error}; {LOOK_AT_THE_STORE}"));
                OpenError::Source(id, error)
            }
            Err(error) => error,
        }
    }

    fn refuse_interrupted(&self, attempt: &Attempt) -> OpenError {
        let Attempt { secret, caller, .. } = attempt;
        let why = "a signal reached the caller";
        let id = self.record_no(secret, caller, &attempt.question(), &why);
        id.map_or_else(|error| error, |id| OpenError::Unanswered(id, Unanswered::Interrupted))
    }
}

impl FetchedOpen {
    /// Asks the source, and admits the open with what it gives.
    pub(crate) fn wait(self) -> Result<HandleId, OpenError> {
        let Self { pipeline, attempt, lease, entry } = self;
        match pipeline.sources.reveal(&entry, attempt.caller.uid) {
            // It may have ended meanwhile.
            Ok(revealed) if lease.is_live(clock::now()) => {
                pipeline.admit(&attempt, lease, Some(revealed))
            }
            Ok(_) => Err(OpenError::Ended),
            Err(error) => Err(pipeline.refuse_sourced(&attempt, error)),
        }
    }

    /// The same on a thread of its own, answered with `reply`; at once when a signal reaches the caller.
    pub(crate) fn answer_with(
        self,
        reply: impl FnOnce(Result<HandleId, OpenError>) + Send + 'static,
    ) {
        let (pipeline, attempt) = (Arc::clone(&self.pipeline), self.attempt.clone());
        let reply = Arc::new(Mutex::new(Some(reply)));
        let taken =
            |reply: &Mutex<Option<_>>| reply.lock().unwrap_or_else(PoisonError::into_inner).take();
        let deadline = clock::now().after(pipeline.sources.patience());
        let (watching, unanswered) = (Arc::clone(&pipeline), Arc::clone(&reply));
        let thread = attempt.request.asker.thread;
        let told = Box::new(move |answer| {
            if let Err(Unanswered::Interrupted) = answer
                && let Some(reply) = taken(&unanswered)
            {
                reply(Err(watching.refuse_interrupted(&attempt)));
            }
        });
        let hold = |resume| Some(pipeline.approvals.linger(deadline, resume));
        let token = pipeline.while_watched(thread, hold, told);
        let fetch = move || {
            let pipeline = Arc::clone(&self.pipeline);
            let outcome = self.wait();
            token.into_iter().for_each(|token| pipeline.approvals.let_go(token));
            match (taken(&reply), outcome) {
                (Some(reply), outcome) => reply(outcome),
                // Nobody waits any more.
                (None, Ok(handle)) => drop(pipeline.release(handle)),
                (None, Err(_)) => {}
            }
        };
        // Without a thread the reply is dropped, which answers with an error of its own.
        let _unanswered = std::thread::Builder::new().name("source".to_owned()).spawn(fetch);
    }
}
