//! An image: the index at one position of the log, so that unlocking need not read all of it.
//!
//! An image is a cache. As long as all segments are there, a vault opens the same without it.

use crate::changing::ChangeError;
use crate::durable::Disk;
use crate::fields::{Fields, in_memory, on_disk};
use crate::image_file::{self, ImageFile};
use crate::index::{Index, IndexSnapshot};
use crate::kind::VaultKind;
use crate::lineage::Lineage;
use crate::segment::Standing;
use crate::vault::{IMAGES, Vault};
use crate::writer::UNPUBLISHED;
use std::collections::BTreeSet;
use std::io;
use std::sync::PoisonError;
use zeroize::Zeroizing;

/// So little metadata is read faster than an image is written.
pub(crate) const LEAST_DUE: u64 = if cfg!(test) { 4 << 10 } else { 1 << 20 };
/// So many images are kept.
const KEPT: usize = 2;

/// What an image holds.
#[derive(Debug)]
pub(crate) struct Image {
    /// Behind which metadata frame it was taken.
    pub(crate) standing: Standing,
    pub(crate) branch: u64,
    pub(crate) lineage: Lineage,
    pub(crate) index: Index,
}

/// Which image a vault was opened with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageUse {
    /// None: the whole log was read.
    None,
    /// The newest.
    Newest,
    /// The older one, because the newest is not whole or does not fit the log.
    Older,
}

/// The images of an open vault.
#[derive(Debug)]
pub(crate) struct Shelf {
    /// The number of the newest image, whole or not; 0 when there is none.
    pub(crate) newest: u64,
    /// How many bytes the newest has.
    pub(crate) size: u64,
    pub(crate) used: ImageUse,
    /// Segments that the newest image does not need, and that the one before does not.
    pub(crate) retired: [BTreeSet<u64>; 2],
}

/// The head of an image, taken together with the index.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) standing: Standing,
    pub(crate) branch: u64,
    pub(crate) lineage: Lineage,
    /// How much metadata it covers that the image before did not.
    pub(crate) metadata: u64,
}

impl Snapshot {
    /// The plaintext of an image: its length, then where it stands, then lineage and index.
    pub(crate) fn with(&self, index: &IndexSnapshot) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(vec![0; 8]);
        let Standing { segment, position, sequence, chain } = self.standing;
        for field in [segment, position, sequence, self.branch] {
            bytes.extend_from_slice(&field.to_le_bytes());
        }
        bytes.extend_from_slice(&chain);
        self.lineage.encode(&mut bytes);
        index.encode(&mut bytes);
        let length = on_disk(bytes.len() - 8);
        bytes[..8].copy_from_slice(&length.to_le_bytes());
        bytes
    }
}

impl Image {
    /// Reads the plaintext of an image; `None` when it is none.
    pub(crate) fn decode(bytes: &[u8], kind: VaultKind) -> Option<Self> {
        let mut fields = Fields::new(bytes);
        let length = in_memory(fields.u64()?);
        let mut fields = Fields::new(fields.bytes(length)?);
        let (segment, position, sequence) = (fields.u64()?, fields.u64()?, fields.u64()?);
        let (branch, chain) = (fields.u64()?, fields.array()?);
        let standing = Standing { segment, position, sequence, chain };
        let lineage = Lineage::decode(&mut fields)?;
        let index = Index::decode(&mut fields, kind)?;
        fields.is_empty().then_some(Self { standing, branch, lineage, index })
    }
}

impl Vault {
    /// Which image the vault was opened with.
    pub fn image_use(&self) -> ImageUse {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner).used
    }

    /// Writes an image when the metadata since the last exceeds a quarter of its size.
    ///
    /// Says whether it did. Everything changed before is durable then.
    ///
    /// # Errors
    /// The disk is full or fails; the vault goes on without the image.
    pub fn write_image_if_due(&self) -> Result<bool, ChangeError> {
        let due = self.shelf.lock().unwrap_or_else(PoisonError::into_inner).size / 4;
        if self.writer.metadata_since_image() <= due.max(LEAST_DUE) {
            return Ok(false);
        }
        self.with_reserve(|| {
            self.write_image()?;
            self.pin_synced().map_err(ChangeError::Io)
        })?;
        Ok(true)
    }

    /// Writes an image of everything changed up to now, and removes those before the last two.
    pub(crate) fn write_image(&self) -> Result<(), ChangeError> {
        // Held to the end: one image at a time. Taken before the index.
        let mut shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        // So that little is left to be sealed while the index is held.
        self.writer.flush()?;
        let (snapshot, seen, retired) = {
            let index = self.read_index();
            // Nothing is pushed while the index is held: it is what the log says up to here.
            let snapshot = self.writer.snapshot()?;
            let retired = index.ledger.retired_before(snapshot.standing.segment);
            (snapshot, index.snapshot(), retired)
        };
        let plain = snapshot.with(&seen);
        drop(seen);
        let written = self.writer.sync().map_err(ChangeError::from).and_then(|_| {
            let file = ImageFile { vault: self.id(), number: shelf.newest + 1, kind: self.kind() };
            let directory = self.directory.join(IMAGES);
            let written =
                image_file::write(&*self.disk, &directory, (file, &self.keys.ring()), plain);
            written.map_err(ChangeError::Io)
        });
        match written {
            Ok(size) => {
                (shelf.newest, shelf.size) = (shelf.newest + 1, size);
                self.writer.size_reserve(size);
                let older = std::mem::replace(&mut shelf.retired[0], retired);
                shelf.retired[1] = older;
                remove_older(&*self.disk, &self.directory.join(IMAGES)).map_err(ChangeError::Io)
            }
            Err(error) => {
                self.writer.owe_metadata(snapshot.metadata);
                // A part of an image only takes room.
                let _may_be_absent =
                    self.disk.remove(&self.directory.join(IMAGES).join(UNPUBLISHED));
                Err(error)
            }
        }
    }
}

/// Removes all images but the newest two.
fn remove_older(disk: &dyn Disk, directory: &std::path::Path) -> io::Result<()> {
    let numbers = image_file::numbers(disk, directory)?;
    let older = numbers.iter().rev().skip(KEPT);
    older
        .map(|number| crate::segment::path_of(directory, *number))
        .try_for_each(|path| disk.remove(&path))
}
