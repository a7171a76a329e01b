//! The chain: each hash stands for its entry and for all entries before it.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;
use ward_policy::Digest;

/// The hash of an entry: SHA-256(bytes of the entry, then the 32 bytes of the hash before it).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ChainHash([u8; 32]);

impl ChainHash {
    /// The length of its text.
    pub(crate) const HEX_LENGTH: usize = 64;

    /// The hash of `entry` after `previous`; nothing stands for the hash before the first entry.
    pub(crate) fn of(entry: &[u8], previous: Option<Self>) -> Self {
        let mut hasher = Sha256::new_with_prefix(entry);
        if let Some(previous) = previous {
            hasher.update(previous.0);
        }
        Self(hasher.finalize().into())
    }

    /// The hash written as 64 lower-case hex digits; `None` for any other text.
    pub fn from_hex(text: &str) -> Option<Self> {
        Digest::from_hex(text).map(|digest| Self(*digest.as_bytes()))
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 64 lower-case hex digits.
    pub(crate) fn to_hex(self) -> [u8; Self::HEX_LENGTH] {
        hex(&self.0)
    }
}

impl fmt::Display for ChainHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        Digest::from_bytes(self.0).fmt(formatter)
    }
}

impl fmt::Debug for ChainHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Serialize for ChainHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let digits = self.to_hex();
        serializer.serialize_str(std::str::from_utf8(&digits).unwrap_or_default())
    }
}

impl<'de> Deserialize<'de> for ChainHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_hex(&text).ok_or_else(|| serde::de::Error::custom("no hash"))
    }
}

/// SHA-256 of bytes that are in no chain, such as a torn tail.
pub(crate) fn digest_of(bytes: &[u8]) -> Digest {
    Digest::from_bytes(Sha256::digest(bytes).into())
}

/// 32 bytes as hex digits. By table: the formatter takes ten times as long as the hash itself.
pub(crate) fn hex(bytes: &[u8; 32]) -> [u8; 64] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut digits = [0; 64];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
        pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_hash_is_of_the_entry_alone_and_the_next_of_entry_and_hash() {
        let first = ChainHash::of(b"{}", None);
        assert_eq!(first.as_bytes(), digest_of(b"{}").as_bytes());
        let joined = [b"{}".as_slice(), first.as_bytes()].concat();
        let second = ChainHash::of(b"{}", Some(first));
        assert_eq!(second.as_bytes(), digest_of(&joined).as_bytes());
    }

    #[test]
    fn a_hash_reads_back_from_its_digits() {
        let hash = ChainHash::of(b"entry", None);
        let digits = hash.to_hex();
        let text = std::str::from_utf8(&digits).unwrap();
        assert_eq!(text, hash.to_string());
        assert_eq!(ChainHash::from_hex(text), Some(hash));
    }
}
