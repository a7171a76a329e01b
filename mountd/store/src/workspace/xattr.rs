//! Extended attributes.

use crate::changing::ChangeError;
use crate::vault::Vault;
use crate::wall_time::WallTime;
use crate::workspace::Workspace;
use crate::workspace::node::Xattr;
use crate::workspace::node_change::NodeChange;
use ward_policy::FileId;

/// The longest value, in bytes (`XATTR_SIZE_MAX`).
const LONGEST_VALUE: usize = 64 << 10;
/// The longest name, in bytes (`XATTR_NAME_MAX`).
const LONGEST_NAME: usize = 255;
/// The most bytes of all names with a zero each (`XATTR_LIST_MAX`).
const LONGEST_LIST: usize = 64 << 10;

/// When an extended attribute is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XattrMode {
    /// Always.
    Any,
    /// When there is none of its name (`XATTR_CREATE`).
    Create,
    /// When there is one (`XATTR_REPLACE`).
    Replace,
}

impl Vault {
    /// The value of an extended attribute.
    ///
    /// # Errors
    /// There is no such node or attribute.
    pub fn xattr(&self, file: FileId, name: &[u8]) -> Result<Vec<u8>, ChangeError> {
        let index = self.read_index();
        let node = index.workspace().ok_or(ChangeError::WrongKind)?.node(file)?;
        let value = find(node.xattrs(), name).ok_or(ChangeError::NoSuchAttribute)?;
        Ok(value.to_vec())
    }

    /// The names of all extended attributes, in the order of their bytes.
    ///
    /// # Errors
    /// There is no such node.
    pub fn xattr_names(&self, file: FileId) -> Result<Vec<Vec<u8>>, ChangeError> {
        let index = self.read_index();
        let node = index.workspace().ok_or(ChangeError::WrongKind)?.node(file)?;
        Ok(node.xattrs().iter().map(|(name, _)| name.to_vec()).collect())
    }

    /// Sets an extended attribute.
    ///
    /// # Errors
    /// There is no such node, the attribute is there or is not, its name or value is too long or the
    /// node has too many, the disk is full or fails.
    pub fn set_xattr(
        &self,
        file: FileId,
        (name, value): (&[u8], &[u8]),
        mode: XattrMode,
        now: WallTime,
    ) -> Result<(), ChangeError> {
        if name.is_empty() || name.len() > LONGEST_NAME {
            return Err(ChangeError::AttributeName);
        }
        if value.len() > LONGEST_VALUE {
            return Err(ChangeError::TooLong { limit: LONGEST_VALUE });
        }
        let plan = |workspace: &Workspace| {
            let xattrs = workspace.node(file)?.xattrs();
            match (mode, find(xattrs, name)) {
                (XattrMode::Create, Some(_)) => return Err(ChangeError::Exists),
                (XattrMode::Replace, None) => return Err(ChangeError::NoSuchAttribute),
                (XattrMode::Any | XattrMode::Create, None) => {
                    let listed: usize = xattrs.iter().map(|(name, _)| name.len() + 1).sum();
                    if listed + name.len() + 1 > LONGEST_LIST {
                        return Err(ChangeError::NoSpace);
                    }
                }
                (XattrMode::Any | XattrMode::Replace, Some(_)) => {}
            }
            Ok(NodeChange::SetXattr { file, name: name.into(), value: value.into(), time: now })
        };
        self.change_nodes(32 + name.len() + value.len(), plan, |_, _| ())
    }

    /// Removes an extended attribute.
    ///
    /// # Errors
    /// There is no such node or attribute, the disk is full or fails.
    pub fn remove_xattr(
        &self,
        file: FileId,
        name: &[u8],
        now: WallTime,
    ) -> Result<(), ChangeError> {
        let change = NodeChange::RemoveXattr { file, name: name.into(), time: now };
        self.change_nodes(32 + name.len(), |_| Ok(change), |_, _| ())
    }
}

fn find<'value>(xattrs: &'value [Xattr], name: &[u8]) -> Option<&'value [u8]> {
    xattrs.iter().find(|(other, _)| **other == *name).map(|(_, value)| &**value)
}
