//! The line of a process: its parent, and those before it.
//!
//! A parent can end and its number come again while the line is walked. So each step asks the child
//! again, once its parent's directory is open: a child whose parent ended has another one by then.

use super::attest::{Believed, believe, is_alive};
use super::executable::Programs;
use super::file_view::Folders;
use super::hashes::Hashing;
use super::proc::{Proc, Stat, StatFile, Status};
use lru::LruCache;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use ward_policy::{GroupId, Parent, ProcessId, UserId};

/// How many parents are looked at.
const LONGEST: usize = 16;

/// How many processes are remembered that have children; each costs a descriptor.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(256).unwrap();

/// The lines above processes whose children were looked at.
#[derive(Debug)]
pub(super) struct Lines {
    /// Guards the cache only.
    known: Mutex<LruCache<u32, Arc<Link>>>,
}

/// A process of a line, and whose child it is: that changes with the end of its parent alone.
#[derive(Debug)]
struct Link {
    process: ProcessId,
    pidfd: OwnedFd,
    above: Option<Arc<Self>>,
}

impl Link {
    /// Whether it is the same process, with the same line above it.
    fn is(&self, other: &Self) -> bool {
        let above = |link: &Self| link.above.as_ref().map(Arc::as_ptr);
        self.process == other.process && above(self) == above(other)
    }
}

impl Default for Lines {
    fn default() -> Self {
        Self { known: Mutex::new(LruCache::new(REMEMBERED)) }
    }
}

impl Lines {
    /// The parents of a process, whose `stat` was read before, nearest first; with what they run, if
    /// `look` says so.
    pub(super) fn above(
        &self,
        child: (&StatFile, &Stat),
        look: Option<(&Programs, Hashing)>,
        folders: &mut Folders,
    ) -> Arc<[Parent]> {
        let line = self.remembered(child).unwrap_or_else(|| self.walk(child));
        let mut parents: Vec<Parent> = Vec::with_capacity(line.len());
        for link in &line {
            let process = link.process;
            let looked = look.and_then(|look| {
                let proc = Proc::open(process.number).ok()?;
                // The directory is that of this process, if it lives on.
                is_alive(&link.pidfd).then(|| look_at(&proc, process, look, folders)).flatten()
            });
            let none =
                || Parent { process, uid: None, gid: None, executable: None, doubts: Arc::new([]) };
            parents.push(looked.unwrap_or_else(none));
        }
        parents.into()
    }

    /// The line above a child as it was walked before, if nobody of it has ended since.
    fn remembered(&self, (child, stat): (&StatFile, &Stat)) -> Option<Vec<Arc<Link>>> {
        let first = self.known().get(&stat.parent).cloned()?;
        let line: Vec<Arc<Link>> =
            std::iter::successors(Some(first), |link| link.above.clone()).take(LONGEST).collect();
        let mut descriptors: Vec<PollFd<'_>> =
            line.iter().map(|link| PollFd::new(link.pidfd.as_fd(), PollFlags::POLLIN)).collect();
        let all_live = poll(&mut descriptors, PollTimeout::ZERO) == Ok(0);
        let is_so_still = all_live && child.read()?.parent == stat.parent;
        is_so_still.then_some(line)
    }

    /// Walks the line, and remembers it where its end was reached.
    fn walk(&self, (child, stat): (&StatFile, &Stat)) -> Vec<Arc<Link>> {
        let mut walked = Vec::new();
        let mut above = Above::of(child, stat);
        while let Some(it) = above.take_if(|_| walked.len() < LONGEST) {
            above = Above::of(&it.file, &it.stat);
            walked.push(it);
        }
        let is_whole = walked.last().is_none_or(|last| last.stat.parent == 0);
        let mut line: Vec<Arc<Link>> = Vec::with_capacity(walked.len());
        for Above { number, pidfd, stat, .. } in walked.into_iter().rev() {
            let process = ProcessId { number, start_ticks: stat.start_ticks };
            let link = Link { process, pidfd, above: line.last().cloned() };
            line.push(if is_whole { self.remember(link) } else { Arc::new(link) });
        }
        line.reverse();
        line
    }

    /// One link for each process, however many lines it is in.
    fn remember(&self, link: Link) -> Arc<Link> {
        let mut known = self.known();
        let there = known.get(&link.process.number).filter(|there| there.is(&link)).cloned();
        let link = there.unwrap_or_else(|| Arc::new(link));
        known.put(link.process.number, Arc::clone(&link));
        link
    }

    fn known(&self) -> MutexGuard<'_, LruCache<u32, Arc<Link>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A parent.
struct Above {
    number: u32,
    pidfd: OwnedFd,
    file: StatFile,
    stat: Stat,
}

impl Above {
    /// The parent that `child` had when its `stat` was read, if it still has it.
    fn of(child: &StatFile, stat: &Stat) -> Option<Self> {
        let number = stat.parent;
        // 0 is a parent outside of our pid namespace, or none.
        let process = i32::try_from(number).ok().and_then(Pid::from_raw)?;
        let pidfd = pidfd_open(process, PidfdFlags::empty()).ok()?;
        let file = StatFile::open(&Proc::open(number).ok()?)?;
        let stat = file.read()?;
        (child.read()?.parent == number).then_some(Self { number, pidfd, file, stat })
    }
}

fn look_at(
    proc: &Proc,
    process: ProcessId,
    (programs, hashing): (&Programs, Hashing),
    folders: &mut Folders,
) -> Option<Parent> {
    let status = Status::parse(&proc.text("status").ok()?)?;
    let Believed { looked, .. } = believe(proc, &status, programs, folders, hashing);
    // Real, effective, saved and filesystem id, in this order.
    Some(Parent {
        process,
        uid: status.uids.get(1).copied().map(UserId),
        gid: status.gids.get(1).copied().map(GroupId),
        executable: looked.executable.map(Arc::new),
        doubts: looked.doubts.into(),
    })
}

/// None for 0 (a session outside our pid namespace) and for what has ended.
pub(super) fn process(number: u32) -> Option<(ProcessId, Stat)> {
    let stat = Stat::of(&Proc::open(number).ok()?)?;
    Some((ProcessId { number, start_ticks: stat.start_ticks }, stat))
}

/// The eldest of the line above a process that is still in its session.
pub(super) fn eldest_in_session(child: &Stat) -> Option<ProcessId> {
    let above = std::iter::successors(process(child.parent), |(_, stat)| process(stat.parent));
    let line = above.take(LONGEST).take_while(|(_, parent)| parent.session == child.session);
    line.last().map(|(process, _)| process)
}
