//! Stored segments: their lines, whether they lie there as lines or compressed.

use crate::SegmentName;
use crate::chain::digest_of;
use crate::disk::Disk;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use ward_policy::Digest;

/// A compressed segment of more bytes is none of ours: 64 MiB of lines make some 15 MiB.
const LARGEST_COMPRESSED: u64 = 256 << 20;
/// The most memory that reading one takes, as a power of two; ours take less.
const LARGEST_WINDOW: u32 = 23;
/// How a frame of Zstandard begins (RFC 8878, 3.1.1).
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// How hard to compress: more gains nothing on hashes and sealed names (measured).
const LEVEL: i32 = 1;

/// The lines of a segment, from the first on.
pub(crate) struct StoredSegment {
    pub(crate) lines: Box<dyn BufRead>,
    /// SHA-256 of the file, when it is compressed.
    pub(crate) compressed: Option<Digest>,
}

impl StoredSegment {
    /// Opens `segment` in the form it has; while it has both, as lines.
    pub(crate) fn open(disk: &dyn Disk, segment: SegmentName) -> io::Result<Self> {
        let file = match disk.reader(&segment.to_string()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return match Self::open_compressed(disk, segment) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        Self::open_aside(disk, segment)
                    }
                    opened => opened,
                };
            }
            file => file?,
        };
        Ok(Self { lines: Box::new(BufReader::with_capacity(1 << 18, file)), compressed: None })
    }

    /// Opens a segment that was put aside, in the form it had.
    fn open_aside(disk: &dyn Disk, segment: SegmentName) -> io::Result<Self> {
        let name = segment.name_aside();
        let mut magic = [0; MAGIC.len()];
        let is_compressed = disk.reader(&name)?.read_exact(&mut magic).is_ok() && magic == MAGIC;
        if is_compressed {
            return Self::decode(disk.reader(&name)?);
        }
        let lines = Box::new(BufReader::with_capacity(1 << 18, disk.reader(&name)?));
        Ok(Self { lines, compressed: None })
    }

    /// Opens the compressed form of `segment`.
    pub(crate) fn open_compressed(disk: &dyn Disk, segment: SegmentName) -> io::Result<Self> {
        Self::decode(disk.reader(&segment.compressed_name())?)
    }

    fn decode(file: File) -> io::Result<Self> {
        let mut bytes = Vec::new();
        file.take(LARGEST_COMPRESSED).read_to_end(&mut bytes)?;
        let compressed = Some(digest_of(&bytes));
        let mut decoder = zstd::stream::read::Decoder::with_buffer(Cursor::new(bytes))?;
        decoder.window_log_max(LARGEST_WINDOW)?;
        let lines = Box::new(BufReader::with_capacity(1 << 18, decoder));
        Ok(Self { lines, compressed })
    }
}

/// Whether an error is one of the compressed bytes, and not of the disk they lie on.
pub(crate) fn is_damaged(error: &io::Error) -> bool {
    error.raw_os_error().is_none()
}

/// What compresses lines into `file`.
pub(crate) fn compressor<W: io::Write>(file: W) -> io::Result<zstd::Encoder<'static, W>> {
    let mut encoder = zstd::Encoder::new(file, LEVEL)?;
    encoder.include_checksum(true)?;
    Ok(encoder)
}

/// Bytes on their way somewhere, and their SHA-256.
pub(crate) struct Hashed<T> {
    pub(crate) inner: T,
    hasher: Sha256,
}

impl<T> Hashed<T> {
    pub(crate) fn new(inner: T) -> Self {
        Self { inner, hasher: Sha256::new() }
    }

    pub(crate) fn digest(&self) -> Digest {
        Digest::from_bytes(self.hasher.clone().finalize().into())
    }
}

impl<W: io::Write> io::Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
