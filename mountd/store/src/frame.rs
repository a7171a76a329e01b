//! A frame: one sealed piece of a segment, and how its bytes are laid out.
//!
//! Knows bytes and keys, no file and no meaning: what a metadata frame says is in change.rs.

use crate::buffer::{Buffer, PAGE};
use crate::cipher::{Cipher, Nonce, TAG};
use crate::fields::{Fields, in_memory, on_disk};
use crate::kind::VaultKind;
use crate::padding::{GRID, padded};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// The number of bytes of a frame header.
pub(crate) const HEADER: usize = 48;
/// A frame header and the first tag: the least a frame can be.
pub(crate) const LEAST: u64 = on_disk(HEADER + TAG);
/// Chunks of a secret: 64 KiB, by measurement the size above which sealing gains nothing.
const SECRET_CHUNK: u8 = 16;
/// Chunks of a file: 16 KiB, so that reading one page of it opens little more.
const FILE_CHUNK: u8 = 14;
/// Sync mark and length of the changes, in front of them inside the seal.
const PREAMBLE: usize = 12;

/// A chain value: of every metadata frame up to here.
pub(crate) type Chain = [u8; 32];

/// What a frame is; also the first byte of its nonces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameKind {
    Metadata,
    Data,
    Void,
}

/// The first 48 bytes of a frame, in clear; associated data of all its seals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) kind: FrameKind,
    /// Data: the chunk size as a power of two. Else 0.
    pub(crate) chunk_exponent: u8,
    /// Metadata, data: bytes of ciphertext. Void: bytes of the whole frame.
    pub(crate) length: u32,
    /// Frames of a segment count from 1.
    pub(crate) sequence: u64,
    /// Metadata: the chain value before this frame. Else zeros.
    pub(crate) chain: Chain,
}

/// How the content of a data frame is cut into chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DataShape {
    chunk_exponent: u8,
    padded: u32,
}

/// What a metadata frame says.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Up to which position of this segment an fdatasync had returned.
    pub(crate) sync_mark: u64,
    /// The changes, encoded one after the other.
    pub(crate) changes: Zeroizing<Vec<u8>>,
}

impl FrameKind {
    const fn number(self) -> u8 {
        match self {
            Self::Metadata => 1,
            Self::Data => 2,
            Self::Void => 3,
        }
    }
}

impl DataShape {
    /// The shape of a value of `length` bytes; `None` above 4 GiB.
    pub(crate) fn of_value(kind: VaultKind, length: u64) -> Option<Self> {
        let chunk_exponent = match kind {
            VaultKind::Secrets => SECRET_CHUNK,
            VaultKind::Workspace => FILE_CHUNK,
        };
        Self::from_parts(chunk_exponent, u32::try_from(padded(kind, length)).ok()?)
    }

    /// The shape with this chunk size and padded length; `None` when no frame has it.
    pub(crate) fn from_parts(chunk_exponent: u8, padded: u32) -> Option<Self> {
        let fits = (12..=20).contains(&chunk_exponent);
        let on_grid = padded != 0 && u64::from(padded).is_multiple_of(GRID);
        (fits && on_grid).then_some(Self { chunk_exponent, padded })
    }

    pub(crate) const fn chunk_exponent(self) -> u8 {
        self.chunk_exponent
    }

    pub(crate) const fn padded(self) -> u32 {
        self.padded
    }

    pub(crate) const fn chunk_size(self) -> u64 {
        1 << self.chunk_exponent
    }

    pub(crate) fn chunks(self) -> u32 {
        self.padded.div_ceil(1 << self.chunk_exponent)
    }

    /// Where in its segment the first chunk of a frame at `position` starts: at a multiple of 4096
    /// when there is a full chunk, else of 64.
    pub(crate) fn content_at(self, position: u64) -> u64 {
        let after_tags = position + on_disk(HEADER) + u64::from(self.chunks()) * on_disk(TAG);
        let is_full = u64::from(self.padded) >= self.chunk_size();
        after_tags.next_multiple_of(if is_full { on_disk(PAGE) } else { GRID })
    }

