//! Names in a workspace: looked up, made, linked, moved, removed.

use super::acl::{self, Inherited};
use super::attributes::{kind_of, nothing, permissions, shown};
use super::{Errno, WorkspaceFilesystem, asker};
use crate::errno;
use crate::handle_table::HandleId;
use crate::pipeline::{MOVE, NodeChange, Touched, WRITE};
use fuser::{FileAttr, FileType, INodeNo, RenameFlags, Request};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use ward_audit::EventType;
use ward_policy::{FileId, OperationSet};
use ward_store::{
    ChangeError, EntryName, NewNode, NodeAttributes, NodeType, RenameMode, TreeError, Vault,
    WallTime, XattrMode,
};

/// The bit by which a directory hands down its group, and itself to directories.
const SET_GID: u16 = 0o2000;

/// An entry as the kernel names it.
pub(super) type Entry<'a> = (INodeNo, &'a OsStr);

/// What a new node is to be, as its maker says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) node_type: NodeType,
    pub(super) mode: u32,
    pub(super) umask: u32,
    pub(super) device: u32,
    pub(super) target: &'a [u8],
}

impl WorkspaceFilesystem {
    /// What is under a name; nothing, which the kernel remembers too, when there is none.
    pub(super) fn look_up(&self, parent: INodeNo, name: &OsStr) -> Result<FileAttr, Errno> {
        match self.vault().find_entry(FileId(parent.0), &entry_name(name)?) {
            Ok(node) => Ok(shown(&node)),
            Err(TreeError::NotFound) => Ok(nothing()),
            Err(error) => Err(errno::of_tree(error)),
        }
    }

    pub(super) fn make(
        &self,
        request: &Request,
        (parent, name): Entry<'_>,
        wanted: &Wanted<'_>,
    ) -> Result<FileAttr, Errno> {
        let (parent, own_name) = (FileId(parent.0), entry_name(name)?);
        let secret = self.secret_in((parent, name), None)?;
        let touched = match wanted.node_type {
            NodeType::Directory => Touched::Folder(secret),
            NodeType::File
            | NodeType::Symlink
            | NodeType::Fifo
            | NodeType::Socket
            | NodeType::CharacterDevice
            | NodeType::BlockDevice => Touched::File(secret, WRITE),
        };
        let (node, inherited) = self.new_node(request, parent, wanted)?;
        let made = self.change(request, EventType::FileCreate, &[touched], |vault, now| {
            let made = vault.make_node(parent, &own_name, node, now)?;
            hand_down(vault, &made, inherited, now)
        });
        made.map(|node| shown(&node))
    }

    /// Creates a file and opens it.
    pub(super) fn create_file(
        &self,
        request: &Request,
        (parent, name): Entry<'_>,
        wanted: &Wanted<'_>,
        operations: OperationSet,
    ) -> Result<(FileAttr, HandleId), Errno> {
        let (parent, own_name) = (FileId(parent.0), entry_name(name)?);
        let secret = self.secret_in((parent, name), None)?;
        let (node, inherited) = self.new_node(request, parent, wanted)?;
        let asker = asker(request);
        let created =
            self.pipeline.create_node(&self.place, (secret, operations), asker, |vault, now| {
                let made = vault.make_node(parent, &own_name, node, now)?;
                Ok((made.file, hand_down(vault, &made, inherited, now)?))
            });
        let (node, handle) = created.map_err(|error| errno::of_change(&error))?;
        Ok((shown(&node), handle))
    }

    /// One more name for a node: all it has may be written and read, since it goes by all of them.
    pub(super) fn link_node(
        &self,
        request: &Request,
        file: FileId,
        (parent, name): Entry<'_>,
    ) -> Result<FileAttr, Errno> {
        let own_name = entry_name(name)?;
        let secret = self.secret_in((FileId(parent.0), name), Some(file))?;
        let names = self.place.secrets_of(file).map_err(errno::of_name)?;
        let names = names.into_iter().map(|name| Touched::File(name, MOVE));
        let touched: Vec<_> = [Touched::File(secret, WRITE)].into_iter().chain(names).collect();
        let linked = self.change(request, EventType::FileCreate, &touched, |vault, now| {
            vault.link_entry(file, (FileId(parent.0), &own_name), now)
        });
        linked.map(|node| shown(&node))
    }

    pub(super) fn remove_name(
        &self,
        request: &Request,
        (parent, name): Entry<'_>,
        kind: FileType,
    ) -> Result<(), Errno> {
        let (parent, own_name) = (FileId(parent.0), entry_name(name)?);
        let node = self.find((parent, &own_name))?;
        let secret = self.secret_in((parent, name), Some(node.file))?;
        self.known.hold(self.vault(), node.file);
        if kind == FileType::Directory {
            let touched = [Touched::Folder(secret)];
            self.change(request, EventType::FileRemove, &touched, |vault, now| {
                vault.remove_directory_entry(parent, &own_name, now)
            })
        } else {
            let touched = [Touched::File(secret, WRITE)];
            self.change(request, EventType::FileRemove, &touched, |vault, now| {
                vault.unlink_entry(parent, &own_name, now)
            })
        }
    }

