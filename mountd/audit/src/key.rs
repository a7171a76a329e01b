//! Keys: what signs a log, and what checks it (Ed25519, RFC 8032).
//!
//! The identity certifies each segment's own key and signs control events. A segment's key signs
//! its checkpoints, lives in memory only, and is wiped when the segment ends: what was written
//! before a break-in cannot be rewritten by it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, VerifyingKey};
use hkdf::Hkdf;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::fmt;
use ward_memory::SecretBox;

/// Keep the uses of the log's key apart from each other and from every other key.
const IDENTITY: &[u8] = b"wardfs log identity v1";
const NOTES: &[u8] = b"wardfs log notes v1";

/// The log's own key, from which its identity and the key of its notes come.
pub struct LogKey {
    pub(crate) identity: SigningKey,
    pub(crate) notes: SigningKey,
}

impl LogKey {
    /// The key with these bytes, which whoever opens the log keeps.
    pub fn from_bytes(bytes: &SecretBox<[u8; 32]>) -> Self {
        let derive = |purpose: &[u8]| {
            let mut seed = SecretBox::<[u8; 32]>::default();
            // 32 bytes are a length that the function gives (RFC 5869).
            let _given = Hkdf::<Sha256>::new(None, &bytes[..]).expand(purpose, &mut seed[..]);
            SigningKey::from_seed(&seed)
        };
        Self { identity: derive(IDENTITY), notes: derive(NOTES) }
    }
}

impl fmt::Debug for LogKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("LogKey(..)")
    }
}

/// What signs; in memory for keys, and wiped when dropped.
pub(crate) struct SigningKey(SecretBox<ed25519_dalek::SigningKey>);

impl SigningKey {
    /// A new key; `None` when the system gives no random bytes.
    pub(crate) fn generate() -> Option<Self> {
        let mut seed = SecretBox::<[u8; 32]>::default();
        getrandom::fill(&mut seed[..]).ok()?;
        Some(Self::from_seed(&seed))
    }

    pub(crate) fn from_seed(seed: &SecretBox<[u8; 32]>) -> Self {
        Self(SecretBox::make(|| ed25519_dalek::SigningKey::from_bytes(seed)))
    }

    pub(crate) fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign(message).to_bytes())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SigningKey({})", self.public())
    }
}

/// What checks a signature; 32 bytes, written as base64.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// The key with these bytes; `None` when they are no key.
    pub(crate) fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        VerifyingKey::from_bytes(bytes).ok().map(Self)
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Whether `signature` is of this key over `message`; of several encodings only one is.
    pub(crate) fn has_signed(&self, message: &[u8], signature: &Signature) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        self.0.verify_strict(message, &signature).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&STANDARD.encode(self.as_bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Serialize for PublicKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = STANDARD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
        let key = bytes.and_then(|bytes| Self::from_bytes(&bytes));
        key.ok_or_else(|| serde::de::Error::custom("no public key"))
    }
}

/// 64 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Signature(pub(crate) [u8; 64]);

impl Signature {
    /// The length of its text.
    pub(crate) const TEXT_LENGTH: usize = 88;

    /// As base64.
    pub(crate) fn to_base64(self) -> String {
        STANDARD.encode(self.0)
    }

    /// The signature with this base64, of which only one form is taken.
    pub(crate) fn from_base64(text: &[u8]) -> Option<Self> {
        STANDARD.decode(text).ok()?.try_into().ok().map(Self)
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.to_base64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_that_of_the_rfc() {
        // RFC 8032, section 7.1, test 1: the empty message.
        let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
        let seed = *ward_policy::Digest::from_hex(seed).unwrap().as_bytes();
        let key = SigningKey::from_seed(&SecretBox::make(|| seed));
        assert_eq!(key.public().to_string(), "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
        let signature = key.sign(b"");
        assert!(signature.to_base64().starts_with("5VZDAMNgrHKQhuLMgG6CioSHfx645dl0"));
        assert!(key.public().has_signed(b"", &signature));
        assert!(!key.public().has_signed(b"x", &signature));
    }

    #[test]
    fn the_uses_of_one_log_key_are_different_keys() {
        let key = LogKey::from_bytes(&SecretBox::make(|| [7; 32]));
        assert_ne!(key.identity.public(), key.notes.public());
        let again = LogKey::from_bytes(&SecretBox::make(|| [7; 32]));
        assert_eq!(key.identity.public(), again.identity.public());
    }

    #[test]
    fn keys_do_not_show_themselves() {
        let key = LogKey::from_bytes(&SecretBox::make(|| [7; 32]));
        assert_eq!(format!("{key:?}"), "LogKey(..)");
        assert_eq!(format!("{:?}", key.notes), format!("SigningKey({})", key.notes.public()));
    }
}
