//! Names: looking them up, listing, making, linking, moving and removing them.

use crate::changing::ChangeError;
use crate::index::Misfit;
use crate::vault::Vault;
use crate::wall_time::WallTime;
use crate::workspace::Workspace;
use crate::workspace::entry_name::EntryName;
use crate::workspace::node::{NewNode, Node, NodeAttributes, NodeType};
use crate::workspace::node_change::{EntryPlace, NewBody, NodeChange};
use std::ops::ControlFlow;
use ward_policy::FileId;

/// The longest target of a link, in bytes (`PATH_MAX` less the final zero).
pub(crate) const LONGEST_TARGET: usize = 4095;
/// The most bytes that a change with two names and a target has in a batch.
const LONGEST_CHANGE: usize = 600;

/// Why a name leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// There is no such node or name.
    #[error("there is no such file; look at the directory again")]
    NotFound,
    /// What should be a directory is none.
    #[error("it is not a directory; name one")]
    NotDirectory,
}

/// An entry of a directory, for who lists it.
#[derive(Clone, Copy, Debug)]
pub struct DirectoryEntry<'name> {
    /// Its place in the directory: list on behind it to see the next. At least 256.
    pub cookie: u64,
    /// Its name.
    pub name: &'name EntryName,
    /// What is behind it.
    pub attributes: NodeAttributes,
}

/// What a rename does with the node that has the new name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenameMode {
    /// It loses the name.
    Replace,
    /// Nothing: the rename is refused (`RENAME_NOREPLACE`).
    KeepExisting,
    /// It gets the old name (`RENAME_EXCHANGE`).
    Exchange,
}

impl Vault {
    /// What is known about a node, with a name or held without.
    pub fn node(&self, file: FileId) -> Option<NodeAttributes> {
        self.read_index().workspace()?.node(file).ok().map(Node::attributes)
    }

    /// The node behind a name.
    ///
    /// # Errors
    /// There is none, or `parent` is no directory.
    pub fn find_entry(
        &self,
        parent: FileId,
        name: &EntryName,
    ) -> Result<NodeAttributes, TreeError> {
        let index = self.read_index();
        let workspace = index.workspace().ok_or(TreeError::NotFound)?;
        let entry = workspace.entry(&place((parent, name))).map_err(TreeError::from)?;
        workspace.node(entry.file).map(Node::attributes).map_err(TreeError::from)
    }

