//! Makes the vault that `tests/released.rs` opens: once for each released format, never again.
//!
//! `cargo run -p ward-store --example make_released_vault -- mountd/store/tests/released/v1`

use std::error::Error;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use ward_policy::SecretName;
use ward_store::{
    Existing, Keyfile, NewSlot, NewVault, Passphrase, PassphraseCost, RecoveryCode, SlotSecret,
    Vault, VaultKind, WallTime,
};
use zeroize::Zeroizing;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args_os().nth(1).ok_or("name a new directory")?);
    std::fs::create_dir(&folder)?;
    let keyfile = Keyfile::create(&folder.join("key"))?;
    let settings = NewVault { kind: VaultKind::Secrets, label: "released".to_owned() };
    let directory = folder.join("vault");
    Vault::create(&directory, &settings, &NewSlot::Keyfile(&keyfile))?;
    let secret = SlotSecret::Keyfile(keyfile);

    let (vault, _) = Vault::unlock(&directory, &secret)?;
    let code = RecoveryCode::generate()?;
    std::fs::File::create(folder.join("recovery-code"))?.write_all(code.show().as_bytes())?;
    vault.add_slot(&NewSlot::Recovery(&code))?;
    let words = Passphrase::new(Zeroizing::new(b"a vault of each format".to_vec()));
    vault.add_slot(&NewSlot::Passphrase(&words, PassphraseCost::standard(0)))?;
    fill(&vault)?;
    vault.close()?;

    let (vault, _) = Vault::unlock(&directory, &secret)?;
    change(&vault)?;
    vault.close()?;
    remove_lock(&directory)
}

fn fill(vault: &Vault) -> Result<(), Box<dyn Error>> {
    let folder = vault.make_directory(vault.root(), &name("db")?, at(1))?;
    let file = vault.create_file(folder, &name("password")?, at(2))?;
    vault.write_version(file, b"first", at(3))?;
    let file = vault.create_file(vault.root(), &name("long")?, at(4))?;
    vault.write_version(file, &long(), at(5))?;
    for gone in ["removed", "shredded"] {
        let file = vault.create_file(vault.root(), &name(gone)?, at(6))?;
        vault.write_version(file, gone.as_bytes(), at(7))?;
    }
    vault.sync()?;
    Ok(())
}

fn change(vault: &Vault) -> Result<(), Box<dyn Error>> {
    let root = vault.root();
    let folder = vault.lookup(root, &name("db")?).ok_or("db is gone")?;
    let file = vault.create_file(root, &name("new")?, at(8))?;
    vault.write_version(file, b"second", at(9))?;
    let (from, to) = (name("new")?, name("password")?);
    vault.rename((root, &from), (folder, &to), Existing::Replace, at(10))?;
    vault.set_times(file, at(11), at(12))?;
    vault.unlink(root, &name("removed")?, at(13))?;
    let shredded = vault.lookup(root, &name("shredded")?).ok_or("shredded is gone")?;
    vault.shred(shredded, at(14))?;
    vault.make_directory(root, &name("empty")?, at(15))?;
    vault.remove_directory(root, &name("empty")?, at(16))?;
    Ok(())
}

fn long() -> Vec<u8> {
    (0..70_000_u32).map(|number| number.to_le_bytes()[0]).collect()
}

fn name(text: &str) -> Result<SecretName, ward_policy::NameFault> {
    SecretName::try_from(text.as_bytes())
}

const fn at(nanoseconds: i64) -> WallTime {
    WallTime::from_nanoseconds(nanoseconds)
}

fn remove_lock(directory: &Path) -> Result<(), Box<dyn Error>> {
    Ok(std::fs::remove_file(directory.join("lock"))?)
}
