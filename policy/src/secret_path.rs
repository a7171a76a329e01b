//! A secret's path: a name that cannot leave its vault.

use std::fmt;
use std::sync::Arc;

/// The longest part of a path, in bytes (`NAME_MAX`).
const LONGEST_PART: usize = 255;
/// The longest path, in bytes (`PATH_MAX` less the final zero).
const LONGEST_PATH: usize = 4095;

/// One part of a path: 1 to 255 bytes, no `/`, no control character, not `.` or `..`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretName(Arc<[u8]>);

/// A path inside a vault: one or more parts joined by single `/`, none at either end.
///
/// Bytes, not text: Linux names need not be UTF-8. `Display` percent-encodes what is not.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretPath(Arc<[u8]>);

/// Why a text is no path inside a vault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{shown:?} cannot name a secret: {fault}")]
pub struct SecretPathError {
    shown: String,
    /// What is wrong with it.
    pub fault: NameFault,
}

/// What can be wrong with a name, and what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameFault {
    /// No byte at all.
    #[error("it is empty; give a path such as db/password")]
    Empty,
    /// It begins with `/`.
    #[error("it starts with '/'; names are relative to the vault, such as db/password")]
    LeadingSlash,
    /// It ends with `/`.
    #[error("it ends with '/'; name the secret itself, not a folder")]
    TrailingSlash,
    /// Two slashes in a row.
    #[error("it has an empty part ('//'); use single slashes")]
    EmptyPart,
    /// A part is `.` or `..`.
    #[error("a part is '.' or '..'; names cannot climb")]
    Climbs,
    /// A byte below 0x20, or 0x7f.
    #[error("it has a control character; use printable names")]
    ControlCharacter,
    /// A part over 255 bytes.
    #[error("a part is over 255 bytes; shorten it")]
    PartTooLong,
    /// A path over 4095 bytes.
    #[error("it is over 4095 bytes; shorten it")]
    TooLong,
    /// The first part is `.ward`, which every mount keeps for itself.
    #[error("'.ward' at the top belongs to wardfs; choose another name")]
    Reserved,
}

impl SecretName {
    /// The bytes of the name.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<&[u8]> for SecretName {
    type Error = NameFault;

    fn try_from(name: &[u8]) -> Result<Self, NameFault> {
        check_part(name)?;
        Ok(Self(name.into()))
    }
}

impl SecretPath {
    /// The path of a name at the top of a vault.
    ///
    /// # Errors
    /// `.ward` is [`NameFault::Reserved`].
    pub fn top(name: &SecretName) -> Result<Self, NameFault> {
        if name.as_bytes() == b".ward" {
            return Err(NameFault::Reserved);
        }
        Ok(Self(Arc::clone(&name.0)))
    }

    /// The path of `name` inside this folder.
    ///
    /// # Errors
    /// Over 4095 bytes is [`NameFault::TooLong`].
    pub fn join(&self, name: &SecretName) -> Result<Self, NameFault> {
        let joined = [&self.0, b"/".as_slice(), &name.0].concat();
        if joined.len() > LONGEST_PATH {
            return Err(NameFault::TooLong);
        }
        Ok(Self(joined.into()))
    }

    /// Whether it is `folder`, or lies in it.
    pub fn is_within(&self, folder: &Self) -> bool {
        let rest = self.0.strip_prefix(&*folder.0);
        rest.is_some_and(|rest| rest.first().is_none_or(|byte| *byte == b'/'))
    }

    /// The path of `name` inside `folder`, or at the top of the vault.
    ///
    /// # Errors
    /// As [`Self::top`] and [`Self::join`].
    pub fn within(folder: Option<&Self>, name: &SecretName) -> Result<Self, NameFault> {
        folder.map_or_else(|| Self::top(name), |folder| folder.join(name))
    }

    /// The path of the folder it lies in; `None` at the top of the vault.
    pub fn parent(&self) -> Option<Self> {
        let slash = self.0.iter().rposition(|byte| *byte == b'/')?;
        Some(Self(self.0.get(..slash)?.into()))
    }

    /// The bytes of the path.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The parts, from the top down.
    pub fn parts(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.split(|byte| *byte == b'/')
    }
}

impl TryFrom<&[u8]> for SecretPath {
    type Error = SecretPathError;

    fn try_from(path: &[u8]) -> Result<Self, SecretPathError> {
        check_path(path).map_err(|fault| SecretPathError { shown: shown(path), fault })?;
        Ok(Self(path.into()))
    }
}

