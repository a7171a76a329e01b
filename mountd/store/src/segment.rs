//! A segment: a file of frames that is only appended to, and the header it begins with.

use crate::buffer::Buffer;
use crate::cipher::{Cipher, TAG};
use crate::durable::{Access, Disk, DiskFile};
use crate::extent::Extent;
use crate::fields::{Fields, in_memory, on_disk};
use crate::frame::{Chain, HEADER, open_chunk};
use crate::header::VaultId;
use crate::key::VaultKey;
use crate::key_ring::KeyRing;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

/// The number of bytes of a segment header; the first frame starts there.
pub(crate) const SEGMENT_HEADER: u64 = 192;
const MAGIC: &[u8; 8] = b"wardseg\0";
const VERSION: u32 = 1;
const SIGNED: usize = 160;

/// Where the log of a vault stands: behind a whole metadata frame, or behind a segment's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// 0 before the first segment.
    pub(crate) segment: u64,
    /// Where the next frame would start.
    pub(crate) position: u64,
    /// The sequence of the last frame before that.
    pub(crate) sequence: u64,
    pub(crate) chain: Chain,
}

/// The first 192 bytes of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) vault: VaultId,
    /// Which key of the vault it is under.
    pub(crate) key: u32,
    pub(crate) number: u64,
    /// Random; the keys of the segment come from it.
    pub(crate) id: [u8; 16],
    /// How the segment before it ends, whatever lies behind that.
    pub(crate) before: Standing,
    /// Raised by each restored backup that was accepted.
    pub(crate) branch: u64,
}

/// An open segment: its file and the cipher of its frames.
pub(crate) struct Segment {
    pub(crate) number: u64,
    /// Which key of the vault it is under.
    pub(crate) key: u32,
    pub(crate) file: Box<dyn DiskFile>,
    pub(crate) cipher: Cipher,
}

/// The segments of a vault by number. The lock guards the map only, never a read.
#[derive(Debug, Default)]
pub(crate) struct SegmentTable(RwLock<BTreeMap<u64, Arc<Segment>>>);

/// Why an extent cannot be read.
#[derive(Debug)]
pub(crate) enum ExtentError {
    /// The bytes are not what was sealed.
    Changed,
    /// Its segment is not there.
    NoSegment,
    Read(io::Error),
}

impl Standing {
    /// Before the first segment.
    pub(crate) const START: Self = Self { segment: 0, position: 0, sequence: 0, chain: [0; 32] };
}

impl SegmentHeader {
    /// The header as bytes: 160 fields and padding, then their HMAC-SHA256.
    pub(crate) fn encode(&self, key: &VaultKey) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(in_memory(SEGMENT_HEADER));
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.key.to_le_bytes());
        bytes.extend_from_slice(&self.vault.0);
        bytes.extend_from_slice(&self.number.to_le_bytes());
        bytes.extend_from_slice(&self.id);
        bytes.extend_from_slice(&self.before.segment.to_le_bytes());
        bytes.extend_from_slice(&self.before.position.to_le_bytes());
        bytes.extend_from_slice(&self.before.sequence.to_le_bytes());
        bytes.extend_from_slice(&self.before.chain);
        bytes.extend_from_slice(&self.branch.to_le_bytes());
        bytes.resize(SIGNED, 0);
        let mac = key.segment_mac(self.vault, &self.id).sign(&bytes);
        bytes.extend_from_slice(&mac);
        bytes
    }

    /// Reads the header of a segment of this vault; `None` when a bit of it is wrong.
    pub(crate) fn decode(bytes: &[u8], vault: VaultId, keys: &KeyRing) -> Option<Self> {
        let (signed, mac) = bytes.split_at_checked(SIGNED)?;
        let mut fields = Fields::new(signed);
        let is_ours = fields.bytes(MAGIC.len())? == MAGIC && fields.u32()? == VERSION;
        let key = fields.u32()?;
        let header = Self {
            key,
            vault: VaultId(fields.array()?),
            number: fields.u64()?,
            id: fields.array()?,
            before: Standing {
                segment: fields.u64()?,
                position: fields.u64()?,
                sequence: fields.u64()?,
                chain: fields.array()?,
            },
            branch: fields.u64()?,
        };
        let is_whole = keys.key(key)?.segment_mac(vault, &header.id).verifies(signed, mac);
        (is_ours && is_whole && header.vault == vault).then_some(header)
    }

    /// Where the log stands behind this header: its chain begins with SHA-256 of all 192 bytes.
    pub(crate) fn standing(&self, bytes: &[u8]) -> Standing {
        start_of(self.number, bytes)
    }
}

