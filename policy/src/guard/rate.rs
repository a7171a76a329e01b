//! The rate: how much a client may do within a time.

use super::Instant;
use super::sliding_count::SlidingCount;
use std::time::Duration;

/// `rate = { max = 600, per = "1m" }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateSettings {
    /// How many opens and commands.
    pub max: u32,
    /// Within any span of this length.
    pub per: Duration,
}

/// What a client has done of late.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rate(SlidingCount);

impl Rate {
    /// Opens, by when they were.
    pub(super) fn opens(&self, settings: &RateSettings) -> Vec<(i64, u32)> {
        self.0.moments(settings.per)
    }

    /// Counts again what was admitted then, as the log has it.
    pub(super) fn recall(&mut self, settings: &RateSettings, then: Instant, count: u32) {
        self.0.add_many(settings.per, then, count);
    }

    /// Counts one more, or says how long there is no room for it.
    pub(super) fn admit(&mut self, settings: &RateSettings, now: Instant) -> Result<(), Duration> {
        let RateSettings { max, per } = *settings;
        if self.0.count(per, now) >= max {
            return Err(self.0.until_below(max, per, now));
        }
        self.0.add(per, now);
        Ok(())
    }

    pub(super) fn is_quiet(&self, settings: &RateSettings, now: Instant) -> bool {
        self.0.is_empty(settings.per, now)
    }
}
