//! Request files: what somebody writes into `.ward/requests/NAME` to ask a human, and the answer in it.
//!
//! A file belongs to the session of the process that made it, which alone writes it, with those that
//! descend from it. It is handed in once, by the close after which it is a whole document, and cannot be changed any more.

mod document;
mod stage;

use crate::approval_queue::{PATIENCE, RequestState, Resume, Unanswered};
use crate::clock;
use crate::handoff_table::{HandoffState, HandoffTerms, WantedHandoff};
use crate::pipeline::{AheadError, OpenError, Pipeline, Wanted};
use crate::place::Place;
use crate::session_key::SessionKey;
use document::{Document, Kind};
use stage::{Stage, Verdict};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use ward_policy::{Basis, Caller, Lease, Moment, Narrowing, ProcessId, RequestId, Term};

/// The longest document, in bytes.
const LONGEST: usize = 4096;
/// The most files of one session in one mount; those that are decided give way.
const MOST_OF_ONE: usize = 32;
/// The most files of a mount.
const MOST: usize = 1024;
/// The longest name, in bytes.
const LONGEST_NAME: usize = 64;
/// What is behind a file's name in that of the file that waits for its answer.
pub(crate) const WAIT: &str = ".wait";
/// How long an open of a file's `.wait` lasts at most.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Why a call about a request file fails.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestFileError {
    #[error("there is no such request file")]
    Absent,
    #[error("the name is there")]
    Exists,
    #[error("a name is 1 to 64 letters, digits, dots, dashes and underscores")]
    Name,
    #[error("only the process that made it writes it, before it is handed in")]
    NotWriter,
    #[error("a request file has at most {LONGEST} bytes")]
    TooLong,
    #[error("too many request files")]
    TooMany,
    #[error("it is no valid request")]
    Invalid,
    #[error(transparent)]
    Refused(OpenError),
}

/// The request files of one mount.
#[derive(Debug)]
pub(crate) struct RequestFiles {
    pipeline: Arc<Pipeline>,
    place: Arc<Place>,
    /// Guards the map only.
    files: Mutex<Numbered>,
}

#[derive(Debug, Default)]
struct Numbered {
    last: u32,
    files: BTreeMap<u32, Arc<RequestFile>>,
}

/// One request file.
#[derive(Debug)]
pub(crate) struct RequestFile {
    number: u32,
    name: String,
    owner: SessionKey,
    creator: Arc<Caller>,
    /// Guards the content only.
    content: Mutex<Content>,
}

struct Content {
    text: Vec<u8>,
    stage: Stage,
    /// Grows with each change that a reader would see.
    change: u64,
    /// Who wants to know of the next change.
    watchers: Vec<Box<dyn FnOnce() + Send>>,
    /// The tokens of those who wait for the answer.
    waiting: Vec<u64>,
}

impl RequestFiles {
    pub(crate) fn new(pipeline: Arc<Pipeline>, place: Arc<Place>) -> Self {
        Self { pipeline, place, files: Mutex::default() }
    }

    /// The files that `caller` may know of, in the order in which they were made.
    pub(crate) fn of(&self, caller: &Caller) -> Vec<Arc<RequestFile>> {
        let owner = SessionKey::of(caller);
        self.files().files.values().filter(|file| file.owner == owner).cloned().collect()
    }

    /// The caller's file of that name.
    pub(crate) fn find(&self, caller: &Caller, name: &str) -> Option<Arc<RequestFile>> {
        self.of(caller).into_iter().find(|file| file.name == name)
    }

    /// The caller's file of that number.
    pub(crate) fn get(
        &self,
        caller: &Caller,
        number: u32,
    ) -> Result<Arc<RequestFile>, RequestFileError> {
        let file = self.files().files.get(&number).cloned();
        let owner = SessionKey::of(caller);
        file.filter(|file| file.owner == owner).ok_or(RequestFileError::Absent)
    }

