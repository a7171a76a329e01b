//! Held callers: sees the signals that reach them, which the FUSE library does not pass on.
//!
//! A caller whose open is held cannot be killed until it is answered (measured). So its pending
//! signals are read every few milliseconds, for all held callers by one thread, which sleeps when
//! there is none.

use super::message::{Interrupted, send};
use crossbeam_channel::{Receiver, RecvTimeoutError};
use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// How often held callers are looked at.
const PERIOD: Duration = Duration::from_millis(5);
/// Signals that interrupt even when the program catches them: a person or a supervisor means it.
/// Others that are caught (runtimes catch SIGURG, SIGCHLD, SIGWINCH) would only make it ask again.
const ALWAYS: u64 = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 14;

/// What to watch.
#[derive(Debug)]
pub(crate) enum Change {
    /// This thread, under this token.
    Watch(u32, u64),
    /// No more under this token.
    Unwatch(u64),
}

/// Reports each watched thread that got a signal, once, on `report`; until the channel is closed.
pub(crate) fn watch(changes: &Receiver<Change>, report: &OwnedFd) {
    let mut held = BTreeMap::new();
    loop {
        let change = if held.is_empty() {
            changes.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            changes.recv_timeout(PERIOD)
        };
        match change {
            Ok(Change::Watch(thread, token)) => {
                held.insert(token, thread);
            }
            Ok(Change::Unwatch(token)) => {
                held.remove(&token);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        held.retain(|token, thread| {
            let is_interrupted = has_signal(*thread);
            if is_interrupted && send(report.as_fd(), &Interrupted { token: *token }, &[]).is_err()
            {
                return true;
            }
            !is_interrupted
        });
    }
}

/// Whether a signal waits that would end or interrupt the thread; a thread that is gone, too.
fn has_signal(thread: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{thread}/status"))
        .map_or(true, |status| is_interrupted(&status).unwrap_or(true))
}

fn is_interrupted(status: &str) -> Option<bool> {
    let mask = |key: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(key))?;
        u64::from_str_radix(line.trim(), 16).ok()
    };
    let pending = (mask("SigPnd:")? | mask("ShdPnd:")?) & !mask("SigBlk:")? & !mask("SigIgn:")?;
    Some(pending & (!mask("SigCgt:")? | ALWAYS) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(pending: &str, blocked: &str, ignored: &str, caught: &str) -> String {
        format!(
            "SigQ:\t0/1\nSigPnd:\t0000000000000000\nShdPnd:\t{pending}\nSigBlk:\t{blocked}\n\
             SigIgn:\t{ignored}\nSigCgt:\t{caught}\n"
        )
    }

    #[test]
    fn a_signal_interrupts_unless_blocked_ignored_or_caught_in_passing() {
        let none = "0000000000000000";
        let interrupt = "0000000000000002";
        let child = "0000000000010000";
        let kill = "0000000000000100";
        assert_eq!(is_interrupted(&status(none, none, none, none)), Some(false));
        assert_eq!(is_interrupted(&status(kill, none, none, none)), Some(true));
        assert_eq!(is_interrupted(&status(interrupt, none, none, interrupt)), Some(true));
        assert_eq!(is_interrupted(&status(interrupt, interrupt, none, none)), Some(false));
        assert_eq!(is_interrupted(&status(interrupt, none, interrupt, none)), Some(false));
        assert_eq!(is_interrupted(&status(child, none, none, child)), Some(false));
        assert_eq!(is_interrupted("no status"), None);
    }
}
