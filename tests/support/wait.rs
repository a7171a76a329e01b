//! Waiting for events, never for time to pass.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::time::{ClockId, clock_gettime};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::os::fd::AsFd;
use std::time::Duration;

/// How long any event may take on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// Whether the process has ended, or does within the deadline.
pub(crate) fn has_ended(pid: u32) -> bool {
    let number = i32::try_from(pid).unwrap();
    let Ok(process) = pidfd_open(Pid::from_raw(number).unwrap(), PidfdFlags::empty()) else {
        return true;
    };
    let mut sources = [PollFd::new(process.as_fd(), PollFlags::POLLIN)];
    poll(&mut sources, PollTimeout::try_from(DEADLINE).unwrap()).unwrap() == 1
}

/// Looks at `claim` until it holds, for states that the kernel announces to nobody.
pub(crate) fn until(claim: impl FnMut() -> bool) -> bool {
    within(DEADLINE, claim)
}

/// The same for what the daemon does by itself now and then, a part each time.
pub(crate) fn patiently(claim: impl FnMut() -> bool) -> bool {
    within(DEADLINE * 6, claim)
}

fn within(patience: Duration, mut claim: impl FnMut() -> bool) -> bool {
    let end = seconds() + patience.as_secs_f64();
    while !claim() {
        if seconds() > end {
            return false;
        }
        poll(&mut [], PollTimeout::from(5_u8)).unwrap();
    }
    true
}

/// Seconds since boot.
pub(crate) fn seconds() -> f64 {
    Duration::from(clock_gettime(ClockId::CLOCK_BOOTTIME).unwrap()).as_secs_f64()
}
