//! A new key for a vault: who kept an old header and an old secret is shut out.
//!
//! What is written from then on is under the new key. The old one stays wrapped under it until the
//! compactor has left every segment, image and pin that is under it; then the header drops it.

use crate::changing::ChangeError;
use crate::durable::Disk;
use crate::header::Header;
use crate::image_file::{self, ImageFile};
use crate::key::VaultKey;
use crate::key_ring::KeyRing;
use crate::key_slot::KeySlot;
use crate::replay::Replay;
use crate::retired_key::RetiredKey;
use crate::segment::{claimed_key, number_of};
use crate::slot_secret::{SlotId, SlotSecret};
use crate::vault::{IMAGES, SEGMENTS, UnlockError, Vault};
use crate::vault_slots::SlotInfo;
use crate::write_error::ReadOnly;
use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError};

/// No header keeps more retired keys.
const MOST: usize = 255;

/// Why a vault gets no new key. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum RekeyError {
    /// A slot can be kept only by who knows what opens it.
    #[error(
        "no secret was given for the key slots {}; give them, or name those slots to be removed",
        list(.0)
    )]
    SlotsWithoutSecret(Vec<SlotInfo>),
    /// There is no such slot to remove.
    #[error("there is no key slot {}; list them with ward vault key list", .0.0)]
    NoSuchSlot(SlotId),
    /// All slots were to be removed.
    #[error("no key slot would be left; keep one")]
    NoSlotLeft,
    /// The vault had 255 keys before.
    #[error("the vault had 255 keys before this one; export it into a new vault")]
    TooManyKeys,
    /// The vault takes no changes.
    #[error(transparent)]
    ReadOnly(ReadOnly),
    /// The disk fails.
    #[error("cannot write the header: {0}; check the disk")]
    Io(#[source] io::Error),
}

impl Vault {
    /// Gives the vault a new key, durable when it returns; [`Self::compact`], called until
    /// [`Self::is_rekeying`] says no, lets go of the old. Then [`Self::names_key`] is another.
    ///
    /// Every slot that one of `secrets` opens wraps the new key from now on, with the same number and
    /// cost. A slot that none opens must be among `remove`: who knows its secret is locked out.
    ///
    /// # Errors
    /// Says which slots have neither; or the vault takes no changes, or the disk fails.
    pub fn rekey(&self, secrets: &[SlotSecret], remove: &[SlotId]) -> Result<(), RekeyError> {
        if let Some(reason) = self.read_only() {
            return Err(RekeyError::ReadOnly(reason));
        }
        let mut header = self.lock_header();
        let ring = self.keys.ring();
        if ring.older().len() >= MOST {
            return Err(RekeyError::TooManyKeys);
        }
        let number = ring.newest().number() + 1;
        let key = VaultKey::generate(number).map_err(|error| RekeyError::Io(error.into()))?;
        let slots = renewed(&header, &key, (secrets, remove))?;
        let ring = ring.succeeded_by(header.vault, key);
        self.replace_keys(&mut header, slots, ring).map_err(RekeyError::Io)?;
        drop(header);
        self.pin_synced().map_err(RekeyError::Io)
    }

    /// How many segments are under an older key than the newest.
    pub fn segments_to_rekey(&self) -> usize {
        let newest = self.keys.ring().newest().number();
        self.segments.all().iter().filter(|segment| segment.key != newest).count()
    }

    /// Whether the header still keeps an older key.
    pub fn is_rekeying(&self) -> bool {
        self.keys.ring().is_changing()
    }

    /// Lets go of the older keys once nothing on disk is under one.
    pub(crate) fn drop_older_keys(&self) -> Result<(), ChangeError> {
        let ring = self.keys.ring();
        if !ring.is_changing() || self.is_under_older_key(&ring)? {
            return Ok(());
        }
        let mut header = self.lock_header();
        if !Arc::ptr_eq(&ring, &self.keys.ring()) {
            // There is another key meanwhile, which this ring lacks.
            return Ok(());
        }
        // A pin under a key that is gone would look like somebody else's.
        if header.is_pinned && self.pinned_generation() != Some(header.generation) {
            return Ok(());
        }
        let (slots, ring) = (header.slots.clone(), ring.without_older(header.vault));
        self.replace_keys(&mut header, slots, ring).map_err(ChangeError::Io)?;
        drop(header);
        self.pin_synced().map_err(ChangeError::Io)
    }

