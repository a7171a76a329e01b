//! Who descends from whom, while processes come and go.
//!
//! A process that loses its parent is handed to one that was above it already, so the set of those
//! above a process only ever shrinks: what was seen above it once was above it then. A number may
//! come to mean another process between two looks; a parent is believed when the child still names
//! it after its `stat` was read, and when it is no younger than the child.

use super::attest::is_alive;
use super::line::process;
use super::proc::{Proc, Stat};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use ward_policy::ProcessId;

/// The longest line that is followed; who stands further down has none.
const LONGEST_LINE: usize = 4096;
/// How often a line is begun anew when somebody in it ends meanwhile.
const TRIES: usize = 16;

/// A process that is watched, so that a signal reaches no other one.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) process: ProcessId,
    pub(super) pidfd: OwnedFd,
}

/// A process and its `/proc` directory, which never comes to mean another one.
struct Link {
    directory: Proc,
    process: ProcessId,
}

/// The process of that number and all above it, nearest first; empty when it cannot be told.
pub(super) fn line_of(number: u32) -> Vec<ProcessId> {
    (0..TRIES).find_map(|_| whole_line_of(number)).unwrap_or_default()
}

/// All processes below `roots`, those among them that live included.
pub(super) fn all_below<'a>(roots: impl Iterator<Item = &'a Member>) -> Vec<Member> {
    let all: Vec<(ProcessId, Stat)> = numbers().filter_map(process).collect();
    // The number of one that still lives meant no other process all the while.
    let alive = roots.filter(|root| is_alive(&root.pidfd)).map(|root| root.process);
    let mut below: BTreeMap<u32, ProcessId> = alive.map(|it| (it.number, it)).collect();
    let mut known = 0;
    while known != below.len() {
        known = below.len();
        for (process, stat) in &all {
            let is_child =
                below.get(&stat.parent).is_some_and(|it| it.start_ticks <= process.start_ticks);
            if is_child && !below.contains_key(&process.number) {
                below.insert(process.number, *process);
            }
        }
    }
    below.into_values().filter_map(Member::of).collect()
}

impl Member {
    /// `None` when it has ended.
    pub(super) fn of(wanted: ProcessId) -> Option<Self> {
        let number = i32::try_from(wanted.number).ok().and_then(Pid::from_raw)?;
        let pidfd = pidfd_open(number, PidfdFlags::empty()).ok()?;
        // The number still means the same process, so the descriptor does.
        let (found, _) = process(wanted.number)?;
        (found == wanted).then_some(Self { process: wanted, pidfd })
    }

    /// The process that has the number now.
    pub(super) fn numbered(number: u32) -> Option<Self> {
        Self::of(process(number)?.0)
    }

    pub(super) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Keeps it from making more: fork(2) does not end while a signal is pending.
    pub(super) fn stop(&self) {
        self.signal(Signal::STOP);
    }

    fn signal(&self, signal: Signal) {
        // One that has ended meanwhile needs none.
        let _has_ended = pidfd_send_signal(&self.pidfd, signal);
    }
}

impl Link {
    fn to(number: u32) -> Option<Self> {
        let directory = Proc::open(number).ok()?;
        let start_ticks = Stat::of(&directory)?.start_ticks;
        Some(Self { directory, process: ProcessId { number, start_ticks } })
    }

    /// The parent by its number, 0 when that is outside of our pid namespace.
    fn parent(&self) -> Option<u32> {
        Some(Stat::of(&self.directory)?.parent)
    }
}

/// `None` when somebody in it ended before we had seen whom it has above it.
fn whole_line_of(number: u32) -> Option<Vec<ProcessId>> {
    let mut link = Link::to(number)?;
    let mut line = vec![link.process];
    loop {
        let number = link.parent()?;
        if number == 0 {
            return Some(line);
        }
        let above = Link::to(number)?;
        let is_parent = link.parent()? == number
            && above.process.start_ticks <= link.process.start_ticks
            && line.len() < LONGEST_LINE;
        if !is_parent {
            return None;
        }
        line.push(above.process);
        link = above;
    }
}

fn numbers() -> impl Iterator<Item = u32> {
    let listing = std::fs::read_dir("/proc").into_iter().flatten();
    listing.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_line_leads_from_a_child_over_this_process_to_the_first_of_all() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let line = line_of(child.id());
        let numbers: Vec<u32> = line.iter().map(|process| process.number).collect();
        assert_eq!(&numbers[..2], [child.id(), std::process::id()]);
        assert_eq!(process(*numbers.last().unwrap()).unwrap().1.parent, 0);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(line_of(child.id()), []);
    }

    #[test]
    fn those_below_are_found_at_any_depth_and_can_be_ended() {
        let mut child = Command::new("sh").args(["-c", "sleep 60 & wait"]).spawn().unwrap();
        let root = Member::numbered(child.id()).unwrap();
        let mut members = Vec::new();
        while members.len() < 2 {
            members = all_below(std::iter::once(&root));
        }
        assert!(members.iter().any(|member| member.process == root.process));
        members.iter().for_each(Member::kill);
        assert!(!child.wait().unwrap().success());
    }

    #[test]
    fn a_number_that_means_another_process_now_names_nobody() {
        let (own, _) = process(std::process::id()).unwrap();
        assert!(Member::of(own).is_some());
        let earlier = ProcessId { start_ticks: own.start_ticks - 1, ..own };
        assert!(Member::of(earlier).is_none());
    }
}
