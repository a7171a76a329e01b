//! What an open file reads as: under a live lease, and never without one.

use super::ReadError;
use crate::handle_table::{Handle, Opened};
use ward_policy::{ActiveLease, Operation};
use ward_store::Plaintext;

impl Handle {
    /// Decrypts what the handle reads: the writer's own draft, or the version it was opened on.
    pub(super) fn decrypt(
        &self,
        lease: &ActiveLease<'_>,
        offset: u64,
        length: usize,
    ) -> Result<Plaintext, ReadError> {
        if !self.permits(Operation::FileRead) {
            return Err(ReadError::NotOpen);
        }
        let vault = &self.place.vault.vault;
        match &self.opened {
            Opened::Secret { draft: Some(draft), .. } => {
                let read =
                    |bytes: &[u8]| vault.read_back(lease, (self.file, bytes), offset, length);
                Ok(draft.with_bytes(read)?)
            }
            Opened::Secret { draft: None, version: Some(version) } => {
                Ok(vault.decrypt(lease, (self.file, *version), offset, length)?)
            }
            Opened::Secret { draft: None, version: None } => {
                Ok(vault.read_back(lease, (self.file, &[]), offset, length)?)
            }
            Opened::Entry(entry) => {
                let read =
                    |bytes: &[u8]| vault.read_back(lease, (self.file, bytes), offset, length);
                Ok(entry.with_bytes(read)?)
            }
            Opened::Node(_) => Ok(vault.read_node(lease, self.file, offset, length)?),
        }
    }
}