    /// Whether a segment or an image is under a key before the newest.
    fn is_under_older_key(&self, ring: &KeyRing) -> Result<bool, ChangeError> {
        // Held so that no image is begun under the ring before.
        let _shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        if self.segments_to_rekey() != 0 {
            return Ok(true);
        }
        let directory = self.directory.join(IMAGES);
        for number in image_file::numbers(&*self.disk, &directory).map_err(ChangeError::Io)? {
            let image = ImageFile { vault: self.id(), number, kind: self.kind() };
            let key = image_file::key_of(&*self.disk, &directory, image);
            let key = key.map_err(ChangeError::Io)?;
            if key.is_some_and(|key| key != ring.newest().number()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Writes a header for this ring, and takes the ring once both copies are there.
    fn replace_keys(
        &self,
        header: &mut Header,
        slots: Vec<KeySlot>,
        ring: KeyRing,
    ) -> io::Result<()> {
        let retired = RetiredKey::seal_all(header.vault, &ring)?;
        let generation = header.generation + 1;
        let changed = Header { generation, slots, retired, ..header.clone() };
        self.replace_header(header, changed, Some(ring))
    }
}

/// The slots for the new key: wrapped anew where a secret opens them, left out where that was asked.
fn renewed(
    header: &Header,
    key: &VaultKey,
    (secrets, remove): (&[SlotSecret], &[SlotId]),
) -> Result<Vec<KeySlot>, RekeyError> {
    let is_there = |id: &&SlotId| header.slots.iter().any(|slot| slot.id == **id);
    if let Some(unknown) = remove.iter().find(|id| !is_there(id)) {
        return Err(RekeyError::NoSuchSlot(*unknown));
    }
    let mut kept = Vec::new();
    let mut without = Vec::new();
    for slot in header.slots.iter().filter(|slot| !remove.contains(&slot.id)) {
        let opens = |secret: &&SlotSecret| {
            secret.kind() == slot.kind && slot.open(header.vault, secret).is_ok()
        };
        let Some(secret) = secrets.iter().find(opens) else {
            without.push(SlotInfo::of(slot));
            continue;
        };
        let place = (slot.id, header.generation + 1);
        let sealed = KeySlot::seal((header.vault, key), place, &slot.renewal(secret));
        kept.push(sealed.map_err(RekeyError::Io)?);
    }
    if !without.is_empty() {
        return Err(RekeyError::SlotsWithoutSecret(without));
    }
    if kept.is_empty() {
        return Err(RekeyError::NoSlotLeft);
    }
    Ok(kept)
}

/// Refuses a header that has no key of any segment, where one says that it is under a later key.
pub(crate) fn refuse_outdated(
    disk: &dyn Disk,
    directory: &Path,
    ring: &KeyRing,
    replayed: &Replay,
) -> Result<(), UnlockError> {
    if !replayed.segments.all().is_empty() {
        return Ok(());
    }
    match is_outdated(disk, &directory.join(SEGMENTS), ring) {
        Ok(false) => Ok(()),
        Ok(true) => Err(UnlockError::HeaderOutdated),
        Err(source) => Err(UnlockError::Io { directory: directory.to_owned(), source }),
    }
}

/// Whether a segment says that it is under a later key than the header knows.
pub(crate) fn is_outdated(disk: &dyn Disk, directory: &Path, ring: &KeyRing) -> io::Result<bool> {
    let names = disk.names(directory)?;
    for number in names.iter().filter_map(|name| number_of(name.to_str()?)) {
        let key = claimed_key(disk, (directory, number))?;
        if key.is_some_and(|key| key > ring.newest().number()) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn list(slots: &[SlotInfo]) -> String {
    let words = slots.iter().map(|slot| format!("{} ({:?})", slot.id.0, slot.kind));
    words.collect::<Vec<_>>().join(", ")
}
