//! Access to the files of a log.

use std::io;
use std::path::{Path, PathBuf};

/// Why files of a log are not to be had.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The directory is not to be had.
    #[error("cannot open the log's directory {directory:?}. Check the path and who you are")]
    Directory {
        /// The directory.
        directory: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file of it is not to be had.
    #[error("cannot read {file} of the log. Check the disk and who you are")]
    File {
        /// The file.
        file: String,
        /// What the system says.
        source: io::Error,
    },
}

impl AccessError {
    /// What the system says.
    pub fn kind(&self) -> io::ErrorKind {
        match self {
            Self::Directory { source, .. } | Self::File { source, .. } => source.kind(),
        }
    }

    pub(crate) fn directory(directory: &Path) -> impl Fn(io::Error) -> Self {
        move |source| Self::Directory { directory: directory.to_owned(), source }
    }

    pub(crate) fn file(name: impl ToString) -> impl Fn(io::Error) -> Self {
        move |source| Self::File { file: name.to_string(), source }
    }
}
