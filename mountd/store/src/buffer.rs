//! Buffers for input and output, placed where copies are fast.
//!
//! On current CPUs a copy is ten times slower when (destination - source) mod 4096 is 16, 32 or 48,
//! and malloc puts every large block at page + 16. So bytes read from a file lie at their offset in
//! the page, and bytes for a reply at page + 2048.

use zeroize::optimization_barrier;

/// The size of a page.
pub(crate) const PAGE: usize = 4096;
/// Where the bytes of a reply start in their page: callers' buffers lie at +0 or +16.
const REPLY: usize = 2048;

/// Bytes that start at a chosen offset of a page.
pub(crate) struct Buffer {
    storage: Vec<u8>,
    start: usize,
    length: usize,
    /// Whether they are wiped when dropped: plaintext for a reply, not ciphertext of a file.
    is_secret: bool,
}

impl Buffer {
    /// Zeros for ciphertext, at the same offset in the page as `offset` has in its file.
    pub(crate) fn for_file(offset: u64, length: usize) -> Self {
        let in_page = crate::fields::in_memory(offset % crate::fields::on_disk(PAGE));
        let mut buffer = Self::at(in_page, length);
        buffer.is_secret = false;
        buffer
    }

    /// Zeros for plaintext, where a reply's bytes should lie.
    pub(crate) fn for_reply(length: usize) -> Self {
        Self::at(REPLY, length)
    }

    fn at(in_page: usize, length: usize) -> Self {
        let storage = vec![0; length + 2 * PAGE];
        // `align_offset` may answer `usize::MAX`; then the placement is given up, not the bytes.
        let to_page = storage.as_ptr().align_offset(PAGE);
        let start = if to_page < PAGE { to_page + in_page } else { 0 };
        Self { storage, start, length, is_secret: true }
    }

    /// Keeps the first `length` bytes.
    pub(crate) fn shorten(&mut self, length: usize) {
        self.length = self.length.min(length);
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.storage[self.start..self.start + self.length]
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.storage[self.start..self.start + self.length]
    }
}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Buffer(..)")
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.is_secret {
            // `zeroize` writes byte by byte, which costs more than the decryption.
            self.storage.fill(0);
            optimization_barrier(&self.storage);
        }
    }
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
