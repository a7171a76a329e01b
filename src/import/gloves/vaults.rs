//! Vaults of gloves: volumes of gocryptfs, whose passphrases are secrets beside them.

use super::root::text_of;
use crate::import::decrypted::{by_age, by_gpg};
use std::path::{Path, PathBuf};
use toml::{Table, Value};
use ward_mountd::control::message::Owner;
use zeroize::Zeroizing;

/// One of them.
#[derive(Debug)]
pub(crate) struct GlovesVault {
    /// Its name, here too.
    pub(crate) name: String,
    /// The directory with its `gocryptfs.conf`.
    pub(crate) volume: PathBuf,
    pub(crate) owner: Owner,
    /// The sealed file with its passphrase.
    key: PathBuf,
}

/// The vaults of a root, by their names. `store` is the password store of humans, if there is one.
pub(crate) fn find(root: &Path, store: Option<&Path>) -> Vec<GlovesVault> {
    let listed = std::fs::read_dir(root.join("encrypted")).into_iter().flatten();
    let mut vaults: Vec<GlovesVault> = listed
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let owner = owner(&root.join("vaults").join(format!("{name}.toml")));
            let secret = PathBuf::from("vault").join(&name);
            let key = match (owner, store) {
                (Owner::Human, Some(store)) => store.join(secret).with_added_extension("gpg"),
                (Owner::Human, None) | (Owner::Agent, _) => {
                    root.join("store").join(secret).with_added_extension("age")
                }
            };
            Some(GlovesVault { name, volume: entry.path(), owner, key })
        })
        .collect();
    vaults.sort_by(|a, b| a.name.cmp(&b.name));
    vaults
}

impl GlovesVault {
    /// Its passphrase. The secret is random bytes, of which gocryptfs takes those before the first
    /// newline.
    pub(crate) fn passphrase(&self, identities: &str) -> Result<Zeroizing<Vec<u8>>, String> {
        if !self.key.is_file() {
            return Err(format!("its passphrase is not there: {}", self.key.display()));
        }
        let secret = match self.owner {
            Owner::Agent => by_age(&self.key, identities)?,
            Owner::Human => by_gpg(&self.key)?,
        };
        let line = secret.split(|byte| *byte == b'\n').next().unwrap_or_default();
        Ok(Zeroizing::new(line.to_vec()))
    }
}

/// Whose a vault is: that of agents, unless its file says that it is a human's.
fn owner(file: &Path) -> Owner {
    let table = text_of(file, 64 << 10).and_then(|text| text.parse::<Table>().ok());
    let vault = table.as_ref().and_then(|table| table.get("vault"));
    match vault.and_then(|vault| vault.get("owner")).and_then(Value::as_str) {
        Some("human") => Owner::Human,
        Some(_) | None => Owner::Agent,
    }
}