impl TryFrom<&str> for SecretPath {
    type Error = SecretPathError;

    fn try_from(path: &str) -> Result<Self, SecretPathError> {
        Self::try_from(path.as_bytes())
    }
}

impl fmt::Display for SecretPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&shown(&self.0))
    }
}

impl fmt::Debug for SecretPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SecretPath({})", shown(&self.0))
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&shown(&self.0))
    }
}

impl fmt::Debug for SecretName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SecretName({})", shown(&self.0))
    }
}

fn check_path(path: &[u8]) -> Result<(), NameFault> {
    if path.is_empty() {
        return Err(NameFault::Empty);
    }
    if path.starts_with(b"/") {
        return Err(NameFault::LeadingSlash);
    }
    if path.ends_with(b"/") {
        return Err(NameFault::TrailingSlash);
    }
    if path.len() > LONGEST_PATH {
        return Err(NameFault::TooLong);
    }
    if path == b".ward" || path.starts_with(b".ward/") {
        return Err(NameFault::Reserved);
    }
    path.split(|byte| *byte == b'/').try_for_each(check_part)
}

fn check_part(part: &[u8]) -> Result<(), NameFault> {
    match part {
        [] => Err(NameFault::EmptyPart),
        b"." | b".." => Err(NameFault::Climbs),
        _ if part.len() > LONGEST_PART => Err(NameFault::PartTooLong),
        _ if part.contains(&b'/') => Err(NameFault::EmptyPart),
        _ if part.iter().any(u8::is_ascii_control) => Err(NameFault::ControlCharacter),
        _ => Ok(()),
    }
}

/// Bytes as text: UTF-8 stays, any other byte, control characters and `%` become `%XX`.
fn shown(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character == '%' || character.is_control() {
                let mut encoded = [0; 4];
                let encoded = character.encode_utf8(&mut encoded);
                encoded.bytes().for_each(|byte| text.push_str(&format!("%{byte:02X}")));
            } else {
                text.push(character);
            }
        }
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("%{byte:02X}")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(path: &[u8]) -> Option<NameFault> {
        SecretPath::try_from(path).err().map(|error| error.fault)
    }

    #[test]
    fn a_path_that_is_no_plain_name_is_refused_by_what_is_wrong_with_it() {
        assert_eq!(fault(b""), Some(NameFault::Empty));
        assert_eq!(fault(b"/a"), Some(NameFault::LeadingSlash));
        assert_eq!(fault(b"a/"), Some(NameFault::TrailingSlash));
        assert_eq!(fault(b"a//b"), Some(NameFault::EmptyPart));
        assert_eq!(fault(b".."), Some(NameFault::Climbs));
        assert_eq!(fault(b"a/../b"), Some(NameFault::Climbs));
        assert_eq!(fault(b"a/./b"), Some(NameFault::Climbs));
        assert_eq!(fault(b"a\nb"), Some(NameFault::ControlCharacter));
        assert_eq!(fault(b"a\0b"), Some(NameFault::ControlCharacter));
        assert_eq!(fault(b"a\x7fb"), Some(NameFault::ControlCharacter));
        assert_eq!(fault(&[b'a'; 256]), Some(NameFault::PartTooLong));
        assert_eq!(fault(&b"a/".repeat(2049)[..4097]), Some(NameFault::TooLong));
        assert_eq!(fault(b".ward/status"), Some(NameFault::Reserved));
        assert_eq!(fault(b".ward"), Some(NameFault::Reserved));
    }

    #[test]
    fn any_other_bytes_are_a_path() {
        for good in [b"a".as_slice(), b"db/password", b".env", b"a/.ward", b"..a", b"\xff\xfe"] {
            assert_eq!(fault(good), None, "{}", shown(good));
        }
        assert_eq!(fault(&[b'a'; 255]), None);
    }

    #[test]
    fn a_path_shows_what_is_not_text_percent_encoded() {
        let path = SecretPath::try_from(b"caf\xc3\xa9/%\xff".as_slice()).unwrap();
        assert_eq!(path.to_string(), "café/%25%FF");
    }

    #[test]
    fn joining_gives_the_path_of_a_name_in_a_folder() {
        let name = SecretName::try_from(b"password".as_slice()).unwrap();
        let folder = SecretPath::try_from("db").unwrap();
        assert_eq!(SecretPath::within(Some(&folder), &name).unwrap().to_string(), "db/password");
        assert_eq!(SecretPath::within(None, &name).unwrap().to_string(), "password");
    }
}
