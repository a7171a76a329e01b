//! The handoff table: who asks to be handed which file, what was handed out to whom, and its end.
//!
//! What is asked and given here belongs to a mount and ends with it; the log has all of it.

use crate::approval_queue::{PATIENCE, SILENCE};
use crate::clock;
use crate::session_key::SessionKey;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use ward_policy::{
    AgentSessionId, Caller, Digest, Handoff, Moment, RequestId, SecretPath, Ticket, VaultName,
};

/// How many requests one user may have waiting; the oldest gives way.
const MOST_OF_ONE_USER: usize = 32;
/// How many that are over are remembered; the oldest is forgotten.
const MOST_OVER: usize = 1024;
/// For how long.
const MEMORY: Duration = Duration::from_secs(60 * 60);

/// What somebody asks to be handed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WantedHandoff {
    pub(crate) vault: VaultName,
    pub(crate) path: SecretPath,
    pub(crate) reason: Arc<str>,
    pub(crate) ticket: Option<Ticket>,
    /// The agent, or the client of the policy, whom alone it is asked of.
    pub(crate) from: Option<Arc<str>>,
    pub(crate) terms: HandoffTerms,
}

/// For how many opens and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HandoffTerms {
    /// `None` for any number.
    pub(crate) uses: Option<u32>,
    pub(crate) lease: Duration,
}

/// How a request for a handoff stands.
#[derive(Clone, Debug)]
pub(crate) enum HandoffState {
    /// Nobody has answered.
    Waits,
    /// It was handed out.
    Given(Arc<Given>),
    /// Who could have said no, perhaps in so many words. They are the giver's: escape them.
    Denied(Option<Arc<str>>),
    /// Nobody answered in time, or what was handed out is over.
    Over,
}

/// What was handed out.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) handoff: Handoff,
    pub(crate) terms: HandoffTerms,
}

/// A request for a handoff, as it stands.
#[derive(Clone, Debug)]
pub(crate) struct HandoffView {
    pub(crate) id: RequestId,
    /// Its number among all, for names that the kernel has numbers for.
    pub(crate) number: u32,
    pub(crate) wanted: Arc<WantedHandoff>,
    pub(crate) receiver: Arc<Caller>,
    pub(crate) expires: Moment,
    pub(crate) state: HandoffState,
}

/// Every handoff that is asked for or given. One table for the daemon.
#[derive(Debug, Default)]
pub(crate) struct HandoffTable {
    /// Guards the list only; never held while somebody is told.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: u32,
    entries: BTreeMap<RequestId, Entry>,
}

/// Who wants to know of the answer.
type Told = Box<dyn FnOnce(&HandoffState) + Send>;

struct Entry {
    view: HandoffView,
    owner: SessionKey,
    /// How many opens are left of what was given.
    left: Option<u32>,
    /// When it was over.
    since: Moment,
    told: Vec<Told>,
}

/// Why nobody is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CannotAsk {
    /// Somebody said no to just this a moment ago.
    Silenced,
    /// The kernel gives no random bytes.
    NoRandomness,
}

impl HandoffTable {
    /// Asks, or finds the request that asks the same; and whether it is new.
    pub(crate) fn ask(
        &self,
        receiver: &Arc<Caller>,
        wanted: WantedHandoff,
    ) -> Result<(HandoffView, bool), CannotAsk> {
        let (now, owner) = (clock::now(), SessionKey::of(receiver));
        let mut state = self.state();
        let asks_the_same = |entry: &&Entry| {
            let other = &*entry.view.wanted;
            entry.owner == owner && (&other.vault, &other.path) == (&wanted.vault, &wanted.path)
        };
        let mut same = state.entries.values().filter(asks_the_same);
        if same.clone().any(|entry| entry.is_silent(now)) {
            return Err(CannotAsk::Silenced);
        }
        if let Some(known) = same.find(|entry| entry.waits() && *entry.view.wanted == wanted) {
            return Ok((known.view.clone(), false));
        }
        let id = RequestId(clock::new_id().ok_or(CannotAsk::NoRandomness)?);
        state.make_room(receiver, now);
        state.last += 1;
        let view = HandoffView {
            id,
            number: state.last,
            wanted: Arc::new(wanted),
            receiver: Arc::clone(receiver),
            expires: now.after(PATIENCE),
            state: HandoffState::Waits,
        };
        let entry = Entry { view: view.clone(), owner, left: None, since: now, told: Vec::new() };
        state.entries.insert(id, entry);
        Ok((view, true))
    }

    /// Everything about a vault that waits or was given, oldest first.
    pub(crate) fn of_vault(&self, vault: &VaultName) -> Vec<HandoffView> {
        let state = self.state();
        let is_meant = |entry: &&Entry| entry.view.wanted.vault == *vault && entry.is_live();
        state.entries.values().filter(is_meant).map(|entry| entry.view.clone()).collect()
    }

    /// Everything that waits for an answer, oldest first.
    pub(crate) fn waiting(&self) -> Vec<HandoffView> {
        let state = self.state();
        state.entries.values().filter(|it| it.waits()).map(|entry| entry.view.clone()).collect()
    }

    /// How one request stands.
    pub(crate) fn find(&self, id: RequestId) -> Option<HandoffView> {
        self.state().entries.get(&id).map(|entry| entry.view.clone())
    }

    /// What was given to `caller`'s session by request `id`, if it is not over.
    pub(crate) fn given_to(&self, caller: &Caller, id: RequestId) -> Option<Arc<Given>> {
        let state = self.state();
        let entry = state.entries.get(&id).filter(|it| it.owner == SessionKey::of(caller))?;
        entry.given().filter(|given| clock::now() < given.handoff.ends()).cloned()
    }

