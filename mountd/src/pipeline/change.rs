//! Changes of names: create, rename, remove, cut, decided at once and recorded before they happen.

use super::open::{Content, OpenRequest, Patience};
use super::{Occasion, OpenError, Pipeline, WriteError};
use crate::caller::{Asker, IdentifyError};
use crate::clock;
use crate::handle_table::HandleId;
use crate::place::{Access, Place, Secret};
use std::sync::Arc;
use ward_audit::{AppendError, Durability, EventType, Outcome, Record};
use ward_policy::{
    Caller, Decision, FileId, NameFault, Operation, OperationSet, RequestId, SecretName, SecretPath,
};
use ward_store::{Existing, NodeKind};

/// A pending change of a name would block its whole folder for everybody, unkillably (measured).
const NEVER_HELD: &str = "a change of a name waits for nobody, and this one needs an approval";

/// Why a change did not happen.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChangeError {
    /// The name is no name.
    #[error(transparent)]
    Name(#[from] NameFault),
    /// There is nothing under that name, or nothing the caller may know of.
    #[error("no such name")]
    NoSuchName,
    /// Nobody could be identified.
    #[error(transparent)]
    Unidentified(#[from] IdentifyError),
    /// No; the id is all the caller learns.
    #[error("refused: {0}")]
    Denied(RequestId),
    /// The mount has ended.
    #[error("the mount has ended")]
    Ended,
    /// The mount takes no changes.
    #[error("the mount is read-only")]
    ReadOnly,
    /// The store could not do it.
    #[error(transparent)]
    Store(#[from] ward_store::ChangeError),
    /// The log took no record.
    #[error(transparent)]
    Log(#[from] AppendError),
    /// The new length could not be kept.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The new file could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
}

/// A name in a folder of a place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) folder: FileId,
    pub(crate) name: &'a SecretName,
}

/// What is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removed {
    File,
    Folder,
}

impl Pipeline {
    /// Creates a file and opens it, decided at once: a pending CREATE would block its whole folder,
    /// so what needs approval is refused.
    pub(crate) fn create(
        self: &Arc<Self>,
        place: &Arc<Place>,
        entry: Entry<'_>,
        asker: Asker,
        operations: OperationSet,
    ) -> Result<(FileId, HandleId), ChangeError> {
        let caller = self.begin(place, asker)?;
        let secret = secret_at(place, entry)?;
        self.permit(&caller, &secret, operations)?;
        let record = changing(EventType::FileCreate, &caller, &secret);
        let _recorded = self.log.append(record, Durability::Durable, clock::stamp())?;
        let vault = &place.vault.vault;
        let file = vault.create_file(entry.folder, entry.name, clock::file_time())?;
        let content = Content::Keep;
        let request = OpenRequest {
            file,
            asker,
            operations,
            content,
            patience: Patience::None,
            handed: None,
        };
        match self.open(place, request)? {
            super::Opening::Admitted(handle) => Ok((file, handle)),
            super::Opening::Held(_) | super::Opening::Fetched(_) => Err(ChangeError::Ended),
        }
    }

    /// Makes a folder, for those who may write something in it.
    pub(crate) fn make_folder(
        &self,
        place: &Place,
        entry: Entry<'_>,
        asker: Asker,
    ) -> Result<FileId, ChangeError> {
        let caller = self.begin(place, asker)?;
        let secret = secret_at(place, entry)?;
        self.permit_folder(&caller, &secret)?;
        let record = changing(EventType::FileCreate, &caller, &secret);
        let _recorded = self.log.append(record, Durability::Durable, clock::stamp())?;
        Ok(place.vault.vault.make_directory(entry.folder, entry.name, clock::file_time())?)
    }

    /// Removes a name. The history of a secret stays until it is revoked.
    pub(crate) fn remove(
        &self,
        place: &Place,
        entry: Entry<'_>,
        asker: Asker,
        removed: Removed,
    ) -> Result<(), ChangeError> {
        let caller = self.begin(place, asker)?;
        let secret = secret_at(place, entry)?;
        match removed {
            Removed::File => {
                self.permit(&caller, &secret, OperationSet::of(Operation::FileWrite))?;
            }
            Removed::Folder => self.permit_folder(&caller, &secret)?,
        }
        let vault = &place.vault.vault;
        vault.lookup(entry.folder, entry.name).ok_or(ChangeError::NoSuchName)?;
        let record = changing(EventType::FileRemove, &caller, &secret);
        let _recorded = self.log.append(record, Durability::Durable, clock::stamp())?;
        match removed {
            Removed::File => {
                vault.unlink(entry.folder, entry.name, clock::file_time())?;
                if let Some(file) = secret.file {
                    self.end_grants_of(&secret.vault, file, "the file was removed");
                }
            }
            Removed::Folder => {
                vault.remove_directory(entry.folder, entry.name, clock::file_time())?;
            }
        }
        Ok(())
    }

    /// Renames a file: write on both names, and read on the source, whose content shows up
    /// elsewhere. Leases on a file that is replaced end.
    pub(crate) fn rename(
        &self,
        place: &Place,
        from: Entry<'_>,
        to: Entry<'_>,
        asker: Asker,
        existing: Existing,
    ) -> Result<(), ChangeError> {
        let caller = self.begin(place, asker)?;
        let vault = &place.vault.vault;
        let source = secret_at(place, from)?;
        let target = secret_at(place, to)?;
        let file = source.file.ok_or(ChangeError::NoSuchName)?;
        let write = OperationSet::of(Operation::FileWrite);
        if vault.attributes(file).is_some_and(|attributes| attributes.kind == NodeKind::Directory) {
            self.permit_folder(&caller, &source)?;
            self.permit_folder(&caller, &target)?;
        } else {
            self.permit(&caller, &source, write.with(Operation::FileRead))?;
            self.permit(&caller, &target, write)?;
        }
        let record = changing(EventType::FileRename, &caller, &source).renamed_to(&target.path);
        let _recorded = self.log.append(record, Durability::Durable, clock::stamp())?;
        let time = clock::file_time();
        vault.rename((from.folder, from.name), (to.folder, to.name), existing, time)?;
        if let Some(replaced) = target.file {
            self.leases.withdraw_file(&target.vault, replaced);
            self.end_grants_of(&target.vault, replaced, "the file was replaced");
        }
        Ok(())
    }

    /// Cuts or lengthens a file that the caller has not open: a version of its own, at once.
    pub(crate) fn truncate(
        self: &Arc<Self>,
        place: &Arc<Place>,
        file: FileId,
        asker: Asker,
        length: u64,
    ) -> Result<(), ChangeError> {
        self.begin(place, asker)?;
        let operations = OperationSet::of(Operation::FileWrite);
        let content = if length == 0 { Content::Truncate } else { Content::Keep };
        let request = OpenRequest {
            file,
            asker,
            operations,
            content,
            patience: Patience::None,
            handed: None,
        };
        let super::Opening::Admitted(handle) = self.open(place, request)? else {
            return Err(ChangeError::Ended);
        };
        let cut = self.truncate_open(handle, asker, length);
        let settled = cut.and_then(|()| self.settle(handle, Occasion::Settle));
        let released = self.release(handle);
        Ok(settled.and(released)?)
    }

    /// Sets times, for those who may write.
    pub(crate) fn may_write(
        &self,
        place: &Place,
        file: FileId,
        asker: Asker,
    ) -> Result<(), ChangeError> {
        let caller = self.begin(place, asker)?;
        let secret = place.secret_of(file).ok_or(ChangeError::NoSuchName)?;
        self.permit(&caller, &secret, OperationSet::of(Operation::FileWrite))
    }

    pub(super) fn begin(&self, place: &Place, asker: Asker) -> Result<Arc<Caller>, ChangeError> {
        let caller = self.callers.identify_here(asker)?;
        if !place.is_open(clock::now()) {
            return Err(ChangeError::Ended);
        }
        match place.access {
            Access::ReadOnly => Err(ChangeError::ReadOnly),
            Access::ReadWrite => Ok(caller),
        }
    }

    pub(super) fn permit(
        &self,
        caller: &Caller,
        secret: &Secret,
        operations: OperationSet,
    ) -> Result<(), ChangeError> {
        if self.is_of_a_source(&secret.vault, &secret.path) {
            return Err(ChangeError::ReadOnly);
        }
        let question = secret.question(operations, None);
        let refused = match self.decide(caller, secret.kind, &question) {
            Decision::Permitted(permit) => {
                let _spent_on_this_change = permit.spend();
                return Ok(());
            }
            Decision::NeedsApproval(request) if self.leases.find(&request, caller).is_some() => {
                return Ok(());
            }
            Decision::NeedsApproval(_) => self.record_no(secret, caller, &question, &NEVER_HELD),
            Decision::Denied(denial) => self.record_no(secret, caller, &question, &denial),
        };
        Err(ChangeError::Denied(refused?))
    }

    pub(super) fn permit_folder(
        &self,
        caller: &Caller,
        secret: &Secret,
    ) -> Result<(), ChangeError> {
        let rules = self.policy.rules();
        if self.is_of_a_source(&secret.vault, &secret.path) {
            return Err(ChangeError::ReadOnly);
        }
        if rules.may_write_in(caller, &secret.vault, Some(&secret.path), clock::local(&rules)) {
            return Ok(());
        }
        self.permit(caller, secret, OperationSet::of(Operation::FileWrite))
    }
}

pub(super) fn changing<'a>(event: EventType, caller: &'a Caller, secret: &'a Secret) -> Record<'a> {
    Record::new(event)
        .by(caller)
        .on(&secret.vault, &secret.path)
        .vault_kind(secret.kind)
        .operations(OperationSet::of(Operation::FileWrite))
        .decision(Outcome::Permitted)
}

/// The secret that an entry is or would be.
fn secret_at(place: &Place, entry: Entry<'_>) -> Result<Secret, ChangeError> {
    let vault = &place.vault.vault;
    let folder = if entry.folder == vault.root() {
        None
    } else {
        Some(vault.path_of(entry.folder).ok_or(ChangeError::NoSuchName)?)
    };
    let path = SecretPath::within(folder.as_ref(), entry.name)?;
    let file = vault.lookup(entry.folder, entry.name);
    Ok(Secret { vault: place.vault.name.clone(), kind: place.kind(), path, file })
}
