//! How often something happened within a span of time that moves along.

use super::{Instant, nanoseconds};
use std::collections::VecDeque;
use std::time::Duration;

/// Into how many slots a span is cut. What lies in a slot leaves the span when all of the slot has,
/// so that never more than the limit fits into any span.
const SLOTS: i64 = 64;

/// Counts by slot, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SlidingCount {
    slots: VecDeque<(i64, u32)>,
}

impl SlidingCount {
    /// Counts one more.
    pub(super) fn add(&mut self, span: Duration, now: Instant) {
        self.add_many(span, now, 1);
    }

    /// Notes that it happened so often.
    pub(super) fn add_many(&mut self, span: Duration, now: Instant, times: u32) {
        self.forget(span, now);
        let slot = slot_of(span, now);
        match self.slots.back_mut() {
            // A clock does not go back; should it, nothing is lost.
            Some((last, count)) if *last >= slot => *count = count.saturating_add(times),
            _ => self.slots.push_back((slot, times)),
        }
    }

    /// How many lie within the span before `now`.
    pub(super) fn count(&self, span: Duration, now: Instant) -> u32 {
        let oldest = slot_of(span, now) - SLOTS;
        let inside = self.slots.iter().filter(|(slot, _)| *slot >= oldest);
        inside.fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// How long it is until fewer than `limit` lie within the span.
    pub(super) fn until_below(&self, limit: u32, span: Duration, now: Instant) -> Duration {
        let oldest = slot_of(span, now) - SLOTS;
        let mut left = self.count(span, now);
        if left < limit {
            return Duration::ZERO;
        }
        for (slot, count) in self.slots.iter().filter(|(slot, _)| *slot >= oldest) {
            left = left.saturating_sub(*count);
            if left < limit {
                let end = (slot + SLOTS + 1).saturating_mul(width(span));
                return Instant(end).remaining(now);
            }
        }
        Duration::ZERO
    }

    /// Whether nothing lies within the span.
    pub(super) fn is_empty(&self, span: Duration, now: Instant) -> bool {
        self.count(span, now) == 0
    }

    /// When and how often it happened, from the oldest on: the middle of each slot.
    pub(super) fn moments(&self, span: Duration) -> Vec<(i64, u32)> {
        let middle = |slot: i64| slot.saturating_mul(width(span)).saturating_add(width(span) / 2);
        self.slots.iter().map(|(slot, count)| (middle(*slot), *count)).collect()
    }

    pub(super) fn clear(&mut self) {
        self.slots.clear();
    }

    fn forget(&mut self, span: Duration, now: Instant) {
        let oldest = slot_of(span, now) - SLOTS;
        while self.slots.front().is_some_and(|(slot, _)| *slot < oldest) {
            self.slots.pop_front();
        }
    }
}

fn width(span: Duration) -> i64 {
    (nanoseconds(span) / SLOTS).max(1)
}

fn slot_of(span: Duration, now: Instant) -> i64 {
    now.0.div_euclid(width(span))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(seconds: i64) -> Instant {
        Instant(seconds * 1_000_000_000)
    }

    #[test]
    fn what_is_older_than_the_span_counts_no_more() {
        let mut count = SlidingCount::default();
        (0..10).for_each(|second| count.add(MINUTE, at(second)));
        assert_eq!(count.count(MINUTE, at(10)), 10);
        assert_eq!(count.count(MINUTE, at(59)), 10);
        assert!((1..10).contains(&count.count(MINUTE, at(65))));
        assert!(count.is_empty(MINUTE, at(72)));
    }

    #[test]
    fn it_says_when_fewer_are_left_and_then_they_are() {
        let mut count = SlidingCount::default();
        [0, 0, 5, 30].into_iter().for_each(|second| count.add(MINUTE, at(second)));
        for limit in 1..=4 {
            let wait = count.until_below(limit, MINUTE, at(30));
            assert!(wait > Duration::from_secs(29), "{limit}: {wait:?}");
            let then = at(30).after(wait);
            assert!(count.count(MINUTE, then) < limit, "{limit}");
            assert!(count.count(MINUTE, then.before(Duration::from_millis(1))) >= limit);
        }
        assert_eq!(count.until_below(5, MINUTE, at(30)), Duration::ZERO);
    }

    #[test]
    fn an_earlier_boot_counts_too() {
        let mut count = SlidingCount::default();
        count.add(MINUTE, at(-20));
        assert_eq!(count.count(MINUTE, at(10)), 1);
        assert!(count.is_empty(MINUTE, at(50)));
    }
}