impl Segment {
    /// Opens the segment file `number` and reads its header; `None` inside when it is not whole.
    pub(crate) fn open(
        disk: &dyn Disk,
        (directory, number): (&Path, u64),
        access: Access,
        (vault, keys): (VaultId, &KeyRing),
    ) -> io::Result<Option<(Self, SegmentHeader, Standing)>> {
        let file = disk.open(&path_of(directory, number), access)?;
        if file.size()? < SEGMENT_HEADER {
            return Ok(None);
        }
        let mut bytes = vec![0; in_memory(SEGMENT_HEADER)];
        file.read(&mut bytes, 0)?;
        Ok(SegmentHeader::decode(&bytes, vault, keys).and_then(|header| {
            let cipher = keys.key(header.key)?.segment_cipher(vault, &header.id);
            let standing = header.standing(&bytes);
            Some((Self { number, key: header.key, file, cipher }, header, standing))
        }))
    }

    /// Where the log stands behind the header of the segment.
    pub(crate) fn start(&self) -> io::Result<Standing> {
        let mut bytes = vec![0; in_memory(SEGMENT_HEADER)];
        self.file.read(&mut bytes, 0)?;
        Ok(start_of(self.number, &bytes))
    }

    /// Opens the chunks of `extent` that hold the bytes `wanted` of it.
    ///
    /// Gives the chunks and the range of `wanted` in them.
    pub(crate) fn read(
        &self,
        extent: &Extent,
        wanted: Range<u64>,
    ) -> Result<(Buffer, Range<usize>), ExtentError> {
        let shape = extent.shape;
        let first = wanted.start / shape.chunk_size();
        let start = first * shape.chunk_size();
        let end = wanted.end.next_multiple_of(shape.chunk_size()).min(u64::from(shape.padded()));
        let place = shape.content_at(extent.position) + start;
        let mut sealed = Buffer::for_file(place, in_memory(end - start));
        self.file.read(sealed.as_mut_slice(), place).map_err(ExtentError::Read)?;
        let tags_at = extent.position + on_disk(HEADER) + first * on_disk(TAG);
        let chunk_size = in_memory(shape.chunk_size());
        let mut tags = vec![0; sealed.as_slice().len().div_ceil(chunk_size) * TAG];
        self.file.read(&mut tags, tags_at).map_err(ExtentError::Read)?;
        let mut plain = Buffer::for_reply(in_memory(end - start));
        let header = shape.header(extent.sequence);
        let pieces = sealed.as_slice().chunks(chunk_size).zip(tags.chunks(TAG));
        let chunks = plain.as_mut_slice().chunks_mut(chunk_size);
        // A frame has at most 2^20 chunks of at least 4 KiB.
        let first = u32::try_from(first).map_err(|_| ExtentError::Changed)?;
        for ((number, piece), chunk) in (first..).zip(pieces).zip(chunks) {
            open_chunk(&self.cipher, &header, number, piece, chunk).ok_or(ExtentError::Changed)?;
        }
        Ok((plain, in_memory(wanted.start - start)..in_memory(wanted.end - start)))
    }
}

