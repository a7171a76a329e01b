//! A key slot: the vault key, wrapped under what one passphrase, key file or code gives.

use crate::cipher::{Nonce, TAG};
use crate::fields::Fields;
use crate::header::{OpenFault, VaultId};
use crate::key::{KEY_LENGTH, SlotKey, VaultKey};
use crate::passphrase::{CostError, PassphraseCost};
use crate::slot_secret::{NewSlot, SlotId, SlotKind, SlotSecret};
use std::io;
use ward_memory::SecretBox;

const KEYFILE_LABEL: &[u8] = b"wardfs keyfile slot v1";
const RECOVERY_LABEL: &[u8] = b"wardfs recovery slot v1";
/// Bytes of a slot in front of its nonce: associated data of the wrapped key, never changed.
const FIXED: usize = 64;

/// A wrapped vault key, and what it takes to unwrap it.
#[derive(Clone, Debug)]
pub(crate) struct KeySlot {
    pub(crate) id: SlotId,
    pub(crate) kind: SlotKind,
    /// The generation of the header that it was made with.
    pub(crate) created: u64,
    /// Which key of the vault it wraps.
    pub(crate) key: u32,
    /// Zeros for all kinds but passphrases.
    cost: PassphraseCost,
    salt: [u8; 32],
    nonce: Nonce,
    wrapped: [u8; KEY_LENGTH + TAG],
}

impl KeySlot {
    /// The number of bytes of a slot.
    pub(crate) const ENCODED: usize = 128;

    /// Wraps `key` for the secret of `new`.
    pub(crate) fn seal(
        (vault, key): (VaultId, &VaultKey),
        (id, created): (SlotId, u64),
        new: &NewSlot<'_>,
    ) -> io::Result<Self> {
        let (kind, cost) = match new {
            NewSlot::Passphrase(_, cost) => (SlotKind::Passphrase, *cost),
            NewSlot::Keyfile(_) => (SlotKind::Keyfile, PassphraseCost::from_disk(0, 0, 0)),
            NewSlot::Recovery(_) => (SlotKind::Recovery, PassphraseCost::from_disk(0, 0, 0)),
        };
        let (salt, nonce, wrapped) = ([0; 32], [0; 12], [0; 48]);
        let mut slot = Self { id, kind, created, key: key.number(), cost, salt, nonce, wrapped };
        getrandom::fill(&mut slot.salt).map_err(io::Error::other)?;
        getrandom::fill(&mut slot.nonce).map_err(io::Error::other)?;
        let slot_key = match new {
            NewSlot::Passphrase(passphrase, cost) => cost
                .slot_key(passphrase, &slot.salt)
                .map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?,
            NewSlot::Keyfile(keyfile) => {
                SlotKey::from_random(keyfile.as_bytes(), &slot.salt, KEYFILE_LABEL)
            }
            NewSlot::Recovery(code) => {
                SlotKey::from_random(code.as_bytes(), &slot.salt, RECOVERY_LABEL)
            }
        };
        let associated = slot.associated(vault);
        let (sealed, tag) = slot.wrapped.split_at_mut(KEY_LENGTH);
        let made = slot_key
            .cipher()
            .seal_into(slot.nonce, &associated, key.as_bytes(), sealed)
            .ok_or(io::ErrorKind::InvalidInput)?;
        tag.copy_from_slice(&made);
        Ok(slot)
    }

