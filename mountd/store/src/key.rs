//! Keys: each a type of its own in memory for keys, wiped when dropped, never shown, never copied.
//!
//! One random vault key at a time; HKDF-SHA256 (RFC 5869) with the vault's id as salt and a distinct label
//! gives one key for each purpose.

use crate::cipher::Cipher;
use crate::header::VaultId;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::fmt;
use ward_memory::{SecretBox, wipe_stack};
use zeroize::Zeroizing;

/// The number of bytes of every key.
pub(crate) const KEY_LENGTH: usize = 32;
const HEADER_MAC: &[u8] = b"wardfs header mac v1";
const SEGMENT_SEAL: &[u8] = b"wardfs segment seal v1";
const SEGMENT_MAC: &[u8] = b"wardfs segment mac v1";
const PIN_MAC: &[u8] = b"wardfs pin mac v1";
const IMAGE_SEAL: &[u8] = b"wardfs image seal v1";
const RETIRED_SEAL: &[u8] = b"wardfs retired keys v1";
const SUCCESSOR_MAC: &[u8] = b"wardfs successor mac v1";
const AUDIT_NAMES: &[u8] = b"wardfs audit names v1";

/// A key of a vault, from which all others come; the newest is wrapped by each key slot.
pub(crate) struct VaultKey {
    /// Which of the keys that the vault ever had: 0 at birth, one more with each rekey.
    number: u32,
    bytes: SecretBox<[u8; KEY_LENGTH]>,
}

/// What a key slot wraps the vault key under: derived from a passphrase, a key file or a code.
pub(crate) struct SlotKey(SecretBox<[u8; KEY_LENGTH]>);

/// Authenticates a header: of the vault or of a segment.
pub(crate) struct MacKey(SecretBox<[u8; KEY_LENGTH]>);

impl VaultKey {
    /// A new one, from getrandom(2).
    pub(crate) fn generate(number: u32) -> Result<Self, getrandom::Error> {
        let mut key = Self { number, bytes: SecretBox::default() };
        getrandom::fill(key.bytes.as_mut_slice())?;
        Ok(key)
    }

    /// The key that a slot held; `None` for bytes of another length.
    pub(crate) fn from_bytes(number: u32, bytes: &[u8]) -> Option<Self> {
        let mut key = Self { number, bytes: SecretBox::default() };
        if bytes.len() != KEY_LENGTH {
            return None;
        }
        key.bytes.copy_from_slice(bytes);
        Some(key)
    }

    /// Which of the keys of its vault it is.
    pub(crate) const fn number(&self) -> u32 {
        self.number
    }

    /// The bytes, for a slot to wrap.
    pub(crate) fn as_bytes(&self) -> &[u8; KEY_LENGTH] {
        &self.bytes
    }

    /// HMAC key of the header.
    pub(crate) fn header_mac(&self, vault: VaultId) -> MacKey {
        let mut key = MacKey(SecretBox::default());
        self.derive(vault, &[HEADER_MAC], &mut key.0);
        key
    }

    /// HMAC key of the pin.
    pub(crate) fn pin_mac(&self, vault: VaultId) -> MacKey {
        let mut key = MacKey(SecretBox::default());
        self.derive(vault, &[PIN_MAC], &mut key.0);
        key
    }

    /// HMAC key of the header of the segment with this random id.
    pub(crate) fn segment_mac(&self, vault: VaultId, segment: &[u8; 16]) -> MacKey {
        let mut key = MacKey(SecretBox::default());
        self.derive(vault, &[SEGMENT_MAC, segment], &mut key.0);
        key
    }

    /// AES-256-GCM-SIV of the segment with this random id.
    pub(crate) fn segment_cipher(&self, vault: VaultId, segment: &[u8; 16]) -> Cipher {
        self.cipher(vault, &[SEGMENT_SEAL, segment])
    }

    /// AES-256-GCM-SIV of the image with this random id.
    pub(crate) fn image_cipher(&self, vault: VaultId, image: &[u8; 16]) -> Cipher {
        self.cipher(vault, &[IMAGE_SEAL, image])
    }

    /// AES-256-GCM-SIV of what the header keeps of the keys before this one.
    pub(crate) fn retired_cipher(&self, vault: VaultId) -> Cipher {
        self.cipher(vault, &[RETIRED_SEAL])
    }

