//! Invalidation: pages that the kernel holds are written back and taken from it.
//!
//! By one thread that serves no FUSE request: from a handler, before or after its reply, it
//! deadlocks (measured), since the kernel waits for pages whose requests we have not answered.

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use fuser::{INodeNo, Notifier};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Takes pages back, on a thread of its own.
#[derive(Clone, Debug)]
pub(crate) struct Invalidator {
    wanted: Sender<Wanted>,
    /// Inodes whose pages are asked for and not yet taken back: one order is enough.
    waiting: Arc<Mutex<BTreeSet<u64>>>,
    /// Inodes whose pages may not stay: a mapping that is touched again fills them again.
    barred: Arc<Mutex<BTreeSet<u64>>>,
}

/// What is to be done, in the order it was asked for.
enum Wanted {
    Pages(u64),
    Work(Box<dyn FnOnce() + Send>),
}

impl Invalidator {
    /// An invalidator, and the orders for its thread: see [`serve`].
    pub(super) fn new() -> (Self, Orders) {
        let (wanted, orders) = unbounded();
        let waiting = Arc::default();
        let orders = Orders { orders, waiting: Arc::clone(&waiting) };
        (Self { wanted, waiting, barred: Arc::default() }, orders)
    }

    /// Has the pages of an inode written back and taken soon, and again after each time it is filled
    /// ([`Self::is_barred`]).
    pub(crate) fn bar(&self, inode: u64) {
        lock(&self.barred).insert(inode);
        self.take(inode);
    }

    /// From now on the pages of an inode may stay again.
    pub(super) fn allow(&self, inode: u64) {
        lock(&self.barred).remove(&inode);
    }

    /// Whether the pages of an inode may not stay.
    pub(crate) fn is_barred(&self, inode: u64) -> bool {
        lock(&self.barred).contains(&inode)
    }

    /// Has the pages of all barred inodes taken; a word comes when that is done.
    pub(super) fn take_barred(&self) -> Receiver<()> {
        let barred = lock(&self.barred).clone();
        self.take_all(barred)
    }

    /// Has the pages of inodes taken; a word comes when that is done.
    pub(crate) fn take_all(&self, inodes: impl IntoIterator<Item = u64>) -> Receiver<()> {
        inodes.into_iter().for_each(|inode| self.take(inode));
        let (told, done) = bounded(1);
        self.order(Wanted::Work(Box::new(move || {
            let _gave_up_waiting = told.send(());
        })));
        done
    }

    /// Does `work` once the pages that an inode has now are written back and taken.
    pub(crate) fn then(&self, inode: u64, work: impl FnOnce() + Send + 'static) {
        self.take(inode);
        self.order(Wanted::Work(Box::new(work)));
    }

    fn take(&self, inode: u64) {
        if lock(&self.waiting).insert(inode) {
            self.order(Wanted::Pages(inode));
        }
    }

    fn order(&self, wanted: Wanted) {
        // Its thread ends with the session, and then the kernel drops all pages anyway.
        let _session_is_over = self.wanted.send(wanted);
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
            Wanted::Work(work) => work(),
        }
    }
}

impl std::fmt::Debug for Wanted {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pages(inode) => write!(formatter, "Pages({inode})"),
            Self::Work(_) => formatter.write_str("Work(..)"),
        }
    }
}

fn lock(set: &Mutex<BTreeSet<u64>>) -> std::sync::MutexGuard<'_, BTreeSet<u64>> {
    set.lock().unwrap_or_else(PoisonError::into_inner)
}