impl Segment {
    /// Opens the bytes `wanted` of `extent` into `plain`, which has their length.
    pub(crate) fn read_into(
        &self,
        extent: &Extent,
        wanted: Range<u64>,
        plain: &mut [u8],
    ) -> Result<(), ExtentError> {
        let shape = extent.shape;
        let chunk_size = shape.chunk_size();
        let first = wanted.start / chunk_size;
        let start = first * chunk_size;
        let end = wanted.end.next_multiple_of(chunk_size).min(u64::from(shape.padded()));
        let place = shape.content_at(extent.position) + start;
        let mut sealed = Buffer::for_file(place, in_memory(end - start));
        self.file.read(sealed.as_mut_slice(), place).map_err(ExtentError::Read)?;
        let tags_at = extent.position + on_disk(HEADER) + first * on_disk(TAG);
        let mut tags = vec![0; in_memory((end - start).div_ceil(chunk_size)) * TAG];
        self.file.read(&mut tags, tags_at).map_err(ExtentError::Read)?;
        let header = shape.header(extent.sequence);
        let mut partial = Vec::new();
        let chunks = sealed.as_slice().chunks(in_memory(chunk_size)).zip(tags.chunks(TAG));
        for (number, piece) in (first..).zip(chunks) {
            let chunk = u32::try_from(number).map_err(|_| ExtentError::Changed)?;
            let from = number * chunk_size;
            let to = from + on_disk(piece.0.len());
            let own = wanted.start.max(from)..wanted.end.min(to);
            let target = in_memory(own.start - wanted.start)..in_memory(own.end - wanted.start);
            let target = plain.get_mut(target).ok_or(ExtentError::Changed)?;
            if own == (from..to) {
                open_chunk(&self.cipher, &header, chunk, piece, target)
                    .ok_or(ExtentError::Changed)?;
                continue;
            }
            // A part of a chunk: only the first and the last can be.
            partial.resize(piece.0.len(), 0);
            open_chunk(&self.cipher, &header, chunk, piece, &mut partial)
                .ok_or(ExtentError::Changed)?;
            let inside = in_memory(own.start - from)..in_memory(own.end - from);
            target.copy_from_slice(partial.get(inside).ok_or(ExtentError::Changed)?);
        }
        Ok(())
    }
}

impl SegmentTable {
    pub(crate) fn insert(&self, segment: Arc<Segment>) {
        let mut table = self.0.write().unwrap_or_else(PoisonError::into_inner);
        table.insert(segment.number, segment);
    }

    pub(crate) fn get(&self, number: u64) -> Option<Arc<Segment>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&number).cloned()
    }

    /// Takes a segment out, whose file goes.
    pub(crate) fn remove(&self, number: u64) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(&number);
    }

    /// All segments in order.
    pub(crate) fn all(&self) -> Vec<Arc<Segment>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Opens the chunks of `extent` that hold the bytes `wanted` of it.
    pub(crate) fn read(
        &self,
        extent: &Extent,
        wanted: Range<u64>,
    ) -> Result<(Buffer, Range<usize>), ExtentError> {
        self.get(extent.segment).ok_or(ExtentError::NoSegment)?.read(extent, wanted)
    }

    /// Opens the bytes `wanted` of `extent` into `plain`, which has their length.
    pub(crate) fn read_into(
        &self,
        extent: &Extent,
        wanted: Range<u64>,
        plain: &mut [u8],
    ) -> Result<(), ExtentError> {
        let segment = self.get(extent.segment).ok_or(ExtentError::NoSegment)?;
        segment.read_into(extent, wanted, plain)
    }
}

impl fmt::Debug for Segment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Segment({})", self.number)
    }
}

fn start_of(segment: u64, header: &[u8]) -> Standing {
    let chain = Sha256::digest(header).into();
    Standing { segment, position: SEGMENT_HEADER, sequence: 0, chain }
}

/// The number of the key that a segment says it is under; not to be believed.
pub(crate) fn claimed_key(
    disk: &dyn Disk,
    (directory, number): (&Path, u64),
) -> io::Result<Option<u32>> {
    let file = disk.open(&path_of(directory, number), Access::Read)?;
    if file.size()? < SEGMENT_HEADER {
        return Ok(None);
    }
    let mut bytes = [0; 4];
    file.read(&mut bytes, 12)?;
    Ok(Some(u32::from_le_bytes(bytes)))
}

/// The file of a segment.
pub(crate) fn path_of(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:010}"))
}

/// The number that a file name of the directory `segments` says.
pub(crate) fn number_of(name: &str) -> Option<u64> {
    let is_number = name.len() == 10 && name.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { name.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flipped_bit_anywhere_in_a_segment_header_is_seen() {
        let keys = KeyRing::of(VaultKey::from_bytes(4, &[3; 32]).unwrap());
        let vault = VaultId([1; 16]);
        let before = Standing { segment: 4, position: 192, sequence: 9, chain: [7; 32] };
        let header = SegmentHeader { vault, key: 4, number: 5, id: [2; 16], before, branch: 0 };
        let bytes = header.encode(keys.newest());
        assert_eq!(bytes.len(), in_memory(SEGMENT_HEADER));
        assert_eq!(SegmentHeader::decode(&bytes, vault, &keys), Some(header));
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentHeader::decode(&changed, vault, &keys), None, "bit {bit}");
        }
    }
}