    /// HMAC key of the mark that this key has a successor.
    pub(crate) fn successor_mac(&self, vault: VaultId) -> MacKey {
        let mut key = MacKey(SecretBox::default());
        self.derive(vault, &[SUCCESSOR_MAC], &mut key.0);
        key
    }

    /// The key under which the audit log seals this vault's names.
    pub(crate) fn names_key(&self, vault: VaultId) -> SecretBox<[u8; KEY_LENGTH]> {
        let mut key = SecretBox::default();
        self.derive(vault, &[AUDIT_NAMES], &mut key);
        key
    }

    fn cipher(&self, vault: VaultId, labels: &[&[u8]]) -> Cipher {
        let mut key = Zeroizing::new([0; KEY_LENGTH]);
        self.derive(vault, labels, &mut key);
        Cipher::new(&key)
    }

    /// HKDF-Expand(HKDF-Extract(salt = vault id, vault key), info = the labels joined).
    fn derive(&self, vault: VaultId, labels: &[&[u8]], derived: &mut [u8; KEY_LENGTH]) {
        let hkdf = Hkdf::<Sha256>::new(Some(&vault.0), self.bytes.as_slice());
        // 32 bytes are one block of SHA-256; HKDF refuses only more than 255 blocks.
        if hkdf.expand_multi_info(labels, derived).is_err() {
            unreachable!("HKDF-SHA256 gives 32 bytes");
        }
        drop(hkdf);
        wipe_stack();
    }
}

impl SlotKey {
    /// A slot key of zeros, to be filled by `fill`.
    pub(crate) fn filled<E>(
        fill: impl FnOnce(&mut [u8; KEY_LENGTH]) -> Result<(), E>,
    ) -> Result<Self, E> {
        let mut key = Self(SecretBox::default());
        fill(&mut key.0)?;
        Ok(key)
    }

    /// The slot key of 32 secret random bytes: HKDF-SHA256(salt, secret, label).
    pub(crate) fn from_random(secret: &[u8], salt: &[u8], label: &[u8]) -> Self {
        let mut key = Self(SecretBox::default());
        let hkdf = Hkdf::<Sha256>::new(Some(salt), secret);
        if hkdf.expand(label, key.0.as_mut_slice()).is_err() {
            unreachable!("HKDF-SHA256 gives 32 bytes");
        }
        key
    }

    /// The bytes in hex, to be compared with what another program made.
    #[cfg(test)]
    pub(crate) fn show(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// AES-256-GCM-SIV under this key.
    pub(crate) fn cipher(&self) -> Cipher {
        Cipher::new(&self.0)
    }
}

impl MacKey {
    /// HMAC-SHA256 (RFC 2104) of `bytes`.
    pub(crate) fn sign(&self, bytes: &[u8]) -> [u8; 32] {
        self.over(bytes).finalize().into_bytes().into()
    }

    /// Whether `mac` is the HMAC of `bytes`, in constant time.
    pub(crate) fn verifies(&self, bytes: &[u8], mac: &[u8]) -> bool {
        self.over(bytes).verify_slice(mac).is_ok()
    }

    fn over(&self, bytes: &[u8]) -> Hmac<Sha256> {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.0.as_slice()) else {
            unreachable!("HMAC takes keys of any length")
        };
        mac.update(bytes);
        mac
    }
}

macro_rules! hidden {
    ($($key:ident)*) => { $(
        impl fmt::Debug for $key {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(concat!(stringify!($key), "(..)"))
            }
        }
    )* };
}

hidden!(SlotKey MacKey);

impl fmt::Debug for VaultKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "VaultKey({}, ..)", self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_purpose_and_every_segment_has_a_key_of_its_own() {
        let key = VaultKey::from_bytes(0, &[7; 32]).unwrap();
        let vault = VaultId([1; 16]);
        let macs = [
            key.header_mac(vault).sign(b""),
            key.header_mac(VaultId([2; 16])).sign(b""),
            key.segment_mac(vault, &[1; 16]).sign(b""),
            key.segment_mac(vault, &[2; 16]).sign(b""),
        ];
        for (place, mac) in macs.iter().enumerate() {
            assert!(!macs[..place].contains(mac));
        }
    }

    #[test]
    fn no_key_shows_its_bytes() {
        let key = VaultKey::from_bytes(0, &[0xab; 32]).unwrap();
        assert_eq!(format!("{key:?}"), "VaultKey(0, ..)");
    }

    #[test]
    fn a_key_has_32_bytes_and_nothing_else() {
        assert!(VaultKey::from_bytes(0, &[0; 31]).is_none());
    }
}
