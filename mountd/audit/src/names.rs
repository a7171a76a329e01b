//! Names: what the log hides from whoever holds the disk but not the vault's key.
//!
//! Path, reason, offset and size of a `secrets` vault stand in its entries only inside `sealed`:
//! AES-256-GCM-SIV over canonical JSON, padded with spaces to a multiple of 128 bytes. The nonce is
//! the seq. A seq can come twice (a torn tail is cut, a backup is put back); under this mode a
//! repeated nonce shows at most that two texts are equal.

use crate::entry::{Entry, Names};
use aes_gcm_siv::aead::{Aead, KeyInit, Payload};
use aes_gcm_siv::{Aes256GcmSiv, Nonce};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hkdf::Hkdf;
use sha2::Sha256;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use ward_memory::SecretBox;
use ward_policy::VaultName;
use zeroize::Zeroizing;

/// What a sealed text is padded to a multiple of, so that its length says little.
const PADDING: usize = 128;
/// Keeps this use of the key apart from every other.
const PURPOSE: &[u8] = b"wardfs log names v1\0";

/// The keys from which a vault's log keys are made, the newest first; the vault keeps them wrapped.
pub struct NamesKey(Vec<SecretBox<[u8; 32]>>);

impl NamesKey {
    /// The key with these bytes.
    pub fn from_bytes(bytes: SecretBox<[u8; 32]>) -> Self {
        Self(vec![bytes])
    }

    /// The key, which took the place of the `older` ones: they seal nothing more, and still open.
    pub fn after(self, older: Vec<SecretBox<[u8; 32]>>) -> Self {
        Self(self.0.into_iter().chain(older).collect())
    }
}

impl fmt::Debug for NamesKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("NamesKey(..)")
    }
}

/// The log keys of the vaults that are unlocked.
#[derive(Clone, Default)]
pub(crate) struct Keyring(BTreeMap<VaultName, Arc<[LogKey]>>);

impl Keyring {
    /// Keeps the log key of `vault` in the log with the id `log`.
    pub(crate) fn insert(&mut self, vault: &VaultName, key: &NamesKey, log: &str) {
        let keys = key.0.iter().map(|key| LogKey::derive(vault, key, log));
        if let Some(keys) = keys.collect() {
            self.0.insert(vault.clone(), keys);
        }
    }

    /// Forgets it.
    pub(crate) fn remove(&mut self, vault: &VaultName) {
        self.0.remove(vault);
    }

    /// Seals `names` for the entry `seq`; `None` without a key.
    pub(crate) fn seal(&self, vault: &VaultName, seq: u64, names: &Names<'_>) -> Option<String> {
        self.0.get(vault)?.first()?.seal(vault, seq, names)
    }

    /// Puts the names of `entry` back where they can be opened.
    pub(crate) fn open_names(&self, entry: &mut Entry<'static>) {
        let names = match (&entry.vault, &entry.sealed) {
            (Some(vault), Some(sealed)) => self.open(vault, entry.seq.0, sealed),
            (_, None) | (None, _) => None,
        };
        if let Some(names) = names {
            entry.put_names(names);
        }
    }

    /// Opens what [`Self::seal`] sealed; `None` without the key or when it was changed.
    pub(crate) fn open(&self, vault: &str, seq: u64, sealed: &str) -> Option<Names<'static>> {
        let vault = VaultName::try_from(vault).ok()?;
        self.0.get(&vault)?.iter().find_map(|key| key.open(&vault, seq, sealed))
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

/// HKDF-SHA256(salt = log id as text, key = names key, info = purpose and vault name).
struct LogKey(SecretBox<[u8; 32]>);

impl LogKey {
    fn derive(vault: &VaultName, key: &[u8; 32], log: &str) -> Option<Self> {
        let mut derived = SecretBox::<[u8; 32]>::default();
        let info = [PURPOSE, vault.as_str().as_bytes()].concat();
        let expander = Hkdf::<Sha256>::new(Some(log.as_bytes()), key);
        expander.expand(&info, &mut derived[..]).ok()?;
        Some(Self(derived))
    }

    fn seal(&self, vault: &VaultName, seq: u64, names: &Names<'_>) -> Option<String> {
        let mut text = Zeroizing::new(serde_json::to_vec(names).ok()?);
        let padded = text.len().next_multiple_of(PADDING);
        text.resize(padded, b' ');
        let associated = associated(vault, seq);
        let payload = Payload { msg: &text[..], aad: &associated };
        Some(STANDARD.encode(self.cipher()?.encrypt(&nonce(seq), payload).ok()?))
    }

