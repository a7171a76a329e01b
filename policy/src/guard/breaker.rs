//! The breaker: a client that is denied again and again is heard no more for a while.

use super::sliding_count::SlidingCount;
use super::{Ending, Instant};
use std::time::Duration;

/// `breaker = 10, within = "1m", cooldown = "5m"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerSettings {
    /// How many denials open it.
    pub denials: u32,
    /// Within any span of this length.
    pub within: Duration,
    /// How long it stays open.
    pub cooldown: Duration,
}

/// How a breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Everything passes.
    Closed,
    /// Nothing passes.
    Open,
    /// One passes, and how that ends decides.
    HalfOpen,
}

impl BreakerState {
    /// The word of the protocol.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

/// The breaker of one client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Breaker {
    denials: SlidingCount,
    /// Since it opened: until when it stays so. It closes by a trial that is not denied.
    opens_until: Option<Instant>,
    /// Since a trial passed: until when no other does, unless that one ends before.
    trial_until: Option<Instant>,
}

impl Breaker {
    /// Denials by when they were, and until when it is open and a trial lasts.
    pub(super) fn tally(&self, settings: &BreakerSettings) -> (Vec<(i64, u32)>, [Option<i64>; 2]) {
        let until = [self.opens_until, self.trial_until].map(|until| until.map(|until| until.0));
        (self.denials.moments(settings.within), until)
    }

    /// What [`Self::tally`] gave, as the log has it.
    pub(super) fn recall(
        &mut self,
        settings: &BreakerSettings,
        denials: &[(i64, u32)],
        [opens_until, trial_until]: [Option<i64>; 2],
    ) {
        for (then, count) in denials {
            self.denials.add_many(settings.within, Instant(*then), *count);
        }
        (self.opens_until, self.trial_until) = (opens_until.map(Instant), trial_until.map(Instant));
    }

    /// Whether one may pass; how long none may.
    pub(super) fn look(&self, settings: &BreakerSettings, now: Instant) -> Result<(), Duration> {
        let ends = [self.opens_until, self.trial_until].into_iter().flatten();
        match ends.filter(|end| *end > now).max() {
            Some(end) => Err(end.remaining(now).min(settings.cooldown)),
            None => Ok(()),
        }
    }

    /// One passes.
    pub(super) fn begin(&mut self, settings: &BreakerSettings, now: Instant) {
        if self.state(now) == BreakerState::HalfOpen {
            self.trial_until = Some(now.after(settings.cooldown));
        }
    }

    /// One that passed has ended.
    pub(super) fn settle(&mut self, settings: &BreakerSettings, ending: Ending, now: Instant) {
        let state = self.state(now);
        match (state, ending) {
            (BreakerState::HalfOpen, Ending::Denied) => self.open(settings, now),
            (BreakerState::HalfOpen, Ending::Permitted) => *self = Self::default(),
            (BreakerState::HalfOpen, Ending::Open) => self.trial_until = None,
            (BreakerState::Closed, Ending::Denied) => {
                self.denials.add(settings.within, now);
                if self.denials.count(settings.within, now) >= settings.denials {
                    self.open(settings, now);
                }
            }
            // What passed before it opened says nothing any more.
            (BreakerState::Open, _) | (BreakerState::Closed, Ending::Permitted | Ending::Open) => {}
        }
    }

    pub(super) fn state(&self, now: Instant) -> BreakerState {
        match self.opens_until {
            None => BreakerState::Closed,
            Some(end) if end > now => BreakerState::Open,
            Some(_) => BreakerState::HalfOpen,
        }
    }

    pub(super) fn is_quiet(&self, settings: &BreakerSettings, now: Instant) -> bool {
        self.opens_until.is_none() && self.denials.is_empty(settings.within, now)
    }

    fn open(&mut self, settings: &BreakerSettings, now: Instant) {
        self.denials.clear();
        self.opens_until = Some(now.after(settings.cooldown));
        self.trial_until = None;
    }
}