    /// Tells `told` the answer, at once when it is there.
    pub(crate) fn when_answered(&self, id: RequestId, told: Told) {
        let mut state = self.state();
        match state.entries.get_mut(&id) {
            Some(entry) if entry.waits() => entry.told.push(told),
            Some(entry) => {
                let answer = entry.view.state.clone();
                drop(state);
                told(&answer);
            }
            None => {
                drop(state);
                told(&HandoffState::Over);
            }
        }
    }

    /// Answers a request that waits; `false` when somebody was quicker.
    pub(crate) fn answer(&self, id: RequestId, answer: HandoffState) -> bool {
        let mut state = self.state();
        let Some(entry) = state.entries.get_mut(&id).filter(|entry| entry.waits()) else {
            return false;
        };
        if let HandoffState::Given(given) = &answer {
            entry.left = given.terms.uses;
        }
        entry.since = clock::now();
        entry.view.state = answer.clone();
        let told = std::mem::take(&mut entry.told);
        drop(state);
        told.into_iter().for_each(|told| told(&answer));
        true
    }

    /// Uses up one open of what was given; `None` when nothing is left of it.
    pub(crate) fn spend(&self, id: RequestId) -> Option<()> {
        let mut state = self.state();
        let entry = state.entries.get_mut(&id)?;
        entry.given().filter(|given| clock::now() < given.handoff.ends())?;
        if let Some(left) = entry.left.as_mut() {
            *left = left.checked_sub(1)?;
        }
        Some(())
    }

    /// Ends what is over by its time.
    pub(crate) fn end_late(&self) -> Vec<HandoffView> {
        let now = clock::now();
        self.end(|entry| match &entry.view.state {
            HandoffState::Waits => entry.view.expires <= now,
            HandoffState::Given(given) => given.handoff.ends() <= now,
            HandoffState::Denied(_) | HandoffState::Over => false,
        })
    }

    /// Ends one that waits or was given.
    pub(crate) fn end_one(&self, id: RequestId) -> Vec<HandoffView> {
        self.end(|entry| entry.view.id == id)
    }

    /// Ends everything about a vault, whose mount ends.
    pub(crate) fn end_vault(&self, vault: &VaultName) -> Vec<HandoffView> {
        self.end(|entry| entry.view.wanted.vault == *vault)
    }

    /// Ends everything that an agent session asked for or was given.
    pub(crate) fn end_agent(&self, session: AgentSessionId) -> Vec<HandoffView> {
        self.end(|entry| entry.view.receiver.agent_session() == Some(session))
    }

    /// Ends what another policy than `policy` let givers give.
    pub(crate) fn end_other_policies(&self, policy: Digest) -> Vec<HandoffView> {
        self.end(|entry| entry.given().is_some_and(|given| !given.handoff.is_of(policy)))
    }

    /// Ends those that live and are meant; gives them as they were.
    fn end(&self, is_meant: impl Fn(&Entry) -> bool) -> Vec<HandoffView> {
        let (mut ended, mut told, now) = (Vec::new(), Vec::new(), clock::now());
        let mut state = self.state();
        for entry in state.entries.values_mut().filter(|entry| entry.is_live() && is_meant(entry)) {
            ended.push(entry.view.clone());
            told.append(&mut entry.told);
            entry.view.state = HandoffState::Over;
            entry.since = now;
        }
        state.forget(now);
        drop(state);
        told.into_iter().for_each(|told| told(&HandoffState::Over));
        ended
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Lets the oldest request of a user end who has too many.
    fn make_room(&mut self, receiver: &Caller, now: Moment) {
        let is_its = |entry: &&mut Entry| entry.waits() && entry.view.receiver.uid == receiver.uid;
        let mut of_user = self.entries.values_mut().filter(is_its);
        if let Some(oldest) = of_user.next()
            && of_user.count() + 1 >= MOST_OF_ONE_USER
        {
            oldest.view.expires = now;
        }
    }

    /// Forgets what was over long ago, and the oldest of too many.
    fn forget(&mut self, now: Moment) {
        let mut over = self.entries.values().filter(|entry| !entry.is_live()).count();
        self.entries.retain(|_, entry| {
            let stays = entry.is_live() || over <= MOST_OVER && now < entry.since.after(MEMORY);
            over -= usize::from(!stays);
            stays
        });
    }
}

impl Entry {
    const fn waits(&self) -> bool {
        matches!(self.view.state, HandoffState::Waits)
    }

    const fn is_live(&self) -> bool {
        matches!(self.view.state, HandoffState::Waits | HandoffState::Given(_))
    }

    fn is_silent(&self, now: Moment) -> bool {
        matches!(self.view.state, HandoffState::Denied(_)) && now < self.since.after(SILENCE)
    }

    const fn given(&self) -> Option<&Arc<Given>> {
        match &self.view.state {
            HandoffState::Given(given) => Some(given),
            HandoffState::Waits | HandoffState::Denied(_) | HandoffState::Over => None,
        }
    }
}

impl HandoffView {
    /// What the file is called where it is handed out: the last part of its path.
    pub(crate) fn file_name(&self) -> &[u8] {
        self.wanted.path.parts().next_back().unwrap_or_default()
    }

    /// What was given.
    pub(crate) const fn given(&self) -> Option<&Arc<Given>> {
        match &self.state {
            HandoffState::Given(given) => Some(given),
            HandoffState::Waits | HandoffState::Denied(_) | HandoffState::Over => None,
        }
    }

    /// Whether `caller` is of the session that asks.
    pub(crate) fn is_of(&self, caller: &Caller) -> bool {
        SessionKey::of(&self.receiver) == SessionKey::of(caller)
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Entry").field("view", &self.view).finish_non_exhaustive()
    }
}
