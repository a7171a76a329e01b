//! Listings: what one caller sees of a folder, taken once at the start of reading it.
//!
//! Positions count only what is visible, so that they show no gap.

use super::{Errno, GENERATION, NO_TIME, SecretsFilesystem};
use crate::source::Looks;
use fuser::{FileType, INodeNo, ReplyDirectoryPlus, Request};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use ward_policy::{FileId, Fingerprint, ScopeKind};
use ward_store::NodeKind;

/// The open listings of one mount.
#[derive(Debug, Default)]
pub(super) struct Listings {
    /// Guards the map only.
    open: Mutex<Numbered>,
}

#[derive(Debug, Default)]
struct Numbered {
    last: u64,
    listings: BTreeMap<u64, Option<Arc<Listing>>>,
}

/// What one caller saw.
#[derive(Debug)]
struct Listing {
    caller: Fingerprint,
    entries: Vec<ListedEntry>,
}

/// One name of a listing.
#[derive(Clone, Debug)]
pub(super) struct ListedEntry {
    pub(super) inode: u64,
    pub(super) file: FileId,
    pub(super) kind: FileType,
    pub(super) name: Vec<u8>,
    /// The position after it.
    pub(super) next: u64,
}

impl Listings {
    pub(super) fn close(&self, listing: u64) {
        self.open().listings.remove(&listing);
    }

    fn open(&self) -> MutexGuard<'_, Numbered> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SecretsFilesystem {
    pub(super) fn open_listing(&self, request: &Request, inode: INodeNo) -> Result<u64, Errno> {
        let folder = self.file(inode)?;
        let caller = self.caller(request)?;
        if !self.is_visible(&caller, folder) {
            return Err(Errno::ENOENT);
        }
        let vault = &self.place.vault;
        self.pipeline.sources.refresh(vault, vault.vault.path_of(folder).as_ref(), Looks::Mount);
        let mut open = self.listings.open();
        open.last += 1;
        let number = open.last;
        open.listings.insert(number, None);
        Ok(number)
    }

    /// The entries of an open listing from `offset` on. It is taken anew at the start, and when
    /// somebody else reads on than the one who began.
    pub(super) fn listing(
        &self,
        request: &Request,
        inode: INodeNo,
        number: u64,
        offset: u64,
    ) -> Result<Vec<ListedEntry>, Errno> {
        let caller = self.caller(request)?;
        let taken = self.listings.open().listings.get(&number).cloned().ok_or(Errno::EBADF)?;
        let taken = taken.filter(|listing| offset > 0 && listing.caller.is(&caller));
        let listing = match taken {
            Some(listing) => listing,
            None => {
                let who = caller.fingerprint(ScopeKind::Process).ok_or(Errno::EACCES)?;
                let entries = self.take(request, inode)?;
                let listing = Arc::new(Listing { caller: who, entries });
                self.listings.open().listings.insert(number, Some(Arc::clone(&listing)));
                listing
            }
        };
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        Ok(listing.entries.get(from..).unwrap_or_default().to_vec())
    }

    fn take(&self, request: &Request, inode: INodeNo) -> Result<Vec<ListedEntry>, Errno> {
        let folder = self.file(inode)?;
        let caller = self.caller(request)?;
        let vault = &self.place.vault.vault;
        let above = vault.path_of(folder).and_then(|path| path.parent());
        let above = above.and_then(|path| vault.find(&path)).unwrap_or_else(|| vault.root());
        let dots = [(b".".to_vec(), folder), (b"..".to_vec(), above)];
        let dots = dots.into_iter().map(|(name, file)| (name, file, FileType::Directory));
        let visible = vault.entries(folder).into_iter().filter_map(|entry| {
            let kind = match entry.kind {
                NodeKind::File => FileType::RegularFile,
                NodeKind::Directory => FileType::Directory,
            };
            let is_visible = self.is_visible(&caller, entry.file);
            is_visible.then(|| (entry.name.as_bytes().to_vec(), entry.file, kind))
        });
        let numbered = dots.chain(visible).zip(1..).map(|((name, file, kind), next)| {
            let inode = self.tree.inode_of(file).ok_or(Errno::EIO)?;
            Ok(ListedEntry { inode, file, kind, name, next })
        });
        numbered.collect()
    }

    /// Fills a READDIRPLUS reply: each entry in it counts as a look-up, but for the dots.
    pub(super) fn add_with_attributes(
        &self,
        request: &Request,
        entries: &[ListedEntry],
        reply: &mut ReplyDirectoryPlus,
    ) {
        let Ok(caller) = self.caller(request) else {
            return;
        };
        for entry in entries {
            let attributes = self.attributes_of(request, &caller, entry.file, entry.inode);
            let Ok(attributes) = attributes else { continue };
            let name = OsStr::from_bytes(&entry.name);
            let inode = INodeNo(entry.inode);
            if reply.add(inode, entry.next, name, &NO_TIME, &attributes, GENERATION) {
                return;
            }
            if !matches!(entry.name.as_slice(), b"." | b"..") {
                self.tree.count_look_up(entry.file, entry.inode);
            }
        }
    }
}
