//! Listings of a workspace: the same for everybody, from the tree as it is.

use super::attributes::{kind_of, shown};
use super::{FOREVER, GENERATION, WorkspaceFilesystem};
use crate::errno;
use fuser::{FileType, INodeNo, ReplyDirectory, ReplyDirectoryPlus};
use std::ffi::OsStr;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use ward_policy::FileId;

/// Positions 1 and 2 are those after `.` and `..`; an entry of the store comes after them by its
/// cookie, which it keeps as long as it lives.
const DOTS: u64 = 2;

/// An entry of a listing: what it is, its name, and the position after it.
type Listed<'a> = (FileId, FileType, &'a [u8], u64);

impl WorkspaceFilesystem {
    pub(super) fn list(&self, inode: INodeNo, offset: u64, mut reply: ReplyDirectory) {
        let directory = FileId(inode.0);
        let full = self.list_dots(directory, offset, |(file, kind, name, next)| {
            reply.add(INodeNo(file.0), next, kind, OsStr::from_bytes(name))
        });
        if full {
            return reply.ok();
        }
        let after = offset.saturating_sub(DOTS);
        let listed = self.vault().read_entries(directory, after, &mut |entry| {
            let node = &entry.attributes;
            let (inode, kind) = (INodeNo(node.file.0), kind_of(node.node_type));
            let name = OsStr::from_bytes(entry.name.as_bytes());
            flow(reply.add(inode, entry.cookie + DOTS, kind, name))
        });
        match listed {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(errno::of_tree(error)),
        }
    }

    /// The same with attributes; each entry counts as a look-up, but for the dots.
    pub(super) fn list_with_attributes(
        &self,
        inode: INodeNo,
        offset: u64,
        mut reply: ReplyDirectoryPlus,
    ) {
        let directory = FileId(inode.0);
        let full = self.list_dots(directory, offset, |(file, _, name, next)| {
            let Ok(attributes) = self.attributes(file) else { return false };
            let name = OsStr::from_bytes(name);
            reply.add(INodeNo(file.0), next, name, &FOREVER, &attributes, GENERATION)
        });
        if full {
            return reply.ok();
        }
        let after = offset.saturating_sub(DOTS);
        let mut told = Vec::new();
        let listed = self.vault().read_entries(directory, after, &mut |entry| {
            let node = &entry.attributes;
            let (inode, name) = (INodeNo(node.file.0), OsStr::from_bytes(entry.name.as_bytes()));
            let next = entry.cookie + DOTS;
            let full = reply.add(inode, next, name, &FOREVER, &shown(node), GENERATION);
            if !full {
                told.push(node.file);
            }
            flow(full)
        });
        // Not while the tree is held, which is taken under the map of known nodes.
        told.into_iter().for_each(|file| self.known.look_up(file));
        match listed {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(errno::of_tree(error)),
        }
    }

    /// Adds `.` and `..` as far as they are asked for; whether the reply is full.
    fn list_dots(
        &self,
        directory: FileId,
        offset: u64,
        mut add: impl FnMut(Listed<'_>) -> bool,
    ) -> bool {
        let above = self.vault().parent_of(directory).unwrap_or(directory);
        let dots = [(directory, b".".as_slice(), 1), (above, b"..", DOTS)];
        let mut wanted = dots.into_iter().filter(|(_, _, next)| *next > offset);
        wanted.any(|(file, name, next)| add((file, FileType::Directory, name, next)))
    }
}

const fn flow(full: bool) -> ControlFlow<()> {
    if full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}
