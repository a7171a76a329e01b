//! Commands about secrets: set, get, list, revoke.

use super::failure::{bad_input, failure, no_such_secret, of_reach, of_read, of_store};
use super::message::{
    Done, Failure, FailureCode, LONGEST_VALUE, Name, Names, Secret, SecretText, Stored, Value,
};
use super::requests::{names, vault_name};
use super::session::{About, Control};
use crate::clock;
use crate::handle_table::HandleId;
use crate::pipeline::{Content, Fills, OpenError, OpenRequest, Opening, Patience, ReadRequest};
use crate::place::{Access, Place};
use crate::source::Looks;
use crate::term::Term;
use crate::vault_table::OpenVault;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::sync::Arc;
use std::time::Duration;
use ward_audit::EventType;
use ward_policy::{
    Decision, FileId, Operation, OperationSet, Question, SecretName, SecretPath, VaultName,
};
use ward_store::{NodeKind, VaultKind};
use zeroize::Zeroizing;

/// How long one command may hold a secret open.
const PATIENCE: Duration = Duration::from_secs(60);
/// Lengths that `--generate` makes.
const GENERATED: std::ops::RangeInclusive<u32> = 8..=4096;
/// Characters of generated values: no shell, quoting or line-end trouble, 6 bits each.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/// How much is read of a secret at a time.
const PIECE: usize = 64 << 10;

