//! Signers: what signs for the identity of a log. Here that is a key in memory; elsewhere it may be a
//! key in a token, or behind a proxy, that this process never sees.
//!
//! A log is chained first, signed in parallel and written in order: what is signed elsewhere is signed
//! without the log's mutex, while further entries are chained already.

use crate::key::{PublicKey, Signature, SigningKey};
use crate::{ChainHash, SignerText, Timestamp};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use ward_memory::SecretBox;

/// Signs for the identity of a log.
pub trait Signer: fmt::Debug + Send + Sync {
    /// The name of its key, by which people and other systems know it.
    fn kid(&self) -> &str;

    /// What checks its signatures, known before it ever signed.
    fn public(&self) -> PublicKey;

    /// Where its key is.
    fn source(&self) -> KeySource;

    /// Whether it did not sign when it was last asked: what may sign in its place does so at once.
    fn is_away(&self) -> bool {
        false
    }

    /// Signs the 32 bytes of `hash` (Ed25519, RFC 8032); may take its time.
    ///
    /// # Errors
    /// It does not, in words.
    fn sign(&self, hash: &ChainHash) -> Result<Signature, SignError>;
}

/// Where the key of a signer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeySource {
    /// In a file of the root, and in memory.
    Software,
    /// In a token that speaks PKCS#11.
    Pkcs11,
    /// Behind a signing proxy.
    Proxy,
}

impl KeySource {
    /// The word of the settings and of the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Software => "software",
            Self::Pkcs11 => "pkcs11",
            Self::Proxy => "proxy",
        }
    }
}

/// A signer as a record has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SignerFact<'a> {
    pub(crate) key: PublicKey,
    pub(crate) kid: &'a str,
    pub(crate) source: Option<KeySource>,
    pub(crate) from: Option<Timestamp>,
}

impl<'a> SignerFact<'a> {
    pub(crate) fn of(signer: &'a dyn Signer) -> Self {
        let (key, kid, source) = (signer.public(), signer.kid(), Some(signer.source()));
        Self { key, kid, source, from: None }
    }

    pub(crate) fn text(self) -> SignerText<'a> {
        let Self { key, kid, source, from } = self;
        SignerText { from, key, kid: Cow::Borrowed(kid), source }
    }
}

/// Why there is no signature.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SignError(pub String);

/// A key in memory: signs within microseconds.
pub struct SoftwareSigner {
    key: SigningKey,
    kid: String,
}

impl SoftwareSigner {
    pub(crate) fn new(key: SigningKey) -> Self {
        let kid = key.public().kid();
        Self { key, kid }
    }

    /// The identity that comes from these bytes, as that of the log's key does.
    pub fn from_bytes(bytes: &SecretBox<[u8; 32]>) -> Self {
        Self::new(SigningKey::of_identity(bytes))
    }

    pub(crate) const fn key(&self) -> &SigningKey {
        &self.key
    }
}

impl Signer for SoftwareSigner {
    fn kid(&self) -> &str {
        &self.kid
    }

    fn public(&self) -> PublicKey {
        self.key.public()
    }

    fn source(&self) -> KeySource {
        KeySource::Software
    }

    fn sign(&self, hash: &ChainHash) -> Result<Signature, SignError> {
        Ok(self.key.sign(hash.as_bytes()))
    }
}

impl fmt::Debug for SoftwareSigner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SoftwareSigner({})", self.kid)
    }
}

/// What signs for a log now, and what may when that does not answer.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) signer: Arc<dyn Signer>,
    pub(crate) standby: Option<Arc<SoftwareSigner>>,
}

impl Identity {
    /// Whether it signs within microseconds, so that handing it to another thread would cost more.
    pub(crate) fn is_here(&self) -> bool {
        self.signer.source() == KeySource::Software
    }

    /// Signs `hash`, and looks at what a signer elsewhere gave before it is believed.
    pub(crate) fn sign(&self, hash: &ChainHash) -> Result<Signature, SignError> {
        if let Some(standby) = self.standby.as_ref().filter(|_| self.signer.is_away()) {
            return standby.sign(hash);
        }
        let signed = self.signer.sign(hash).and_then(|signature| match self.is_here() {
            true => Ok(signature),
            false => self.signer.public().checked(hash, signature),
        });
        match (signed, &self.standby) {
            (Err(_), Some(standby)) => standby.sign(hash),
            (signed, _) => signed,
        }
    }
}
