//! The approval queue: questions waiting for a human, who may answer them, and until when.
//!
//! A held open is a continuation: whoever answers, or the end of its patience, calls it. So nobody
//! waits behind a human but the one who asked.

mod answered;
mod binding;
mod ending;
mod entitlement;
mod error;
mod front_ends;
mod holding;
mod lingering;
mod taken;

pub(crate) use answered::RequestState;
pub(crate) use ending::Why;
pub(crate) use entitlement::{Answerers, Entitled, Yes};
pub(crate) use error::{AnswerError, AskError};
pub(crate) use taken::{Answers, Taken, answers_of};

use crate::clock;
use crate::handle_table::Limits;
use crate::root::Layout;
use answered::AnsweredRequests;
use binding::Nonce;
use crossbeam_channel::{Receiver, Sender, bounded};
use entitlement::Identity;
use front_ends::FrontEnds;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use ward_policy::{
    ApprovalRequest, Caller, Factors, FileId, Fingerprint, Given, Grant, Lease, Moment,
    OperationSet, Permit, RequestId, Require, Rules, SecretPath, Ticket, UserId, VaultName,
};

/// How long a request waits for its answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60 * 60);
/// How long the same question is refused without asking, after a no.
pub(crate) const SILENCE: Duration = Duration::from_secs(60);

/// What a held open does with its answer.
pub(crate) type Resume = Box<dyn FnOnce(Result<Arc<Lease>, Unanswered>) + Send>;

/// Why a held open got no lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unanswered {
    /// A human said no.
    Refused,
    /// There may be a yes, and not for this open: another spent it, or who asks has changed.
    NotServed,
    /// Nobody answered in time; the request stays.
    TimedOut,
    /// A signal reached the caller.
    Interrupted,
    /// The mount ended.
    Ended,
    /// The machine is about to sleep.
    Asleep,
}

/// A request as it stands, for those who list it.
#[derive(Clone, Debug)]
pub(crate) struct PendingView {
    pub(crate) id: RequestId,
    pub(crate) grant: Grant,
    pub(crate) asker: Arc<Caller>,
    pub(crate) reason: Option<Arc<str>>,
    pub(crate) lease: Duration,
    pub(crate) uses: Option<u32>,
    pub(crate) require: Require,
    pub(crate) factors: Factors,
    pub(crate) expires: Moment,
    pub(crate) is_held: bool,
}

/// A yes: the permit, who will hold its lease, and the opens that wait for it.
pub(crate) struct Approved {
    pub(crate) permit: Permit,
    pub(crate) holder: Fingerprint,
    pub(crate) uses: Option<u32>,
    pub(crate) held: Vec<Held>,
    /// Who only wants to know.
    pub(crate) onlookers: Vec<Held>,
    /// Requests that asked the same for another reason, and are answered with it.
    pub(crate) equal: Vec<PendingView>,
}

/// An open that waits, or an onlooker, who is told the answer and given nothing.
pub(crate) struct Held {
    token: u64,
    is_onlooker: bool,
    deadline: Moment,
    /// The token under which the monitor watches it.
    pub(crate) resume: Resume,
}

impl fmt::Debug for Held {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Held").field("token", &self.token).finish_non_exhaustive()
    }
}

/// What the keeper found to be over.
#[derive(Clone, Debug)]
pub(crate) struct Expired {
    pub(crate) view: PendingView,
    pub(crate) why: Why,
}

/// What came of one approver's yes.
pub(crate) enum Answered {
    /// It takes more approvers: this many.
    NeedsMore(usize),
    /// It was the last one needed.
    Approved(Box<Approved>),
}

/// The queue. One for the daemon.
#[derive(Debug)]
pub(crate) struct ApprovalQueue {
    layout: Layout,
    /// How many requests one user may have waiting; the oldest gives way.
    most_of_one_user: AtomicUsize,
    /// Guards the lists only. Never held while a continuation runs.
    state: Mutex<State>,
    changed: Sender<()>,
    changes: Receiver<()>,
    front_ends: FrontEnds,
}

