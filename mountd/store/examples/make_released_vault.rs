//! Makes the vault that `tests/released.rs` opens: once for each released format, never again.
//!
//! `cargo run -p ward-store --example make_released_vault -- secrets mountd/store/tests/released/v1`
//! `cargo run -p ward-store --example make_released_vault -- workspace mountd/store/tests/released/v1-workspace`

use std::error::Error;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use ward_policy::SecretName;
use ward_store::{
    AllocateMode, EntryName, Existing, Keyfile, NewNode, NewSlot, NewVault, NodeType, Passphrase,
    PassphraseCost, RecoveryCode, RenameMode, SetAttributes, SlotSecret, Vault, VaultKind,
    WallTime, XattrMode,
};
use zeroize::Zeroizing;

type Done = Result<(), Box<dyn Error>>;

fn main() -> Done {
    let mut arguments = std::env::args_os().skip(1);
    let kind = arguments.next().ok_or("say secrets or workspace")?;
    let folder = PathBuf::from(arguments.next().ok_or("name a new directory")?);
    std::fs::create_dir(&folder)?;
    if kind == "workspace" { make_workspace(&folder) } else { make_secrets(&folder) }
}

fn make_secrets(folder: &Path) -> Done {
    let (directory, secret) = create(folder, VaultKind::Secrets)?;
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

/// Every change of a workspace: half of them in an image, half behind it.
fn make_workspace(folder: &Path) -> Done {
    let (directory, secret) = create(folder, VaultKind::Workspace)?;
    let (vault, _) = Vault::unlock(&directory, &secret)?;
    fill_workspace(&vault)?;
    vault.close()?;

    let (vault, _) = Vault::unlock(&directory, &secret)?;
    change_workspace(&vault)?;
    vault.close()?;
    // It holds everything; without it, the log behind the first is read too.
    std::fs::remove_file(directory.join("images/0000000002"))?;
    remove_lock(&directory)
}

fn create(folder: &Path, kind: VaultKind) -> Result<(PathBuf, SlotSecret), Box<dyn Error>> {
    let keyfile = Keyfile::create(&folder.join("key"))?;
    let settings = NewVault { kind, label: "released".to_owned() };
    let directory = folder.join("vault");
    Vault::create(&directory, &settings, &NewSlot::Keyfile(&keyfile))?;
    Ok((directory, SlotSecret::Keyfile(keyfile)))
}

fn fill_workspace(vault: &Vault) -> Done {
    let root = vault.root();
    let new = |node_type| NewNode {
        node_type,
        mode: 0o640,
        uid: 1000,
        gid: 100,
        device: if node_type == NodeType::BlockDevice { 0x801 } else { 0 },
        target: if node_type == NodeType::Symlink { b"source/long" } else { b"" },
    };
    let folder = vault.make_node(root, &entry("source")?, new(NodeType::Directory), at(1))?.file;
    let file = vault.make_node(folder, &entry("long")?, new(NodeType::File), at(2))?.file;
    vault.write_node(file, 0, &long(), at(3))?;
    vault.write_node(file, 100, b"over what was there", at(4))?;
    vault.allocate(file, 30_000, 5_000, AllocateMode::PunchHole, at(5))?;
    vault.link_entry(file, (root, &entry("second\nname")?), at(6))?;
    vault.set_xattr(file, (b"user.kind", b"golden"), XattrMode::Any, at(7))?;
    vault.set_xattr(file, (b"user.gone", b"soon"), XattrMode::Any, at(7))?;
    for (name, node_type) in [
        ("link", NodeType::Symlink),
        ("fifo", NodeType::Fifo),
        ("socket", NodeType::Socket),
        ("device", NodeType::BlockDevice),
        ("gone", NodeType::File),
        ("first", NodeType::File),
        ("other", NodeType::Directory),
    ] {
        vault.make_node(root, &entry(name)?, new(node_type), at(8))?;
    }
    Ok(())
}

fn change_workspace(vault: &Vault) -> Done {
    let root = vault.root();
    let file = vault.find_entry(root, &entry("second\nname")?)?.file;
    let folder = vault.find_entry(root, &entry("source")?)?.file;
    let first = vault.find_entry(root, &entry("first")?)?.file;
    vault.write_node(file, 80_000, b"behind a hole", at(9))?;
    vault.append_node(first, b"appended", at(10))?;
    vault.remove_xattr(file, b"user.gone", at(11))?;
    vault.unlink_entry(root, &entry("gone")?, at(12))?;
    let (from, to) = (entry("first")?, entry("renamed")?);
    vault.rename_entry((root, &from), (folder, &to), RenameMode::Replace, at(13))?;
    let (one, two) = (entry("other")?, entry("renamed")?);
    vault.rename_entry((root, &one), (folder, &two), RenameMode::Exchange, at(14))?;
    let set = SetAttributes { mode: Some(0o4755), accessed: Some(at(99)), ..Default::default() };
    vault.set_attributes(file, &set, at(15))?;
    Ok(())
}

fn entry(text: &str) -> Result<EntryName, ward_store::EntryNameError> {
    EntryName::try_from(text.as_bytes())
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
