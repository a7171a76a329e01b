//! The limit on the wake-up latency of processors, which only the superuser may set.

use super::message::{MonitorError, MonitorFault};
use rustix::fs::{Mode, OFlags};
use std::os::fd::OwnedFd;

/// The device: the limit stands for as long as the descriptor is open.
const DEVICE: &str = "/dev/cpu_dma_latency";
/// The driver of idle states.
const DRIVER: &str = "/sys/devices/system/cpu/cpuidle/current_driver";
/// The driver of a virtual machine, whose only idle state costs a way through the host.
const HALT_AND_POLL: &str = "haltpoll";
/// Lets a processor enter the lightest idle state of hardware, and no deeper one, in microseconds.
const LIGHTEST: i32 = 2;
/// Lets a processor enter none.
const NONE: i32 = 0;

/// Opens the device; gives what to hold there, in microseconds.
pub(super) fn open() -> Result<(OwnedFd, i32), MonitorError> {
    let device = rustix::fs::open(DEVICE, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty());
    let device = device.map_err(|errno| MonitorError {
        fault: MonitorFault::Machine,
        message: format!("the latency of processors cannot be limited: {DEVICE} ({errno})"),
        next: "opens and reads are slower on an idle machine; run the daemon as root".to_owned(),
    })?;
    let driver = std::fs::read_to_string(DRIVER).unwrap_or_default();
    let most = if driver.trim() == HALT_AND_POLL { NONE } else { LIGHTEST };
    Ok((device, most))
}
