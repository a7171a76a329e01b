//! Room: what statfs(2) says of a vault.

use crate::vault::Vault;
use std::io;

/// How much room there is on the disk under a vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// All bytes of the disk.
    pub bytes: u64,
    /// Bytes that nobody uses.
    pub free: u64,
    /// Bytes that a user may use.
    pub available: u64,
    /// Nodes of the vault.
    pub files: u64,
}

impl Vault {
    /// How much room there is.
    ///
    /// # Errors
    /// The disk does not say.
    pub fn room(&self) -> io::Result<Room> {
        let (bytes, free, available) = self.disk.room(&self.directory)?;
        let files = self.read_index().workspace().map_or(0, super::Workspace::node_count);
        Ok(Room { bytes, free, available, files })
    }
}
