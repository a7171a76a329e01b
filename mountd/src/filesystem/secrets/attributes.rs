//! Attributes: the same file looks different to each caller.
//!
//! It belongs to whoever looks, has mode 0400 or 0600 by what they may do, and shows its size only
//! to those who may read it now.

use super::names::secret_name;
use super::{Errno, SecretsFilesystem, asker};
use crate::handle_table::HandleId;
use crate::source::Looks;
use crate::{clock, errno};
use fuser::{AccessFlags, FileAttr, FileHandle, FileType, INodeNo, Request, TimeOrNow};
use std::ffi::OsStr;
use std::time::{Duration, SystemTime};
use ward_policy::{Caller, Decision, FileId, Operation, OperationSet, SecretPath};
use ward_store::{Attributes, NodeKind, WallTime};

/// What a SETATTR asks for.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) mode: Option<u32>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) size: Option<u64>,
    pub(super) modified: Option<TimeOrNow>,
    pub(super) handle: Option<FileHandle>,
}

/// Whether a caller may do something to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum May {
    Now,
    AfterApproval,
    Not,
}

impl SecretsFilesystem {
    /// What `name` in `parent` is to the caller. What must not be known is not there.
    pub(super) fn look_up(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
    ) -> Result<FileAttr, Errno> {
        let folder = self.file(parent)?;
        let caller = self.caller(request)?;
        let name = secret_name(name)?;
        let vault = &self.place.vault;
        if let Ok(path) = SecretPath::within(vault.vault.path_of(folder).as_ref(), &name) {
            self.pipeline.sources.refresh(vault, Some(&path), Looks::Mount);
        }
        let file = vault.vault.lookup(folder, &name).ok_or(Errno::ENOENT)?;
        if !self.is_visible(&caller, file) {
            return Err(Errno::ENOENT);
        }
        self.entry(request, &caller, file)
    }

    /// The attributes of `file` for a reply that counts as a look-up.
    pub(super) fn entry(
        &self,
        request: &Request,
        caller: &Caller,
        file: FileId,
    ) -> Result<FileAttr, Errno> {
        let inode = self.tree.look_up(file).ok_or(Errno::EIO)?;
        self.attributes_of(request, caller, file, inode)
    }

    pub(super) fn attributes(&self, request: &Request, inode: INodeNo) -> Result<FileAttr, Errno> {
        let file = self.file(inode)?;
        let caller = self.caller(request)?;
        self.attributes_of(request, &caller, file, inode.0)
    }

    pub(super) fn attributes_of(
        &self,
        request: &Request,
        caller: &Caller,
        file: FileId,
        inode: u64,
    ) -> Result<FileAttr, Errno> {
        let known = self.place.vault.vault.attributes(file).ok_or(errno::ENDED)?;
        let (kind, mode, size, modified) = match known.kind {
            NodeKind::Directory => {
                let modified = self.newest_visible(caller, file);
                (FileType::Directory, self.folder_mode(caller, file), 0, modified)
            }
            NodeKind::File => {
                let mode = if self.may(caller, file, Operation::FileWrite) == May::Not {
                    0o400
                } else {
                    0o600
                };
                let size = self.size_for(caller, file, &known);
                (FileType::RegularFile, mode, size, time_of(known.modified))
            }
        };
        Ok(FileAttr {
            ino: INodeNo(inode),
            size,
            blocks: size.div_ceil(512),
            atime: modified,
            mtime: modified,
            ctime: modified,
            crtime: modified,
            kind,
            perm: mode,
            nlink: 1,
            uid: request.uid(),
            gid: request.gid(),
            rdev: 0,
            blksize: 4096,
            flags: 0,
        })
    }