    /// Makes an empty file.
    pub(crate) fn create(
        &self,
        caller: Arc<Caller>,
        name: &str,
    ) -> Result<Arc<RequestFile>, RequestFileError> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let is_good = !name.starts_with('.') && !name.ends_with(WAIT) && name.len() <= LONGEST_NAME;
        if name.is_empty() || !is_good || !name.bytes().all(is_plain) {
            return Err(RequestFileError::Name);
        }
        if self.find(&caller, name).is_some() {
            return Err(RequestFileError::Exists);
        }
        let own = self.of(&caller);
        if own.len() >= MOST_OF_ONE {
            let decided = own.iter().find(|file| file.is_decided());
            self.forget(decided.ok_or(RequestFileError::TooMany)?.number);
        }
        let mut files = self.files();
        if files.files.len() >= MOST {
            return Err(RequestFileError::TooMany);
        }
        files.last += 1;
        let (number, owner) = (files.last, SessionKey::of(&caller));
        let name = name.to_owned();
        let file = RequestFile { number, name, owner, creator: caller, content: Mutex::default() };
        let file = Arc::new(file);
        files.files.insert(number, Arc::clone(&file));
        Ok(file)
    }

    /// Removes a file; what it asks is taken back.
    pub(crate) fn remove(&self, caller: &Caller, name: &str) -> Result<(), RequestFileError> {
        let file = self.find(caller, name).ok_or(RequestFileError::Absent)?;
        self.forget(file.number);
        let stage = file.content().stage.clone();
        match stage {
            Stage::Pending { id, .. } => self.pipeline.approvals.take_back(id),
            Stage::Asked { id, .. } => self.pipeline.take_back_handoff(id),
            Stage::Draft | Stage::Invalid(_) | Stage::Submitted | Stage::Decided { .. } => {}
        }
        Ok(())
    }

    /// Hands the file in if it is a whole document; nothing happens to an empty one, to one that is as
    /// it was when that was tried, and to one that is handed in.
    pub(crate) fn hand_in(&self, file: &Arc<RequestFile>) -> Result<(), RequestFileError> {
        let document = {
            let mut content = file.content();
            if content.text.is_empty() || !matches!(content.stage, Stage::Draft) {
                return Ok(());
            }
            match Document::parse(&content.text) {
                Ok(document) => {
                    content.stage = Stage::Submitted;
                    document
                }
                Err(error) => {
                    drop(content);
                    file.turn(Stage::Invalid(error.to_string()));
                    return Err(RequestFileError::Invalid);
                }
            }
        };
        let asked = self.ask(file, &document);
        let decided = |verdict, id| Stage::Decided { document: document.clone(), id, verdict };
        let (stage, outcome) = match asked {
            Ok(stage) => (stage, Ok(())),
            Err(AheadError::Allowed) => (decided(Verdict::Allowed, None), Ok(())),
            Err(AheadError::Open(error @ OpenError::Denied(id))) => {
                (decided(Verdict::Refused, Some(id)), Err(RequestFileError::Refused(error)))
            }
            Err(AheadError::Open(error @ OpenError::Expired(id))) => {
                (decided(Verdict::Over, Some(id)), Err(RequestFileError::Refused(error)))
            }
            Err(AheadError::Open(error)) => {
                (Stage::Invalid(error.to_string()), Err(RequestFileError::Refused(error)))
            }
            Err(
                error @ (AheadError::NoSuchSecret
                | AheadError::Reason
                | AheadError::TooWide(_)
                | AheadError::LongHandoff(_)),
            ) => (Stage::Invalid(error.to_string()), Err(RequestFileError::Invalid)),
        };
        let asked = stage.clone();
        file.turn(stage);
        match asked {
            Stage::Pending { id, .. } => self.follow(file, id),
            Stage::Asked { id, .. } => self.follow_handoff(file, id),
            Stage::Draft | Stage::Invalid(_) | Stage::Submitted | Stage::Decided { .. } => {}
        }
        outcome
    }

    /// Asks what the document says of whom it says.
    fn ask(&self, file: &Arc<RequestFile>, document: &Document) -> Result<Stage, AheadError> {
        let vault = &self.place.vault;
        match &document.kind {
            Kind::Approval(operations) => {
                let file_wanted = vault.find(&document.path);
                let wanted = Wanted {
                    vault: &vault.name,
                    path: &document.path,
                    file: file_wanted,
                    expires: file_wanted.and_then(|file| vault.end_of(file)),
                    operations: *operations,
                    reason: &document.reason,
                    ticket: document.ticket.as_ref(),
                    wished: Narrowing {
                        uses: document.uses,
                        term: document.lease.map(Term::For),
                        scope: None,
                    },
                };
                let asked = self.pipeline.ask_ahead(&file.creator, wanted)?;
                let expires = clock::wall_text(clock::now().after(PATIENCE));
                let (document, id, holder) = (document.clone(), asked.id, asked.holder);
                Ok(Stage::Pending { document, id, holder, expires })
            }
            Kind::Handoff { from } => {
                let usual = self.pipeline.policy.rules().usual_lease();
                let lease = document.lease.unwrap_or(usual);
                let wanted = WantedHandoff {
                    vault: vault.name.clone(),
                    path: document.path.clone(),
                    reason: document.reason.as_str().into(),
                    ticket: document.ticket.clone(),
                    from: from.as_deref().map(Arc::from),
                    terms: HandoffTerms { uses: document.uses, lease },
                };
                let asked = self.pipeline.ask_for_handoff(&file.creator, vault, wanted)?;
                let expires = clock::wall_text(asked.expires);
                Ok(Stage::Asked { document: document.clone(), id: asked.id, expires })
            }
        }
    }

    /// The same of who may hand it out.
    fn follow_handoff(&self, file: &Arc<RequestFile>, id: RequestId) {
        let (followed, pipeline) = (Arc::clone(file), Arc::clone(&self.pipeline));
        let told = Box::new(move |answer: &HandoffState| {
            followed.settle_handoff(answer);
            followed.let_go(&pipeline);
        });
        self.pipeline.handoffs.when_answered(id, told);
    }

    /// Has the file show the answer to its request as soon as there is one.
    fn follow(&self, file: &Arc<RequestFile>, id: RequestId) {
        let (followed, pipeline) = (Arc::clone(file), Arc::clone(&self.pipeline));
        let resume = Box::new(move |answer| {
            followed.settle(answer, words_of(&pipeline, id));
            followed.let_go(&pipeline);
        });
        let never = Moment::from_nanoseconds(u64::MAX);
        if self.pipeline.approvals.look_on(id, never, resume).is_err() {
            // Somebody was quicker than we.
            let is_its = |lease: &Arc<Lease>| matches!(lease.basis(), Basis::Approval { request, .. } if *request == id);
            let lease = self.pipeline.leases.approved().into_iter().find(is_its);
            file.settle(lease.ok_or(Unanswered::Refused), words_of(&self.pipeline, id));
            file.let_go(&self.pipeline);
        }
    }

    /// Calls `resume` when the file is decided, at once if it is: with `false` when that took too long
    /// or a signal reached `thread`.
    pub(crate) fn wait(
        &self,
        file: &Arc<RequestFile>,
        thread: u32,
        resume: Box<dyn FnOnce(bool) + Send>,
    ) {
        if file.is_decided() {
            return resume(true);
        }
        let deadline = clock::now().after(LONGEST_WAIT);
        let answered = Arc::clone(file);
        let told =
            Box::new(move |_let_go_timed_out_or_interrupted: Result<Arc<Lease>, Unanswered>| {
                resume(answered.is_decided());
            });
        let approvals = &self.pipeline.approvals;
        let linger = |resume: Resume| Some(approvals.linger(deadline, resume));
        if let Some(token) = self.pipeline.while_watched(thread, linger, told) {
            file.let_go_when_decided(&self.pipeline, token);
        }
    }

    fn forget(&self, number: u32) {
        self.files().files.remove(&number);
    }

    fn files(&self) -> MutexGuard<'_, Numbered> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The words of a no, for the asker.
