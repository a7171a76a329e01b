//! The key slots of an unlocked vault: who else can open it.

use crate::header::Header;
use crate::header_file;
use crate::key::VaultKey;
use crate::key_ring::KeyRing;
use crate::key_slot::KeySlot;
use crate::slot_secret::{NewSlot, SlotId, SlotKind};
use crate::vault::Vault;
use crate::write_error::ReadOnly;
use std::io;
use std::sync::Arc;

/// No vault has more slots.
const MOST: usize = 255;

/// A key slot as it may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotInfo {
    /// Its number.
    pub id: SlotId,
    /// What opens it.
    pub kind: SlotKind,
    /// The generation of the header that it was made with.
    pub created: u64,
}

/// Why a key slot is not changed.
#[derive(Debug, thiserror::Error)]
pub enum SlotError {
    /// There is no such slot.
    #[error("there is no key slot {}; list them with ward vault key list", .0.0)]
    NoSuchSlot(SlotId),
    /// Without it nobody could open the vault.
    #[error("it is the last key slot; add another one first")]
    LastSlot,
    /// There are 255 already.
    #[error("the vault has 255 key slots; remove one first")]
    Full,
    /// The vault takes no changes.
    #[error(transparent)]
    ReadOnly(ReadOnly),
    /// The disk fails.
    #[error("cannot write the header: {0}; check the disk")]
    Io(#[source] io::Error),
}

impl Vault {
    /// The key slots.
    pub fn slots(&self) -> Vec<SlotInfo> {
        self.lock_header().slots.iter().map(SlotInfo::of).collect()
    }

    /// Adds a key slot, durable when it returns.
    ///
    /// # Errors
    /// There are 255 already, the vault takes no changes, or the disk fails.
    pub fn add_slot(&self, new: &NewSlot<'_>) -> Result<SlotId, SlotError> {
        self.change_header(|header, key| {
            if header.slots.len() >= MOST {
                return Err(SlotError::Full);
            }
            let id = SlotId(header.next_slot);
            let slot = KeySlot::seal((header.vault, key), (id, header.generation), new);
            header.slots.push(slot.map_err(SlotError::Io)?);
            header.next_slot += 1;
            Ok(id)
        })
    }

    /// Removes a key slot, durable when it returns. Who kept an old header can still open it:
    /// [`Self::rekey`] shuts them out.
    ///
    /// # Errors
    /// There is no such slot, it is the last, the vault takes no changes, or the disk fails.
    pub fn remove_slot(&self, id: SlotId) -> Result<(), SlotError> {
        self.change_header(|header, _| {
            if !header.slots.iter().any(|slot| slot.id == id) {
                return Err(SlotError::NoSuchSlot(id));
            }
            if header.slots.len() == 1 {
                return Err(SlotError::LastSlot);
            }
            header.slots.retain(|slot| slot.id != id);
            Ok(())
        })
    }

    /// Changes the header with its next generation, in memory only once it is on disk.
    fn change_header<T>(
        &self,
        change: impl FnOnce(&mut Header, &VaultKey) -> Result<T, SlotError>,
    ) -> Result<T, SlotError> {
        if let Some(reason) = self.read_only() {
            return Err(SlotError::ReadOnly(reason));
        }
        let mut header = self.lock_header();
        let mut changed = Header { generation: header.generation + 1, ..header.clone() };
        let result = change(&mut changed, self.keys.ring().newest())?;
        self.replace_header(&mut header, changed, None).map_err(SlotError::Io)?;
        drop(header);
        self.pin_synced().map_err(SlotError::Io)?;
        Ok(result)
    }

    /// Says in the header that there is a pin; `false` when it says so already.
    pub(crate) fn mark_pinned(&self) -> io::Result<bool> {
        let mut header = self.lock_header();
        if header.is_pinned {
            return Ok(false);
        }
        let generation = header.generation + 1;
        let changed = Header { generation, is_pinned: true, ..header.clone() };
        self.replace_header(&mut header, changed, None).map(|()| true)
    }

    /// Puts the header on disk, and then what it says into memory: with `ring`, other keys.
    pub(crate) fn replace_header(
        &self,
        header: &mut Header,
        changed: Header,
        ring: Option<KeyRing>,
    ) -> io::Result<()> {
        let ring = ring.map_or_else(|| self.keys.ring(), Arc::new);
        header_file::write(&*self.disk, &self.directory, &changed, ring.newest())?;
        // Before the generation: a pin that names it must be under the new key.
        self.keys.exchange(ring);
        self.writer.set_header_generation(changed.generation);
        *header = changed;
        Ok(())
    }
}

impl SlotInfo {
    pub(crate) const fn of(slot: &KeySlot) -> Self {
        Self { id: slot.id, kind: slot.kind, created: slot.created }
    }
}
