//! The steps of an open that take more than a line: refuse, ask, hold, admit.

use super::Pipeline;
use super::expiry::current;
use super::held::HeldOpen;
use super::sourced::FetchedOpen;
use crate::approval_queue::{AskError, Freshness, PATIENCE, Unanswered};
use crate::caller::{Asker, IdentifyError};
use crate::clock;
use crate::draft::{Draft, NoRoom};
use crate::handle_table::{Handle, HandleId, Opened, Pages, TooManyHandles};
use crate::helper::Notice;
use crate::lease_table::{BeginLeaseError, NoRandomness};
use crate::place::{Access, Place, Secret};
use crate::source::{RevealedEntry, SourceError};
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;
use ward_audit::{AppendError, Asked, Counts, Durability, Record, Timestamp};
use ward_policy::{
    ApprovalRequest, Caller, Decision, Denial, Ending, FileId, Fingerprint, Lease, NameFault,
    OpenRecords, Operation, OperationSet, Question, RequestId, ScopeKind, Ticket,
};
use ward_store::{DecryptError, VaultKind};

/// An open as asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenRequest {
    pub(crate) file: FileId,
    pub(crate) asker: Asker,
    pub(crate) operations: OperationSet,
    pub(crate) content: Content,
    pub(crate) patience: Patience,
    /// By which request the file was handed out, if it is opened as that.
    pub(crate) handed: Option<RequestId>,
}

/// What happens to the content at open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// It stays.
    Keep,
    /// It is cut to nothing (O_TRUNC).
    Truncate,
}

/// Whether the asker waits for a human.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// For as long as the rule says.
    Hold,
    /// Not at all (O_NONBLOCK, commands).
    None,
}

/// What an open comes to.
pub(crate) enum Opening {
    /// Here it is.
    Admitted(HandleId),
    /// A human is asked.
    Held(HeldOpen),
    /// Its content is being had from a source.
    Fetched(FetchedOpen),
}

