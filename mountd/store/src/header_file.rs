//! The two files of the header: `header` and `header.2`, one of which is always whole.

use crate::durable::{Disk, RealDisk, read_whole, replace};
use crate::header::{Header, HeaderFault, LONGEST, OpenFault, SealedHeader};
use crate::key::VaultKey;
use crate::key_ring::KeyRing;
use crate::kind::VaultKind;
use crate::slot_secret::SlotSecret;
use std::io;
use std::path::Path;

/// The names of the two files.
pub(crate) const COPIES: [&str; 2] = ["header", "header.2"];

/// The newest whole header, opened.
#[derive(Debug)]
pub(crate) struct OpenedHeader {
    pub(crate) header: Header,
    pub(crate) keys: KeyRing,
    /// A copy is missing, older or not whole.
    pub(crate) is_lame: bool,
}

/// What a header says of its vault without a key; unlocking shows whether it is genuine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// What the vault is for.
    pub kind: VaultKind,
    /// Its owner's words.
    pub label: String,
}

/// What the newest whole header of a vault claims; `None` when it has none.
pub fn claim(directory: &Path) -> Option<Claim> {
    let copies = COPIES.iter().filter_map(|copy| {
        let bytes = read_whole(&RealDisk, &directory.join(copy), LONGEST).ok()?;
        SealedHeader::decode(&bytes).ok()
    });
    copies.max_by_key(SealedHeader::generation).map(|sealed| sealed.claim())
}

/// Why neither copy opens.
#[derive(Debug)]
pub(crate) enum HeaderFileError {
    Io(io::Error),
    Newer(u32),
    /// Neither copy is a header.
    Damaged,
    Open(OpenFault),
}

/// Writes both copies, one after the other.
pub(crate) fn write(
    disk: &dyn Disk,
    directory: &Path,
    header: &Header,
    key: &VaultKey,
) -> io::Result<()> {
    let bytes = header.encode(key);
    COPIES.iter().try_for_each(|copy| replace(disk, &directory.join(copy), &bytes))
}

/// Opens the newest copy that `secret` opens and that is whole.
pub(crate) fn open(
    disk: &dyn Disk,
    directory: &Path,
    secret: &SlotSecret,
) -> Result<OpenedHeader, HeaderFileError> {
    let bytes = COPIES.map(|copy| read_whole(disk, &directory.join(copy), LONGEST));
    if let [Err(error), Err(_)] = &bytes {
        return Err(HeaderFileError::Io(io::Error::from(error.kind())));
    }
    let bytes = bytes.map(Result::unwrap_or_default);
    let is_lame = bytes[0] != bytes[1];
    let mut decoded = bytes.map(|bytes| SealedHeader::decode(&bytes));
    let generation = |copy: &Result<SealedHeader, HeaderFault>| {
        copy.as_ref().map_or(0, SealedHeader::generation)
    };
    if generation(&decoded[1]) > generation(&decoded[0]) {
        decoded.swap(0, 1);
    }
    let [newer, older] = decoded;
    let first = match &newer {
        Ok(sealed) => match sealed.open(secret) {
            Ok((header, keys)) => {
                return Ok(OpenedHeader { header, keys, is_lame });
            }
            Err(fault) => HeaderFileError::Open(fault),
        },
        Err(fault) => (*fault).into(),
    };
    // Two equal copies give the same answer: a passphrase costs a second to try.
    if !is_lame {
        return Err(first);
    }
    match older
        .map_err(HeaderFileError::from)
        .and_then(|sealed| sealed.open(secret).map_err(HeaderFileError::Open))
    {
        // A crash between the copies must not bring back a slot, or a key, that the newer one has not.
        Ok((_, keys)) if newer.is_ok_and(|newer| succeeds(&newer, keys.newest())) => Err(first),
        Ok((header, keys)) => Ok(OpenedHeader { header, keys, is_lame }),
        // The newer copy's own answer says more, unless it was no header at all.
        Err(second) => Err(if matches!(first, HeaderFileError::Damaged) { second } else { first }),
    }
}

/// Whether the copy was written by who had `key`, for it or for a successor of it.
fn succeeds(newer: &SealedHeader, key: &VaultKey) -> bool {
    newer.is_genuine(key) || newer.retires(key)
}

impl From<HeaderFault> for HeaderFileError {
    fn from(fault: HeaderFault) -> Self {
        match fault {
            HeaderFault::NotHeader => Self::Damaged,
            HeaderFault::Newer(version) => Self::Newer(version),
        }
    }
}
