//! Names in folders: made, renamed, removed.

use super::{Errno, SecretsFilesystem, asker};
use crate::errno;
use crate::handle_table::HandleId;
use crate::pipeline::{Entry, Removed};
use fuser::{FileAttr, INodeNo, RenameFlags, Request};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use ward_policy::{FileId, OperationSet, SecretName};
use ward_store::Existing;

impl SecretsFilesystem {
    /// A name in a folder that exists for the caller.
    fn folder_and_name(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
    ) -> Result<(FileId, SecretName), Errno> {
        let folder = self.file(parent)?;
        let caller = self.caller(request)?;
        if !self.is_visible(&caller, folder) {
            return Err(Errno::ENOENT);
        }
        Ok((folder, secret_name(name)?))
    }

    /// Creates a file and opens it.
    pub(super) fn create_file(
        &self,
        request: &Request,
        (parent, name): (INodeNo, &OsStr),
        operations: OperationSet,
    ) -> Result<(FileAttr, HandleId), Errno> {
        let (folder, name) = self.folder_and_name(request, parent, name)?;
        let entry = Entry { folder, name: &name };
        let created = self.pipeline.create(&self.place, entry, asker(request), operations);
        let (file, handle) = created.map_err(|error| errno::of_change(&error))?;
        let caller = self.caller(request)?;
        Ok((self.entry(request, &caller, file)?, handle))
    }

    pub(super) fn make_folder(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
    ) -> Result<FileAttr, Errno> {
        let (folder, name) = self.folder_and_name(request, parent, name)?;
        let entry = Entry { folder, name: &name };
        let made = self.pipeline.make_folder(&self.place, entry, asker(request));
        let file = made.map_err(|error| errno::of_change(&error))?;
        self.entry(request, &*self.caller(request)?, file)
    }

    pub(super) fn rename_names(
        &self,
        request: &Request,
        from: (INodeNo, &OsStr),
        to: (INodeNo, &OsStr),
        flags: RenameFlags,
    ) -> Result<(), Errno> {
        let existing = if flags.is_empty() {
            Existing::Replace
        } else if flags == RenameFlags::RENAME_NOREPLACE {
            Existing::Keep
        } else {
            return Err(Errno::EPERM);
        };
        let (from_folder, from_name) = self.folder_and_name(request, from.0, from.1)?;
        let (to_folder, to_name) = self.folder_and_name(request, to.0, to.1)?;
        let from = Entry { folder: from_folder, name: &from_name };
        let to = Entry { folder: to_folder, name: &to_name };
        let renamed = self.pipeline.rename(&self.place, from, to, asker(request), existing);
        renamed.map_err(|error| errno::of_change(&error))
    }

    pub(super) fn remove_name(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        removed: Removed,
    ) -> Result<(), Errno> {
        let (folder, name) = self.folder_and_name(request, parent, name)?;
        let entry = Entry { folder, name: &name };
        let removed = self.pipeline.remove(&self.place, entry, asker(request), removed);
        removed.map_err(|error| errno::of_change(&error))
    }
}

pub(super) fn secret_name(name: &OsStr) -> Result<SecretName, Errno> {
    SecretName::try_from(name.as_bytes()).map_err(errno::of_name)
}
