//! Sleep of the machine, as systemd-logind tells it: until what must be done before is done, the
//! machine waits (`org.freedesktop.login1(5)`, a delay lock).

use super::message::{MonitorError, MonitorFault};
use super::system_bus::{Message, Method, SystemBus};
use std::io;
use std::os::fd::OwnedFd;

const LOGIND: &str = "org.freedesktop.login1";
const MANAGER: &str = "org.freedesktop.login1.Manager";
const PREPARE: &str = "PrepareForSleep";

/// Who hears of sleep, and has the machine wait.
#[derive(Debug)]
pub(super) struct Sleep {
    bus: SystemBus,
    /// What logind is called on the bus: others can say the same words.
    logind: String,
    /// The machine does not sleep while it is open, for at most as long as logind allows (5 s).
    lock: Option<OwnedFd>,
}

impl Sleep {
    /// Waits until the machine is about to sleep (true), or is awake again (false). Whoever asks
    /// again after the first is ready. The next to ask after an error begins anew.
    pub(super) fn next(kept: &mut Option<Self>) -> Result<bool, MonitorError> {
        let next = Self::begin(kept).and_then(|sleep| {
            let is_soon = sleep.wait()?;
            if !is_soon {
                sleep.lock = None;
            }
            Ok(is_soon)
        });
        next.map_err(|error| {
            *kept = None;
            MonitorError {
                fault: MonitorFault::Machine,
                message: format!("nobody tells of sleep: {error}"),
                next: "see that systemd-logind runs".to_owned(),
            }
        })
    }

    fn begin(kept: &mut Option<Self>) -> io::Result<&mut Self> {
        let sleep = match kept {
            Some(sleep) => sleep,
            None => {
                let mut bus = SystemBus::connect()?;
                bus.subscribe(&format!(
                    "type='signal',sender='{LOGIND}',interface='{MANAGER}',member='{PREPARE}'"
                ))?;
                bus.subscribe(&format!("type='signal',member='NameOwnerChanged',arg0='{LOGIND}'"))?;
                kept.insert(Self { bus, logind: String::new(), lock: None })
            }
        };
        // Who has the lock was told of sleep, and is ready; who has none is awake.
        if sleep.lock.take().is_none() {
            sleep.take_lock()?;
        }
        Ok(sleep)
    }

    fn take_lock(&mut self) -> io::Result<()> {
        let path = "/org/freedesktop/login1";
        let method = Method { destination: LOGIND, path, interface: MANAGER, member: "Inhibit" };
        let why = "who waits for an answer is let go first";
        let (answer, lock) = self.bus.ask(&method, &["sleep", "wardfs", why, "delay"])?;
        self.logind = answer.sender;
        self.lock = Some(lock.ok_or_else(|| io::Error::other("logind gives no lock"))?);
        Ok(())
    }

    fn wait(&mut self) -> io::Result<bool> {
        loop {
            let Message { sender, interface, member, body, .. } = self.bus.signal()?;
            if sender == "org.freedesktop.DBus" && member == "NameOwnerChanged" {
                return Err(io::Error::other("logind was started anew, or has ended"));
            }
            if sender == self.logind && interface == MANAGER && member == PREPARE {
                // A boolean is four bytes, of which one is not 0.
                return Ok(body.iter().take(4).any(|byte| *byte != 0));
            }
        }
    }
}
