//! Open files: each under a lease, at a place, on one version of its secret or on a file of a
//! workspace.

use crate::draft::Draft;
use crate::place::Place;
use crate::source::RevealedEntry;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use ward_audit::Receipt;
use ward_policy::{Caller, FileId, Lease, Moment, Operation, UserId, VaultName};
use ward_store::{VersionId, WallTime};

/// The number of an open file, as the kernel gives it back to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HandleId(pub(crate) u64);

/// An open file.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) place: Arc<Place>,
    pub(crate) lease: Arc<Lease>,
    /// Who opened it, and stands in the record of what is written through it.
    pub(crate) opener: Arc<Caller>,
    pub(crate) file: FileId,
    pub(crate) opened: Opened,
    /// When its secret ends; for its lease may last longer.
    pub(crate) expires: Option<WallTime>,
    /// Its open is in the log.
    pub(crate) receipt: Receipt,
}

/// What an open file reads and writes.
#[derive(Debug)]
pub(crate) enum Opened {
    /// A secret.
    Secret {
        /// What it reads; `None` when the file had no version yet.
        version: Option<VersionId>,
        /// What it writes; `None` when it was opened for reading only.
        draft: Option<Arc<Draft>>,
    },
    /// What a source gave.
    Entry(RevealedEntry),
    /// A file of a workspace, as it is.
    Node(Pages),
}

/// What the kernel may keep of an open file of a workspace.
#[derive(Debug, Default)]
pub(crate) struct Pages {
    /// Its lease is over, and its pages are being written back and taken from the kernel.
    is_ending: AtomicBool,
    /// That is done.
    is_over: AtomicBool,
}

/// The table `[limits]`: how much one user may have at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Limits {
    /// Open files, in all mounts together.
    pub(crate) handles: NonZeroU32,
    /// Requests that wait for an answer; the oldest gives way.
    pub(crate) requests: NonZeroU32,
}

/// Every open file of the daemon.
#[derive(Debug)]
pub(crate) struct HandleTable {
    /// Guards the maps only.
    handles: Mutex<Numbered>,
    most_of_one_user: AtomicU64,
}

/// A user has as many open files as one may have.
#[derive(Debug, thiserror::Error)]
#[error("the user has as many open files as one may have: see [limits] of ward.toml")]
pub(crate) struct TooManyHandles;

#[derive(Debug, Default)]
struct Numbered {
    last: u64,
    handles: BTreeMap<HandleId, Arc<Handle>>,
    /// How many each user has; nobody who has none.
    of_user: BTreeMap<UserId, u64>,
}

impl Default for Limits {
    fn default() -> Self {
        let most = |more| NonZeroU32::MIN.saturating_add(more);
        Self { handles: most(8191), requests: most(31) }
    }
}

impl Default for HandleTable {
    fn default() -> Self {
        let table = Self { handles: Mutex::default(), most_of_one_user: AtomicU64::new(0) };
        table.limit(&Limits::default());
        table
    }
}

impl Numbered {
    fn leave(&mut self, handle: &Handle) {
        let user = handle.opener.uid;
        match self.of_user.get_mut(&user) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) | None => drop(self.of_user.remove(&user)),
        }
    }
}

impl Pages {
    /// Notes that the lease is over; false when it was noted before.
    fn end(&self) -> bool {
        !self.is_ending.swap(true, Ordering::AcqRel)
    }

    /// Notes that the kernel has none any more.
    fn finish(&self) {
        self.is_over.store(true, Ordering::Release);
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }
}

impl Handle {
    /// Whether its lease is over, and the kernel may keep no pages for it.
    pub(crate) fn has_ended(&self) -> bool {
        self.pages().is_some_and(|pages| pages.is_ending.load(Ordering::Acquire))
    }

    /// Notes that the kernel has no pages of it any more.
    pub(crate) fn finish_pages(&self) {
        self.pages().into_iter().for_each(Pages::finish);
    }

    /// The pages of a file of a workspace; `None` for a secret, of which there are none.
    const fn pages(&self) -> Option<&Pages> {
        match &self.opened {
            Opened::Secret { .. } | Opened::Entry(_) => None,
            Opened::Node(pages) => Some(pages),
        }
    }

    /// Whether what the kernel writes back through it is still taken: under a live lease, and while
    /// its pages are being taken back after that.
    pub(crate) fn takes_pages(&self) -> bool {
        self.permits(Operation::FileWrite)
            && self.place.takes_pages()
            && self.pages().is_some_and(|pages| !pages.is_over())
    }

    /// Whether it was opened to do `operation`.
    pub(crate) fn permits(&self, operation: Operation) -> bool {
        self.lease.grant().operations.contains(operation)
    }
}

impl HandleTable {
    /// Takes another limit, for files that are opened from now on.
    pub(crate) fn limit(&self, limits: &Limits) {
        self.most_of_one_user.store(limits.handles.get().into(), Ordering::Relaxed);
    }

    /// Whether `user` may open another file. Of several that ask at once all may hear yes.
    pub(crate) fn admits(&self, user: UserId) -> Result<(), TooManyHandles> {
        let count = self.numbered().of_user.get(&user).copied().unwrap_or_default();
        let is_admitted = count < self.most_of_one_user.load(Ordering::Relaxed);
        if is_admitted { Ok(()) } else { Err(TooManyHandles) }
    }

