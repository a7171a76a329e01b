//! The bytes of a file: writing them, copying them, and where the holes are.

use crate::changing::ChangeError;
use crate::extent::Extent;
use crate::fields::{in_memory, on_disk};
use crate::reading::DecryptError;
use crate::vault::Vault;
use crate::wall_time::WallTime;
use crate::workspace::Workspace;
use crate::workspace::apply::LONGEST_FILE;
use crate::workspace::node::NodeType;
use crate::workspace::node_change::NodeChange;
use std::io;
use ward_policy::FileId;

/// The most bytes of one data frame.
const LONGEST_FRAME: usize = 1 << 20;
/// The most bytes that a change of the extents has in a batch.
const LONGEST_CHANGE: usize = 64;

/// What is looked for in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seek {
    /// Bytes that were written (`SEEK_DATA`).
    Data,
    /// Bytes that were not; the end of a file begins one (`SEEK_HOLE`).
    Hole,
}

impl Vault {
    /// Writes bytes into a file, over what was there.
    ///
    /// # Errors
    /// There is no such file, it would end beyond what offsets can say, the disk is full or fails;
    /// over 1 MiB what was written before stays.
    pub fn write_node(
        &self,
        file: FileId,
        offset: u64,
        bytes: &[u8],
        now: WallTime,
    ) -> Result<(), ChangeError> {
        let (mut at, mut rest) = (offset, bytes);
        loop {
            let (part, behind) = rest.split_at(rest.len().min(LONGEST_FRAME));
            self.write_part(file, part, now, |_| at)?;
            if behind.is_empty() {
                return Ok(());
            }
            at = at.saturating_add(on_disk(part.len()));
            rest = behind;
        }
    }

    /// Writes bytes behind the end of a file, wherever that is by now; says where.
    ///
    /// # Errors
    /// As [`Self::write_node`].
    pub fn append_node(
        &self,
        file: FileId,
        bytes: &[u8],
        now: WallTime,
    ) -> Result<u64, ChangeError> {
        let (first, rest) = bytes.split_at(bytes.len().min(LONGEST_FRAME));
        let offset = self.write_part(file, first, now, |size| size)?;
        self.write_node(file, offset + on_disk(first.len()), rest, now)?;
        Ok(offset)
    }

    /// Where the next data or the next hole is from `offset` on; `None` beyond the end.
    ///
    /// # Errors
    /// There is no such file.
    pub fn seek(
        &self,
        file: FileId,
        offset: u64,
        wanted: Seek,
    ) -> Result<Option<u64>, ChangeError> {
        let index = self.read_index();
        let node = index.workspace().ok_or(ChangeError::WrongKind)?.node(file)?;
        let extents = node.extents().ok_or(ChangeError::NotFile)?;
        if offset >= node.size {
            return Ok(None);
        }
        let mut at = offset;
        while let Some(piece) = extents.next(at) {
            match wanted {
                Seek::Data => return Ok(Some(piece.offset.max(at))),
                Seek::Hole if piece.offset > at => return Ok(Some(at)),
                Seek::Hole => at = piece.end(),
            }
        }
        Ok((wanted == Seek::Hole).then_some(at))
    }

    /// Copies up to `length` bytes from one file to another, or within one; holes stay holes. Says
    /// how many, fewer where the first file ends.
    ///
    /// # Errors
    /// There is no such file, the bytes are damaged, the disk is full or fails; what was copied
    /// before stays.
    pub fn copy_range(
        &self,
        (from, from_offset): (FileId, u64),
        (to, to_offset): (FileId, u64),
        length: u64,
        now: WallTime,
    ) -> Result<u64, ChangeError> {
        let size = self.node(from).ok_or(ChangeError::NotFound)?.size;
        let length = length.min(size.saturating_sub(from_offset));
        to_offset
            .checked_add(length)
            .filter(|end| *end <= LONGEST_FILE)
            .ok_or(ChangeError::TooFar)?;
        let mut done = 0;
        while done < length {
            let at = from_offset + done;
            let data = self.seek(from, at, Seek::Data)?.unwrap_or(from_offset + length);
            let hole = data.min(from_offset + length) - at;
            if hole != 0 {
                let mode = super::AllocateMode::ZeroRange;
                self.allocate(to, to_offset + done, hole, mode, now)?;
                done += hole;
                continue;
            }
            let end = self.seek(from, at, Seek::Hole)?.unwrap_or(at).min(from_offset + length);
            // Up to a place where a frame of ours would begin, so that each chunk is opened once.
            let step = on_disk(LONGEST_FRAME) - at % on_disk(LONGEST_FRAME);
            let step = in_memory(end.saturating_sub(at).min(step));
            let plain = self.open_node(from, at, step)?;
            if plain.as_slice().is_empty() {
                break;
            }
            self.write_node(to, to_offset + done, plain.as_slice(), now)?;
            done += on_disk(plain.as_slice().len());
        }
        Ok(done)
    }

    /// Writes one frame, and maps it where `place` says for the size that the file has then.
    fn write_part(
        &self,
        file: FileId,
        bytes: &[u8],
        time: WallTime,
        place: impl Fn(u64) -> u64,
    ) -> Result<u64, ChangeError> {
        let size = |workspace: &Workspace| {
            let node = workspace.node(file)?;
            let offset = place(node.size);
            match node.node_type() {
                NodeType::File => {}
                NodeType::Directory => return Err(ChangeError::IsDirectory),
                NodeType::Symlink
                | NodeType::Fifo
                | NodeType::Socket
                | NodeType::CharacterDevice
                | NodeType::BlockDevice => return Err(ChangeError::NotFile),
            }
            let end = offset.checked_add(on_disk(bytes.len()));
            end.filter(|end| *end <= LONGEST_FILE).ok_or(ChangeError::TooFar)?;
            Ok(offset)
        };
        // Before anything is sealed for a file that cannot have it.
        let offset = size(self.read_index().workspace().ok_or(ChangeError::WrongKind)?)?;
        if bytes.is_empty() {
            return Ok(offset);
        }
        let sealed = self.writer.write_content(bytes)?;
        self.change_nodes(
            LONGEST_CHANGE,
            |workspace| {
                let extent = Extent { offset: size(workspace)?, ..sealed };
                Ok(NodeChange::Map { file, extent, time })
            },
            |_, change| {
                if let NodeChange::Map { extent, .. } = change { extent.offset } else { offset }
            },
        )
    }
}

impl From<DecryptError> for ChangeError {
    fn from(error: DecryptError) -> Self {
        match error {
            DecryptError::NotLeased | DecryptError::NoSuchVersion => Self::NotFound,
            DecryptError::Damaged(_) => Self::Io(io::Error::new(io::ErrorKind::InvalidData, error)),
            DecryptError::Io { source, .. } => Self::Io(source),
        }
    }
}