    /// What wraps another key for the secret of this slot, at the same cost.
    pub(crate) const fn renewal<'secret>(&self, secret: &'secret SlotSecret) -> NewSlot<'secret> {
        match secret {
            SlotSecret::Passphrase(passphrase) => NewSlot::Passphrase(passphrase, self.cost),
            SlotSecret::Keyfile(keyfile) => NewSlot::Keyfile(keyfile),
            SlotSecret::Recovery(code) => NewSlot::Recovery(code),
        }
    }

    /// Unwraps the vault key.
    pub(crate) fn open(&self, vault: VaultId, secret: &SlotSecret) -> Result<VaultKey, OpenFault> {
        let slot_key = match secret {
            SlotSecret::Passphrase(passphrase) => {
                self.cost.slot_key(passphrase, &self.salt).map_err(|error| match error {
                    CostError::TooMuch | CostError::NoMemory => OpenFault::TooCostly,
                })?
            }
            SlotSecret::Keyfile(keyfile) => {
                SlotKey::from_random(keyfile.as_bytes(), &self.salt, KEYFILE_LABEL)
            }
            SlotSecret::Recovery(code) => {
                SlotKey::from_random(code.as_bytes(), &self.salt, RECOVERY_LABEL)
            }
        };
        let mut key = SecretBox::<[u8; KEY_LENGTH]>::default();
        let wrapped = self.wrapped.split_at(KEY_LENGTH);
        slot_key
            .cipher()
            .open(self.nonce, &self.associated(vault), wrapped, key.as_mut_slice())
            .ok_or(OpenFault::WrongSecret)?;
        VaultKey::from_bytes(self.key, key.as_slice()).ok_or(OpenFault::WrongSecret)
    }

    pub(crate) fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.fixed());
        bytes.extend_from_slice(&self.nonce);
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&self.wrapped);
    }

    pub(crate) fn decode(fields: &mut Fields<'_>) -> Option<Self> {
        let id = SlotId(fields.u32()?);
        let kind = SlotKind::from_number(fields.u8()?)?;
        fields.zeros(3)?;
        let created = fields.u64()?;
        let cost = PassphraseCost::from_disk(fields.u32()?, fields.u32()?, fields.u32()?);
        let key = fields.u32()?;
        let (salt, nonce) = (fields.array()?, fields.array()?);
        fields.zeros(4)?;
        Some(Self { id, kind, created, key, cost, salt, nonce, wrapped: fields.array()? })
    }

    fn fixed(&self) -> [u8; FIXED] {
        let mut fixed = [0; FIXED];
        fixed[..4].copy_from_slice(&self.id.0.to_le_bytes());
        fixed[4] = self.kind.number();
        fixed[8..16].copy_from_slice(&self.created.to_le_bytes());
        for (place, number) in fixed[16..28].chunks_mut(4).zip(self.cost.numbers()) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        fixed[28..32].copy_from_slice(&self.key.to_le_bytes());
        fixed[32..].copy_from_slice(&self.salt);
        fixed
    }

    /// Associated data: the vault's id and everything of the slot that is fixed when it is made.
    fn associated(&self, vault: VaultId) -> [u8; 16 + FIXED] {
        let mut associated = [0; 16 + FIXED];
        associated[..16].copy_from_slice(&vault.0);
        associated[16..].copy_from_slice(&self.fixed());
        associated
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passphrase::Passphrase;
    use crate::recovery_code::RecoveryCode;
    use crate::slot_secret::Keyfile;

    #[test]
    fn each_kind_of_slot_opens_with_its_own_secret_and_in_its_own_vault_alone() {
        let folder = tempfile::tempdir().unwrap();
        let keyfile = Keyfile::create(&folder.path().join("a")).unwrap();
        let other = Keyfile::create(&folder.path().join("b")).unwrap();
        let code = RecoveryCode::generate().unwrap();
        let passphrase = Passphrase::new(zeroize::Zeroizing::new(b"words".to_vec()));
        let cost = PassphraseCost::nearly_nothing();
        let (vault, key) = (VaultId([1; 16]), VaultKey::from_bytes(0, &[4; 32]).unwrap());
        let seal = |new| KeySlot::seal((vault, &key), (SlotId(3), 7), &new).unwrap();
        let by_file = seal(NewSlot::Keyfile(&keyfile));
        let by_code = seal(NewSlot::Recovery(&code));
        let by_words = seal(NewSlot::Passphrase(&passphrase, cost));
        let (keyfile, code) = (SlotSecret::Keyfile(keyfile), SlotSecret::Recovery(code));
        let passphrase = SlotSecret::Passphrase(passphrase);
        for (slot, secret) in [(&by_file, &keyfile), (&by_code, &code), (&by_words, &passphrase)] {
            assert_eq!(slot.open(vault, secret).unwrap().as_bytes(), &[4; 32]);
            assert!(slot.open(VaultId([2; 16]), secret).is_err());
            assert!(
                slot.open(
                    vault,
                    &SlotSecret::Keyfile(
                        Keyfile::create(&folder.path().join(format!("{:?}", slot.kind))).unwrap()
                    )
                )
                .is_err()
            );
        }
        assert!(by_file.open(vault, &SlotSecret::Keyfile(other)).is_err());
    }
}
