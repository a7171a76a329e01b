//! The encoding of OpenSSH (RFC 4251, section 5): big-endian numbers, and strings with their length.

/// What is left to be read.
pub(super) struct Wire<'bytes>(pub(super) &'bytes [u8]);

impl<'bytes> Wire<'bytes> {
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub(super) fn number(&mut self) -> Option<u32> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*number))
    }

    pub(super) fn string(&mut self) -> Option<&'bytes [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (string, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(string)
    }

    /// A positive number of at most 256 bits, as 32 bytes.
    pub(super) fn scalar(&mut self) -> Option<[u8; 32]> {
        let digits = self.string()?;
        let digits = match digits {
            // The sign takes a byte of its own only where the first bit is set.
            [0, rest @ ..] if rest.first().is_some_and(|first| first & 0x80 != 0) => rest,
            [0, ..] | [] | [0x80..=0xff, ..] => return None,
            digits => digits,
        };
        let mut scalar = [0; 32];
        let place = 32_usize.checked_sub(digits.len())?;
        scalar.get_mut(place..)?.copy_from_slice(digits);
        Some(scalar)
    }
}

/// Appends a string.
pub(super) fn write_string(bytes: &mut Vec<u8>, string: &[u8]) {
    let length = u32::try_from(string.len()).unwrap_or(u32::MAX);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(string);
}
