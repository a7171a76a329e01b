//! Names of a source in a vault: files without a version, made and removed as the source has them.

use crate::clock;
use crate::vault_table::OpenVault;
use std::collections::{BTreeMap, BTreeSet};
use ward_policy::{FileId, SecretName, SecretPath};
use ward_store::{ChangeError, NodeKind, Vault};

/// What a vault shows of a source now.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Shown {
    pub(super) entries: usize,
    pub(super) left_out: u64,
}

/// What lies below a folder, by path; of folders those further down first.
#[derive(Default)]
struct Below {
    files: BTreeMap<SecretPath, FileId>,
    folders: Vec<SecretPath>,
}

/// Has `open` show exactly `names` below `at`. Secrets of its own that lie there stay what they are.
pub(super) fn show(
    open: &OpenVault,
    at: &SecretPath,
    names: BTreeSet<SecretPath>,
) -> Result<Shown, ChangeError> {
    let vault = &open.vault;
    let mut shown = Shown::default();
    let names = without_folders(names, &mut shown);
    let below = Below::of(vault, at);
    for (path, file) in &below.files {
        if !names.contains(path) && vault.current_version(*file).is_none() {
            remove(vault, path, *file)?;
        }
    }
    for folder in &below.folders {
        let is_empty = vault.find(folder).is_some_and(|file| vault.entries(file).is_empty());
        let is_left = is_empty && !names.iter().any(|name| name.is_within(folder));
        if let Some((above, name)) = place(vault, folder).filter(|_| is_left) {
            vault.remove_directory(above, &name, clock::file_time())?;
        }
    }
    for name in &names {
        match below.files.get(name) {
            Some(file) if vault.current_version(*file).is_some() => shown.left_out += 1,
            Some(_) => shown.entries += 1,
            None => match make(vault, name) {
                Ok(()) => shown.entries += 1,
                Err(ChangeError::Exists | ChangeError::NotDirectory | ChangeError::Name(_)) => {
                    shown.left_out += 1;
                }
                Err(error) => return Err(error),
            },
        }
    }
    Ok(shown)
}

/// `pass` can have an entry and a folder of one name, a vault cannot: the folder is shown.
fn without_folders(names: BTreeSet<SecretPath>, shown: &mut Shown) -> BTreeSet<SecretPath> {
    let above = |name: &SecretPath| {
        std::iter::successors(name.parent(), SecretPath::parent).collect::<Vec<_>>()
    };
    let folders: BTreeSet<SecretPath> = names.iter().flat_map(above).collect();
    let (folders, names) = names.into_iter().partition(|name| folders.contains(name));
    let left_out: BTreeSet<SecretPath> = folders;
    shown.left_out += u64::try_from(left_out.len()).unwrap_or(u64::MAX);
    names
}

impl Below {
    fn of(vault: &Vault, at: &SecretPath) -> Self {
        let mut below = Self::default();
        if let Some(folder) = vault.find(at) {
            below.add(vault, folder);
        }
        below
    }

    fn add(&mut self, vault: &Vault, folder: FileId) {
        for entry in vault.entries(folder) {
            let Some(path) = vault.path_of(entry.file) else { continue };
            match entry.kind {
                NodeKind::File => drop(self.files.insert(path, entry.file)),
                NodeKind::Directory => {
                    self.add(vault, entry.file);
                    self.folders.push(path);
                }
            }
        }
    }
}

/// The folder that a path lies in, and its name there.
fn place(vault: &Vault, path: &SecretPath) -> Option<(FileId, SecretName)> {
    let name = path.parts().next_back().and_then(|part| SecretName::try_from(part).ok())?;
    let folder = match path.parent() {
        Some(parent) => vault.find(&parent)?,
        None => vault.root(),
    };
    Some((folder, name))
}

/// Without a trace, unless there is a history of a secret that had the name before.
fn remove(vault: &Vault, path: &SecretPath, file: FileId) -> Result<(), ChangeError> {
    if vault.versions(file).is_empty() {
        return vault.shred(file, clock::file_time());
    }
    match place(vault, path) {
        Some((folder, name)) => vault.unlink(folder, &name, clock::file_time()),
        None => Ok(()),
    }
}

fn make(vault: &Vault, path: &SecretPath) -> Result<(), ChangeError> {
    if let Some(parent) = path.parent() {
        make_folders(vault, &parent)?;
    }
    let (folder, name) = place(vault, path).ok_or(ChangeError::NotDirectory)?;
    vault.create_file(folder, &name, clock::file_time()).map(drop)
}

fn make_folders(vault: &Vault, path: &SecretPath) -> Result<(), ChangeError> {
    if vault.find(path).is_some() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        make_folders(vault, &parent)?;
    }
    let (folder, name) = place(vault, path).ok_or(ChangeError::NotDirectory)?;
    vault.make_directory(folder, &name, clock::file_time()).map(drop)
}
