//! The key ring: the newest key of a vault, and those before it that are still needed.
//!
//! What is written is under the newest. An older key stays until nothing on disk is under it; then
//! only its names key does, for the audit log is never rewritten.

use crate::header::VaultId;
use crate::key::{KEY_LENGTH, VaultKey};
use std::sync::{Arc, PoisonError, RwLock};
use ward_audit::NamesKey;
use ward_memory::SecretBox;

/// The keys of a vault at one time.
#[derive(Debug)]
pub(crate) struct KeyRing {
    newest: Arc<VaultKey>,
    older: Vec<OlderKey>,
}

/// A key that has a successor.
#[derive(Clone, Debug)]
pub(crate) struct OlderKey {
    pub(crate) number: u32,
    pub(crate) secret: OlderSecret,
    /// Shows to who has the key that it has a successor.
    pub(crate) mark: [u8; 32],
}

/// What is kept of an older key.
#[derive(Clone)]
pub(crate) enum OlderSecret {
    /// All: segments, images or the pin may be under it.
    Key(Arc<VaultKey>),
    /// What the audit log needs.
    Names(Arc<SecretBox<[u8; KEY_LENGTH]>>),
}

/// The ring of an open vault, which a rekey exchanges for another. A leaf: held to take the ring.
#[derive(Debug)]
pub(crate) struct Keys(RwLock<Arc<KeyRing>>);

impl KeyRing {
    /// The ring of a vault that never had another key.
    pub(crate) fn of(newest: VaultKey) -> Self {
        Self::with(newest, Vec::new())
    }

    /// A ring as a header says.
    pub(crate) fn with(newest: VaultKey, older: Vec<OlderKey>) -> Self {
        Self { newest: Arc::new(newest), older }
    }

    /// The key under which everything is written.
    pub(crate) fn newest(&self) -> &VaultKey {
        &self.newest
    }

    /// The key of this number.
    pub(crate) fn key(&self, number: u32) -> Option<&VaultKey> {
        let older = self.older.iter().filter_map(|older| match &older.secret {
            OlderSecret::Key(key) => Some(&**key),
            OlderSecret::Names(_) => None,
        });
        older.chain([&*self.newest]).find(|key| key.number() == number)
    }

    /// The keys before the newest.
    pub(crate) fn older(&self) -> &[OlderKey] {
        &self.older
    }

    /// Whether something on disk may be under a key before the newest.
    pub(crate) fn is_changing(&self) -> bool {
        self.older.iter().any(|older| matches!(older.secret, OlderSecret::Key(_)))
    }

    /// The ring with `newest` as the successor of the newest.
    pub(crate) fn succeeded_by(&self, vault: VaultId, newest: VaultKey) -> Self {
        let number = self.newest.number();
        let secret = OlderSecret::Key(self.newest.clone());
        let mark = successor_mark(vault, &self.newest);
        let mut older = self.older.clone();
        older.push(OlderKey { number, secret, mark });
        Self::with(newest, older)
    }

    /// The ring that opens nothing under a key before the newest, but the names in the audit log.
    pub(crate) fn without_older(&self, vault: VaultId) -> Self {
        let older = self.older.iter().map(|older| {
            let secret = OlderSecret::Names(Arc::new(older.names_key(vault)));
            OlderKey { number: older.number, secret, mark: older.mark }
        });
        Self { newest: self.newest.clone(), older: older.collect() }
    }

    /// The key under which the audit log seals names, and those under which it did.
    pub(crate) fn names_key(&self, vault: VaultId) -> NamesKey {
        let older = self.older.iter().map(|older| older.names_key(vault));
        NamesKey::from_bytes(self.newest.names_key(vault)).after(older.collect())
    }
}

impl OlderKey {
    fn names_key(&self, vault: VaultId) -> SecretBox<[u8; KEY_LENGTH]> {
        match &self.secret {
            OlderSecret::Key(key) => key.names_key(vault),
            OlderSecret::Names(names) => SecretBox::make(|| ***names),
        }
    }
}

impl Keys {
    pub(crate) fn new(ring: KeyRing) -> Self {
        Self(RwLock::new(Arc::new(ring)))
    }

    /// The ring now. What is begun with it may be ended with it.
    pub(crate) fn ring(&self) -> Arc<KeyRing> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on this is the ring.
    pub(crate) fn exchange(&self, ring: Arc<KeyRing>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = ring;
    }
}

impl std::fmt::Debug for OlderSecret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Key(_) => "Key(..)",
            Self::Names(_) => "Names(..)",
        })
    }
}

/// The mark that a key has a successor.
pub(crate) fn successor_mark(vault: VaultId, key: &VaultKey) -> [u8; 32] {
    key.successor_mac(vault).sign(&key.number().to_le_bytes())
}