    /// SETATTR: length and modification time are kept; owner and mode are what they are shown as.
    pub(super) fn change_attributes(
        &self,
        request: &Request,
        inode: INodeNo,
        change: &Change,
    ) -> Result<FileAttr, Errno> {
        let file = self.file(inode)?;
        let asker = asker(request);
        let is_other_owner = change.uid.is_some_and(|uid| uid != asker.uid)
            || change.gid.is_some_and(|gid| gid != asker.gid);
        if is_other_owner {
            return Err(Errno::EPERM);
        }
        let written = match (change.size, change.handle) {
            (Some(size), Some(handle)) => self
                .pipeline
                .truncate_open(HandleId(handle.0), asker, size)
                .map_err(|error| errno::of_write(&error)),
            (Some(size), None) => self
                .pipeline
                .truncate(&self.place, file, asker, size)
                .map_err(|error| errno::of_change(&error)),
            (None, _) => Ok(()),
        };
        written?;
        if change.mode.is_some() || change.uid.is_some() || change.modified.is_some() {
            let may = self.pipeline.may_write(&self.place, file, asker);
            may.map_err(|error| errno::of_change(&error))?;
        }
        if let Some(modified) = change.modified {
            let time = match modified {
                TimeOrNow::SpecificTime(time) => wall_time_of(time),
                TimeOrNow::Now => clock::file_time(),
            };
            let set = self.place.vault.vault.set_times(file, time, clock::file_time());
            set.map_err(|error| errno::of_store(&error))?;
        }
        self.attributes(request, inode)
    }

    /// access(2): what an open would come to, without asking anybody.
    pub(super) fn check_access(
        &self,
        request: &Request,
        inode: INodeNo,
        mask: AccessFlags,
    ) -> Result<(), Errno> {
        // With the hash of its program, as the open would have it.
        let identified = self.pipeline.callers.identify_here(asker(request));
        let caller = identified.map_err(|error| errno::of_identity(&error))?;
        let shown = self.attributes(request, inode)?;
        let file = self.file(inode)?;
        let is_folder = shown.kind == FileType::Directory;
        let may_read = is_folder || self.may(&caller, file, Operation::FileRead) != May::Not;
        let may_write = shown.perm & 0o200 != 0;
        let may_execute = is_folder;
        let is_refused = (mask.contains(AccessFlags::R_OK) && !may_read)
            || (mask.contains(AccessFlags::W_OK) && !may_write)
            || (mask.contains(AccessFlags::X_OK) && !may_execute);
        if is_refused { Err(Errno::EACCES) } else { Ok(()) }
    }

    fn may(&self, caller: &Caller, file: FileId, operation: Operation) -> May {
        let Some(secret) = self.place.secret_of(file) else {
            return May::Not;
        };
        if operation == Operation::FileWrite
            && self.pipeline.is_of_a_source(&secret.vault, &secret.path)
        {
            return May::Not;
        }
        let question = secret.question(OperationSet::of(operation), None);
        match self.pipeline.decide_reading(caller, secret.kind, &question) {
            Decision::Permitted(permit) => {
                let _looked_at_only = permit;
                May::Now
            }
            Decision::NeedsApproval(asked) if self.pipeline.leases.has(&asked, caller) => May::Now,
            Decision::NeedsApproval(_) => May::AfterApproval,
            Decision::Denied(_) => May::Not,
        }
    }

    fn folder_mode(&self, caller: &Caller, file: FileId) -> u16 {
        let path = self.place.vault.vault.path_of(file);
        let rules = self.pipeline.policy.rules();
        let is_fixed = |path| self.pipeline.is_of_a_source(&self.place.vault.name, path);
        if path.as_ref().is_some_and(is_fixed) {
            return 0o500;
        }
        if rules.may_write_in(caller, &self.place.vault.name, path.as_ref(), clock::local(&rules)) {
            0o700
        } else {
            0o500
        }
    }

    fn size_for(&self, caller: &Caller, file: FileId, known: &Attributes) -> u64 {
        if self.may(caller, file, Operation::FileRead) != May::Now {
            return 0;
        }
        let length = match self.place.vault.drafts.find(file) {
            Some(draft) => draft.length(),
            None if known.size > 0 => return known.size,
            None => self.pipeline.handles.length_of_entry(&self.place, file, caller),
        };
        u64::try_from(length).unwrap_or(u64::MAX)
    }

    /// A folder is as new as the newest file in it that the caller may know of.
    fn newest_visible(&self, caller: &Caller, folder: FileId) -> SystemTime {
        let vault = &self.place.vault.vault;
        let files = vault
            .entries(folder)
            .into_iter()
            .filter(|entry| entry.kind == NodeKind::File && self.is_visible(caller, entry.file));
        let times = files.filter_map(|entry| Some(vault.attributes(entry.file)?.modified));
        times.max().map_or(SystemTime::UNIX_EPOCH, time_of)
    }
}

fn time_of(time: WallTime) -> SystemTime {
    let nanoseconds = u64::try_from(time.nanoseconds()).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::from_nanos(nanoseconds)
}

fn wall_time_of(time: SystemTime) -> WallTime {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    WallTime::from_nanoseconds(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}