    /// The number of bytes of the whole frame at `position`.
    pub(crate) fn total_at(self, position: u64) -> u64 {
        self.content_at(position) - position + u64::from(self.padded)
    }

    /// The most bytes such a frame takes, wherever it starts.
    pub(crate) fn total_at_most(self) -> u64 {
        self.total_at(0) + on_disk(PAGE)
    }

    /// The header of a frame of this shape.
    pub(crate) const fn header(self, sequence: u64) -> FrameHeader {
        FrameHeader {
            kind: FrameKind::Data,
            chunk_exponent: self.chunk_exponent,
            length: self.padded,
            sequence,
            chain: [0; 32],
        }
    }
}

impl FrameHeader {
    pub(crate) fn encode(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[0] = self.kind.number();
        bytes[1] = self.chunk_exponent;
        bytes[4..8].copy_from_slice(&self.length.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[16..].copy_from_slice(&self.chain);
        bytes
    }

    /// Reads a header; `None` when no frame can begin so.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(bytes);
        let kind = match fields.u8()? {
            1 => FrameKind::Metadata,
            2 => FrameKind::Data,
            3 => FrameKind::Void,
            _ => return None,
        };
        let chunk_exponent = fields.u8()?;
        fields.zeros(2)?;
        let (length, sequence, chain) = (fields.u32()?, fields.u64()?, fields.array()?);
        let header = Self { kind, chunk_exponent, length, sequence, chain };
        header.is_possible().then_some(header)
    }

    /// The number of bytes of the whole frame at `position`.
    pub(crate) fn total_at(&self, position: u64) -> u64 {
        match self.kind {
            FrameKind::Metadata => LEAST + u64::from(self.length),
            FrameKind::Data => self.shape().map_or(0, |shape| shape.total_at(position)),
            FrameKind::Void => u64::from(self.length),
        }
    }

    /// How the content of a data frame is cut; `None` for other frames.
    pub(crate) fn shape(&self) -> Option<DataShape> {
        DataShape::from_parts(self.chunk_exponent, self.length)
    }

    fn is_possible(&self) -> bool {
        let on_grid = self.length != 0 && u64::from(self.length).is_multiple_of(GRID);
        match self.kind {
            FrameKind::Metadata => self.chunk_exponent == 0 && on_grid,
            FrameKind::Data => self.shape().is_some() && self.chain == [0; 32],
            FrameKind::Void => self.chunk_exponent == 0 && on_grid && self.chain == [0; 32],
        }
    }

    /// Nonce = kind (1 byte), sequence (7), chunk (4), little-endian: used once under a segment's key.
    fn nonce(&self, chunk: u32) -> Nonce {
        let mut nonce = [0; 12];
        nonce[0] = self.kind.number();
        nonce[1..8].copy_from_slice(&self.sequence.to_le_bytes()[..7]);
        nonce[8..].copy_from_slice(&chunk.to_le_bytes());
        nonce
    }
}

/// The chain value after a metadata frame: SHA-256(frame header with the value before it, tag).
pub(crate) fn chained(header: &[u8], tag: &[u8]) -> Chain {
    Sha256::new().chain_update(header).chain_update(tag).finalize().into()
}

/// How long the ciphertext of a metadata frame with so many bytes of changes is.
pub(crate) fn batch_padded(kind: VaultKind, changes: u64) -> u64 {
    padded(kind, changes + on_disk(PREAMBLE))
}