    /// Shows the entries of a directory behind a cookie, 0 for all, until `visit` breaks.
    ///
    /// An entry keeps its cookie as long as it lives. The index is held meanwhile: `visit` must not
    /// wait, and must not ask the vault. `.` and `..` are not among them.
    ///
    /// # Errors
    /// There is no such directory.
    pub fn read_entries(
        &self,
        directory: FileId,
        after_cookie: u64,
        visit: &mut dyn FnMut(DirectoryEntry<'_>) -> ControlFlow<()>,
    ) -> Result<(), TreeError> {
        let index = self.read_index();
        let workspace = index.workspace().ok_or(TreeError::NotFound)?;
        if !workspace.node(directory).map_err(TreeError::from)?.is_directory() {
            return Err(TreeError::NotDirectory);
        }
        let Some(first) = after_cookie.checked_add(1) else {
            return Ok(());
        };
        for entry in workspace.entries_in(directory, first..=u64::MAX) {
            let Ok(node) = workspace.node(entry.file) else {
                continue;
            };
            let (cookie, attributes) = (entry.cookie, node.attributes());
            if visit(DirectoryEntry { cookie, name: &entry.name, attributes }).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The directory that a directory lies in; `None` for the top, and for what is none.
    pub fn parent_of(&self, directory: FileId) -> Option<FileId> {
        let index = self.read_index();
        let node = index.workspace()?.node(directory).ok()?;
        node.is_directory().then(|| node.name.map(|(parent, _)| parent))?
    }

    /// The path of every name of a node, from the top, its parts joined by `/`; of one without a name
    /// that is held its last. The path of the top is empty.
    pub fn paths_of(&self, file: FileId) -> Vec<Vec<u8>> {
        self.read_index().workspace().map_or_else(Vec::new, |workspace| workspace.paths_of(file))
    }

    /// Where a link points.
    ///
    /// # Errors
    /// There is no such node, or it is no link.
    pub fn read_target(&self, file: FileId) -> Result<Vec<u8>, ChangeError> {
        let index = self.read_index();
        let node = index.workspace().ok_or(ChangeError::WrongKind)?.node(file)?;
        node.target().map(<[u8]>::to_vec).ok_or(ChangeError::NotFile)
    }

    /// Makes a node under a name.
    ///
    /// # Errors
    /// The name is taken, the parent is no directory, the target is too long, the disk is full or
    /// fails.
    pub fn make_node(
        &self,
        parent: FileId,
        name: &EntryName,
        node: NewNode<'_>,
        now: WallTime,
    ) -> Result<NodeAttributes, ChangeError> {
        let NewNode { node_type, mode, uid, gid, device, target } = node;
        let is_link = node_type == NodeType::Symlink;
        if target.len() > LONGEST_TARGET || target.is_empty() == is_link {
            return Err(ChangeError::Target);
        }
        let target = target.into();
        // mknod(2) takes one for a pipe, too, and ignores it.
        let device = if node_type.is_device() { device } else { 0 };
        let body = NewBody { node_type, mode: mode & 0o7777, uid, gid, device, target };
        let place = place((parent, name));
        self.change_nodes(
            LONGEST_CHANGE + body.target.len(),
            |workspace| {
                Ok(NodeChange::Make { file: workspace.next_file(), body, place, time: now })
            },
            |workspace, change| {
                if let NodeChange::Make { file, .. } = change {
                    workspace.node(*file).map(Node::attributes)
                } else {
                    Err(Misfit::NoSuchFile)
                }
            },
        )?
        .map_err(ChangeError::from)
    }

    /// Gives a node one more name.
    ///
    /// # Errors
    /// It is a directory or has no name left, the name is taken, the disk is full or fails.
    pub fn link_entry(
        &self,
        file: FileId,
        (parent, name): (FileId, &EntryName),
        now: WallTime,
    ) -> Result<NodeAttributes, ChangeError> {
        let place = place((parent, name));
        let change = NodeChange::Link { file, place, time: now };
        let attributes = |workspace: &Workspace, _: &_| workspace.node(file).map(Node::attributes);
        self.change_nodes(LONGEST_CHANGE, |_| Ok(change), attributes)?.map_err(ChangeError::from)
    }

    /// Takes a name away from anything but a directory.
    ///
    /// # Errors
    /// There is no such name, it is that of a directory, the disk is full or fails.
    pub fn unlink_entry(
        &self,
        parent: FileId,
        name: &EntryName,
        now: WallTime,
    ) -> Result<(), ChangeError> {
        let is_right = |node: &Node| match node.is_directory() {
            true => Err(ChangeError::IsDirectory),
            false => Ok(()),
        };
        self.removing(|| self.unname((parent, name), now, is_right))
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// There is none, it has entries, the disk is full or fails.
    pub fn remove_directory_entry(
        &self,
        parent: FileId,
        name: &EntryName,
        now: WallTime,
    ) -> Result<(), ChangeError> {
        let is_right = |node: &Node| match node.is_directory() {
            true => Ok(()),
            false => Err(ChangeError::NotDirectory),
        };
        self.removing(|| self.unname((parent, name), now, is_right))
    }

    /// Gives a node another name.
    ///
    /// # Errors
    /// A name is missing or taken, types differ, a directory would move into itself, the disk is full
    /// or fails.
    pub fn rename_entry(
        &self,
        from: (FileId, &EntryName),
        to: (FileId, &EntryName),
        mode: RenameMode,
        now: WallTime,
    ) -> Result<(), ChangeError> {
        let (from, to) = (place(from), place(to));
        let plan = |workspace: &Workspace| match mode {
            RenameMode::KeepExisting if workspace.entry(&to).is_ok() => {
                workspace.entry(&from)?;
                Err(ChangeError::Exists)
            }
            RenameMode::KeepExisting | RenameMode::Replace => {
                Ok(NodeChange::Move { from, to, time: now })
            }
            RenameMode::Exchange => Ok(NodeChange::Exchange { first: from, second: to, time: now }),
        };
        self.change_nodes(LONGEST_CHANGE, plan, |_, _| ())
    }

    fn unname(
        &self,
        at: (FileId, &EntryName),
        time: WallTime,
        check: impl FnOnce(&Node) -> Result<(), ChangeError>,
    ) -> Result<(), ChangeError> {
        let place = place(at);
        let plan = |workspace: &Workspace| {
            check(workspace.node(workspace.entry(&place)?.file)?)?;
            Ok(NodeChange::Unname { place, time })
        };
        self.change_nodes(LONGEST_CHANGE, plan, |_, _| ())
    }
}

fn place((parent, name): (FileId, &EntryName)) -> EntryPlace {
    EntryPlace { parent, name: name.clone() }
}

impl From<Misfit> for TreeError {
    fn from(misfit: Misfit) -> Self {
        if misfit == Misfit::NotDirectory { Self::NotDirectory } else { Self::NotFound }
    }
}
