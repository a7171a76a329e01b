//! The guard table: what each client does of late, counted for the guards of the policy.
//!
//! Kept in memory: a new daemon counts anew.

use crate::clock;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use ward_policy::{
    BreakerState, Caller, Ending, GuardName, GuardRefusal, GuardSettings, GuardedClient, Guards,
    Question, Rules, Weight,
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

    fn clients(&self) -> MutexGuard<'_, BTreeMap<GuardedClient, Guards>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