#[derive(Debug, Default)]
struct State {
    pending: BTreeMap<RequestId, Pending>,
    /// What waits for no request of the queue.
    lingering: Vec<Held>,
    silenced: Vec<(Question, Moment)>,
    answered: AnsweredRequests,
    last_token: u64,
    /// Nobody is held: the machine is about to sleep.
    is_asleep: bool,
}

struct Pending {
    request: ApprovalRequest,
    question: Question,
    asker: Arc<Caller>,
    reason: Option<Arc<str>>,
    expires: Moment,
    /// Why it ends then.
    why: Why,
    nonce: Nonce,
    approved: Vec<(Identity, Given)>,
    held: Vec<Held>,
}

/// What is asked, by whom: not why, nor with which ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Question {
    vault: Option<VaultName>,
    path: Option<SecretPath>,
    file: Option<FileId>,
    operations: OperationSet,
    holder: Fingerprint,
}

impl Question {
    fn of(grant: &Grant, holder: Fingerprint) -> Self {
        Self {
            vault: grant.vault.clone(),
            path: grant.path.clone(),
            file: grant.file,
            operations: grant.operations,
            holder,
        }
    }
}

impl ApprovalQueue {
    pub(crate) fn new(layout: Layout, limits: &Limits) -> Self {
        let (changed, changes) = bounded(1);
        let (front_ends, state, most_of_one_user) = Default::default();
        let queue = Self { layout, most_of_one_user, state, changed, changes, front_ends };
        queue.limit(limits);
        queue
    }

    /// Takes other limits, for requests from now on.
    pub(crate) fn limit(&self, limits: &Limits) {
        let most = usize::try_from(limits.requests.get()).unwrap_or(usize::MAX);
        self.most_of_one_user.store(most, Ordering::Relaxed);
    }

    /// Puts `request` into the queue, or finds the one that asks the same; and whether it is new.
    pub(crate) fn ask(
        &self,
        request: ApprovalRequest,
        asker: &Arc<Caller>,
        reason: Option<&str>,
    ) -> Result<(RequestId, Freshness), AskError> {
        let now = clock::now();
        let scope = request.obligations().scope;
        let holder = asker.fingerprint(scope).ok_or(AskError::NoHolder)?;
        let question = Question::of(request.grant(), holder);
        let mut state = self.state();
        state.silenced.retain(|(_, until)| *until > now);
        if state.silenced.iter().any(|(silenced, _)| *silenced == question) {
            return Err(AskError::Silenced);
        }
        let reason: Option<Arc<str>> = reason.map(Arc::from);
        let same = state.pending.iter().find(|(_, pending)| {
            pending.question == question
                && pending.request.grant() == request.grant()
                && pending.request.obligations() == request.obligations()
                && (reason.is_none() || pending.reason == reason)
        });
        if let Some((id, _)) = same {
            return Ok((*id, Freshness::Known));
        }
        let id = RequestId(clock::new_id().ok_or(AskError::NoRandomness)?);
        state.make_room(asker.uid, self.most_of_one_user.load(Ordering::Relaxed));
        let expires = now.after(PATIENCE);
        let nonce = Nonce::new(expires).ok_or(AskError::NoRandomness)?;
        let pending = Pending {
            request,
            question,
            asker: Arc::clone(asker),
            reason,
            expires,
            why: Why::Unanswered,
            nonce,
            approved: Vec::new(),
            held: Vec::new(),
        };
        state.pending.insert(id, pending);
        drop(state);
        self.wake();
        Ok((id, Freshness::New))
    }

    /// Lets the open held under `token` go with EINTR.
    pub(crate) fn interrupt(&self, token: u64) {
        let taken = self.state().take(|held| held.token == token);
        release(taken, Unanswered::Interrupted);
        self.front_ends.tell();
    }

    /// A channel that has a word when something has changed.
    pub(crate) fn subscribe(&self) -> Receiver<()> {
        self.front_ends.add()
    }

    /// Every waiting request, oldest first.
    pub(crate) fn pending(&self) -> Vec<PendingView> {
        self.state().pending.iter().map(|(id, pending)| pending.view(*id)).collect()
    }

