//! Making a vault.

use crate::durable::{Disk, RealDisk};
use crate::header::{Header, LONGEST_LABEL, VaultId};
use crate::header_file;
use crate::key::VaultKey;
use crate::key_ring::{KeyRing, Keys};
use crate::key_slot::KeySlot;
use crate::kind::VaultKind;
use crate::lineage::Lineage;
use crate::segment::{SegmentTable, Standing};
use crate::slot_secret::{NewSlot, SlotId};
use crate::vault::{IMAGES, SEGMENTS, Vault};
use crate::write_error::WriteError;
use crate::writer::{SyncedHead, Workplace, Writer, WriterStart};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a new vault is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewVault {
    /// What it is for.
    pub kind: VaultKind,
    /// A few words of its owner, readable without a key; may be empty.
    pub label: String,
}

/// Why a vault is not made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// There is something at the path.
    #[error("{0} exists already; choose another name")]
    Exists(PathBuf),
    /// The owner's words are too long.
    #[error("the label is over 255 bytes; shorten it")]
    LabelTooLong,
    /// The disk fails.
    #[error("cannot make the vault {directory}: {source}; check the directory above it")]
    Io {
        /// The directory of the vault.
        directory: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl Vault {
    /// Makes an empty vault in a new directory, durable when it returns.
    ///
    /// # Errors
    /// The directory exists, or the system fails.
    pub fn create(
        directory: &Path,
        settings: &NewVault,
        slot: &NewSlot<'_>,
    ) -> Result<VaultId, CreateError> {
        Self::create_on(Arc::new(RealDisk), directory, settings, slot)
    }

    pub(crate) fn create_on(
        disk: Arc<dyn Disk>,
        directory: &Path,
        settings: &NewVault,
        slot: &NewSlot<'_>,
    ) -> Result<VaultId, CreateError> {
        if settings.label.len() > LONGEST_LABEL {
            return Err(CreateError::LabelTooLong);
        }
        let made = make(disk, directory, settings, slot);
        made.map_err(|source| {
            let directory = directory.to_owned();
            if source.kind() == io::ErrorKind::AlreadyExists {
                CreateError::Exists(directory)
            } else {
                CreateError::Io { directory, source }
            }
        })
    }
}

fn make(
    disk: Arc<dyn Disk>,
    directory: &Path,
    settings: &NewVault,
    slot: &NewSlot<'_>,
) -> io::Result<VaultId> {
    let key = VaultKey::generate(0).map_err(io::Error::other)?;
    let mut vault = VaultId([0; 16]);
    getrandom::fill(&mut vault.0).map_err(io::Error::other)?;
    let slot = KeySlot::seal((vault, &key), (SlotId(0), 1), slot)?;
    let NewVault { kind, label } = settings.clone();
    let slots = vec![slot];
    let (generation, next_slot, retired, is_pinned) = (1, 1, Vec::new(), false);
    let header = Header { vault, generation, kind, label, slots, next_slot, retired, is_pinned };
    let keys = Arc::new(Keys::new(KeyRing::of(key)));
    let segments_at = directory.join(SEGMENTS);
    disk.make_directory(directory)?;
    disk.make_directory(&segments_at)?;
    disk.make_directory(&directory.join(IMAGES))?;
    let place = Workplace {
        disk: disk.clone(),
        directory: segments_at,
        vault,
        kind,
        keys: keys.clone(),
        segments: Arc::new(SegmentTable::default()),
    };
    let head =
        SyncedHead { branch: 0, segment: 0, sequence: 0, chain: [0; 32], header_generation: 1 };
    // The first segment is there from the start: a vault without one has lost it.
    let start = WriterStart {
        standing: Standing::START,
        head,
        lineage: Lineage::default(),
        metadata_since_image: 0,
    };
    let writer = Writer::new(place, start);
    let born = writer.begin_unpublished(0).and_then(|()| writer.publish_recovered());
    born.and_then(|_| writer.close()).map_err(|error| match error {
        WriteError::Io(error) => error,
        WriteError::NoSpace => io::ErrorKind::StorageFull.into(),
        WriteError::ReadOnly(_) | WriteError::TooLong => io::ErrorKind::Other.into(),
    })?;
    header_file::write(&*disk, directory, &header, keys.ring().newest())?;
    disk.sync_directory(directory.parent().unwrap_or(directory))?;
    Ok(vault)
}
