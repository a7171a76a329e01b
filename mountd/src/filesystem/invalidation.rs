//! Invalidation: pages that mmap, exec or splice left with the kernel are taken back.
//!
//! By one thread that serves no FUSE request: from a handler, before or after its reply, it
//! deadlocks (measured).

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use fuser::{INodeNo, Notifier};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long the end of a mount waits for pages to be taken back, before it aborts all the same.
const LONGEST_WAIT: Duration = Duration::from_millis(300);

/// Takes pages back, on a thread of its own.
#[derive(Clone, Debug)]
pub(crate) struct Invalidator {
    wanted: Sender<Wanted>,
    /// Inodes whose pages are asked for and not yet taken back: one order is enough.
    waiting: Arc<Mutex<BTreeSet<u64>>>,
    /// Inodes that ever had pages: after a mapping is touched again, they have them again.
    filled: Arc<Mutex<BTreeSet<u64>>>,
}

#[derive(Debug)]
enum Wanted {
    Pages(u64),
    Told(Sender<()>),
}

impl Invalidator {
    /// An invalidator, and the orders for its thread: see [`serve`].
    pub(super) fn new() -> (Self, Orders) {
        let (wanted, orders) = unbounded();
        let waiting = Arc::default();
        let orders = Orders { orders, waiting: Arc::clone(&waiting) };
        (Self { wanted, waiting, filled: Arc::default() }, orders)
    }

    /// Has the pages of an inode taken back soon.
    pub(super) fn forget_pages(&self, inode: u64) {
        lock(&self.filled).insert(inode);
        if lock(&self.waiting).insert(inode) {
            // Its thread ends with the session, and then the kernel drops all pages anyway.
            let _session_is_over = self.wanted.send(Wanted::Pages(inode));
        }
    }

    /// Has all pages taken back, and waits for it; false when that took too long.
    pub(crate) fn forget_all(&self) -> bool {
        let filled = lock(&self.filled).clone();
        if filled.is_empty() {
            return true;
        }
        filled.into_iter().for_each(|inode| self.forget_pages(inode));
        let (told, done) = bounded(1);
        self.wanted.send(Wanted::Told(told)).is_ok() && done.recv_timeout(LONGEST_WAIT).is_ok()
    }
}

/// What the thread has to do.
#[derive(Debug)]
pub(super) struct Orders {
    orders: Receiver<Wanted>,
    waiting: Arc<Mutex<BTreeSet<u64>>>,
}

/// Works off the orders until nobody can give one any more.
pub(super) fn serve(orders: &Orders, notifier: &Notifier) {
    while let Ok(wanted) = orders.orders.recv() {
        match wanted {
            Wanted::Pages(inode) => {
                // Out of the set first: a page filled from here on needs an order of its own.
                lock(&orders.waiting).remove(&inode);
                // The kernel may have forgotten the inode, and its pages with it.
                let _forgotten = notifier.inval_inode(INodeNo(inode), 0, 0);
            }
            Wanted::Told(told) => {
                let _gave_up_waiting = told.send(());
            }
        }
    }
}

fn lock(set: &Mutex<BTreeSet<u64>>) -> std::sync::MutexGuard<'_, BTreeSet<u64>> {
    set.lock().unwrap_or_else(PoisonError::into_inner)
}