/// Seals a batch into a whole metadata frame; `None` when it is over 4 GiB.
pub(crate) fn seal_batch(
    cipher: &Cipher,
    kind: VaultKind,
    (sequence, chain): (u64, Chain),
    batch: &Batch,
) -> Option<(Buffer, Chain)> {
    let changes = u32::try_from(batch.changes.len()).ok()?;
    let length = u32::try_from(batch_padded(kind, u64::from(changes))).ok()?;
    let header =
        FrameHeader { kind: FrameKind::Metadata, chunk_exponent: 0, length, sequence, chain };
    let mut frame = Buffer::for_file(0, HEADER + TAG + in_memory(u64::from(length)));
    let (head, body) = frame.as_mut_slice().split_at_mut(HEADER + TAG);
    head[..HEADER].copy_from_slice(&header.encode());
    body[..8].copy_from_slice(&batch.sync_mark.to_le_bytes());
    body[8..PREAMBLE].copy_from_slice(&changes.to_le_bytes());
    let (changes, padding) = body[PREAMBLE..].split_at_mut(batch.changes.len());
    changes.copy_from_slice(&batch.changes);
    padding.fill(0);
    let tag = cipher.seal(header.nonce(0), &header.encode(), body)?;
    head[HEADER..].copy_from_slice(&tag);
    let chain = chained(&head[..HEADER], &head[HEADER..]);
    Some((frame, chain))
}

/// Opens a whole metadata frame; `None` when a bit of it is wrong.
pub(crate) fn open_batch(cipher: &Cipher, frame: &[u8]) -> Option<Batch> {
    let (head, body) = frame.split_at_checked(HEADER + TAG)?;
    let header = FrameHeader::decode(head)?;
    let mut plain = Zeroizing::new(vec![0; body.len()]);
    cipher.open(header.nonce(0), &header.encode(), (body, &head[HEADER..]), &mut plain)?;
    let mut fields = Fields::new(&plain);
    let sync_mark = fields.u64()?;
    let length = in_memory(u64::from(fields.u32()?));
    let changes = Zeroizing::new(fields.bytes(length)?.to_vec());
    Some(Batch { sync_mark, changes })
}

/// Seals content into a whole data frame that will lie at `position`.
pub(crate) fn seal_content(
    cipher: &Cipher,
    (position, sequence): (u64, u64),
    shape: DataShape,
    content: &[u8],
) -> Option<Buffer> {
    let header = shape.header(sequence);
    let encoded = header.encode();
    let mut frame = Buffer::for_file(position, in_memory(shape.total_at(position)));
    let start = in_memory(shape.content_at(position) - position);
    let (head, body) = frame.as_mut_slice().split_at_mut(start);
    head[..HEADER].copy_from_slice(&encoded);
    head[HEADER..].fill(0);
    let chunk_size = in_memory(shape.chunk_size());
    for (chunk, sealed) in (0..).zip(body.chunks_mut(chunk_size)) {
        let from = in_memory(u64::from(chunk)) * chunk_size;
        let rest = content.get(from..).unwrap_or_default();
        let tag = if rest.len() < sealed.len() {
            let (content, padding) = sealed.split_at_mut(rest.len());
            content.copy_from_slice(rest);
            padding.fill(0);
            cipher.seal(header.nonce(chunk), &encoded, sealed)?
        } else {
            cipher.seal_into(header.nonce(chunk), &encoded, &rest[..sealed.len()], sealed)?
        };
        let place = HEADER + in_memory(u64::from(chunk)) * TAG;
        head[place..place + TAG].copy_from_slice(&tag);
    }
    Some(frame)
}

/// Opens one chunk of a data frame, ciphertext and tag, to `plain`, which has its length.
pub(crate) fn open_chunk(
    cipher: &Cipher,
    header: &FrameHeader,
    chunk: u32,
    piece: (&[u8], &[u8]),
    plain: &mut [u8],
) -> Option<()> {
    cipher.open(header.nonce(chunk), &header.encode(), piece, plain)
}

/// The head of a void frame, which fills the range of a frame whose write failed.
pub(crate) fn seal_void(cipher: &Cipher, sequence: u64, total: u32) -> Option<Vec<u8>> {
    let header = FrameHeader {
        kind: FrameKind::Void,
        chunk_exponent: 0,
        length: total,
        sequence,
        chain: [0; 32],
    };
    let encoded = header.encode();
    let tag = cipher.seal(header.nonce(0), &encoded, &mut [])?;
    Some([encoded.as_slice(), &tag].concat())
}