    /// Moves a node to another name, or has two nodes change names.
    pub(super) fn move_name(
        &self,
        request: &Request,
        from: Entry<'_>,
        to: Entry<'_>,
        flags: RenameFlags,
    ) -> Result<(), Errno> {
        let mode = if flags.is_empty() {
            RenameMode::Replace
        } else if flags == RenameFlags::RENAME_NOREPLACE {
            RenameMode::KeepExisting
        } else if flags == RenameFlags::RENAME_EXCHANGE {
            RenameMode::Exchange
        } else {
            return Err(Errno::EINVAL);
        };
        let (from_name, to_name) = (entry_name(from.1)?, entry_name(to.1)?);
        let (from_place, to_place) = ((FileId(from.0.0), &from_name), (FileId(to.0.0), &to_name));
        let node = self.find(from_place)?;
        let target = self.find(to_place).ok();
        let source = self.secret_in((from_place.0, from.1), Some(node.file))?;
        let goal = self.secret_in((to_place.0, to.1), target.map(|target| target.file))?;
        let is_folder = |node: &NodeAttributes| node.node_type == NodeType::Directory;
        let touch = |secret, is_folder, operations| match is_folder {
            true => Touched::Folder(secret),
            false => Touched::File(secret, operations),
        };
        let goal_operations = if mode == RenameMode::Exchange { MOVE } else { WRITE };
        let is_folder_there = target.as_ref().map_or_else(|| is_folder(&node), is_folder);
        let touched =
            [touch(source, is_folder(&node), MOVE), touch(goal, is_folder_there, goal_operations)];
        if let (Some(target), RenameMode::Replace) = (&target, mode) {
            self.known.hold(self.vault(), target.file);
        }
        self.change(request, EventType::FileRename, &touched, |vault, now| {
            vault.rename_entry(from_place, to_place, mode, now)
        })
    }

    /// The names by which a change of a node is decided.
    pub(super) fn touched_node(&self, node: &NodeAttributes) -> Result<Vec<Touched>, Errno> {
        let names = self.place.secrets_of(node.file).map_err(errno::of_name)?;
        if names.is_empty() {
            return Ok(vec![Touched::Top]);
        }
        let touched = names.into_iter().map(|name| match kind_of(node.node_type) {
            FileType::Directory => Touched::Folder(name),
            FileType::RegularFile
            | FileType::Symlink
            | FileType::NamedPipe
            | FileType::Socket
            | FileType::CharDevice
            | FileType::BlockDevice => Touched::File(name, WRITE),
        });
        Ok(touched.collect())
    }

    fn find(&self, (parent, name): (FileId, &EntryName)) -> Result<NodeAttributes, Errno> {
        self.vault().find_entry(parent, name).map_err(errno::of_tree)
    }

    fn secret_in(
        &self,
        (parent, name): (FileId, &OsStr),
        file: Option<FileId>,
    ) -> Result<crate::place::Secret, Errno> {
        self.place.secret_in(parent, name.as_bytes(), file).map_err(errno::of_name)
    }

    fn change<T>(
        &self,
        request: &Request,
        event: EventType,
        touched: &[Touched],
        make: impl FnOnce(&Vault, WallTime) -> Result<T, ChangeError>,
    ) -> Result<T, Errno> {
        let change = NodeChange { asker: asker(request), event: Some(event), touched };
        let changed = self.pipeline.change_nodes(&self.place, &change, make);
        changed.map_err(|error| errno::of_change(&error))
    }

    /// A new node belongs to its maker, and to the group of a directory that hands its own down.
    fn new_node<'target>(
        &self,
        request: &Request,
        parent: FileId,
        wanted: &Wanted<'target>,
    ) -> Result<(NewNode<'target>, Option<Inherited>), Errno> {
        let above = self.vault().node(parent).ok_or(errno::ENDED)?;
        let default = match wanted.node_type {
            NodeType::Symlink => None,
            NodeType::File
            | NodeType::Directory
            | NodeType::Fifo
            | NodeType::Socket
            | NodeType::CharacterDevice
            | NodeType::BlockDevice => self.access_list(parent, acl::DEFAULT),
        };
        let asked = permissions(wanted.mode);
        let inherited = default.map(|list| list.hand_down(wanted.node_type, asked));
        // A default list takes the place of the umask.
        let mode = inherited
            .as_ref()
            .map_or_else(|| permissions(wanted.mode & !wanted.umask), |inherited| inherited.mode);
        let hands_down = above.mode & SET_GID != 0;
        let is_folder = wanted.node_type == NodeType::Directory;
        let node = NewNode {
            node_type: wanted.node_type,
            mode: if hands_down && is_folder { mode | SET_GID } else { mode },
            uid: request.uid(),
            gid: if hands_down { above.gid } else { request.gid() },
            device: wanted.device,
            target: wanted.target,
        };
        Ok((node, inherited))
    }
}

/// Gives a new node the lists it inherits.
fn hand_down(
    vault: &Vault,
    made: &NodeAttributes,
    inherited: Option<Inherited>,
    now: WallTime,
) -> Result<NodeAttributes, ChangeError> {
    let Some(Inherited { access, default, .. }) = inherited else { return Ok(*made) };
    for (name, list) in [(acl::ACCESS, access), (acl::DEFAULT, default)] {
        if let Some(list) = list {
            vault.set_xattr(made.file, (name, &list.bytes()), XattrMode::Any, now)?;
        }
    }
    Ok(*made)
}

/// A name as the store takes it.
pub(super) fn entry_name(name: &OsStr) -> Result<EntryName, Errno> {
    EntryName::try_from(name.as_bytes()).map_err(errno::of_entry_name)
}