/// Why an open comes to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// A name that policy cannot speak of.
    #[error(transparent)]
    Name(NameFault),
    /// The file is gone, or a directory.
    #[error("no such secret")]
    NoSuchSecret,
    /// Nobody could be identified.
    #[error(transparent)]
    Unidentified(#[from] IdentifyError),
    /// No; the id is all the asker learns.
    #[error("refused: {0}")]
    Denied(RequestId),
    /// A guard says no for so long; the id is what the log knows it by.
    #[error("refused: {0}")]
    Limited(RequestId, Duration),
    /// A human must say yes first, and the asker does not wait.
    #[error("needs approval: {0}")]
    NeedsApproval(RequestId),
    /// The human said no, or nothing, or the asker was interrupted.
    #[error("request {0} got no yes: {1:?}")]
    Unanswered(RequestId, Unanswered),
    /// The secret was there, and its time is over; the id is what the log knows the refusal by.
    #[error("the secret has expired (refusal {0})")]
    Expired(RequestId),
    /// A source does not give what it shows.
    #[error("{1}")]
    Source(RequestId, SourceError),
    /// The mount has ended.
    #[error("the mount has ended")]
    Ended,
    /// The mount or the vault takes no changes.
    #[error("the mount is read-only")]
    ReadOnly,
    /// The current content could not be read for writing.
    #[error(transparent)]
    Decrypt(#[from] DecryptError),
    /// The user has too many open files.
    #[error(transparent)]
    TooMany(#[from] TooManyHandles),
    /// Too much is written and no version yet.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// The log took no record.
    #[error(transparent)]
    Log(#[from] AppendError),
    /// No id for a lease or a request.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

impl From<BeginLeaseError> for OpenError {
    fn from(error: BeginLeaseError) -> Self {
        match error {
            BeginLeaseError::NoRandomness(error) => error.into(),
            BeginLeaseError::Log(error) => error.into(),
        }
    }
}

/// An open on its way.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) place: Arc<Place>,
    pub(super) secret: Secret,
    pub(super) caller: Arc<Caller>,
    pub(super) request: OpenRequest,
    /// That of the caller's lease or request: an open brings none of its own.
    ticket: Option<Ticket>,
}

impl Attempt {
    pub(super) fn question(&self) -> Question<'_> {
        self.secret.question(self.request.operations, self.ticket.as_ref())
    }

    /// The caller as the holder of a lease. A process always can be one.
    pub(super) fn holder(&self, scope: ScopeKind) -> Result<Fingerprint, OpenError> {
        self.caller.fingerprint(scope).ok_or(OpenError::Ended)
    }
}

impl Pipeline {
    pub(super) fn attempt(
        &self,
        place: &Arc<Place>,
        secret: Secret,
        caller: Arc<Caller>,
        request: OpenRequest,
    ) -> Attempt {
        let (vault, file) = (&secret.vault, request.file);
        let ticket = self.leases.ticket(&caller, vault, file);
        let ticket = ticket.or_else(|| self.approvals.ticket(&caller, vault, file));
        Attempt { place: Arc::clone(place), secret, caller, request, ticket }
    }

    /// Records a refusal and gives its id; a refusal that cannot be recorded stays one.
    pub(super) fn refuse(&self, attempt: &Attempt, denial: &Denial) -> OpenError {
        self.note(attempt, Ending::Denied);
        let (question, counts) = (attempt.question(), self.counts(attempt));
        let record = |id| {
            let record = Record::refusal(&attempt.caller, &question, id);
            record.vault_kind(attempt.secret.kind).counted(counts)
        };
        match self.append_refusal(record, denial) {
            Ok(id) => {
                self.tell_denied(attempt, id);
                OpenError::Denied(id)
            }
            Err(error) => error,
        }
    }

    /// Records that `question` was refused to `caller`, and `why`, which only the log says.
    pub(crate) fn record_refusal(
        &self,
        caller: &Caller,
        question: &Question<'_>,
        why: &dyn Display,
    ) -> Result<RequestId, OpenError> {
        self.append_refusal(|id| Record::refusal(caller, question, id), why)
    }

    /// The same of a file within reach, whose kind of vault is known.
    pub(super) fn record_no(
        &self,
        secret: &Secret,
        caller: &Caller,
        question: &Question<'_>,
        why: &dyn Display,
    ) -> Result<RequestId, OpenError> {
        let record = |id| Record::refusal(caller, question, id).vault_kind(secret.kind);
        self.append_refusal(record, why)
    }

    pub(super) fn append_refusal<'a>(
        &self,
        record: impl FnOnce(RequestId) -> Record<'a>,
        why: &dyn Display,
    ) -> Result<RequestId, OpenError> {
        let id = RequestId(clock::new_id().ok_or(NoRandomness)?);
        let reason = why.to_string();
        let policy = self.policy.rules().digest();
        let record = record(id).reason(&reason).policy(policy);
        let _recorded = self.log.append(record, Durability::Durable, clock::stamp())?;
        Ok(id)
    }

    /// Puts the question to a human.
    pub(super) fn ask(
        self: &Arc<Self>,
        attempt: Attempt,
        question: ApprovalRequest,
    ) -> Result<Opening, OpenError> {
        self.note(&attempt, Ending::Open);
        let hold = question.obligations().hold;
        let (asks, counts) = (attempt.question(), self.counts(&attempt));
        let asked = self.request(&attempt.caller, &asks, question, (None, counts));
        let id = asked.inspect_err(|error| {
            if let OpenError::Denied(id) = error {
                self.tell_silenced(&attempt, *id);
            }
        })?;
        match attempt.request.patience {
            Patience::None => Err(self.refuse_unanswered(&attempt, id, None)),
            Patience::Hold => Ok(Opening::Held(HeldOpen::new(self, attempt, id, hold))),
        }
    }

    /// Asks a human whether `caller` may do what `question` says, and records it when it is new; or
    /// that nobody is asked, and what guards count of that.
    pub(crate) fn request(
        &self,
        caller: &Arc<Caller>,
        question: &Question<'_>,
        request: ApprovalRequest,
        (reason, counts): (Option<&str>, Option<Counts>),
    ) -> Result<RequestId, OpenError> {
        let (grant, obligations) = (request.grant().clone(), request.obligations().clone());
        let (id, freshness) = match self.approvals.ask(request, caller, reason) {
            Ok(asked) => asked,
            Err(AskError::NoRandomness) => return Err(NoRandomness.into()),
            Err(why @ (AskError::Silenced | AskError::NoHolder)) => {
                let record = |id| Record::refusal(caller, question, id).counted(counts);
                return Err(OpenError::Denied(self.append_refusal(record, &why)?));
            }
        };
        if freshness == Freshness::New {
            let holder = caller.fingerprint(obligations.scope).ok_or(OpenError::Ended)?;
            let asked = Asked {
                grant: &grant,
                obligations: &obligations,
                holder: &holder,
                patience: PATIENCE,
            };
            let record = Record::asking(caller, asked, id).reason(reason.unwrap_or_default());
            let _recorded = self.log.append(record, Durability::Durable, clock::stamp())?;
            let vault = grant.vault.as_ref();
            self.notifier.tell(id, || Notice::new(id, vault, &words(caller, &grant, reason)));
        }
        Ok(id)
    }

    /// The last steps: the record is on disk before the handle exists.
    pub(super) fn admit(
        &self,
        attempt: &Attempt,
        lease: Arc<Lease>,
        revealed: Option<RevealedEntry>,
    ) -> Result<HandleId, OpenError> {
        let Attempt { place, caller, request, .. } = attempt;
        if !place.is_open(clock::now()) {
            return Err(OpenError::Ended);
        }
        if request.operations.contains(Operation::FileWrite) && place.access == Access::ReadOnly {
            return Err(OpenError::ReadOnly);
        }
        self.refuse_expired(attempt)?;
        self.admit_another(&attempt.secret, caller, request.operations)?;
        if let Some(id) = request.handed {
            self.handoffs.spend(id).ok_or(OpenError::Ended)?;
        }
        let record = Record::opening(caller, &lease).vault_kind(place.kind());
        let record = request.handed.map_or(record, |id| record.request(id));
        let record = place.mount.as_deref().map_or(record, |mount| record.mount(mount));
        let record = place.used.as_deref().map_or(record, |program| record.used(program));
        let record = record.counted(self.counts(attempt));
        let durability = match (place.kind(), self.policy.rules().open_records()) {
            (VaultKind::Secrets, OpenRecords::Durable) => Durability::Durable,
            (VaultKind::Secrets, OpenRecords::Written) | (VaultKind::Workspace, _) => {
                Durability::Written
            }
        };
        let stamp = clock::stamp();
        let receipt = self.log.append(record, durability, stamp)?; // [6] mountd/audit
        if request.operations.contains(Operation::FileRead) {
            let name = (&attempt.secret.vault, &attempt.secret.path);
            let when = (receipt.seq(), Timestamp::from_microseconds(stamp.wall));
            self.reads.opened(name, caller, when);
        }
        let (opened, expires) = match (place.kind(), revealed) {
            (_, Some(revealed)) => (Opened::Entry(revealed), None),
            (VaultKind::Secrets, None) => {
                let draft = self.draft_for(attempt, &lease)?;
                let (version, expires) = current(place, request.file);
                let of_draft = draft.as_ref().and_then(|draft| draft.expires());
                let expires = expires.into_iter().chain(of_draft).min();
                (Opened::Secret { version, draft }, expires)
            }
            (VaultKind::Workspace, None) => (Opened::Node(Pages::default()), None),
        };
        self.note(attempt, Ending::Permitted);
        place.term.touch(clock::now());
        let (place, opener) = (Arc::clone(place), Arc::clone(caller));
        let handle = Handle { place, lease, opener, file: request.file, opened, expires, receipt };
        Ok(self.handles.insert(handle))
    }

    /// The draft a writer shares, cut to nothing if the open says so.
    fn draft_for(&self, attempt: &Attempt, lease: &Lease) -> Result<Option<Arc<Draft>>, OpenError> {
        let Attempt { place, caller, request, .. } = attempt;
        if !request.operations.contains(Operation::FileWrite) {
            return Ok(None);
        }
        let lease = lease.active_for(caller, clock::now()).map_err(|_| OpenError::Ended)?;
        let vault = &place.vault.vault;
        let draft = place.vault.drafts.share(request.file, |room| {
            let (version, expires) = current(place, request.file);
            let expires = if version.is_none() { self.calendar.usual_end() } else { expires };
            let content = vault.draft(&lease, request.file)?;
            Ok::<_, OpenError>(Draft::of(content.into_bytes(), expires, room)?)
        })?;
        if request.content == Content::Truncate {
            draft.empty();
        }
        Ok(Some(draft))
    }
}

impl Pipeline {
    /// The name of a file by which an open of it is decided: with several, every one must permit it,
    /// so that it is the one that is hardest to get by.
    pub(super) fn hardest_name(
        &self,
        place: &Place,
        caller: &Caller,
        request: &OpenRequest,
    ) -> Result<Secret, OpenError> {
        let mut names = place.secrets_of(request.file).map_err(OpenError::Name)?;
        if names.len() > 1 {
            let hardness = |name: &Secret| match self.decide(
                caller,
                name.kind,
                &name.question(request.operations, None),
            ) {
                Decision::Permitted(permit) => {
                    let _only_compared = permit;
                    0
                }
                Decision::NeedsApproval(ask) if self.leases.has(&ask, caller) => 1,
                Decision::NeedsApproval(_) => 2,
                Decision::Denied(_) => 3,
            };
            names.sort_by_cached_key(|name| std::cmp::Reverse(hardness(name)));
        }
        names.into_iter().next().ok_or(OpenError::NoSuchSecret)
    }

    /// Whether an open by another name of its file needs nobody's yes any more.
    pub(super) fn may_now(&self, caller: &Caller, name: &Secret, attempt: &Attempt) -> bool {
        let question = name.question(attempt.request.operations, None);
        match self.decide(caller, name.kind, &question) {
            Decision::Permitted(permit) => {
                let _only_compared = permit;
                true
            }
            Decision::NeedsApproval(ask) => self.leases.find(&ask, caller).is_some(),
            Decision::Denied(_) => false,
        }
    }
}

/// A question as a human is told of it.
fn words(caller: &Caller, grant: &ward_policy::Grant, reason: Option<&str>) -> String {
    let program = caller.executable.as_ref().and_then(|executable| executable.path.as_deref());
    let program = program.map(String::from_utf8_lossy).unwrap_or_default();
    let path = grant.path.as_ref().map(ToString::to_string).unwrap_or_default();
    let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("uid {} asks by {program} for {path}{reason}", caller.uid.0)
}
