//! A plaintext: bytes that leave only against a receipt, and are wiped when dropped.

use crate::buffer::Buffer;
use std::fmt;
use std::ops::{Deref, Range};
use ward_audit::Receipt;

/// Decrypted bytes that nobody can look at yet.
///
/// ```compile_fail
/// fn peek(plaintext: &ward_store::Plaintext) -> u8 {
///     plaintext[0]
/// }
/// ```
///
/// Its twin compiles, so the refusal above is for the look without a receipt:
///
/// ```
/// fn release(plaintext: ward_store::Plaintext, receipt: &ward_audit::Receipt) -> u8 {
///     plaintext.reveal(receipt)[0]
/// }
/// ```
#[must_use = "a plaintext nobody reveals was decrypted in vain"]
pub struct Plaintext {
    buffer: Buffer,
    visible: Range<usize>,
}

/// Bytes on their way to the caller. They lie at page + 2048 when the read began on a page of the file.
pub struct Revealed(Plaintext);

impl Plaintext {
    pub(crate) const fn new(buffer: Buffer, visible: Range<usize>) -> Self {
        Self { buffer, visible }
    }

    /// How many bytes there are, which is what a record says before they are revealed.
    pub fn len(&self) -> usize {
        self.visible.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.visible.is_empty()
    }

    /// Gives the bytes for the proof that their reading is in the log.
    pub fn reveal(self, _receipt: &Receipt) -> Revealed {
        Revealed(self)
    }
}

impl Deref for Revealed {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0.buffer.as_slice()[self.0.visible.clone()]
    }
}

impl fmt::Debug for Plaintext {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Plaintext(..)")
    }
}

impl fmt::Debug for Revealed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Revealed(..)")
    }
}
