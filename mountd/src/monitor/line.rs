//! The line of a process: its parent, and those before it.
//!
//! A parent can end and its number come again while the line is walked. So each step asks the child
//! again, once its parent's directory is open: a child whose parent ended has another one by then.

use super::attest::{Believed, believe};
use super::executable::Programs;
use super::file_view::Folders;
use super::hashes::Hashing;
use super::proc::{Proc, Stat, StatFile, Status};
use std::sync::Arc;
use ward_policy::{GroupId, Parent, ProcessId, UserId};

/// How many parents are looked at.
const LONGEST: usize = 16;

/// The parents of a process, whose `stat` was read before, nearest first; with what they run, if
/// `look` says so.
pub(super) fn line(
    (child, stat): (&StatFile, &Stat),
    look: Option<(&Programs, Hashing)>,
    folders: &mut Folders,
) -> Arc<[Parent]> {
    let mut parents = Vec::new();
    let mut above = Above::of(child, stat);
    while let Some(Above { number, proc, file, stat }) = above.filter(|_| parents.len() < LONGEST) {
        let process = ProcessId { number, start_ticks: stat.start_ticks };
        let bare = Parent { process, uid: None, gid: None, executable: None, doubts: Arc::new([]) };
        let looked = look.and_then(|look| look_at(&proc, process, look, folders));
        parents.push(looked.unwrap_or(bare));
        above = Above::of(&file, &stat);
    }
    parents.into()
}

/// A parent.
struct Above {
    number: u32,
    proc: Proc,
    file: StatFile,
    stat: Stat,
}

impl Above {
    /// The parent that `child` had when its `stat` was read, if it still has it.
    fn of(child: &StatFile, stat: &Stat) -> Option<Self> {
        let number = stat.parent;
        // 0 is a parent outside of our pid namespace, or none.
        let proc = Proc::open(number).ok().filter(|_| number != 0)?;
        let file = StatFile::open(&proc)?;
        let stat = file.read()?;
        (child.read()?.parent == number).then_some(Self { number, proc, file, stat })
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
