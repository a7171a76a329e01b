//! Little-endian fields: how numbers and names become bytes, and back without trusting them.

/// Reads fields from the front of bytes; `None` when they run out.
#[derive(Debug)]
pub(crate) struct Fields<'bytes> {
    rest: &'bytes [u8],
}

impl<'bytes> Fields<'bytes> {
    pub(crate) const fn new(rest: &'bytes [u8]) -> Self {
        Self { rest }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Whether these bytes come next.
    pub(crate) fn starts_with(&self, bytes: &[u8]) -> bool {
        self.rest.starts_with(bytes)
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Option<&'bytes [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    pub(crate) fn array<const LENGTH: usize>(&mut self) -> Option<[u8; LENGTH]> {
        let (taken, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*taken)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }

    /// Takes `length` bytes that must all be zero.
    pub(crate) fn zeros(&mut self, length: usize) -> Option<()> {
        self.bytes(length)?.iter().all(|byte| *byte == 0).then_some(())
    }
}

/// A length of something in memory as a position on disk.
pub(crate) const fn on_disk(length: usize) -> u64 {
    length as u64
}

/// A length on disk as a length in memory; what does not fit is beyond any memory.
pub(crate) fn in_memory(length: u64) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_in_order_and_end_where_the_bytes_end() {
        let mut fields = Fields::new(&[1, 2, 0, 0, 0, 9]);
        assert_eq!(fields.u8(), Some(1));
        assert_eq!(fields.u32(), Some(2));
        assert_eq!(fields.u64(), None);
        assert_eq!(fields.zeros(1), None);
        assert!(fields.is_empty());
    }
}
