//! A place: an unlocked vault as it can be reached, by a mount or by one command, until an end.

use crate::filesystem::Invalidator;
use crate::term::Term;
use crate::vault_table::OpenVault;
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use ward_policy::{
    FileId, Moment, NameFault, OperationSet, Question, SecretPath, Ticket, VaultName,
};
use ward_store::VaultKind;

/// The most bytes of a part of a path.
const LONGEST_PART: usize = 255;

/// What may be done at a place at all, before policy is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Changes are refused.
    ReadOnly,
    /// Policy decides.
    ReadWrite,
}

/// An unlocked vault within reach.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) vault: Arc<OpenVault>,
    pub(crate) access: Access,
    /// The id in the log; absent for a command.
    pub(crate) mount: Option<String>,
    pub(crate) term: Arc<Term>,
    /// The program that a command passes the bytes on to.
    pub(crate) used: Option<String>,
    is_closed: AtomicBool,
    /// Takes back what the kernel keeps of a workspace; none where it keeps nothing.
    pages: OnceLock<Invalidator>,
}

/// A secret at a place: which file it is, and its name now.
#[derive(Clone, Debug)]
pub(crate) struct Secret {
    pub(crate) vault: VaultName,
    pub(crate) kind: VaultKind,
    pub(crate) path: SecretPath,
    pub(crate) file: Option<FileId>,
}

impl Place {
    pub(crate) fn new(
        vault: Arc<OpenVault>,
        access: Access,
        mount: Option<String>,
        term: Term,
    ) -> Self {
        let (is_closed, pages) = (AtomicBool::new(false), OnceLock::new());
        let (term, used) = (Arc::new(term), None);
        Self { vault, access, mount, term, used, is_closed, pages }
    }

    /// The same, from where bytes go on to `program`.
    #[must_use]
    pub(crate) fn used_by(self, program: Option<&str>) -> Self {
        Self { used: program.map(str::to_owned), ..self }
    }

    /// The kind of its vault.
    pub(crate) fn kind(&self) -> VaultKind {
        self.vault.vault.kind()
    }

    /// Whether anything can still be had here. False from the deadline on, whoever is late.
    pub(crate) fn is_open(&self, now: Moment) -> bool {
        self.term.is_open(now)
    }

    /// Ends also what the kernel still writes back after the end: it is all there.
    pub(crate) fn close(&self) {
        self.term.end();
        self.is_closed.store(true, Ordering::Release);
    }

    /// Whether what the kernel writes back is still taken.
    pub(crate) fn takes_pages(&self) -> bool {
        !self.is_closed.load(Ordering::Acquire)
    }

    /// From now on the kernel keeps pages, and `pages` takes them back.
    pub(crate) fn keep_pages(&self, pages: Invalidator) {
        let _only_setter = self.pages.set(pages);
    }

    /// Takes back what the kernel keeps; `None` where it keeps nothing.
    pub(crate) fn pages(&self) -> Option<&Invalidator> {
        self.pages.get()
    }

    /// The secret behind a file; `None` for the top directory or a file that is gone.
    pub(crate) fn secret_of(&self, file: FileId) -> Option<Secret> {
        self.secrets_of(file).ok()?.into_iter().next()
    }

    /// Every name of a file; none for the top directory or a file that is gone.
    ///
    /// # Errors
    /// A name of a workspace that policy cannot speak of.
    pub(crate) fn secrets_of(&self, file: FileId) -> Result<Vec<Secret>, NameFault> {
        let (name, kind) = (&self.vault.name, self.kind());
        let secret = |path| Secret { vault: name.clone(), kind, path, file: Some(file) };
        let vault = &self.vault.vault;
        match kind {
            VaultKind::Secrets => Ok(vault.path_of(file).map(secret).into_iter().collect()),
            VaultKind::Workspace => {
                let paths = vault.paths_of(file);
                let paths = paths.iter().filter(|path| !path.is_empty());
                paths.map(|path| told(path).map(secret)).collect()
            }
        }
    }

    /// The name of an entry of a workspace, whether or not there is one.
    ///
    /// # Errors
    /// A name that policy cannot speak of.
    pub(crate) fn secret_in(
        &self,
        folder: FileId,
        name: &[u8],
        file: Option<FileId>,
    ) -> Result<Secret, NameFault> {
        let folders = self.vault.vault.paths_of(folder);
        let path = match folders.first() {
            Some(folder) if !folder.is_empty() => told(&[folder, b"/".as_slice(), name].concat()),
            Some(_) | None => told(name),
        };
        Ok(Secret { vault: self.vault.name.clone(), kind: self.kind(), path: path?, file })
    }
}

/// A path of a workspace as policy and log know it: a part with a control character has it as
/// `\xNN`, and each backslash twice; one that gets too long has its SHA-256.
fn told(path: &[u8]) -> Result<SecretPath, NameFault> {
    let part = |part: &[u8]| -> Vec<u8> {
        if !part.iter().any(u8::is_ascii_control) {
            return part.to_vec();
        }
        let byte = |byte: &u8| match byte {
            b'\\' => br"\\".to_vec(),
            byte if byte.is_ascii_control() => format!(r"\x{byte:02x}").into_bytes(),
            byte => vec![*byte],
        };
        let told: Vec<u8> = part.iter().flat_map(byte).collect();
        if told.len() <= LONGEST_PART { told } else { digest_of_part(part) }
    };
    let path: Cow<'_, [u8]> = if path.iter().any(u8::is_ascii_control) {
        let parts: Vec<Vec<u8>> = path.split(|byte| *byte == b'/').map(part).collect();
        parts.join(&b'/').into()
    } else {
        path.into()
    };
    SecretPath::try_from(&*path).map_err(|error| error.fault)
}

/// A name that is too long once it is told: by its SHA-256, in a form that no other name has.
fn digest_of_part(part: &[u8]) -> Vec<u8> {
    let digest: String = Sha256::digest(part).iter().map(|byte| format!("{byte:02x}")).collect();
    format!(r"\sha256:{digest}").into_bytes()
}

impl Secret {
    /// The question whether `operations` may be done to it.
    pub(crate) fn question<'a>(
        &'a self,
        operations: OperationSet,
        ticket: Option<&'a Ticket>,
    ) -> Question<'a> {
        Question {
            operations,
            vault: Some(&self.vault),
            path: Some(&self.path),
            file: self.file,
            ticket,
            ..Question::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_character_is_told_as_its_number_and_other_names_as_they_are() {
        let text = |path: &[u8]| told(path).unwrap().as_bytes().to_vec();
        assert_eq!(text(b"a\\b/c d"), br"a\b/c d");
        assert_eq!(text(b"a\\b/c\nd\\"), br"a\b/c\x0ad\\");
        assert_eq!(text(b"\x7f"), br"\x7f");
        assert_eq!(text(&[1; 63]), br"\x01".repeat(63));
        assert_eq!(text(&[1; 64])[..12], *br"\sha256:7c89");
        assert_ne!(text(&[1; 64]), text(&[1; 65]));
        assert_eq!(told(b".ward"), Err(NameFault::Reserved));
        assert_eq!(told(&b"a/".repeat(2100)[..4199]), Err(NameFault::TooLong));
    }
}