/// Whether the head of a void frame is whole.
pub(crate) fn is_void(cipher: &Cipher, header: &FrameHeader, tag: &[u8]) -> bool {
    open_chunk(cipher, header, 0, (&[], tag), &mut []).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cipher() -> Cipher {
        Cipher::new(&[9; 32])
    }

    fn batch() -> Batch {
        Batch { sync_mark: 704, changes: Zeroizing::new(b"changes".to_vec()) }
    }

    #[test]
    fn a_batch_comes_back_with_its_sync_mark_and_moves_the_chain() {
        let place = (5, [1; 32]);
        let (frame, chain) = seal_batch(&cipher(), VaultKind::Secrets, place, &batch()).unwrap();
        assert_eq!(frame.as_slice().len(), 64 + 512);
        let opened = open_batch(&cipher(), frame.as_slice()).unwrap();
        assert_eq!((opened.sync_mark, opened.changes.as_slice()), (704, b"changes".as_slice()));
        assert_ne!(chain, [1; 32]);
    }

    #[test]
    fn a_flipped_bit_anywhere_in_a_metadata_frame_is_seen() {
        let place = (5, [1; 32]);
        let (frame, _) = seal_batch(&cipher(), VaultKind::Workspace, place, &batch()).unwrap();
        for bit in 0..frame.as_slice().len() * 8 {
            let mut bytes = frame.as_slice().to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(open_batch(&cipher(), &bytes).is_none(), "bit {bit}");
        }
    }

    #[test]
    fn chunks_start_on_the_grid_and_full_ones_on_pages() {
        for (length, position) in [(1, 192), (70_000, 192), (65_536, 704), (1 << 20, 64)] {
            let shape = DataShape::of_value(VaultKind::Secrets, length).unwrap();
            let grid = if length >= 65_536 { 4096 } else { 64 };
            assert!(shape.content_at(position).is_multiple_of(grid));
            assert!(shape.total_at(position).is_multiple_of(64));
            assert!(shape.total_at(position) <= shape.total_at_most());
        }
        let smallest = DataShape::of_value(VaultKind::Secrets, 30).unwrap();
        assert_eq!(smallest.total_at(192), 64 + 512);
    }

    #[test]
    fn every_chunk_of_content_opens_for_itself() {
        let content: Vec<u8> = (0..150_000_u32).map(|number| number.to_le_bytes()[0]).collect();
        let shape = DataShape::of_value(VaultKind::Secrets, 150_000).unwrap();
        let frame = seal_content(&cipher(), (192, 3), shape, &content).unwrap();
        let frame = frame.as_slice();
        let start = in_memory(shape.content_at(192) - 192);
        for (chunk, sealed) in (0_u32..).zip(frame[start..].chunks(65_536)) {
            let place = HEADER + in_memory(u64::from(chunk)) * TAG;
            let mut plain = vec![0; sealed.len()];
            let tag = &frame[place..place + TAG];
            open_chunk(&cipher(), &shape.header(3), chunk, (sealed, tag), &mut plain).unwrap();
            let from = in_memory(u64::from(chunk)) * 65_536;
            let expected = &content[from..content.len().min(from + 65_536)];
            assert_eq!(&plain[..expected.len()], expected);
            assert!(plain[expected.len()..].iter().all(|byte| *byte == 0));
            assert!(
                open_chunk(&cipher(), &shape.header(4), chunk, (sealed, tag), &mut plain).is_none(),
                "the sequence is sealed in"
            );
        }
    }

    #[test]
    fn a_void_frame_says_how_much_it_covers() {
        let head = seal_void(&cipher(), 8, 640).unwrap();
        let header = FrameHeader::decode(&head).unwrap();
        assert_eq!(header.total_at(192), 640);
        assert!(is_void(&cipher(), &header, &head[HEADER..]));
        let other = FrameHeader { length: 704, ..header };
        assert!(!is_void(&cipher(), &other, &head[HEADER..]));
    }
}
