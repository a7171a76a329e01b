//! The name of an entry of a directory: any bytes that Linux takes for one.

use std::fmt;

/// The longest name, in bytes (`NAME_MAX`).
const LONGEST: usize = 255;
/// Names up to here need no memory of their own.
const SHORT: usize = 30;

/// A name: 1 to 255 bytes, no `/`, no zero, not `.` or `..`. Anything else is fine.
#[derive(Clone)]
pub struct EntryName(Bytes);

#[derive(Clone)]
enum Bytes {
    Short(u8, [u8; SHORT]),
    Long(Box<[u8]>),
}

/// Why bytes are no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryNameError {
    /// Empty, `.`, `..`, or with a `/` or a zero byte.
    #[error("it is empty, '.', '..', or has a '/' or a zero byte; choose another name")]
    Impossible,
    /// Over 255 bytes.
    #[error("it is over 255 bytes; shorten it")]
    TooLong,
}

impl EntryName {
    /// The bytes of the name.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Bytes::Short(length, bytes) => bytes.get(..usize::from(*length)).unwrap_or(bytes),
            Bytes::Long(bytes) => bytes,
        }
    }
}

impl TryFrom<&[u8]> for EntryName {
    type Error = EntryNameError;

    fn try_from(name: &[u8]) -> Result<Self, EntryNameError> {
        if name.len() > LONGEST {
            return Err(EntryNameError::TooLong);
        }
        let is_name = !matches!(name, b"" | b"." | b"..");
        if !is_name || name.iter().any(|byte| matches!(byte, b'/' | 0)) {
            return Err(EntryNameError::Impossible);
        }
        let mut short = [0; SHORT];
        Ok(Self(match (short.get_mut(..name.len()), u8::try_from(name.len())) {
            (Some(own), Ok(length)) => {
                own.copy_from_slice(name);
                Bytes::Short(length, short)
            }
            (_, _) => Bytes::Long(name.into()),
        }))
    }
}

impl PartialEq for EntryName {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for EntryName {}

impl fmt::Debug for EntryName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "\"{}\"", self.as_bytes().escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_anything_that_linux_takes_for_one() {
        for name in [&b"a"[..], b"\n", b"\xff\xfe", &[b'x'; 30], &[b'x'; 31], &[b'x'; 255], b"..."]
        {
            assert_eq!(EntryName::try_from(name).unwrap().as_bytes(), name);
        }
        for name in [&b""[..], b".", b"..", b"a/b", b"a\0"] {
            assert_eq!(EntryName::try_from(name), Err(EntryNameError::Impossible));
        }
        assert_eq!(EntryName::try_from(&[b'x'; 256][..]), Err(EntryNameError::TooLong));
        assert_eq!(size_of::<EntryName>(), 32);
    }
}
