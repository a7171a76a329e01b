//! What is counted and timed on the way of a read; `metrics.rs` tells it.

use crate::clock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use ward_policy::Moment;

/// Buckets of a histogram: each is twice as long as the one before, from a microsecond to four
/// seconds; one more for what took longer.
const BUCKETS: usize = 23;

/// How an open was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It yielded a file.
    Allowed,
    /// By a rule or a human.
    Denied,
    /// A human was asked.
    Asked,
    /// By a guard or a limit.
    Limited,
}

/// A step on the way of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    OpenCaller,
    OpenPolicy,
    OpenLease,
    OpenRecord,
    ReadRight,
    ReadDecrypt,
    ReadRecord,
}

/// The counts since the daemon started.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    verdicts: [AtomicU64; Verdict::ALL.len()],
    reads: AtomicU64,
    read_bytes: AtomicU64,
    steps: [Histogram; Step::ALL.len()],
}

/// How often something took how long.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    nanoseconds: AtomicU64,
}

/// One passage through the steps.
#[derive(Debug)]
pub(crate) struct Lap<'a> {
    meter: &'a Meter,
    last: Moment,
}

impl Verdict {
    pub(crate) const ALL: [Self; 4] = [Self::Allowed, Self::Denied, Self::Asked, Self::Limited];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::Asked => "asked",
            Self::Limited => "limited",
        }
    }
}

impl Step {
    pub(crate) const ALL: [Self; 7] = [
        Self::OpenCaller,
        Self::OpenPolicy,
        Self::OpenLease,
        Self::OpenRecord,
        Self::ReadRight,
        Self::ReadDecrypt,
        Self::ReadRecord,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::OpenCaller => "open-caller",
            Self::OpenPolicy => "open-policy",
            Self::OpenLease => "open-lease",
            Self::OpenRecord => "open-record",
            Self::ReadRight => "read-right",
            Self::ReadDecrypt => "read-decrypt",
            Self::ReadRecord => "read-record",
        }
    }
}

impl Meter {
    /// An open was decided.
    pub(crate) fn count(&self, verdict: Verdict) {
        add(self.verdicts.get(verdict as usize), 1);
    }

    /// A read yielded so many bytes.
    pub(crate) fn count_read(&self, bytes: usize) {
        add(Some(&self.reads), 1);
        add(Some(&self.read_bytes), u64::try_from(bytes).unwrap_or_default());
    }

    /// Begins to time steps.
    pub(crate) fn lap(&self) -> Lap<'_> {
        Lap { meter: self, last: clock::now() }
    }

    pub(crate) fn counted(&self, verdict: Verdict) -> u64 {
        self.verdicts.get(verdict as usize).map_or(0, read)
    }

    /// How many reads, and bytes.
    pub(crate) fn reads(&self) -> (u64, u64) {
        (read(&self.reads), read(&self.read_bytes))
    }

    pub(crate) fn timed(&self, step: Step) -> Option<&Histogram> {
        self.steps.get(step as usize)
    }
}

impl Lap<'_> {
    /// This step has been done since the one before.
    pub(crate) fn done(&mut self, step: Step) {
        let now = clock::now();
        if let Some(histogram) = self.meter.timed(step) {
            histogram.add(now.remaining(self.last));
        }
        self.last = now;
    }
}

impl Histogram {
    fn add(&self, time: Duration) {
        let microseconds = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        // A time of exactly 2^n is in the bucket of at most 2^n.
        let above = u64::BITS - microseconds.saturating_sub(1).leading_zeros();
        let bucket = usize::try_from(above).unwrap_or(BUCKETS).min(BUCKETS - 1);
        add(self.buckets.get(bucket), 1);
        add(Some(&self.nanoseconds), u64::try_from(time.as_nanos()).unwrap_or_default());
    }

    /// How many took at most so many microseconds, for each bucket but the last; then all.
    pub(crate) fn cumulated(&self) -> (Vec<(u64, u64)>, u64) {
        let mut sum = 0;
        let mut buckets: Vec<(u64, u64)> = Vec::with_capacity(BUCKETS);
        for (place, bucket) in self.buckets.iter().enumerate() {
            sum += read(bucket);
            buckets.push((1 << place, sum));
        }
        buckets.pop();
        (buckets, sum)
    }

    /// All of it together.
    pub(crate) fn total(&self) -> Duration {
        Duration::from_nanos(read(&self.nanoseconds))
    }
}

fn add(counter: Option<&AtomicU64>, count: u64) {
    if let Some(counter) = counter {
        counter.fetch_add(count, Ordering::Relaxed);
    }
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_in_each_bucket_that_is_at_least_as_long() {
        let histogram = Histogram::default();
        for microseconds in [1, 2, 3, 4, 5_000_000] {
            histogram.add(Duration::from_micros(microseconds));
        }
        let (buckets, all) = histogram.cumulated();
        assert_eq!(buckets[..3], [(1, 1), (2, 2), (4, 4)]);
        assert_eq!((buckets.last(), all), (Some(&(1 << 21, 4)), 5));
        assert_eq!(histogram.total(), Duration::from_micros(5_000_010));
    }

    #[test]
    fn every_verdict_and_step_has_a_counter_of_its_own() {
        let meter = Meter::default();
        Verdict::ALL.into_iter().for_each(|verdict| meter.count(verdict));
        assert!(Verdict::ALL.into_iter().all(|verdict| meter.counted(verdict) == 1));
        let mut lap = meter.lap();
        Step::ALL.into_iter().for_each(|step| lap.done(step));
        assert!(Step::ALL.into_iter().all(|step| meter.timed(step).unwrap().cumulated().1 == 1));
    }
}
