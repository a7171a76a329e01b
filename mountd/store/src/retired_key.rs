//! A retired key as the header keeps it: wrapped under the newest key of the vault.

use crate::cipher::{Nonce, TAG};
use crate::fields::Fields;
use crate::header::VaultId;
use crate::key::{KEY_LENGTH, VaultKey};
use crate::key_ring::{KeyRing, OlderKey, OlderSecret, successor_mark};
use std::io;
use std::sync::Arc;
use ward_memory::SecretBox;

/// Bytes in front of the nonce, which are associated data.
const FIXED: usize = 8;
/// The whole key is kept.
const WHOLE: u8 = 1;
/// Only its names key is.
const NAMES: u8 = 2;

/// A key before the newest, wrapped.
#[derive(Clone, Debug)]
pub(crate) struct RetiredKey {
    number: u32,
    /// What is wrapped: [`WHOLE`] or [`NAMES`].
    content: u8,
    nonce: Nonce,
    wrapped: [u8; KEY_LENGTH + TAG],
    mark: [u8; 32],
}

impl RetiredKey {
    /// The number of bytes of a retired key.
    pub(crate) const ENCODED: usize = 104;

    /// Wraps every older key of a ring under its newest.
    pub(crate) fn seal_all(vault: VaultId, ring: &KeyRing) -> io::Result<Vec<Self>> {
        ring.older().iter().map(|older| Self::seal(vault, ring.newest(), older)).collect()
    }

    /// Opens all with the newest key; `None` when one is not what was wrapped.
    pub(crate) fn open_all(retired: &[Self], vault: VaultId, newest: VaultKey) -> Option<KeyRing> {
        let older = retired.iter().map(|retired| retired.open(vault, &newest));
        let older = older.collect::<Option<_>>()?;
        Some(KeyRing::with(newest, older))
    }

    fn seal(vault: VaultId, newest: &VaultKey, older: &OlderKey) -> io::Result<Self> {
        let (content, bytes) = match &older.secret {
            OlderSecret::Key(key) => (WHOLE, key.as_bytes()),
            OlderSecret::Names(names) => (NAMES, &***names),
        };
        let (nonce, wrapped) = ([0; 12], [0; KEY_LENGTH + TAG]);
        let mut sealed = Self { number: older.number, content, nonce, wrapped, mark: older.mark };
        getrandom::fill(&mut sealed.nonce).map_err(io::Error::other)?;
        let associated = sealed.associated(vault);
        let (place, tag) = sealed.wrapped.split_at_mut(KEY_LENGTH);
        let made = newest
            .retired_cipher(vault)
            .seal_into(sealed.nonce, &associated, bytes, place)
            .ok_or(io::ErrorKind::InvalidInput)?;
        tag.copy_from_slice(&made);
        Ok(sealed)
    }

    fn open(&self, vault: VaultId, newest: &VaultKey) -> Option<OlderKey> {
        let mut bytes = SecretBox::<[u8; KEY_LENGTH]>::default();
        let wrapped = self.wrapped.split_at(KEY_LENGTH);
        newest.retired_cipher(vault).open(
            self.nonce,
            &self.associated(vault),
            wrapped,
            bytes.as_mut_slice(),
        )?;
        let secret = if self.content == WHOLE {
            OlderSecret::Key(Arc::new(VaultKey::from_bytes(self.number, bytes.as_slice())?))
        } else {
            OlderSecret::Names(Arc::new(bytes))
        };
        Some(OlderKey { number: self.number, secret, mark: self.mark })
    }

    /// Whether this says, and nobody without `key` could have made it say, that `key` is retired.
    pub(crate) fn retires(&self, vault: VaultId, key: &VaultKey) -> bool {
        // The mark is a MAC of a constant: who can compare it has the key.
        self.number == key.number() && self.mark == successor_mark(vault, key)
    }

    pub(crate) fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.fixed());
        bytes.extend_from_slice(&self.nonce);
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&self.wrapped);
        bytes.extend_from_slice(&self.mark);
    }

    pub(crate) fn decode(fields: &mut Fields<'_>) -> Option<Self> {
        let (number, content) = (fields.u32()?, fields.u8()?);
        fields.zeros(3)?;
        let nonce = fields.array()?;
        fields.zeros(4)?;
        let (wrapped, mark) = (fields.array()?, fields.array()?);
        let retired = Self { number, content, nonce, wrapped, mark };
        [WHOLE, NAMES].contains(&content).then_some(retired)
    }

    fn fixed(&self) -> [u8; FIXED] {
        let mut fixed = [0; FIXED];
        fixed[..4].copy_from_slice(&self.number.to_le_bytes());
        fixed[4] = self.content;
        fixed
    }

    /// Associated data: the vault's id, which key it is, and what of it is kept.
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

    #[test]
    fn retired_keys_open_under_the_newest_and_names_outlive_what_they_came_from() {
        let vault = VaultId([1; 16]);
        let key = |number: u32, byte| VaultKey::from_bytes(number, &[byte; 32]).unwrap();
        let ring = KeyRing::of(key(0, 3)).succeeded_by(vault, key(1, 4));
        let sealed = RetiredKey::seal_all(vault, &ring).unwrap();
        let opened = RetiredKey::open_all(&sealed, vault, key(1, 4)).unwrap();
        assert_eq!(opened.key(0).unwrap().as_bytes(), &[3; 32]);
        assert!(opened.is_changing());
        assert!(RetiredKey::open_all(&sealed, vault, key(1, 5)).is_none());
        assert!(RetiredKey::open_all(&sealed, VaultId([2; 16]), key(1, 4)).is_none());
        assert!(sealed[0].retires(vault, &key(0, 3)) && !sealed[0].retires(vault, &key(0, 4)));

        let ring = opened.without_older(vault).succeeded_by(vault, key(2, 5));
        let sealed = RetiredKey::seal_all(vault, &ring).unwrap();
        let mut bytes = Vec::new();
        sealed.iter().for_each(|retired| retired.encode(&mut bytes));
        assert_eq!(bytes.len(), 2 * RetiredKey::ENCODED);
        let mut fields = Fields::new(&bytes);
        let decoded: Option<Vec<_>> = (0..2).map(|_| RetiredKey::decode(&mut fields)).collect();
        let opened = RetiredKey::open_all(&decoded.unwrap(), vault, key(2, 5)).unwrap();
        assert!(opened.key(0).is_none() && opened.key(1).is_some());
        let OlderSecret::Names(names) = &opened.older()[0].secret else {
            panic!("the key is kept")
        };
        assert_eq!(***names, *key(0, 3).names_key(vault));
        assert!(sealed[0].retires(vault, &key(0, 3)), "the mark stays");
    }
}