    fn open(&self, vault: &VaultName, seq: u64, sealed: &str) -> Option<Names<'static>> {
        let sealed = STANDARD.decode(sealed).ok()?;
        let associated = associated(vault, seq);
        let payload = Payload { msg: &sealed[..], aad: &associated };
        let text = Zeroizing::new(self.cipher()?.decrypt(&nonce(seq), payload).ok()?);
        serde_json::from_slice::<OwnedNames>(&text).ok().map(|names| names.0)
    }

    fn cipher(&self) -> Option<Aes256GcmSiv> {
        Aes256GcmSiv::new_from_slice(&self.0[..]).ok()
    }
}

/// Names that borrow nothing from the text they were read from, which is wiped.
#[derive(serde::Deserialize)]
struct OwnedNames(Names<'static>);

/// Four zero bytes and the seq, big-endian.
fn nonce(seq: u64) -> Nonce {
    let mut nonce = Nonce::default();
    nonce[4..].copy_from_slice(&seq.to_be_bytes());
    nonce
}

/// The vault's name and the seq, big-endian: a sealed text opens nowhere else.
fn associated(vault: &VaultName, seq: u64) -> Vec<u8> {
    [vault.as_str().as_bytes(), &seq.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;

    fn vault(name: &str) -> VaultName {
        VaultName::try_from(name).unwrap()
    }

    fn names(path: &str) -> Names<'_> {
        Names { path: Some(Cow::Borrowed(path)), ..Names::default() }
    }

    fn keyring(log: &str) -> Keyring {
        let mut keyring = Keyring::default();
        let key = NamesKey::from_bytes(SecretBox::make(|| [7; 32]));
        keyring.insert(&vault("work"), &key, log);
        keyring.insert(&vault("home"), &key, log);
        keyring
    }

    #[test]
    fn sealed_names_open_with_their_vault_seq_and_log_and_nowhere_else() {
        let keyring = keyring("log");
        let sealed = keyring.seal(&vault("work"), 7, &names("db/password")).unwrap();
        assert_eq!(keyring.open("work", 7, &sealed), Some(names("db/password")));
        assert_eq!(keyring.open("work", 8, &sealed), None);
        assert_eq!(keyring.open("home", 7, &sealed), None);
        assert_eq!(super::tests::keyring("other").open("work", 7, &sealed), None);
    }

    #[test]
    fn short_names_of_any_length_seal_to_the_same_length() {
        let keyring = keyring("log");
        let length = |path: &str| keyring.seal(&vault("work"), 1, &names(path)).unwrap().len();
        assert_eq!(length("a"), length("production/database/password"));
        assert!(length(&"a".repeat(200)) > length("a"));
    }

    #[test]
    fn a_forgotten_key_seals_and_opens_nothing() {
        let mut keyring = keyring("log");
        let sealed = keyring.seal(&vault("work"), 7, &names("a")).unwrap();
        keyring.remove(&vault("work"));
        assert_eq!(keyring.seal(&vault("work"), 7, &names("a")), None);
        assert_eq!(keyring.open("work", 7, &sealed), None);
    }

    #[test]
    fn names_sealed_under_an_older_key_still_open() {
        let mut keyring = keyring("log");
        let sealed = keyring.seal(&vault("work"), 7, &names("a")).unwrap();
        let newest = || NamesKey::from_bytes(SecretBox::make(|| [8; 32]));
        keyring.insert(&vault("work"), &newest(), "log");
        assert_eq!(keyring.open("work", 7, &sealed), None);
        let both = newest().after(vec![SecretBox::make(|| [7; 32])]);
        keyring.insert(&vault("work"), &both, "log");
        assert_eq!(keyring.open("work", 7, &sealed), Some(names("a")));
        assert_ne!(keyring.seal(&vault("work"), 7, &names("a")), Some(sealed));
    }

    #[test]
    fn keys_do_not_show_themselves() {
        let key = NamesKey::from_bytes(SecretBox::make(|| [7; 32]));
        assert_eq!(format!("{key:?}"), "NamesKey(..)");
        assert_eq!(format!("{:?}", keyring("log")), "{VaultName(\"home\"), VaultName(\"work\")}");
    }
}