impl Control<'_> {
    pub(super) fn set(&self, vault: &str, path: &str, value: &Value) -> Result<Stored, Failure> {
        let (vault, path) = names(vault, path)?;
        self.is_no_entry(&vault, &path)?;
        let open = self.reach_secrets(&vault)?;
        let file = open.vault.find(&path);
        let about = About { vault: Some(&vault), path: Some(&path), file, ..About::default() };
        let value = bytes_of(value)?;
        self.permit(Operation::SecretSet, EventType::SecretSet, about)?;
        if file
            .and_then(|file| open.vault.attributes(file))
            .is_some_and(|it| it.kind == NodeKind::Directory)
        {
            let message = format!("{path} is a folder");
            return Err(failure(FailureCode::Conflict, message, "choose another name"));
        }
        let stored = (|| {
            let file = match file {
                Some(file) => file,
                None => make_file(&open, &path)?,
            };
            open.vault.write_version(file, &value, clock::file_time())?;
            open.vault.sync()?;
            Ok(open.vault.versions(file).len())
        })();
        let versions = stored.map_err(|error| of_store(&error))?;
        Ok(Stored {
            vault: vault.to_string(),
            path: path.to_string(),
            versions: u64::try_from(versions).unwrap_or(u64::MAX),
        })
    }

    /// Reads a secret by the way of a read, as any open file is.
    pub(super) fn get(&self, vault: &str, path: &str) -> Result<Secret, Failure> {
        let (vault, path) = names(vault, path)?;
        let open = self.reach_secrets(&vault)?;
        let path = self.name_or_entry(&open, path);
        let file = self.visible_file(&open, &path)?;
        let latest = clock::now().after(PATIENCE);
        let place = Arc::new(Place::new(open, Access::ReadOnly, None, Term::until(latest)));
        let request = OpenRequest {
            file,
            asker: self.asker,
            operations: OperationSet::of(Operation::FileRead),
            content: Content::Keep,
            patience: Patience::None,
            handed: None,
        };
        let pipeline = &self.daemon.pipeline;
        let opened = pipeline.open(&place, request).and_then(|opening| match opening {
            Opening::Fetched(fetched) => fetched.wait().map(Opening::Admitted),
            decided @ (Opening::Admitted(_) | Opening::Held(_)) => Ok(decided),
        });
        let opened = opened.map_err(|error| {
            if let OpenError::NeedsApproval(id) = error {
                return self.waits_for_approval(id, None);
            }
            let (vault, path) = (Some(&vault), Some(&path));
            self.refused(&error, &Question { vault, path, ..Question::default() })
        });
        match opened? {
            Opening::Admitted(handle) => {
                let value = self.read_all(handle);
                // Nothing was written through it.
                let _nothing_to_settle = pipeline.release(handle);
                Ok(Secret { value: value? })
            }
            Opening::Held(_) | Opening::Fetched(_) => Err(no_such_secret()),
        }
    }

    fn read_all(&self, handle: HandleId) -> Result<SecretText, Failure> {
        // As large as it can get at once, so that growing leaves no copy behind.
        let mut whole = Zeroizing::new(Vec::with_capacity(LONGEST_VALUE + PIECE));
        loop {
            let offset = u64::try_from(whole.len()).unwrap_or(u64::MAX);
            let request = ReadRequest {
                handle,
                asker: self.asker,
                offset,
                length: PIECE,
                fills: Fills::Buffer,
            };
            let piece = self.daemon.pipeline.read(&request).map_err(|error| of_read(&error))?;
            if piece.is_empty() {
                return Ok(SecretText(STANDARD.encode(&whole)));
            }
            whole.extend_from_slice(&piece);
            if whole.len() > LONGEST_VALUE {
                let message = format!("the secret is over {LONGEST_VALUE} bytes long");
                return Err(bad_input(message, "mount the vault and read the file"));
            }
        }
    }

    /// The names the caller may see, with sizes of what it may read now.
    pub(super) fn list(&self, vault: &str) -> Result<Names, Failure> {
        let vault = vault_name(vault)?;
        let open = self.reach_secrets(&vault)?;
        self.daemon.pipeline.sources.refresh(&open, None, Looks::Command);
        let mut names = Vec::new();
        self.collect(&open, open.vault.root(), &mut names);
        names.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(Names { names })
    }

    fn collect(&self, open: &OpenVault, folder: FileId, names: &mut Vec<Name>) {
        for entry in open.vault.entries(folder) {
            match entry.kind {
                NodeKind::Directory => self.collect(open, entry.file, names),
                NodeKind::File => names.extend(self.name(open, entry.file)),
            }
        }
    }

    fn name(&self, open: &OpenVault, file: FileId) -> Option<Name> {
        let pipeline = &self.daemon.pipeline;
        let path = open.vault.path_of(file)?;
        let attributes = open.vault.attributes(file)?;
        let rules = pipeline.policy.rules();
        if !rules.is_visible(&self.caller, &open.name, &path, clock::local(&rules)) {
            return None;
        }
        let question = ward_policy::Question {
            operations: OperationSet::of(Operation::FileRead),
            vault: Some(&open.name),
            path: Some(&path),
            file: Some(file),
            ..ward_policy::Question::default()
        };
        let may_read = match pipeline.policy.evaluate(&self.caller, &question) {
            Decision::Permitted(permit) => {
                let _looked_at_only = permit;
                true
            }
            Decision::NeedsApproval(asked) => pipeline.leases.has(&asked, &self.caller),
            Decision::Denied(_) => false,
        };
        let modified = clock::text(clock::wall_of(attributes.modified));
        Some(Name { path: path.to_string(), bytes: may_read.then_some(attributes.size), modified })
    }

    /// Withdraws every lease on a secret, then destroys every version of it.
    pub(super) fn revoke(&self, vault: &str, path: &str) -> Result<Done, Failure> {
        let (vault, path) = names(vault, path)?;
        let open = self.reach_secrets(&vault)?;
        let file = self.visible_file(&open, &path)?;
        if open.vault.current_version(file).is_none() {
            self.is_no_entry(&vault, &path)?;
        }
        let about =
            About { vault: Some(&vault), path: Some(&path), file: Some(file), ..About::default() };
        self.permit(Operation::SecretRevoke, EventType::SecretRevoked, about)?;
        self.daemon.pipeline.leases.withdraw_file(&vault, file);
        open.vault.shred(file, clock::file_time()).map_err(|error| of_store(&error))?;
        Ok(Done {})
    }

    /// An unlocked vault, by its key file if need be.
    pub(super) fn reach(&self, vault: &VaultName) -> Result<Arc<OpenVault>, Failure> {
        self.daemon.vaults.reach(vault).map_err(|error| of_reach(&error))
    }

    /// The same, of kind `secrets`: the files of a workspace are had through its mount.
    pub(super) fn reach_secrets(&self, vault: &VaultName) -> Result<Arc<OpenVault>, Failure> {
        let open = self.reach(vault)?;
        match open.vault.kind() {
            VaultKind::Secrets => Ok(open),
            VaultKind::Workspace => {
                let message = format!("the vault {vault} is a workspace");
                let next = format!("mount it and use its files: ward vault mount {vault}");
                Err(failure(FailureCode::Unsupported, message, &next))
            }
        }
    }

    /// The name, or where a source shows it when the vault itself has no such file.
    pub(super) fn name_or_entry(&self, open: &OpenVault, path: SecretPath) -> SecretPath {
        let sources = &self.daemon.pipeline.sources;
        let is_there = self.visible_file(open, &path).is_ok();
        let instead = sources.instead(&open.name, &path).filter(|_| !is_there);
        let meant = instead.unwrap_or(path);
        sources.refresh(open, Some(&meant), Looks::Command);
        meant
    }

    /// Refuses to change what a source shows.
    pub(super) fn is_no_entry(&self, vault: &VaultName, path: &SecretPath) -> Result<(), Failure> {
        if !self.daemon.pipeline.is_of_a_source(vault, path) {
            return Ok(());
        }
        let message = format!("{path} belongs to a password store");
        Err(failure(FailureCode::Conflict, message, "change it there: pass insert, pass rm"))
    }

    pub(super) fn visible_file(
        &self,
        open: &OpenVault,
        path: &SecretPath,
    ) -> Result<FileId, Failure> {
        let rules = self.daemon.pipeline.policy.rules();
        let file = open.vault.find(path).filter(|file| {
            let attributes = open.vault.attributes(*file);
            attributes.is_some_and(|attributes| attributes.kind == NodeKind::File)
                && rules.is_visible(&self.caller, &open.name, path, clock::local(&rules))
        });
        file.ok_or_else(no_such_secret)
    }
}

