//! The guard table: what each client does of late, counted for the guards of the policy.
//!
//! What the log says of earlier opens counts on; `guard_counts.rs` has how that is written down.

use crate::clock;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use ward_audit::{Counts, Number};
use ward_policy::{
    BreakerState, Caller, CountedOpen, Ending, GuardName, GuardRefusal, GuardSettings,
    GuardedClient, Guards, Question, Rules, Tally, Weight,
};

/// From how many clients on those are forgotten that did nothing of late.
const MANY: usize = 1024;

/// The guards of every client.
#[derive(Debug, Default)]
pub(crate) struct GuardTable {
    /// Guards the map only. A leaf.
    clients: Mutex<BTreeMap<GuardedClient, Guards>>,
}

/// How guards stand to a client.
#[derive(Clone, Debug)]
pub(crate) struct Limited {
    pub(crate) client: GuardedClient,
    pub(crate) breaker: BreakerState,
    pub(crate) points: u32,
}

impl GuardTable {
    /// Lets an open go on to the rules, and counts it.
    pub(crate) fn admit(&self, rules: &Rules, caller: &Caller) -> Result<(), GuardRefusal> {
        let settings = rules.guards();
        if *settings == GuardSettings::default() {
            return Ok(());
        }
        let now = clock::now();
        let mut clients = self.clients();
        if clients.len() >= MANY {
            clients.retain(|_, guards| !guards.is_forgotten(settings, now));
        }
        clients.entry(GuardedClient::of(caller)).or_default().admit(settings, now)
    }

    /// What the sum of what was at stake makes of a yes.
    pub(crate) fn weigh(
        &self,
        rules: &Rules,
        caller: &Caller,
        question: &Question<'_>,
    ) -> Result<Weight, GuardRefusal> {
        let settings = rules.guards();
        if settings.risk.is_none() {
            return Ok(Weight::Light);
        }
        let Some(stake) = rules.stake(question) else {
            return Ok(Weight::Light);
        };
        let mut clients = self.clients();
        let guards = clients.entry(GuardedClient::of(caller)).or_default();
        match guards.weigh(settings, stake, clock::now()) {
            Weight::TooHeavy(retry) => Err(GuardRefusal { guard: GuardName::Risk, retry }),
            weight @ (Weight::Light | Weight::Heavy) => Ok(weight),
        }
    }

    /// Takes note of how an admitted open ended.
    pub(crate) fn settle(
        &self,
        rules: &Rules,
        caller: &Caller,
        question: &Question<'_>,
        ending: Ending,
    ) {
        let settings = rules.guards();
        if settings.breaker.is_none() && settings.risk.is_none() {
            return;
        }
        let stake = rules.stake(question);
        let mut clients = self.clients();
        let guards = clients.entry(GuardedClient::of(caller)).or_default();
        guards.settle(settings, ending, stake, clock::now());
    }

    /// The clients whose breaker is not closed, or of whom something sensitive counts.
    pub(crate) fn limited(&self, rules: &Rules) -> Vec<Limited> {
        let (settings, now) = (rules.guards(), clock::now());
        let clients = self.clients();
        let limited = clients.iter().map(|(client, guards)| {
            let breaker = match settings.breaker {
                Some(_) => guards.breaker(now),
                None => BreakerState::Closed,
            };
            let points = settings.risk.map_or(0, |risk| guards.points(&risk, now));
            Limited { client: client.clone(), breaker, points }
        });
        limited.filter(|it| it.breaker != BreakerState::Closed || it.points > 0).collect()
    }

    /// What counts in the log when an open of this question was admitted; nothing where no guard is.
    pub(crate) fn counts(rules: &Rules, question: &Question<'_>) -> Option<Counts> {
        if *rules.guards() == GuardSettings::default() {
            return None;
        }
        let stake = rules.stake(question).filter(|_| rules.guards().risk.is_some());
        Some(Counts {
            file: stake.and_then(|stake| stake.file).map(|file| Number(file.0)),
            points: stake.map(|stake| stake.risk.points()),
        })
    }

    /// What each client's guards have counted.
    pub(crate) fn tallies(&self, rules: &Rules) -> Vec<(GuardedClient, Tally)> {
        let clients = self.clients();
        let tallies = clients.iter().map(|(it, guards)| (it.clone(), guards.tally(rules.guards())));
        tallies.filter(|(_, tally)| !tally.is_empty()).collect()
    }

    /// Takes up what they had counted.
    pub(crate) fn take_up(&self, rules: &Rules, client: GuardedClient, tally: &Tally) {
        self.clients().insert(client, Guards::of_tally(rules.guards(), tally));
    }

    /// Counts an open again that the log has.
    pub(crate) fn recall(
        &self,
        rules: &Rules,
        client: GuardedClient,
        (open, ago): (&CountedOpen, Duration),
    ) {
        let mut clients = self.clients();
        clients.entry(client).or_default().recall(rules.guards(), open, (clock::now(), ago));
    }

    fn clients(&self) -> MutexGuard<'_, BTreeMap<GuardedClient, Guards>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
