//! A moment: nanoseconds since boot, which run on while the machine sleeps.

use std::time::Duration;

/// A point in time on `CLOCK_BOOTTIME` (`clock_gettime(2)`), in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// The moment `nanoseconds` after boot.
    pub const fn from_nanoseconds(nanoseconds: u64) -> Self {
        Self(nanoseconds)
    }

    /// Nanoseconds since boot.
    pub const fn nanoseconds(self) -> u64 {
        self.0
    }

    /// The moment `duration` later; the end of time rather than an overflow.
    pub fn after(self, duration: Duration) -> Self {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanoseconds))
    }

    /// How long it is from `now` to this moment; zero when it has passed.
    pub const fn remaining(self, now: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(now.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_moves_by_a_duration_and_stops_at_the_end_of_time() {
        let moment = Moment::from_nanoseconds(5);
        assert_eq!(moment.after(Duration::from_secs(1)).nanoseconds(), 1_000_000_005);
        assert_eq!(moment.after(Duration::MAX).nanoseconds(), u64::MAX);
    }

    #[test]
    fn nothing_remains_of_a_moment_that_has_passed() {
        let (early, late) = (Moment::from_nanoseconds(3), Moment::from_nanoseconds(10));
        assert_eq!(late.remaining(early), Duration::from_nanos(7));
        assert_eq!(early.remaining(late), Duration::ZERO);
    }
}