fn words_of(pipeline: &Pipeline, id: RequestId) -> Option<Arc<str>> {
    match pipeline.approvals.state_of(id)? {
        (_, RequestState::Denied(words)) => words,
        (_, RequestState::Pending | RequestState::Approved | RequestState::Expired) => None,
    }
}

impl RequestFile {
    pub(crate) const fn number(&self) -> u32 {
        self.number
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether somebody may write it still.
    pub(crate) fn is_open(&self) -> bool {
        self.content().stage.is_open()
    }

    /// Whether it shows what it will always show.
    pub(crate) fn is_decided(&self) -> bool {
        matches!(self.content().stage, Stage::Decided { .. } | Stage::Invalid(_))
    }

    /// The process that made it, which writes it, with what it starts: a shell opens the file of
    /// `cat > file` itself.
    pub(crate) fn creator(&self) -> ProcessId {
        self.creator.process
    }

    /// Empties it.
    pub(crate) fn empty(&self) -> Result<(), RequestFileError> {
        self.check_open()?;
        let mut content = self.content();
        content.text.clear();
        content.stage = Stage::Draft;
        Ok(())
    }

    /// Writes `bytes` at `offset`, or behind all else.
    pub(crate) fn write(&self, offset: Option<u64>, bytes: &[u8]) -> Result<(), RequestFileError> {
        self.check_open()?;
        let mut content = self.content();
        let start = offset.map_or(Some(content.text.len()), |offset| usize::try_from(offset).ok());
        let end = start.and_then(|start| start.checked_add(bytes.len()));
        let (Some(start), Some(end)) = (start, end.filter(|end| *end <= LONGEST)) else {
            return Err(RequestFileError::TooLong);
        };
        let length = content.text.len().max(end);
        content.text.resize(length, b' ');
        if let Some(range) = content.text.get_mut(start..end) {
            range.copy_from_slice(bytes);
        }
        content.stage = Stage::Draft;
        Ok(())
    }

    fn check_open(&self) -> Result<(), RequestFileError> {
        if self.is_open() { Ok(()) } else { Err(RequestFileError::NotWriter) }
    }

    /// What it says now, and the number of that change.
    pub(crate) fn text(&self) -> (u64, String) {
        let content = self.content();
        (content.change, content.stage.to_string())
    }

    /// Calls `told` at the first change after `change`; at once if there was one.
    pub(crate) fn when_changed(&self, change: u64, told: Box<dyn FnOnce() + Send>) {
        let mut content = self.content();
        if content.change == change {
            content.watchers.push(told);
        } else {
            drop(content);
            told();
        }
    }

    /// Has what waits under `token` let go with the answer, at once if it is there.
    fn let_go_when_decided(&self, pipeline: &Pipeline, token: u64) {
        let mut content = self.content();
        content.waiting.retain(|token| pipeline.approvals.lingers(*token));
        content.waiting.push(token);
        drop(content);
        if self.is_decided() {
            self.let_go(pipeline);
        }
    }

    fn let_go(&self, pipeline: &Pipeline) {
        let waiting = std::mem::take(&mut self.content().waiting);
        waiting.into_iter().for_each(|token| pipeline.approvals.let_go(token));
    }

    fn settle(&self, answer: Result<Arc<Lease>, Unanswered>, words: Option<Arc<str>>) {
        let stage = self.content().stage.clone();
        let Stage::Pending { document, id, .. } = stage else { return };
        let verdict = match answer {
            Ok(lease) => {
                let lease_seconds = lease.ends().remaining(clock::now()).as_secs();
                Verdict::Approved { lease_seconds }
            }
            Err(Unanswered::Refused | Unanswered::NotServed) => Verdict::Denied(words),
            Err(
                Unanswered::TimedOut
                | Unanswered::Interrupted
                | Unanswered::Ended
                | Unanswered::Asleep,
            ) => Verdict::Expired,
        };
        self.turn(Stage::Decided { document, id: Some(id), verdict });
    }

    fn settle_handoff(&self, answer: &HandoffState) {
        let stage = self.content().stage.clone();
        let Stage::Asked { document, id, .. } = stage else { return };
        let verdict = match answer {
            HandoffState::Given(given) => {
                let lease_seconds = given.handoff.ends().remaining(clock::now()).as_secs();
                Verdict::Handed { lease_seconds, uses: given.terms.uses }
            }
            HandoffState::Denied(words) => Verdict::Denied(words.clone()),
            HandoffState::Waits | HandoffState::Over => Verdict::Expired,
        };
        self.turn(Stage::Decided { document, id: Some(id), verdict });
    }

    /// Goes on to `stage`, and tells those who want to know of it.
    fn turn(&self, stage: Stage) {
        let mut content = self.content();
        content.stage = stage;
        content.change += 1;
        let watchers = std::mem::take(&mut content.watchers);
        drop(content);
        watchers.into_iter().for_each(|told| told());
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Content {
    fn default() -> Self {
        Self {
            text: Vec::new(),
            stage: Stage::Draft,
            change: 1,
            watchers: Vec::new(),
            waiting: Vec::new(),
        }
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Content").field("stage", &self.stage).finish_non_exhaustive()
    }
}
