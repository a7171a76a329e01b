//! Reading the bytes of a file: each chunk is opened where the reply wants it.

use crate::buffer::Buffer;
use crate::fields::{in_memory, on_disk};
use crate::plaintext::Plaintext;
use crate::reading::{DecryptError, Place, open_where_it_is};
use crate::segment::ExtentError;
use crate::vault::Vault;
use crate::workspace::piece::Piece;
use std::ops::Range;
use ward_policy::{ActiveLease, FileId, Operation};

impl Vault {
    /// Decrypts up to `length` bytes from `offset` of a file, fewer at its end. Holes are zeros.
    ///
    /// A lease to write is enough: the kernel reads a page of which a program writes a part.
    ///
    /// # Errors
    /// The lease permits neither, there is no such file, or the bytes are damaged.
    pub fn read_node(
        &self,
        lease: &ActiveLease<'_>,
        file: FileId,
        offset: u64,
        length: usize,
    ) -> Result<Plaintext, DecryptError> {
        let grant = lease.grant();
        let is_permitted = [Operation::FileRead, Operation::FileWrite]
            .iter()
            .any(|operation| grant.operations.contains(*operation));
        if !is_permitted || grant.file != Some(file) {
            return Err(DecryptError::NotLeased);
        }
        let buffer = self.open_node(file, offset, length)?;
        let visible = 0..buffer.as_slice().len();
        Ok(Plaintext::new(buffer, visible))
    }

    /// The bytes themselves, for copies inside the store.
    pub(crate) fn open_node(
        &self,
        file: FileId,
        offset: u64,
        length: usize,
    ) -> Result<Buffer, DecryptError> {
        let look = || {
            let index = self.read_index();
            let workspace = index.workspace().ok_or(DecryptError::NoSuchVersion)?;
            let node = workspace.node(file).map_err(|_| DecryptError::NoSuchVersion)?;
            let extents = node.extents().ok_or(DecryptError::NoSuchVersion)?;
            let end = offset.saturating_add(on_disk(length)).min(node.size);
            let wanted = offset.min(end)..end;
            Ok((extents.within(&wanted), wanted))
        };
        open_where_it_is(look, |(pieces, wanted)| self.open_pieces(pieces, wanted))
    }

    fn open_pieces(&self, pieces: &[Piece], wanted: &Range<u64>) -> Result<Buffer, DecryptError> {
        // What no piece holds stays zero.
        let mut buffer = Buffer::for_reply(in_memory(wanted.end - wanted.start));
        for piece in pieces {
            let start = in_memory(piece.offset - wanted.start);
            let end = in_memory(piece.end() - wanted.start);
            if let Some(part) = buffer.as_mut_slice().get_mut(start..end) {
                self.open_piece(piece, part)?;
            }
        }
        Ok(buffer)
    }

    /// Opens all of a piece into `plain`, which has its length.
    pub(crate) fn open_piece(&self, piece: &Piece, plain: &mut [u8]) -> Result<(), DecryptError> {
        let (segment, position) = piece.frame();
        let place = Place { segment, position };
        let (extent, wanted) = piece.in_frame().ok_or(DecryptError::Damaged(place))?;
        self.segments.read_into(&extent, wanted, plain).map_err(|error| match error {
            ExtentError::Changed | ExtentError::NoSegment => DecryptError::Damaged(place),
            ExtentError::Read(source) => DecryptError::Io { place, source },
        })
    }
}
