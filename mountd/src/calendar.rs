//! The calendar: the wall clock as far as secrets end by it. It never goes back.

mod settings;

pub(crate) use settings::SecretsSettings;

use crate::clock;
use crate::control::message::Lifetime;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use ward_audit::{Stamp, Timestamp};
use ward_store::WallTime;

/// By what secrets end.
///
/// A clock that is set back brings nothing back that has ended: from the latest time that it showed,
/// or that the last entry of the log has, time goes on with the boot clock.
#[derive(Debug)]
pub(crate) struct Calendar {
    /// How far the wall clock was at most ahead of the boot clock, in microseconds, here or as the log
    /// says.
    ahead: AtomicU64,
    /// For how many seconds a value is served of which nobody says; 0 for ever.
    usual: AtomicU64,
}

impl Calendar {
    /// One that is not before `last`, the time of the log's last entry.
    pub(crate) fn new(last: Option<Timestamp>, now: Stamp) -> Self {
        let latest = last.map_or(now.wall, |last| last.microseconds().max(now.wall));
        let ahead = AtomicU64::new(latest.saturating_sub(boot(now)));
        Self { ahead, usual: AtomicU64::new(0) }
    }

    /// Takes how long a value is served of which nobody says.
    pub(crate) fn take(&self, settings: &SecretsSettings) {
        let seconds = match settings.lifetime() {
            Lifetime::Never => 0,
            Lifetime::Seconds(seconds) => seconds,
        };
        self.usual.store(seconds, Ordering::Relaxed);
    }

    /// When a new value ends of which nobody says.
    pub(crate) fn usual_end(&self) -> Option<WallTime> {
        let seconds = self.usual.load(Ordering::Relaxed);
        (seconds > 0).then(|| self.after(Duration::from_secs(seconds)))
    }

    /// What time it is.
    pub(crate) fn now(&self) -> WallTime {
        self.at(clock::stamp())
    }

    /// What time it will be after `lasts`.
    pub(crate) fn after(&self, lasts: Duration) -> WallTime {
        let lasts = i64::try_from(lasts.as_nanos()).unwrap_or(i64::MAX);
        WallTime::from_nanoseconds(self.now().nanoseconds().saturating_add(lasts))
    }

    /// Whether what ends at `end` is over; what has no end never is.
    pub(crate) fn is_over(&self, end: Option<WallTime>) -> bool {
        end.is_some_and(|end| self.now() >= end)
    }

    fn at(&self, now: Stamp) -> WallTime {
        let ahead = now.wall.saturating_sub(boot(now));
        let most = self.ahead.fetch_max(ahead, Ordering::Relaxed).max(ahead);
        let microseconds = boot(now).saturating_add(most);
        WallTime::from_nanoseconds(
            i64::try_from(microseconds.saturating_mul(1000)).unwrap_or(i64::MAX),
        )
    }
}

/// Microseconds since the boot.
const fn boot(now: Stamp) -> u64 {
    now.boot.nanoseconds() / 1000
}

#[cfg(test)]
mod tests {
    use super::*;
    use ward_policy::Moment;

    fn stamp(wall: u64, boot: u64) -> Stamp {
        Stamp { wall, boot: Moment::from_nanoseconds(boot * 1000) }
    }

    fn microseconds(time: WallTime) -> i64 {
        time.nanoseconds() / 1000
    }

    #[test]
    fn a_clock_that_is_set_back_or_ahead_never_makes_it_earlier_than_it_was() {
        let calendar = Calendar::new(None, stamp(1_000, 10));
        assert_eq!(microseconds(calendar.at(stamp(1_005, 15))), 1_005);
        assert_eq!(microseconds(calendar.at(stamp(500, 20))), 1_010, "set back");
        assert_eq!(microseconds(calendar.at(stamp(5_000, 30))), 5_000, "set ahead");
        assert_eq!(microseconds(calendar.at(stamp(1_050, 60))), 5_030, "and back");
    }

    #[test]
    fn a_machine_that_starts_with_an_old_clock_goes_on_from_the_last_entry_of_the_log() {
        let last = Some(Timestamp::from_microseconds(9_000));
        let calendar = Calendar::new(last, stamp(3, 1));
        assert_eq!(microseconds(calendar.at(stamp(4, 2))), 9_001);
        let calendar = Calendar::new(last, stamp(9_500, 1));
        assert_eq!(microseconds(calendar.at(stamp(9_501, 2))), 9_501);
    }
}