/// The file at `path`, made with the folders above it.
fn make_file(open: &OpenVault, path: &SecretPath) -> Result<FileId, ward_store::ChangeError> {
    let vault = &open.vault;
    let mut folder = vault.root();
    let mut parts = path.parts().peekable();
    while let Some(part) = parts.next() {
        let Ok(name) = SecretName::try_from(part) else {
            break;
        };
        if parts.peek().is_none() {
            return vault.create_file(folder, &name, clock::file_time());
        }
        folder = match vault.lookup(folder, &name) {
            Some(found) => found,
            None => vault.make_directory(folder, &name, clock::file_time())?,
        };
    }
    // A SecretPath has at least one part, and every part of it is a name.
    Ok(folder)
}

fn bytes_of(value: &Value) -> Result<Zeroizing<Vec<u8>>, Failure> {
    match value {
        Value::Generate(length) => generate(*length),
        Value::Bytes(text) => {
            let next = "send the value in base64 (RFC 4648, padded)";
            let mut bytes = Zeroizing::new(vec![0; text.0.len()]);
            let decoded = STANDARD.decode_slice(text.0.as_bytes(), &mut bytes);
            let length = decoded.map_err(|_| bad_input("the value is no base64", next))?;
            bytes.truncate(length);
            if length > LONGEST_VALUE {
                let message = format!("the value is over {LONGEST_VALUE} bytes long");
                return Err(bad_input(message, "mount the vault and write the file"));
            }
            Ok(bytes)
        }
    }
}

fn generate(length: u32) -> Result<Zeroizing<Vec<u8>>, Failure> {
    if !GENERATED.contains(&length) {
        let message = format!("a generated value cannot be {length} characters long");
        return Err(bad_input(message, "ask for 8 to 4096"));
    }
    let mut bytes = Zeroizing::new(vec![0; usize::try_from(length).unwrap_or(0)]);
    let filled = getrandom::fill(&mut bytes);
    filled.map_err(|error| failure(FailureCode::Failed, error, "try again"))?;
    for byte in bytes.iter_mut() {
        // 64 characters divide 256, so every one is equally likely.
        *byte = ALPHABET.get(usize::from(*byte & 63)).copied().unwrap_or(b'A');
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_values_are_as_long_as_asked_and_plain_characters() {
        let value = generate(32).unwrap();
        assert_eq!(value.len(), 32);
        assert!(value.iter().all(|byte| ALPHABET.contains(byte)));
        assert_ne!(*value, *generate(32).unwrap());
        assert!(generate(7).is_err() && generate(4097).is_err());
    }
}
