//! Extended attributes of a workspace. Who may see or set which is the kernel's to say.

use super::acl::{self, AccessList};
use super::{Errno, WorkspaceFilesystem, asker};
use crate::errno;
use crate::pipeline::NodeChange;
use fuser::{ReplyXattr, Request};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use ward_policy::FileId;
use ward_store::{ChangeError, SetAttributes, Vault, WallTime, XattrMode};

/// The classes of names that are kept. Access control lists are `system.posix_acl_…`.
const KEPT: [&[u8]; 3] = [b"user.", b"trusted.", b"security."];
/// The bit of a mode that a list from outside its group takes away.
const SET_GID: u16 = 0o2000;

impl WorkspaceFilesystem {
    pub(super) fn xattr(&self, file: FileId, name: &OsStr) -> Result<Vec<u8>, Errno> {
        let name = kept(name)?;
        self.vault().xattr(file, name).map_err(|error| errno::of_store(&error))
    }

    /// Every name, each with a zero byte behind it.
    pub(super) fn xattr_names(&self, file: FileId) -> Result<Vec<u8>, Errno> {
        let names = self.vault().xattr_names(file);
        let names = names.map_err(|error| errno::of_store(&error))?;
        Ok(names.iter().flat_map(|name| name.iter().copied().chain([0])).collect())
    }

    pub(super) fn set_xattr(
        &self,
        request: &Request,
        file: FileId,
        (name, value): (&OsStr, &[u8]),
        flags: i32,
    ) -> Result<(), Errno> {
        let mode = match flags {
            0 => XattrMode::Any,
            libc::XATTR_CREATE => XattrMode::Create,
            libc::XATTR_REPLACE => XattrMode::Replace,
            _ => return Err(Errno::EINVAL),
        };
        let name = kept(name)?;
        if name == acl::ACCESS {
            return self.set_access_list(request, file, value);
        }
        self.change_xattr(request, file, |vault, now| {
            vault.set_xattr(file, (name, value), mode, now)
        })
    }

    /// The access control list of that name.
    pub(super) fn access_list(&self, file: FileId, name: &[u8]) -> Option<AccessList> {
        AccessList::parse(&self.vault().xattr(file, name).ok()?)
    }

    /// Has the list of a node say what its new mode says.
    pub(super) fn follow_mode(&self, file: FileId, mode: u16) -> Result<(), Errno> {
        let Some(list) = self.access_list(file, acl::ACCESS) else { return Ok(()) };
        let list = list.with_mode(mode).bytes();
        let now = crate::clock::file_time();
        let set = self.vault().set_xattr(file, (acl::ACCESS, &list), XattrMode::Any, now);
        set.map_err(|error| errno::of_store(&error))
    }

    /// Sets the list of a node and the mode that says the same; one that a mode can say is none.
    fn set_access_list(&self, request: &Request, file: FileId, value: &[u8]) -> Result<(), Errno> {
        let list = AccessList::parse(value).ok_or(Errno::EINVAL)?;
        let node = self.vault().node(file).ok_or(errno::ENDED)?;
        let is_stranger = request.uid() != 0 && request.gid() != node.gid;
        let kept = if is_stranger { 0o7000 & !SET_GID } else { 0o7000 };
        let mode = Some(node.mode & kept | list.mode());
        self.change_xattr(request, file, |vault, now| {
            let mode = SetAttributes { mode, ..SetAttributes::default() };
            vault.set_attributes(file, &mode, now)?;
            if !list.is_mode() {
                return vault.set_xattr(file, (acl::ACCESS, value), XattrMode::Any, now);
            }
            match vault.remove_xattr(file, acl::ACCESS, now) {
                Err(ChangeError::NoSuchAttribute) => Ok(()),
                removed => removed,
            }
        })
    }

    pub(super) fn remove_xattr(
        &self,
        request: &Request,
        file: FileId,
        name: &OsStr,
    ) -> Result<(), Errno> {
        let name = kept(name)?;
        self.change_xattr(request, file, |vault, now| vault.remove_xattr(file, name, now))
    }

    fn change_xattr(
        &self,
        request: &Request,
        file: FileId,
        make: impl FnOnce(&Vault, WallTime) -> Result<(), ChangeError>,
    ) -> Result<(), Errno> {
        let node = self.vault().node(file).ok_or(errno::ENDED)?;
        let touched = self.touched_node(&node)?;
        let change = NodeChange { asker: asker(request), event: None, touched: &touched };
        let changed = self.pipeline.change_nodes(&self.place, &change, make);
        changed.map_err(|error| errno::of_change(&error))
    }
}

fn kept(name: &OsStr) -> Result<&[u8], Errno> {
    let name = name.as_bytes();
    let is_list = name == acl::ACCESS || name == acl::DEFAULT;
    let is_kept = is_list || KEPT.iter().any(|class| name.starts_with(class));
    if is_kept { Ok(name) } else { Err(Errno::ENOTSUP) }
}

/// Gives a value, or only its length when no room is asked for.
pub(super) fn give(reply: ReplyXattr, value: Result<Vec<u8>, Errno>, room: u32) {
    match value {
        Err(errno) => reply.error(errno),
        Ok(value) => match u32::try_from(value.len()) {
            Ok(length) if room == 0 => reply.size(length),
            Ok(length) if length <= room => reply.data(&value),
            Ok(_) | Err(_) => reply.error(Errno::ERANGE),
        },
    }
}
