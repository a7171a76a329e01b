//! The tree as the kernel sees it: inode numbers, and which names exist for whom.
//!
//! Numbers are drawn at random for each mount and forgotten with FORGET, so that they tell nothing
//! of other names, their order or their number.

use crate::clock;
use crate::pipeline::Pipeline;
use crate::place::Place;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use ward_policy::{Caller, FileId};
use ward_store::NodeKind;

/// The number the kernel gives the top of every mount (`FUSE_ROOT_ID`).
pub(crate) const TOP: u64 = 1;

/// The inode numbers of one mount.
#[derive(Debug)]
pub(crate) struct Tree {
    top: FileId,
    /// Guards the maps only.
    numbers: Mutex<Numbers>,
}

#[derive(Debug, Default)]
struct Numbers {
    inode_of: BTreeMap<FileId, u64>,
    file_of: BTreeMap<u64, Known>,
}

#[derive(Debug)]
struct Known {
    file: FileId,
    lookups: u64,
}

impl Tree {
    /// The tree whose top is `top`.
    pub(crate) fn new(top: FileId) -> Self {
        Self { top, numbers: Mutex::default() }
    }

    /// The file behind an inode number; `None` for one we never gave out.
    pub(crate) fn file_of(&self, inode: u64) -> Option<FileId> {
        if inode == TOP {
            return Some(self.top);
        }
        self.numbers().file_of.get(&inode).map(|known| known.file)
    }

    /// The inode number of `file`, counted as looked up once more by the kernel.
    pub(crate) fn look_up(&self, file: FileId) -> Option<u64> {
        let inode = self.inode_of(file)?;
        if let Some(known) = self.numbers().file_of.get_mut(&inode) {
            known.lookups += 1;
        }
        Some(inode)
    }

    /// The inode number of `file`; `None` when the kernel gives no random bytes.
    pub(crate) fn inode_of(&self, file: FileId) -> Option<u64> {
        if file == self.top {
            return Some(TOP);
        }
        let mut numbers = self.numbers();
        if let Some(inode) = numbers.inode_of.get(&file) {
            return Some(*inode);
        }
        loop {
            let inode = getrandom::u64().ok()? >> 1;
            if inode > TOP && !numbers.file_of.contains_key(&inode) {
                numbers.inode_of.insert(file, inode);
                numbers.file_of.insert(inode, Known { file, lookups: 0 });
                return Some(inode);
            }
        }
    }

    /// Counts one more look-up of a number that was just given out, as READDIRPLUS does.
    pub(crate) fn count_look_up(&self, file: FileId, inode: u64) {
        let mut numbers = self.numbers();
        numbers.inode_of.insert(file, inode);
        numbers.file_of.entry(inode).or_insert(Known { file, lookups: 0 }).lookups += 1;
    }

    /// The kernel has forgotten `lookups` of its look-ups of `inode`; whether it knows it no more.
    pub(crate) fn forget(&self, inode: u64, lookups: u64) -> bool {
        let mut numbers = self.numbers();
        let Some(known) = numbers.file_of.get_mut(&inode) else {
            return false;
        };
        known.lookups = known.lookups.saturating_sub(lookups);
        let is_forgotten = known.lookups == 0;
        if is_forgotten {
            let file = known.file;
            numbers.file_of.remove(&inode);
            numbers.inode_of.remove(&file);
        }
        is_forgotten
    }

    fn numbers(&self) -> MutexGuard<'_, Numbers> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether `file` exists for `caller`: a file by the policy, a folder when something visible lies
/// below it or the caller may write in it, the top always.
pub(crate) fn is_visible(
    place: &Place,
    pipeline: &Pipeline,
    caller: &Caller,
    file: FileId,
) -> bool {
    let vault = &place.vault.vault;
    if file == vault.root() {
        return true;
    }
    let (Some(path), Some(attributes)) = (vault.path_of(file), vault.attributes(file)) else {
        return false;
    };
    match attributes.kind {
        NodeKind::File => pipeline.is_visible(caller, (&place.vault.name, &path), Some(file)),
        NodeKind::Directory => {
            let rules = pipeline.policy.rules();
            rules.may_write_in(caller, &place.vault.name, Some(&path), clock::local(&rules))
                || vault
                    .entries(file)
                    .iter()
                    .any(|entry| is_visible(place, pipeline, caller, entry.file))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_stands_for_its_file_until_the_kernel_forgets_it() {
        let tree = Tree::new(FileId(1));
        let inode = tree.look_up(FileId(7)).unwrap();
        assert_eq!(tree.look_up(FileId(7)), Some(inode));
        assert_eq!(tree.file_of(inode), Some(FileId(7)));
        assert!(!tree.forget(inode, 1));
        assert_eq!(tree.file_of(inode), Some(FileId(7)));
        assert!(tree.forget(inode, 1));
        assert_eq!(tree.file_of(inode), None);
        assert_eq!(tree.file_of(TOP), Some(FileId(1)));
        assert!(!tree.forget(TOP, 1));
        assert_eq!(tree.file_of(TOP), Some(FileId(1)));
    }

    #[test]
    fn numbers_of_two_mounts_have_nothing_in_common() {
        let numbers = |tree: &Tree| (2..50).map(|file| tree.look_up(FileId(file))).collect();
        let first: Vec<_> = numbers(&Tree::new(FileId(1)));
        let second: Vec<_> = numbers(&Tree::new(FileId(1)));
        assert!(first.iter().all(|number| !second.contains(number)));
        assert!(!first.is_sorted());
    }
}
