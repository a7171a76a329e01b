//! Attributes: what a user sets of a node, and how a file is cut, extended and punched.

use crate::changing::ChangeError;
use crate::vault::Vault;
use crate::wall_time::WallTime;
use crate::workspace::Workspace;
use crate::workspace::apply::LONGEST_FILE;
use crate::workspace::node::{Node, NodeAttributes, NodeType, SetAttributes};
use crate::workspace::node_change::NodeChange;
use ward_policy::FileId;

/// The most bytes that a change of attributes has in a batch.
const LONGEST_CHANGE: usize = 64;

/// What becomes of a range of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllocateMode {
    /// The file reaches at least behind it. No room is kept for it: a log finds room when it writes.
    Extend,
    /// Nothing: room is found when it is written.
    KeepSize,
    /// It is a hole; the size stays.
    PunchHole,
    /// It is zeros, and the file reaches at least behind it.
    ZeroRange,
}

impl Vault {
    /// Sets attributes of a node; `changed` is `now` unless it is set too.
    ///
    /// # Errors
    /// There is no such node, a size is set of something else than a file or beyond what offsets can
    /// say, the disk is full or fails.
    pub fn set_attributes(
        &self,
        file: FileId,
        attributes: &SetAttributes,
        now: WallTime,
    ) -> Result<NodeAttributes, ChangeError> {
        let attributes = SetAttributes {
            mode: attributes.mode.map(|mode| mode & 0o7777),
            // truncate(2) changes the content, also when the size stays.
            modified: attributes.modified.or_else(|| attributes.size.map(|_| now)),
            changed: Some(attributes.changed.unwrap_or(now)),
            ..*attributes
        };
        let set = || {
            let change = NodeChange::Set { file, attributes };
            let answer = |workspace: &Workspace, _: &_| workspace.node(file).map(Node::attributes);
            self.change_nodes(LONGEST_CHANGE, |_| Ok(change), answer)?.map_err(ChangeError::from)
        };
        if attributes.size == Some(0) { self.removing(set) } else { set() }
    }

    /// Makes a range of a file a hole or zeros, or extends the file behind it: fallocate(2).
    ///
    /// # Errors
    /// There is no such file, the range ends beyond what offsets can say, the disk is full or fails.
    pub fn allocate(
        &self,
        file: FileId,
        offset: u64,
        length: u64,
        mode: AllocateMode,
        now: WallTime,
    ) -> Result<(), ChangeError> {
        let end = offset.checked_add(length).filter(|end| *end <= LONGEST_FILE);
        let end = end.ok_or(ChangeError::TooFar)?;
        let plan = |workspace: &Workspace| {
            let node = workspace.node(file)?;
            if node.node_type() != NodeType::File {
                return Err(ChangeError::NotFile);
            }
            let (length, size) = match mode {
                AllocateMode::Extend => (0, node.size.max(end)),
                AllocateMode::KeepSize => (0, node.size),
                AllocateMode::PunchHole => (length, node.size),
                AllocateMode::ZeroRange => (length, node.size.max(end)),
            };
            Ok(NodeChange::Unmap { file, offset, length, size, time: now })
        };
        self.change_nodes(LONGEST_CHANGE, plan, |_, _| ())
    }
}