    /// One waiting request.
    pub(crate) fn find(&self, id: RequestId) -> Option<PendingView> {
        self.state().pending.get(&id).map(|pending| pending.view(id))
    }

    /// The ticket of a request of `caller` about a file that waits: its opens are asked with it.
    pub(crate) fn ticket(
        &self,
        caller: &Caller,
        vault: &VaultName,
        file: FileId,
    ) -> Option<Ticket> {
        let state = self.state();
        let asked = state.pending.values().filter(|pending| {
            let grant = pending.request.grant();
            grant.vault.as_ref() == Some(vault)
                && grant.file == Some(file)
                && pending.question.holder.is(caller)
        });
        asked.filter_map(|pending| pending.request.grant().ticket.clone()).next()
    }

    /// An approver says yes. Consumed by exactly one call: the request leaves the queue with it.
    pub(crate) fn approve(
        &self,
        rules: &Rules,
        id: RequestId,
        yes: &Yes<'_>,
    ) -> Result<Answered, AnswerError> {
        let mut state = self.state();
        let pending = state.pending.get_mut(&id).ok_or(AnswerError::NotPending)?;
        let Entitled { given, identity, .. } = pending.entitle(rules, self.layout, yes)?;
        if pending.approved.iter().all(|(other, _)| identity.differs_from(other)) {
            pending.approved.push((identity, given));
        }
        let quorum = usize::try_from(pending.request.obligations().quorum).unwrap_or(usize::MAX);
        let missing = quorum.saturating_sub(pending.approved.len());
        if missing > 0 {
            return Ok(Answered::NeedsMore(missing));
        }
        let pending = state.pending.remove(&id).ok_or(AnswerError::NotPending)?;
        let given = pending.approved.iter().fold(given, |given, (_, other)| given.and(*other));
        let holder = pending.asker.fingerprint(given.scope).ok_or(AnswerError::NotPending)?;
        state.answered.remember(id, &pending, RequestState::Approved, clock::now());
        // A yes for so many opens is for who asked so; one for a time is for the question.
        let equals = if given.uses.is_none() && given.scope == pending.request.obligations().scope {
            state.take_equal(&pending, RequestState::Approved, |other| {
                other.request.grant() == pending.request.grant()
                    && other.request.obligations() == pending.request.obligations()
            })
        } else {
            Vec::new()
        };
        drop(state);
        self.wake();
        let equal = equals.iter().map(|(view, _)| view.clone()).collect();
        let held = pending.held.into_iter().chain(equals.into_iter().flat_map(|(_, held)| held));
        let (onlookers, held) = held.partition(|held| held.is_onlooker);
        Ok(Answered::Approved(Box::new(Approved {
            permit: pending.request.approve(id, given),
            holder,
            uses: given.uses,
            held,
            onlookers,
            equal,
        })))
    }

    /// `approver` says no: the opens held for it end, and the question is silent for a minute. So are
    /// those who asked it for another reason, which are given.
    pub(crate) fn deny(
        &self,
        rules: &Rules,
        approver: &Caller,
        (id, reason): (RequestId, Option<&str>),
    ) -> Result<Vec<PendingView>, AnswerError> {
        let mut state = self.state();
        let pending = state.pending.get(&id).ok_or(AnswerError::NotPending)?;
        pending.may_be_denied_by(rules, approver)?;
        let pending = state.pending.remove(&id).ok_or(AnswerError::NotPending)?;
        let (now, denied) = (clock::now(), RequestState::Denied(reason.map(Arc::from)));
        state.answered.remember(id, &pending, denied.clone(), now);
        let equals = state.take_equal(&pending, denied, |_| true);
        state.silenced.push((pending.question, now.after(SILENCE)));
        drop(state);
        self.wake();
        release(pending.held, Unanswered::Refused);
        let silent = equals.into_iter().map(|(view, held)| {
            release(held, Unanswered::Refused);
            view
        });
        Ok(silent.collect())
    }

