//! Makes the vault with its third key that `tests/released.rs` opens; the second is not gone yet.
//!
//! `cargo run -p ward-store --example make_rekeyed_vault -- mountd/store/tests/released/v1-rekeyed`

use std::error::Error;
use std::path::PathBuf;
use ward_policy::{FileId, SecretName};
use ward_store::{Keyfile, NewSlot, NewVault, SlotSecret, Vault, VaultKind, WallTime};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args_os().nth(1).ok_or("name a new directory")?);
    std::fs::create_dir(&folder)?;
    let keyfile = Keyfile::create(&folder.join("key"))?;
    let settings = NewVault { kind: VaultKind::Secrets, label: "rekeyed".to_owned() };
    let directory = folder.join("vault");
    Vault::create(&directory, &settings, &NewSlot::Keyfile(&keyfile))?;
    let secret = SlotSecret::Keyfile(keyfile);
    let (vault, _) = Vault::unlock(&directory, &secret)?;
    put(&vault, "first", b"written under the first key")?;
    vault.rekey(&[SlotSecret::Keyfile(Keyfile::read(&folder.join("key"))?)], &[])?;
    while vault.is_rekeying() {
        vault.compact(u64::MAX)?;
    }
    put(&vault, "second", b"written under the second key")?;
    vault.rekey(&[SlotSecret::Keyfile(Keyfile::read(&folder.join("key"))?)], &[])?;
    vault.close()?;
    let (vault, _) = Vault::unlock(&directory, &secret)?;
    put(&vault, "third", b"written under the third key")?;
    vault.close()?;
    for left in ["lock", "reserve"] {
        let _may_be_absent = std::fs::remove_file(directory.join(left));
    }
    Ok(())
}

fn put(vault: &Vault, name: &str, content: &[u8]) -> Result<FileId, Box<dyn Error>> {
    let time = WallTime::from_nanoseconds(1_000_000_000);
    let name = SecretName::try_from(name.as_bytes())?;
    let file = vault.create_file(vault.root(), &name, time)?;
    vault.write_version(file, content, time)?;
    vault.sync()?;
    Ok(file)
}
