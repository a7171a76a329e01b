//! Buffers for input and output, placed where copies are fast.
//!
//! On current CPUs a copy is ten times slower when (destination - source) mod 4096 is 16, 32 or 48,
//! and malloc puts every large block at page + 16. So bytes read from a file lie at their offset in
//! the page, and bytes for a reply at page + 2048.

use std::sync::{Mutex, MutexGuard, PoisonError};
use ward_memory::LockedBuffer;

/// The size of a page.
pub(crate) const PAGE: usize = 4096;
/// Where the bytes of a reply start in their page: callers' buffers lie at +0 or +16.
const REPLY: usize = 2048;

/// From how many bytes on storage is used again: malloc gets as much from the kernel, page by page,
/// and gives it back.
const LARGE: usize = 64 << 10;
/// The largest storage that is kept: a whole request, with its frame around it.
const LARGEST: usize = (1 << 20) + LARGE;
/// How many are kept.
const KEPT: usize = 4;

/// Storage for ciphertext that nobody uses. Guards the list only.
static FREE: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// Bytes that start at a chosen offset of a page.
#[derive(Debug)]
pub(crate) struct Buffer {
    storage: Storage,
    length: usize,
}

/// Where the bytes lie.
enum Storage {
    Sealed { bytes: Vec<u8>, start: usize },
    Plain(LockedBuffer),
}

impl Buffer {
    /// Room for ciphertext, at the same offset in the page as `offset` has in its file. It holds
    /// anything: zeros, or ciphertext of before.
    pub(crate) fn for_file(offset: u64, length: usize) -> Self {
        let in_page = crate::fields::in_memory(offset % crate::fields::on_disk(PAGE));
        let bytes = take(length + 2 * PAGE);
        // `align_offset` may answer `usize::MAX`; then the placement is given up, not the bytes.
        let to_page = bytes.as_ptr().align_offset(PAGE);
        let start = if to_page < PAGE { to_page + in_page } else { 0 };
        Self { storage: Storage::Sealed { bytes, start }, length }
    }

    /// Zeros for plaintext, where a reply's bytes should lie.
    pub(crate) fn for_reply(length: usize) -> Self {
        Self { storage: Storage::Plain(LockedBuffer::new(length, REPLY)), length }
    }

    /// Keeps the first `length` bytes.
    pub(crate) fn shorten(&mut self, length: usize) {
        self.length = self.length.min(length);
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        match &self.storage {
            Storage::Sealed { bytes, start } => &bytes[*start..*start + self.length],
            Storage::Plain(bytes) => &bytes[..self.length],
        }
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        match &mut self.storage {
            Storage::Sealed { bytes, start } => &mut bytes[*start..*start + self.length],
            Storage::Plain(bytes) => &mut bytes[..self.length],
        }
    }
}

impl std::fmt::Debug for Storage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Storage(..)")
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        if let Self::Sealed { bytes, .. } = self {
            keep(std::mem::take(bytes));
        }
    }
}

fn take(length: usize) -> Vec<u8> {
    if length < LARGE {
        return vec![0; length];
    }
    let kept = free().pop();
    kept.filter(|storage| storage.len() >= length).unwrap_or_else(|| vec![0; length])
}

fn keep(storage: Vec<u8>) {
    let mut free = free();
    if (LARGE..=LARGEST).contains(&storage.len()) && free.len() < KEPT {
        free.push(storage);
    }
}

fn free() -> MutexGuard<'static, Vec<Vec<u8>>> {
    FREE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_starts_in_the_middle_of_a_page_and_file_bytes_at_their_offset() {
        for length in [1, 4096, 200_000] {
            let reply = Buffer::for_reply(length);
            assert_eq!(reply.as_slice().as_ptr().addr() % PAGE, REPLY);
            assert_eq!(reply.as_slice().len(), length);
            let file = Buffer::for_file(4096 * 3 + 192, length);
            assert_eq!(file.as_slice().as_ptr().addr() % PAGE, 192);
        }
    }
}
