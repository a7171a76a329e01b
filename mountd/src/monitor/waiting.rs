//! Held callers: sees the signals that reach them, which the FUSE library does not pass on.
//!
//! A caller whose open is held cannot be killed until it is answered (measured). So its pending
//! signals are read every few milliseconds, in turns of a few callers each, so that hundreds of them cost
//! others no more than a few do; by one thread, which sleeps when there is none.

use super::message::{Interrupted, send};
use crossbeam_channel::{Receiver, select, tick};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// How often some held callers are looked at.
const PERIOD: Duration = Duration::from_millis(5);
/// How many each time; who is one of more waits for its turn.
const AT_ONCE: usize = 8;
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
    let mut last = 0;
    let turns = tick(PERIOD);
    loop {
        let change = if held.is_empty() {
            changes.recv().map(Some)
        } else {
            select! {
                recv(changes) -> change => change.map(Some),
                recv(turns) -> _ => Ok(None),
            }
        };
        match change {
            Ok(Some(Change::Watch(thread, token))) => {
                held.insert(token, thread);
            }
            Ok(Some(Change::Unwatch(token))) => {
                held.remove(&token);
            }
            Ok(None) => {
                for (token, thread) in turn(&held, last) {
                    last = token;
                    let is_told = || send(report.as_fd(), &Interrupted { token }, &[]).is_ok();
                    if has_signal(thread) && is_told() {
                        held.remove(&token);
                    }
                }
            }
            Err(_) => return,
        }
    }
}

/// Those whose turn it is, after the one that was looked at last.
fn turn(held: &BTreeMap<u64, u32>, last: u64) -> Vec<(u64, u32)> {
    let after = held.range((Bound::Excluded(last), Bound::Unbounded));
    let turn = after.chain(held.range(..=last)).take(AT_ONCE);
    turn.map(|(token, thread)| (*token, *thread)).collect()
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
    fn everybody_has_a_turn_and_none_looks_at_more_than_a_few() {
        let held: BTreeMap<u64, u32> = (1..=20).map(|token| (token, 0)).collect();
        let tokens = |last| turn(&held, last).into_iter().map(|(token, _)| token);
        assert!(tokens(0).eq(1..=8));
        assert!(tokens(8).eq(9..=16));
        assert!(tokens(16).eq((17..=20).chain(1..=4)));
        let alone = BTreeMap::from([(7, 0)]);
        assert_eq!(turn(&alone, 7), [(7, 0)], "one who waits alone is looked at each time");
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
