//! Compaction: gives the room of dead bytes back by copying what lives out of the worst segments.
//!
//! Order: copies, sync, `retire`, sync, image, pin, and only then is a file removed: when both kept
//! images know that it is retired, so that neither needs it, and the pin stands beyond it.

use crate::change::{Change, Version};
use crate::changing::ChangeError;
use crate::extent::{Extent, VersionId};
use crate::kind::VaultKind;
use crate::recovery::copy;
use crate::secret_tree::SecretTree;
use crate::segment::{SEGMENT_HEADER, path_of};
use crate::vault::{SEGMENTS, Vault};
use std::collections::BTreeSet;
use std::sync::PoisonError;
use ward_policy::FileId;

/// What a compaction did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Segments out of which everything that lives was copied.
    pub retired: u64,
    /// Segments that were removed from the disk.
    pub removed: u64,
    /// Bytes of frames that were copied.
    pub copied_bytes: u64,
}

/// A version with bytes in a segment that is to go.
struct Tenant {
    file: FileId,
    id: VersionId,
    length: u64,
    extents: Box<[Extent]>,
    /// It can still be restored.
    is_shown: bool,
}

impl Vault {
    /// Copies what lives out of segments that are more than half dead or under an older key, the
    /// deadest first, until about `limit` bytes were copied, and removes segments that nothing needs
    /// any more, and with the last of them the older key.
    ///
    /// A segment goes with the second image after its copy: call it again to go on. Versions beyond
    /// the ten of a history are left behind.
    ///
    /// # Errors
    /// The vault takes no changes, the disk is full or fails, or what lives is damaged.
    pub fn compact(&self, limit: u64) -> Result<Compacted, ChangeError> {
        self.with_reserve(|| self.compact_in_the_room_there_is(limit))
    }

    fn compact_in_the_room_there_is(&self, limit: u64) -> Result<Compacted, ChangeError> {
        let mut done = Compacted::default();
        let mut emptied = Vec::new();
        self.writer.leave_older_key()?;
        for (number, live) in self.worst_segments()? {
            if done.copied_bytes + live > limit && done.retired != 0 {
                break;
            }
            if self.kind() == VaultKind::Secrets {
                match self.empty(number) {
                    // What was emptied before gives room for the rest.
                    Err(ChangeError::NoSpace) if !emptied.is_empty() => break,
                    done => done?,
                }
            }
            emptied.push(number);
            done.copied_bytes += live;
            done.retired += 1;
        }
        if self.kind() == VaultKind::Workspace {
            let copied = self.empty_of_nodes(&emptied);
            // What stayed somewhere, on a full disk or against all expectation, keeps its segment.
            let live = self.read_index().live_bytes();
            emptied.retain(|number| !live.contains_key(number));
            match copied {
                Err(ChangeError::NoSpace) if !emptied.is_empty() => {}
                copied => copied.and_then(|()| self.join_pieces())?,
            }
        }
        if emptied.is_empty() && !self.has_retired() && !self.is_rekeying() {
            return Ok(done);
        }
        self.sync()?;
        for segment in emptied {
            self.change(Change::Retire { segment })?;
        }
        self.sync()?;
        self.write_image()?;
        self.pin_synced().map_err(ChangeError::Io)?;
        done.removed = self.remove_retired()?;
        self.drop_older_keys()?;
        Ok(done)
    }

    /// Segments that are more than half dead or under an older key, the deadest first, with their
    /// living bytes.
    fn worst_segments(&self) -> Result<Vec<(u64, u64)>, ChangeError> {
        let open = self.writer.open_segment();
        let (live, retired) = {
            let index = self.read_index();
            (index.live_bytes(), index.ledger.retired.clone())
        };
        let newest = self.keys.ring().newest().number();
        let mut worst = Vec::new();
        for segment in self.segments.all() {
            let number = segment.number;
            let size = segment.file.size().map_err(ChangeError::Io)?;
            let live = live.get(&number).copied().unwrap_or(0);
            let is_dead = live * 2 < size.saturating_sub(SEGMENT_HEADER).max(1);
            let goes = is_dead || segment.key != newest;
            if number < open && goes && !retired.contains(&number) {
                worst.push((number, live, size));
            }
        }
        worst.sort_by_key(|(number, live, size)| (live * 1000 / size.max(&1), *number));
        Ok(worst.into_iter().map(|(number, live, _)| (number, live)).collect())
    }

