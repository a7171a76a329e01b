//! Guards: what stands before and after the rules, and counts what one client does.
//!
//! Order of an open: breaker, rate, rules, cumulative risk. Counted are opens and commands, never
//! look-ups, lists, reads, or what a guard itself refused. Pure: time is an argument, and the state
//! can be written down and read back.

mod breaker;
mod rate;
mod risk;
mod settings;
mod sliding_count;
mod tally;

pub use breaker::{Breaker, BreakerSettings, BreakerState};
pub use rate::{Rate, RateSettings};
pub use risk::{CumulativeRisk, RiskSettings, Weight};
pub use tally::{CountedOpen, StakedFile, Tally};

use crate::subject::Subject;
use crate::{
    AgentName, Caller, Digest, FileId, Grade, Moment, Question, Risk, Rules, SecretPath,
    Sensitivity, UserId, VaultName,
};
use std::fmt;
use std::time::Duration;

/// Whom a guard counts for: the user, and what is verified of the program.
///
/// A caller that is not verified could take another program, or another copy of it, to be counted
/// anew: such a one is its user.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GuardedClient {
    uid: UserId,
    program: Option<Digest>,
    agent: Option<AgentName>,
}

/// What the policy says of guards; a guard that it does not speak of lets everything pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GuardSettings {
    /// How much at most.
    pub rate: Option<RateSettings>,
    /// After how many denials nothing any more.
    pub breaker: Option<BreakerSettings>,
    /// How much of what is sensitive.
    pub risk: Option<RiskSettings>,
}

/// The guards of one client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guards {
    breaker: Breaker,
    rate: Rate,
    risk: CumulativeRisk,
}

/// Which guard said no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GuardName {
    /// Too many denials a moment ago.
    Breaker,
    /// Too much at once.
    Rate,
    /// Too much of what is sensitive.
    Risk,
}

/// A guard's no, and when to come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{guard} refuses it; come back in {} s", .retry.as_secs_f64().ceil())]
pub struct GuardRefusal {
    /// The guard.
    pub guard: GuardName,
    /// How long it refuses at least.
    pub retry: Duration,
}

/// What came of an open or a command that the guards let through to the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The rules or a human said no.
    Denied,
    /// It went through.
    Permitted,
    /// Neither: it waits for a human, or something failed.
    Open,
}

/// What is at stake: a secret and what is done to it.
#[derive(Clone, Copy, Debug)]
pub struct Stake<'a> {
    /// The vault.
    pub vault: &'a VaultName,
    /// The secret.
    pub path: &'a SecretPath,
    /// The file behind it, by which it is counted under whatever name.
    pub file: Option<FileId>,
    /// The effective risk.
    pub risk: Risk,
}

/// A moment that can be reckoned with: nanoseconds, also before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Instant(i64);

impl Rules {
    /// What is at stake in a question; `None` where that is nothing `restricted` or `critical`.
    pub fn stake<'a>(&self, question: &Question<'a>) -> Option<Stake<'a>> {
        let (vault, path) = (question.vault?, question.path?);
        let graded = Subject::new(self, *question).graded();
        let is_high = graded.is_some_and(Sensitivity::is_high);
        let risk = self.effective_risk(question).filter(|_| is_high)?;
        Some(Stake { vault, path, file: question.file, risk })
    }
}

impl GuardedClient {
    /// A client as the log names it; a program only when it was verified.
    pub const fn recalled(uid: UserId, program: Option<Digest>, agent: Option<AgentName>) -> Self {
        Self { uid, program, agent }
    }

    /// Whom `caller` is counted as.
    pub fn of(caller: &Caller) -> Self {
        let is_verified = caller.grade() == Grade::Verified;
        let agent = caller.agent.as_ref().map(|agent| agent.name.clone());
        Self { uid: caller.uid, program: caller.program().filter(|_| is_verified), agent }
    }

    /// The user.
    pub const fn uid(&self) -> UserId {
        self.uid
    }

    /// The program, when it is verified.
    pub const fn program(&self) -> Option<Digest> {
        self.program
    }

    /// The agent.
    pub const fn agent(&self) -> Option<&AgentName> {
        self.agent.as_ref()
    }
}

impl Guards {
    /// Lets an open or a command go on to the rules, and counts it.
    ///
    /// # Errors
    /// A guard's no is not counted, so that whoever keeps knocking waits no longer.
    pub fn admit(&mut self, settings: &GuardSettings, now: Moment) -> Result<(), GuardRefusal> {
        let refuse = |guard| move |retry| GuardRefusal { guard, retry };
        let now = Instant::from(now);
        if let Some(breaker) = &settings.breaker {
            self.breaker.look(breaker, now).map_err(refuse(GuardName::Breaker))?;
        }
        if let Some(rate) = &settings.rate {
            self.rate.admit(rate, now).map_err(refuse(GuardName::Rate))?;
        }
        if let Some(breaker) = &settings.breaker {
            self.breaker.begin(breaker, now);
        }
        Ok(())
    }

    /// What the sum of what was at stake makes of a yes.
    pub fn weigh(&self, settings: &GuardSettings, stake: Stake<'_>, now: Moment) -> Weight {
        let risk = settings.risk.as_ref();
        risk.map_or(Weight::Light, |risk| self.risk.weigh(risk, stake, now.into()))
    }

    /// Takes note of how an admitted open or command ended; of a permitted one, what was at stake
    /// when that was restricted or critical.
    pub fn settle(
        &mut self,
        settings: &GuardSettings,
        ending: Ending,
        stake: Option<Stake<'_>>,
        now: Moment,
    ) {
        if let Some(breaker) = &settings.breaker {
            self.breaker.settle(breaker, ending, now.into());
        }
        if let (Some(risk), Some(stake), Ending::Permitted) = (&settings.risk, stake, ending) {
            self.risk.count(risk, stake, now.into());
        }
    }

    /// The state of the breaker.
    pub fn breaker(&self, now: Moment) -> BreakerState {
        self.breaker.state(now.into())
    }

    /// The points that count at present.
    pub fn points(&self, settings: &RiskSettings, now: Moment) -> u32 {
        self.risk.points(settings, now.into())
    }

    /// Whether nothing is left to remember.
    pub fn is_forgotten(&self, settings: &GuardSettings, now: Moment) -> bool {
        let now = Instant::from(now);
        settings.breaker.is_none_or(|breaker| self.breaker.is_quiet(&breaker, now))
            && settings.rate.is_none_or(|rate| self.rate.is_quiet(&rate, now))
            && settings.risk.is_none_or(|risk| self.risk.points(&risk, now) == 0)
    }
}

impl From<Moment> for Instant {
    fn from(moment: Moment) -> Self {
        Self(i64::try_from(moment.nanoseconds()).unwrap_or(i64::MAX))
    }
}

impl Instant {
    fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanoseconds(duration)))
    }

    fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(nanoseconds(duration)))
    }

    /// How long it is from `now` to this one; nothing when it has passed.
    fn remaining(self, now: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(now.0)).unwrap_or(0))
    }
}

fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

impl GuardName {
    /// The word of the log and the protocol.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Breaker => "breaker",
            Self::Rate => "rate",
            Self::Risk => "risk",
        }
    }
}

impl fmt::Display for GuardName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the guard `{}`", self.name())
    }
}
