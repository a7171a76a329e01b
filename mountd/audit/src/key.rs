//! Keys: what signs a log, and what checks it (Ed25519, RFC 8032).
//!
//! The identity, which may be a signer elsewhere, certifies each segment's own key and signs control
//! events. A segment's key signs
//! its checkpoints, lives in memory only, and is wiped when the segment ends: what was written
//! before a break-in cannot be rewritten by it.

use crate::ChainHash;
use crate::signer::{Identity, KeySource, SignError, Signer, SoftwareSigner};
use crate::succession::Succession;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, VerifyingKey};
use hkdf::Hkdf;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::fmt;
use std::sync::Arc;
use ward_memory::SecretBox;

/// Keep the uses of the log's key apart from each other and from every other key.
const IDENTITY: &[u8] = b"wardfs log identity v1";
const NOTES: &[u8] = b"wardfs log notes v1";

/// The keys of a log: its own, from which its first identity and the key of its notes come, and what
/// signs for it elsewhere.
pub struct LogKey {
    /// What signs here.
    pub(crate) local: Arc<SoftwareSigner>,
    /// Those of whom one is the log's identity; the first one begins a log.
    signers: Vec<Arc<dyn Signer>>,
    has_standby: bool,
    pub(crate) notes: SigningKey,
}

impl LogKey {
    /// The key with these bytes, which whoever opens the log keeps.
    pub fn from_bytes(bytes: &SecretBox<[u8; 32]>) -> Self {
        let local = Arc::new(SoftwareSigner::from_bytes(bytes));
        let signers: Vec<Arc<dyn Signer>> = vec![Arc::<SoftwareSigner>::clone(&local)];
        Self { local, signers, has_standby: false, notes: SigningKey::derived(bytes, NOTES) }
    }

    /// The same, while `local` is what signs here: it took over from the log's own key.
    pub fn with_local(self, local: SoftwareSigner) -> Self {
        let local = Arc::new(local);
        let signers: Vec<Arc<dyn Signer>> = vec![Arc::<SoftwareSigner>::clone(&local)];
        Self { local, signers, ..self }
    }

    /// The same, while nothing signs here but in the place of others.
    pub fn without_local(mut self) -> Self {
        self.signers.clear();
        self
    }

    /// The same, with another that may be the log's identity, or be about to.
    pub fn or_signer(mut self, signer: Arc<dyn Signer>) -> Self {
        self.signers.push(signer);
        self
    }

    /// The same, where what signs here may do so in the place of a signer that does not answer.
    pub const fn with_standby(mut self) -> Self {
        self.has_standby = true;
        self
    }

    /// The signer with this key.
    pub(crate) fn signer(&self, key: PublicKey) -> Option<&Arc<dyn Signer>> {
        self.signers.iter().find(|signer| signer.public() == key)
    }

    /// What signs for a log that goes on after `before`; nothing when none of these keys may.
    pub(crate) fn identity(&self, before: &Succession) -> Option<Identity> {
        let signer = match before.identity() {
            None => self.signers.first(),
            Some(key) => self.signer(key).or_else(|| self.signer(before.successor()?)),
        };
        let signer = Arc::clone(signer?);
        let standby = self.standby_of(&signer);
        // Before a segment says so, nothing stands by.
        let standby = standby.filter(|local| before.standby() == Some(local.public()));
        Some(Identity { signer, standby })
    }

    /// What may sign in the place of `signer`.
    pub(crate) fn standby_of(&self, signer: &Arc<dyn Signer>) -> Option<Arc<SoftwareSigner>> {
        let may_stand_by = self.has_standby && signer.source() != KeySource::Software;
        may_stand_by.then(|| Arc::clone(&self.local))
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

    /// The identity that `bytes` give.
    pub(crate) fn of_identity(bytes: &SecretBox<[u8; 32]>) -> Self {
        Self::derived(bytes, IDENTITY)
    }

    fn derived(bytes: &SecretBox<[u8; 32]>, purpose: &[u8]) -> Self {
        let mut seed = SecretBox::<[u8; 32]>::default();
        // 32 bytes are a length that the function gives (RFC 5869).
        let _given = Hkdf::<Sha256>::new(None, &bytes[..]).expand(purpose, &mut seed[..]);
        Self::from_seed(&seed)
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

    /// The key with this base64; `None` for any other text.
    pub fn from_base64(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text).ok()?.try_into().ok()?;
        Self::from_bytes(&bytes)
    }

    /// The name of a key that has no other: the beginning of it in hex.
    pub fn kid(&self) -> String {
        let first = self.as_bytes().iter().take(8);
        let digits: String = first.map(|byte| format!("{byte:02x}")).collect();
        format!("wardfs-{digits}")
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// `signature`, when it is this key's over `hash`.
    ///
    /// # Errors
    /// It is not.
    pub fn checked(&self, hash: &ChainHash, signature: Signature) -> Result<Signature, SignError> {
        let is_signed = self.has_signed(hash.as_bytes(), &signature);
        let wrong = || SignError("what came is no signature by its public key".to_owned());
        is_signed.then_some(signature).ok_or_else(wrong)
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
        Self::from_base64(&text).ok_or_else(|| serde::de::Error::custom("no public key"))
    }
}

/// A signature: 64 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; 64]);

impl Signature {
    /// The length of its text.
    pub(crate) const TEXT_LENGTH: usize = 88;

    /// As base64.
    pub fn to_base64(self) -> String {
        STANDARD.encode(self.0)
    }

    /// The signature with this base64, of which only one form is taken.
    pub fn from_base64(text: &[u8]) -> Option<Self> {
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
        assert_ne!(key.local.public(), key.notes.public());
        let again = LogKey::from_bytes(&SecretBox::make(|| [7; 32]));
        assert_eq!(key.local.public(), again.local.public());
    }

    #[test]
    fn keys_do_not_show_themselves() {
        let key = LogKey::from_bytes(&SecretBox::make(|| [7; 32]));
        assert_eq!(format!("{key:?}"), "LogKey(..)");
        assert_eq!(format!("{:?}", key.notes), format!("SigningKey({})", key.notes.public()));
    }
}
