//! A place: an unlocked vault as it can be reached, by a mount or by one command, until an end.

use crate::vault_table::OpenVault;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use ward_policy::{FileId, Moment, OperationSet, Question, SecretPath, Ticket, VaultName};

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
    ends: Moment,
    has_ended: AtomicBool,
}

/// A secret at a place: which file it is, and its name now.
#[derive(Clone, Debug)]
pub(crate) struct Secret {
    pub(crate) vault: VaultName,
    pub(crate) path: SecretPath,
    pub(crate) file: Option<FileId>,
}

impl Place {
    pub(crate) fn new(
        vault: Arc<OpenVault>,
        access: Access,
        mount: Option<String>,
        ends: Moment,
    ) -> Self {
        Self { vault, access, mount, ends, has_ended: AtomicBool::new(false) }
    }

    /// When it ends at the latest.
    pub(crate) const fn ends(&self) -> Moment {
        self.ends
    }

    /// Whether anything can still be had here. False from the deadline on, whoever is late.
    pub(crate) fn is_open(&self, now: Moment) -> bool {
        now < self.ends && !self.has_ended.load(Ordering::Acquire)
    }

    /// Ends it, before its deadline too.
    pub(crate) fn end(&self) {
        self.has_ended.store(true, Ordering::Release);
    }

    /// The secret behind a file; `None` for the top directory or a file that is gone.
    pub(crate) fn secret_of(&self, file: FileId) -> Option<Secret> {
        let path = self.vault.vault.path_of(file)?;
        Some(Secret { vault: self.vault.name.clone(), path, file: Some(file) })
    }
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
        }
    }
}