    /// Copies every version that can be restored out of a segment, and gives the others up.
    fn empty(&self, segment: u64) -> Result<(), ChangeError> {
        let tenants =
            self.read_index().secrets().map_or_else(Vec::new, |tree| tree.tenants_of(segment));
        for tenant in tenants {
            if tenant.is_shown {
                self.relocate(&tenant, segment)?;
            } else {
                let version = tenant.id;
                let change = Change::Forget { version };
                let admission = self.writer.admit(&change)?;
                let lives = |tree: &SecretTree| tree.contents.contains_key(&version);
                self.make(admission, |tree| Ok(lives(tree).then_some(change)))?;
            }
        }
        Ok(())
    }

    fn relocate(&self, tenant: &Tenant, segment: u64) -> Result<(), ChangeError> {
        let is_same = |tree: &SecretTree| {
            let content = tree.contents.get(&tenant.id);
            content.is_some_and(|content| content.extents == tenant.extents)
        };
        let (mut extents, mut copies) = (tenant.extents.to_vec(), Vec::new());
        let version = |extents| Version { id: tenant.id, length: tenant.length, extents };
        // Before the copies: one that no change names would outlive a shred.
        let admission =
            self.writer.admit(&Change::Relocate { version: version(extents.clone()) })?;
        for extent in extents.iter_mut().filter(|extent| extent.segment == segment) {
            match copy(extent, &self.segments, &self.writer) {
                Ok(copied) => *extent = copied,
                // Shredded while it was read.
                Err(_) if !self.read_index().secrets().is_some_and(is_same) => break,
                Err(error) => {
                    self.writer.withdraw(&admission);
                    if !copies.is_empty() {
                        self.discard(tenant.file, copies)?;
                    }
                    return Err(error.into());
                }
            }
            copies.push(extent.region());
        }
        let change = Change::Relocate { version: version(extents) };
        if self.make(admission, |tree| Ok(is_same(tree).then_some(change)))?.is_none() {
            // Shredded meanwhile: the copies must not outlive it.
            self.discard(tenant.file, copies)?;
        }
        Ok(())
    }

    fn has_retired(&self) -> bool {
        let index = self.read_index();
        index.ledger.retired.iter().any(|segment| self.segments.get(*segment).is_some())
    }

    /// Removes the files of segments that neither kept image needs.
    fn remove_retired(&self) -> Result<u64, ChangeError> {
        let shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        let [newest, older] = &shelf.retired;
        let directory = self.directory.join(SEGMENTS);
        let is_there = |number: u64| self.segments.get(number).is_some();
        let mut removed = 0;
        let gone =
            newest.intersection(older).filter(|number| is_there(**number)).try_for_each(|number| {
                self.disk.remove(&path_of(&directory, *number))?;
                self.segments.remove(*number);
                removed += 1;
                Ok(())
            });
        if removed != 0 {
            self.write_index().keep_segments(&is_there);
            self.disk.sync_directory(&directory).map_err(ChangeError::Io)?;
        }
        gone.map_err(ChangeError::Io)?;
        Ok(removed)
    }
}

impl SecretTree {
    /// The versions with bytes in a segment.
    fn tenants_of(&self, segment: u64) -> Vec<Tenant> {
        let shown: BTreeSet<VersionId> = self.shown_versions();
        let lives = self
            .contents
            .iter()
            .filter(|(_, content)| content.extents.iter().any(|extent| extent.segment == segment));
        lives
            .map(|(id, content)| Tenant {
                file: content.file,
                id: *id,
                length: content.length,
                extents: content.extents.clone(),
                is_shown: shown.contains(id),
            })
            .collect()
    }
}