    /// Ends what is over, each at its time, and tells `expired`; until the queue is closed.
    pub(crate) fn keep(&self, stop: &Receiver<()>, expired: impl Fn(Expired)) {
        loop {
            let now = clock::now();
            let (over, gone, next) = self.state().take_over(now);
            if !over.is_empty() || !gone.is_empty() {
                self.front_ends.tell();
            }
            release(over, Unanswered::TimedOut);
            gone.into_iter().for_each(&expired);
            let sleep = next.map_or(PATIENCE, |next| next.remaining(now));
            crossbeam_channel::select! {
                recv(stop) -> _ => return,
                recv(self.changes) -> _ => {}
                default(sleep) => {}
            }
        }
    }

    fn wake(&self) {
        let _waking_already = self.changed.try_send(());
        self.front_ends.tell();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a question is new to the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    New,
    Known,
}

impl State {
    fn take(&mut self, is_meant: impl Fn(&Held) -> bool) -> Vec<Held> {
        let held = self.pending.values_mut().map(|pending| &mut pending.held);
        let held = held.chain([&mut self.lingering]);
        held.flat_map(|held| held.extract_if(.., |held| is_meant(held))).collect()
    }

    /// Takes those out that ask what `answered` asks, for another reason.
    fn take_equal(
        &mut self,
        answered: &Pending,
        state: RequestState,
        is_meant: impl Fn(&Pending) -> bool,
    ) -> Vec<(PendingView, Vec<Held>)> {
        let is_equal = |_: &RequestId, other: &mut Pending| {
            other.question == answered.question && is_meant(other)
        };
        let equals: Vec<_> = self.pending.extract_if(.., is_equal).collect();
        let settle = |(id, mut pending): (RequestId, Pending)| {
            self.answered.remember(id, &pending, state.clone(), clock::now());
            let held = std::mem::take(&mut pending.held);
            (pending.view(id), held)
        };
        equals.into_iter().map(settle).collect()
    }

    /// Opens whose patience is over, requests whose time is over, and when the next is.
    fn take_over(&mut self, now: Moment) -> (Vec<Held>, Vec<Expired>, Option<Moment>) {
        let mut over = self.take(|held| held.deadline <= now);
        let mut gone = Vec::new();
        let Self { pending, answered, .. } = self;
        pending.retain(|id, pending| {
            let is_over = pending.expires <= now;
            if is_over {
                gone.push(Expired { view: pending.view(*id), why: pending.why });
                answered.remember(*id, pending, RequestState::Expired, now);
                over.append(&mut pending.held);
            }
            !is_over
        });
        let ends = self.pending.values().flat_map(|pending| {
            pending.held.iter().map(|held| held.deadline).chain([pending.expires])
        });
        let next = ends.chain(self.lingering.iter().map(|held| held.deadline)).min();
        (over, gone, next)
    }

    /// Ends the oldest request of a user who has too many; its expiry is recorded in turn.
    fn make_room(&mut self, uid: UserId, most: usize) {
        let mut of_user = self.pending.values_mut().filter(|pending| pending.asker.uid == uid);
        if let Some(oldest) = of_user.next()
            && of_user.count() + 1 >= most
        {
            oldest.end_now(Why::TooMany);
        }
    }
}

impl Pending {
    fn view(&self, id: RequestId) -> PendingView {
        let obligations = self.request.obligations();
        PendingView {
            id,
            grant: self.request.grant().clone(),
            asker: Arc::clone(&self.asker),
            reason: self.reason.clone(),
            lease: obligations.lease,
            uses: obligations.uses,
            require: obligations.require,
            factors: obligations.factors,
            expires: self.expires,
            is_held: self.holds_an_open(),
        }
    }

    fn holds_an_open(&self) -> bool {
        self.held.iter().any(|held| !held.is_onlooker)
    }
}

/// The permit of a request that was approved before, as the log has it.
pub(crate) fn recall(id: RequestId, request: ApprovalRequest, given: Given) -> Permit {
    request.approve(id, given)
}

fn release(held: Vec<Held>, why: Unanswered) {
    held.into_iter().for_each(|held| (held.resume)(Err(why)));
}

impl fmt::Debug for Pending {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Pending").field("question", &self.question).finish_non_exhaustive()
    }
}
