//! The control directory's answers, as the FUSE library takes them.

use super::{ControlDirectory, Node};
use crate::filesystem::{GENERATION, asker};
use fuser::{
    Errno, FileAttr, FileHandle, FopenFlags, INodeNo, LockOwner, OpenFlags, ReplyAttr, ReplyCreate,
    ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEntry, ReplyWrite, Request,
};
use std::ffi::OsStr;
use std::time::Duration;

/// For how long the kernel may believe a name or an attribute of the directory: not at all.
const NO_TIME: Duration = Duration::ZERO;

impl ControlDirectory {
    pub(in crate::filesystem) fn answer_look_up(
        &self,
        request: &Request,
        entry: (INodeNo, &OsStr),
        reply: ReplyEntry,
    ) {
        match self.look_up(request, entry) {
            Ok(attributes) => reply.entry(&NO_TIME, &attributes, GENERATION),
            Err(errno) => reply.error(errno),
        }
    }

    pub(in crate::filesystem) fn answer_create(
        &self,
        request: &Request,
        entry: (INodeNo, &OsStr),
        reply: ReplyCreate,
    ) {
        match self.create(request, entry) {
            Ok((attributes, handle)) => {
                let flags = FopenFlags::FOPEN_DIRECT_IO;
                reply.created(&NO_TIME, &attributes, GENERATION, handle, flags);
            }
            Err(errno) => reply.error(errno),
        }
    }

    /// Without a lock owner a read fills a page, which others would see: it is refused.
    pub(in crate::filesystem) fn answer_read(
        &self,
        request: &Request,
        (node, handle): (Node, FileHandle),
        range: (u64, u32),
        lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        if lock_owner.is_none() {
            return reply.error(Errno::EACCES);
        }
        if let Node::Handed(_) = node {
            return self.read_handed(asker(request), handle, range, reply);
        }
        match self.read(asker(request), handle.0, range) {
            Ok(bytes) => reply.data(&bytes),
            Err(errno) => reply.error(errno),
        }
    }

    pub(in crate::filesystem) fn answer_write(
        &self,
        request: &Request,
        handle: FileHandle,
        (offset, data): (u64, &[u8]),
        flags: OpenFlags,
        reply: ReplyWrite,
    ) {
        let offset = if flags.0 & libc::O_APPEND == 0 { Some(offset) } else { None };
        match self.write(asker(request), handle.0, (offset, data)) {
            Ok(written) => reply.written(written),
            Err(errno) => reply.error(errno),
        }
    }

    pub(in crate::filesystem) fn list(
        &self,
        request: &Request,
        directory: Node,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        match self.entries(request, directory, offset) {
            Ok(mut entries) => {
                entries.any(|(node, kind, name, next)| {
                    reply.add(Self::inode_of(directory, node, &name), next, kind, name)
                });
                reply.ok();
            }
            Err(errno) => reply.error(errno),
        }
    }

    pub(in crate::filesystem) fn list_with_attributes(
        &self,
        request: &Request,
        directory: Node,
        offset: u64,
        mut reply: ReplyDirectoryPlus,
    ) {
        match self.entries(request, directory, offset) {
            Ok(mut entries) => {
                entries.any(|(node, _, name, next)| {
                    let Ok(attributes) = self.attributes(request, node) else {
                        return false;
                    };
                    let inode = Self::inode_of(directory, node, &name);
                    reply.add(inode, next, name, &NO_TIME, &attributes, GENERATION)
                });
                reply.ok();
            }
            Err(errno) => reply.error(errno),
        }
    }
}

pub(in crate::filesystem) fn attributes(reply: ReplyAttr, found: Result<FileAttr, Errno>) {
    match found {
        Ok(attributes) => reply.attr(&NO_TIME, &attributes),
        Err(errno) => reply.error(errno),
    }
}
