//! Work that takes a while, done by few threads, in turn for each user: who has much to do waits for
//! himself.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::ops::Bound;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// How much work of one user may wait.
const LONGEST: usize = 64;
/// How many threads do it.
const THREADS: usize = 2;

type Work = Box<dyn FnOnce(Turn) + Send>;

/// What work is told when it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It is to be done.
    Now,
    /// So much of its user waits already that it cannot wait, too.
    Never,
}

/// Work that waits, by user.
#[derive(Clone, Debug, Default)]
pub(crate) struct FairQueue(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// Guards the lines only.
    waiting: Mutex<Waiting>,
    arrived: Condvar,
}

#[derive(Default)]
struct Waiting {
    /// No line is empty.
    lines: BTreeMap<u32, VecDeque<Work>>,
    /// Whose work was begun last.
    last: u32,
}

impl FairQueue {
    /// Starts the threads.
    pub(crate) fn start(&self) -> io::Result<()> {
        for _ in 0..THREADS {
            let queue = self.clone();
            std::thread::Builder::new().name("unread".to_owned()).spawn(move || {
                loop {
                    queue.next()(Turn::Now);
                }
            })?;
        }
        Ok(())
    }

    /// Has `work` done for `user`, or tells it at once that it cannot wait.
    pub(crate) fn push(&self, user: u32, work: impl FnOnce(Turn) + Send + 'static) {
        let mut waiting = self.waiting();
        let line = waiting.lines.entry(user).or_default();
        if line.len() >= LONGEST {
            drop(waiting);
            return work(Turn::Never);
        }
        line.push_back(Box::new(work));
        drop(waiting);
        self.0.arrived.notify_one();
    }

    /// Waits for work, and takes that of the user after the last.
    fn next(&self) -> Work {
        let mut waiting = self.waiting();
        loop {
            if let Some(work) = waiting.take() {
                return work;
            }
            waiting = self.0.arrived.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn take(&mut self) -> Option<Work> {
        let later = self.lines.range((Bound::Excluded(self.last), Bound::Unbounded)).next();
        let user = *later.or_else(|| self.lines.iter().next())?.0;
        let line = self.lines.get_mut(&user)?;
        let work = line.pop_front();
        if line.is_empty() {
            self.lines.remove(&user);
        }
        self.last = user;
        work
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Shared(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_take_turns_whatever_one_of_them_has_waiting() {
        let queue = FairQueue::default();
        let (told, done) = crossbeam_channel::unbounded();
        let push = |user| {
            let told = told.clone();
            queue.push(user, move |turn| told.send((user, turn)).unwrap());
        };
        (0..LONGEST).for_each(|_| push(7));
        assert!(done.is_empty(), "there is room");
        push(7);
        assert_eq!(done.try_recv().unwrap(), (7, Turn::Never));
        [9, 5, 9].into_iter().for_each(push);
        for _ in 0..6 {
            queue.next()(Turn::Now);
        }
        let order: Vec<u32> = done.try_iter().map(|(user, _)| user).collect();
        assert_eq!(order, [5, 7, 9, 7, 9, 7]);
    }
}