    /// Keeps `handle`.
    pub(crate) fn insert(&self, handle: Handle) -> HandleId {
        let mut numbered = self.numbered();
        numbered.last += 1;
        *numbered.of_user.entry(handle.opener.uid).or_default() += 1;
        let id = HandleId(numbered.last);
        numbered.handles.insert(id, Arc::new(handle));
        id
    }

    pub(crate) fn find(&self, id: HandleId) -> Option<Arc<Handle>> {
        self.numbered().handles.get(&id).cloned()
    }

    pub(crate) fn remove(&self, id: HandleId) -> Option<Arc<Handle>> {
        let mut numbered = self.numbered();
        let handle = numbered.handles.remove(&id)?;
        numbered.leave(&handle);
        Some(handle)
    }

    /// Open files of workspaces whose lease is over, each once.
    pub(crate) fn newly_ended(&self, now: Moment) -> Vec<Arc<Handle>> {
        let numbered = self.numbered();
        let has_ended = |handle: &&Arc<Handle>| {
            // The end of a mount takes the pages of all its files by itself.
            let is_over = !handle.lease.is_live(now) && handle.place.is_open(now);
            is_over && handle.pages().is_some_and(Pages::end)
        };
        numbered.handles.values().filter(has_ended).cloned().collect()
    }

    /// Whether somebody has a file of a workspace open whose lease is over.
    pub(crate) fn has_ended(&self, vault: &VaultName, file: FileId) -> bool {
        self.numbered().handles.values().any(|handle| {
            handle.file == file && handle.place.vault.name == *vault && handle.has_ended()
        })
    }

    /// Whether somebody has a file open for writing whose pages are still taken.
    pub(crate) fn has_writer(&self, vault: &VaultName, file: FileId) -> bool {
        self.numbered().handles.values().any(|handle| {
            handle.file == file && handle.place.vault.name == *vault && handle.takes_pages()
        })
    }

    /// The files of a vault that are open.
    pub(crate) fn files(&self, vault: &VaultName) -> BTreeSet<FileId> {
        let numbered = self.numbered();
        let open = numbered.handles.values().filter(|handle| handle.place.vault.name == *vault);
        open.map(|handle| handle.file).collect()
    }

    /// How many files of a vault are open.
    pub(crate) fn count(&self, vault: &VaultName) -> usize {
        let numbered = self.numbered();
        numbered.handles.values().filter(|handle| handle.place.vault.name == *vault).count()
    }

    /// How long what a source gave is, for who has it open.
    pub(crate) fn length_of_entry(&self, place: &Arc<Place>, file: FileId, who: &Caller) -> usize {
        let numbered = self.numbered();
        let is_it = |handle: &&Arc<Handle>| {
            handle.file == file
                && Arc::ptr_eq(&handle.place, place)
                && handle.opener.process == who.process
        };
        let length = |handle: &Arc<Handle>| match &handle.opened {
            Opened::Entry(entry) => Some(entry.len()),
            Opened::Secret { .. } | Opened::Node(_) => None,
        };
        numbered.handles.values().filter(is_it).filter_map(length).next().unwrap_or(0)
    }

    /// Who opened files of a vault that are open, and how many, the most first.
    pub(crate) fn openers(&self, vault: &VaultName) -> Vec<(Arc<Caller>, usize)> {
        let numbered = self.numbered();
        let open = numbered.handles.values().filter(|handle| handle.place.vault.name == *vault);
        let mut of_process: BTreeMap<_, (Arc<Caller>, usize)> = BTreeMap::new();
        for handle in open {
            let process = handle.opener.process;
            let known = of_process.entry((process.number, process.start_ticks));
            known.or_insert_with(|| (Arc::clone(&handle.opener), 0)).1 += 1;
        }
        drop(numbered);
        let mut openers: Vec<_> = of_process.into_values().collect();
        openers.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        openers
    }

    /// How many files of a place are open whose opener `is_meant`.
    pub(crate) fn count_of(&self, place: &Arc<Place>, is_meant: impl Fn(&Caller) -> bool) -> usize {
        let numbered = self.numbered();
        let of_place = |handle: &&Arc<Handle>| Arc::ptr_eq(&handle.place, place);
        numbered.handles.values().filter(of_place).filter(|it| is_meant(&it.opener)).count()
    }

    /// Drops every open file of a place, and what was not yet written of it. The kernel does not tell
    /// of each when the connection ends.
    pub(crate) fn remove_place(&self, place: &Arc<Place>) {
        let mut numbered = self.numbered();
        let is_there = |_: &HandleId, handle: &mut Arc<Handle>| Arc::ptr_eq(&handle.place, place);
        let gone: Vec<Arc<Handle>> =
            numbered.handles.extract_if(.., is_there).map(|(_, handle)| handle).collect();
        gone.iter().for_each(|handle| numbered.leave(handle));
        // Dropped after the lock: a draft may be large.
        drop(numbered);
    }

    fn numbered(&self) -> MutexGuard<'_, Numbered> {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
