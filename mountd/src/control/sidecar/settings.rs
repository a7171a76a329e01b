//! The table `[sidecar]` of `ward.toml`, and the token of its clients.

use crate::metrics::Loopback;
use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The shortest and the longest token, in bytes.
const LENGTH: std::ops::RangeInclusive<usize> = 16..=4096;

/// Where a sidecar listens from the start of the daemon on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SidecarSettings {
    /// An address of loopback.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bind: Option<Loopback>,
    /// The file of the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) token_file: Option<PathBuf>,
}

/// What a client must show, as its SHA-256.
pub(crate) struct Token([u8; 32]);

impl Token {
    /// From a file that only we can read, less one final newline.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let named = path.display();
        let refused =
            |why: &dyn std::fmt::Display| format!("cannot take the token from {named}: {why}");
        // A pipe would have us wait for who writes into it.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = open(path, flags, Mode::empty()).map_err(|errno| refused(&errno))?;
        let status = fstat(&file).map_err(|errno| refused(&errno))?;
        if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile {
            return Err(refused(&"it is no regular file"));
        }
        let ours = rustix::process::geteuid().as_raw();
        if status.st_mode & 0o077 != 0 || ![0, ours].contains(&status.st_uid) {
            return Err(refused(&"others can read it; run: chmod 600"));
        }
        let mut text = Zeroizing::new(String::with_capacity(LENGTH.end() + 2));
        let limit = u64::try_from(LENGTH.end() + 2).unwrap_or(u64::MAX);
        File::from(file).take(limit).read_to_string(&mut text).map_err(|error| refused(&error))?;
        Self::try_from(text.strip_suffix('\n').unwrap_or(&text)).map_err(|why| refused(&why))
    }

    /// Whether this is it; takes as long for every text of its length.
    pub(super) fn is(&self, shown: &str) -> bool {
        let shown: [u8; 32] = Sha256::digest(shown).into();
        self.0.iter().zip(shown).fold(0, |differs, (one, other)| differs | (one ^ other)) == 0
    }
}

impl TryFrom<&str> for Token {
    type Error = &'static str;

    fn try_from(text: &str) -> Result<Self, &'static str> {
        let is_token = LENGTH.contains(&text.len());
        is_token.then(|| Self(Sha256::digest(text).into())).ok_or("a token has 16 to 4096 bytes")
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Token(..)")
    }
}
