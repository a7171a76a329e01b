//! What a source gave: in locked memory, wiped when dropped, and not more of it than there is room for.

use super::SourceError;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use ward_memory::LockedBuffer;

/// The most that all open entries hold together, in bytes.
const MOST: usize = 64 << 20;
/// How much is read at once, in bytes.
const PIECE: usize = 12 << 10;

/// How much all open entries hold, in bytes.
#[derive(Debug, Default)]
pub(super) struct Room(AtomicUsize);

/// The value of an entry, for the life of an open file.
#[derive(Debug)]
pub(crate) struct RevealedEntry {
    bytes: LockedBuffer,
    room: Arc<Room>,
}

/// Bytes that are still coming.
#[derive(Debug)]
pub(super) struct Gathered {
    buffer: LockedBuffer,
    length: usize,
}

impl Default for Gathered {
    fn default() -> Self {
        Self { buffer: LockedBuffer::new(PIECE, 0), length: 0 }
    }
}

impl Gathered {
    pub(super) const fn len(&self) -> usize {
        self.length
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        self.buffer.get(..self.length).unwrap_or_default()
    }

    /// Reads what there is; how much that was.
    pub(super) fn read_more(&mut self, source: &OwnedFd) -> io::Result<usize> {
        if self.buffer.len() < self.length + PIECE {
            let mut larger = LockedBuffer::new(2 * self.buffer.len() + PIECE, 0);
            if let Some(start) = larger.get_mut(..self.length) {
                start.copy_from_slice(self.as_slice());
            }
            self.buffer = larger;
        }
        let rest = self.buffer.get_mut(self.length..).unwrap_or_default();
        let read = rustix::io::read(source, rest)?;
        self.length += read;
        Ok(read)
    }

    /// All that came. The line end that `pass insert` puts behind what was typed is no part of it; in
    /// more than one line every byte is.
    pub(super) fn finish(self, room: &Arc<Room>) -> Result<RevealedEntry, SourceError> {
        let bytes = self.as_slice();
        let bytes = match bytes.strip_suffix(b"\n") {
            Some(line) if !line.contains(&b'\n') => line,
            Some(_) | None => bytes,
        };
        let more = |taken: usize| taken.checked_add(bytes.len()).filter(|sum| *sum <= MOST);
        let taken = room.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.map_err(|_full| SourceError::Failed("too much of it is open".to_owned()))?;
        let mut kept = LockedBuffer::new(bytes.len(), 0);
        kept.copy_from_slice(bytes);
        Ok(RevealedEntry { bytes: kept, room: Arc::clone(room) })
    }
}

impl RevealedEntry {
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Calls `look` with the bytes.
    pub(crate) fn with_bytes<T>(&self, look: impl FnOnce(&[u8]) -> T) -> T {
        look(&self.bytes)
    }
}

impl Drop for RevealedEntry {
    fn drop(&mut self) {
        self.room.0.fetch_sub(self.bytes.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gathered(bytes: &[u8]) -> Vec<u8> {
        let (ours, theirs) = nix::unistd::pipe().unwrap();
        let written = bytes.to_vec();
        let writer = std::thread::spawn(move || {
            rustix::io::retry_on_intr(|| rustix::io::write(&theirs, &written)).unwrap()
        });
        let mut gathered = Gathered::default();
        while gathered.read_more(&ours).unwrap() > 0 {}
        writer.join().unwrap();
        gathered.finish(&Arc::default()).unwrap().with_bytes(<[u8]>::to_vec)
    }

    #[test]
    fn one_line_loses_its_end_and_several_lose_nothing() {
        assert_eq!(gathered(b"s3cret\n"), b"s3cret");
        assert_eq!(gathered(b"s3cret"), b"s3cret");
        assert_eq!(gathered(b"\n"), b"");
        assert_eq!(gathered(b"s3cret\n\n"), b"s3cret\n\n");
        assert_eq!(gathered(b"one\ntwo\n"), b"one\ntwo\n");
        let long = vec![7; 60_000];
        assert_eq!(gathered(&long), long);
    }
}
