//! How long idle processors may take to wake: next to nothing while a mount is busy.
//!
//! A request and its answer wake a processor each. Out of an idle state that takes 30 to 45 µs on a
//! virtual machine, several times what is done in between (docs/performance.md). So while requests
//! come, and shortly after, we hold a limit on it (`PM QoS`, `/dev/cpu_dma_latency`);
//! then the machine saves power as it likes. Only the superuser has the device.

use std::fs::File;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// For how long no request must have come before the limit is lifted; at most twice that.
const QUIET: Duration = Duration::from_millis(10);
/// What lifts the limit (`PM_QOS_DEFAULT_VALUE`).
const NO_LIMIT: i32 = -1;

/// The limit on the wake-up latency of processors, where we may set one.
#[derive(Debug)]
pub(crate) struct CpuLatency {
    limit: Option<Limit>,
    /// Whether a request came since the keeper last looked.
    is_busy: AtomicBool,
    /// Whether the limit is set; a copy of what `is_low` guards, to be read without the lock.
    is_known_low: AtomicBool,
    is_low: Mutex<bool>,
    lowered: Condvar,
}

/// `/dev/cpu_dma_latency`, and the value to hold there.
#[derive(Debug)]
pub(crate) struct Limit {
    pub(crate) device: File,
    /// In microseconds.
    pub(crate) most: i32,
}

impl CpuLatency {
    /// Without a `limit` it does nothing.
    pub(crate) fn new(limit: Option<Limit>) -> Self {
        Self {
            limit,
            is_busy: AtomicBool::new(false),
            is_known_low: AtomicBool::new(false),
            is_low: Mutex::new(false),
            lowered: Condvar::new(),
        }
    }

    /// Keeps the latency low for a while: a request has come.
    pub(crate) fn keep_low(&self) {
        if self.limit.is_none() {
            return;
        }
        self.is_busy.store(true, Ordering::Relaxed);
        if !self.is_known_low.load(Ordering::Relaxed) {
            let mut is_low = self.is_low();
            if !*is_low {
                *is_low = true;
                self.set(Limit::lower);
                self.is_known_low.store(true, Ordering::Relaxed);
                self.lowered.notify_one();
            }
        }
    }

    /// Starts the thread that lifts the limit when it is quiet. Once the process ends, the kernel
    /// lifts it.
    pub(crate) fn start(self: &Arc<Self>) -> io::Result<()> {
        if self.limit.is_some() {
            let kept = Arc::clone(self);
            let builder = std::thread::Builder::new().name("cpu-latency".to_owned());
            builder.spawn(move || kept.lift_when_quiet())?;
        }
        Ok(())
    }

    fn lift_when_quiet(&self) {
        loop {
            let is_low = self.is_low();
            drop(self.lowered.wait_while(is_low, |is_low| !*is_low));
            while self.is_busy.swap(false, Ordering::Relaxed) {
                drop(self.lowered.wait_timeout(self.is_low(), QUIET));
            }
            let mut is_low = self.is_low();
            *is_low = false;
            self.is_known_low.store(false, Ordering::Relaxed);
            self.set(Limit::lift);
        }
    }

    fn set(&self, change: impl Fn(&Limit) -> io::Result<()>) {
        // It is slower without, no more.
        let _stays_as_it_is = self.limit.as_ref().map(change);
    }

    fn is_low(&self) -> MutexGuard<'_, bool> {
        self.is_low.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Limit {
    fn lower(&self) -> io::Result<()> {
        self.write(self.most)
    }

    fn lift(&self) -> io::Result<()> {
        self.write(NO_LIMIT)
    }

    fn write(&self, microseconds: i32) -> io::Result<()> {
        (&self.device).write_all(&microseconds.to_ne_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::{CpuLatency, Limit, NO_LIMIT};
    use std::fs::File;
    use std::io::{PipeReader, Read};
    use std::os::fd::OwnedFd;
    use std::sync::Arc;

    fn next(values: &mut PipeReader) -> i32 {
        let mut value = [0; 4];
        values.read_exact(&mut value).unwrap();
        i32::from_ne_bytes(value)
    }

    #[test]
    fn the_limit_is_set_with_the_first_request_and_lifted_when_no_more_come() {
        let (mut values, device) = std::io::pipe().unwrap();
        let limit = Limit { device: File::from(OwnedFd::from(device)), most: 2 };
        let latency = Arc::new(CpuLatency::new(Some(limit)));
        latency.start().unwrap();
        for _ in 0..3 {
            (0..100).for_each(|_| latency.keep_low());
            assert_eq!(next(&mut values), 2);
            assert_eq!(next(&mut values), NO_LIMIT);
        }
    }
}
