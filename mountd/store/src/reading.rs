//! Reading: what there is, and its content for a live lease.
//!
//! The index is held only to look something up, never while the disk or a cipher works.

use crate::buffer::Buffer;
use crate::extent::{Extent, VersionId};
use crate::fields::{in_memory, on_disk};
use crate::imprint::Imprint;
use crate::index::ROOT;
use crate::plaintext::Plaintext;
use crate::secret_history::Removed;
use crate::secret_tree::{Attributes, Entry, SecretTree};
use crate::segment::ExtentError;
use crate::vault::Vault;
use crate::wall_time::WallTime;
use std::fmt;
use std::io;
use std::ops::{Deref, Range};
use ward_policy::{ActiveLease, FileId, Operation, SecretName, SecretPath};
use zeroize::Zeroizing;

/// Why a version is not decrypted.
#[derive(Debug, thiserror::Error)]
pub enum DecryptError {
    /// The lease is for another file, or not for this operation.
    #[error("the lease does not cover this; open the file again")]
    NotLeased,
    /// The version is not one of this file, or was shredded.
    #[error("the version is gone; open the file again")]
    NoSuchVersion,
    /// The bytes on disk are not what was sealed.
    #[error("{0} is damaged on disk; run ward vault fsck and restore a backup")]
    Damaged(Place),
    /// The disk does not give the bytes.
    #[error("cannot read {place}: {source}; check the disk")]
    Io {
        /// Where.
        place: Place,
        /// What the disk says.
        source: io::Error,
    },
}

/// A frame of a segment, as errors name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The number of the segment.
    pub segment: u64,
    /// The byte in it.
    pub position: u64,
}

/// The current content of a file for who changes parts of it. Stays in the daemon.
pub struct Draft(Zeroizing<Vec<u8>>);

impl Vault {
    /// The top directory.
    pub const fn root(&self) -> FileId {
        ROOT
    }

    /// The node behind a name in a directory.
    pub fn lookup(&self, parent: FileId, name: &SecretName) -> Option<FileId> {
        self.read_index().secrets()?.lookup(parent, name)
    }

    /// The node at a path.
    pub fn find(&self, path: &SecretPath) -> Option<FileId> {
        self.read_index().secrets()?.find(path)
    }

    /// Where a node is; `None` for the top and for what has no name.
    pub fn path_of(&self, file: FileId) -> Option<SecretPath> {
        self.read_index().secrets()?.path_of(file)
    }

    /// What is known about a node without opening it.
    pub fn attributes(&self, file: FileId) -> Option<Attributes> {
        self.read_index().secrets()?.attributes(file)
    }

    /// The entries of a directory in the order of their bytes; none for anything else.
    pub fn entries(&self, directory: FileId) -> Vec<Entry> {
        self.read_index().secrets().map_or_else(Vec::new, |tree| tree.entries(directory))
    }

    /// The versions that can be restored, oldest first.
    pub fn versions(&self, file: FileId) -> Vec<VersionId> {
        let index = self.read_index();
        let history = index.secrets().and_then(|tree| tree.history(file));
        history.map_or_else(Vec::new, |history| history.shown().to_vec())
    }

    /// The content of the file now; `None` while nothing was written.
    pub fn current_version(&self, file: FileId) -> Option<VersionId> {
        self.read_index().secrets()?.current(file)
    }

    /// The length of a version, and when it was written.
    pub fn version_attributes(&self, file: FileId, version: VersionId) -> Option<(u64, WallTime)> {
        self.read_index()
            .secrets()?
            .content(file, version)
            .map(|content| (content.length, content.time))
    }

    /// Who wrote a version and until when it is served, where that is known.
    pub fn imprint(&self, file: FileId, version: VersionId) -> Option<Imprint> {
        let index = self.read_index();
        index.secrets()?.content(file, version)?.imprint.as_deref().cloned()
    }

    /// From when on nobody is given a version; `None` for never.
    pub fn expires(&self, file: FileId, version: VersionId) -> Option<WallTime> {
        self.read_index().secrets()?.content(file, version)?.imprint.as_deref()?.expires
    }

    /// Files that have lost their name, in the order of their last paths.
    pub fn removed(&self) -> Vec<Removed> {
        self.read_index().secrets().map_or_else(Vec::new, SecretTree::removed)
    }

    /// Decrypts up to `length` bytes from `offset` of a version, fewer at its end.
    ///
    /// A version stays readable after the file lost its name, until it is shredded.
    ///
    /// # Errors
    /// The lease does not permit `file.read` of this file, or the version is gone or damaged.
    pub fn decrypt(
        &self,
        lease: &ActiveLease<'_>,
        (file, version): (FileId, VersionId),
        offset: u64,
        length: usize,
    ) -> Result<Plaintext, DecryptError> {
        check(lease, Operation::FileRead, file)?;
        let wanted = offset..offset.saturating_add(on_disk(length));
        let (buffer, visible) = self.open_version((file, version), &wanted)?;
        Ok(Plaintext::new(buffer, visible))
    }

    /// The current content of a file, for a write that changes only a part of it.
    ///
    /// # Errors
    /// The lease does not permit `file.write` of this file, or the content is damaged.
    pub fn draft(&self, lease: &ActiveLease<'_>, file: FileId) -> Result<Draft, DecryptError> {
        check(lease, Operation::FileWrite, file)?;
        let current = {
            let index = self.read_index();
            let tree = index.secrets().ok_or(DecryptError::NoSuchVersion)?;
            tree.history(file).ok_or(DecryptError::NoSuchVersion)?;
            tree.current(file)
        };
        let Some(version) = current else {
            return Ok(Draft(Zeroizing::new(Vec::new())));
        };
        let (buffer, visible) = self.open_version((file, version), &(0..u64::MAX))?;
        Ok(Draft(Zeroizing::new(buffer.as_slice()[visible].to_vec())))
    }

    /// Up to `length` bytes from `offset` of what a writer has written and reads back before it is
    /// a version.
    ///
    /// # Errors
    /// The lease does not permit `file.read` of this file.
    pub fn read_back(
        &self,
        lease: &ActiveLease<'_>,
        (file, written): (FileId, &[u8]),
        offset: u64,
        length: usize,
    ) -> Result<Plaintext, DecryptError> {
        check(lease, Operation::FileRead, file)?;
        let start = in_memory(offset).min(written.len());
        let wanted = &written[start..start.saturating_add(length).min(written.len())];
        let mut buffer = Buffer::for_reply(wanted.len());
        buffer.as_mut_slice().copy_from_slice(wanted);
        Ok(Plaintext::new(buffer, 0..wanted.len()))
    }

    /// Opens the bytes `wanted` of a version, fewer at its end.
    fn open_version(
        &self,
        (file, version): (FileId, VersionId),
        wanted: &Range<u64>,
    ) -> Result<(Buffer, Range<usize>), DecryptError> {
        let look = || {
            let index = self.read_index();
            let tree = index.secrets().ok_or(DecryptError::NoSuchVersion)?;
            let content = tree.content(file, version).ok_or(DecryptError::NoSuchVersion)?;
            let end = wanted.end.min(content.length);
            let wanted = wanted.start.min(end)..end;
            Ok((wanted.clone(), overlapping(&content.extents, &wanted)))
        };
        open_where_it_is(look, |(wanted, extents)| self.open_extents(extents, wanted))
    }

    fn open_extents(
        &self,
        extents: &[Extent],
        wanted: &Range<u64>,
    ) -> Result<(Buffer, Range<usize>), DecryptError> {
        let part = |extent: &Extent| {
            let start = wanted.start.max(extent.offset) - extent.offset;
            start..wanted.end.min(extent.offset + extent.length) - extent.offset
        };
        if let [extent] = extents
            && on_disk(in_memory(wanted.end - wanted.start))
                == part(extent).end - part(extent).start
        {
            return self.open_extent(extent, part(extent));
        }
        // Bytes that no extent holds are zeros.
        let mut joined = Buffer::for_reply(in_memory(wanted.end - wanted.start));
        for extent in extents {
            let part = part(extent);
            let start = in_memory(extent.offset + part.start - wanted.start);
            let (plain, range) = self.open_extent(extent, part)?;
            let place = start..start + range.len();
            joined.as_mut_slice()[place].copy_from_slice(&plain.as_slice()[range]);
        }
        let length = joined.as_slice().len();
        Ok((joined, 0..length))
    }

    fn open_extent(
        &self,
        extent: &Extent,
        part: Range<u64>,
    ) -> Result<(Buffer, Range<usize>), DecryptError> {
        let place = Place { segment: extent.segment, position: extent.position };
        self.segments.read(extent, part).map_err(|error| match error {
            ExtentError::Changed | ExtentError::NoSegment => DecryptError::Damaged(place),
            ExtentError::Read(source) => DecryptError::Io { place, source },
        })
    }
}

impl Deref for Draft {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Draft {
    /// The content, to be changed and given to [`Vault::write_version`].
    pub fn into_bytes(self) -> Zeroizing<Vec<u8>> {
        self.0
    }
}

impl fmt::Debug for Draft {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Draft(..)")
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "segment {} at {}", self.segment, self.position)
    }
}

/// Opens bytes at the place where `look` finds them, and looks again when they are not there: the
/// compactor may have moved them, and removed the segment, in between.
pub(crate) fn open_where_it_is<Found: PartialEq, Bytes>(
    look: impl Fn() -> Result<Found, DecryptError>,
    open: impl Fn(&Found) -> Result<Bytes, DecryptError>,
) -> Result<Bytes, DecryptError> {
    let mut found = look()?;
    loop {
        match open(&found) {
            Err(DecryptError::Damaged(place)) => {
                let again = look()?;
                if again == found {
                    return Err(DecryptError::Damaged(place));
                }
                found = again;
            }
            done => return done,
        }
    }
}

fn check(lease: &ActiveLease<'_>, operation: Operation, file: FileId) -> Result<(), DecryptError> {
    let grant = lease.grant();
    if grant.operations.contains(operation) && grant.file == Some(file) {
        Ok(())
    } else {
        Err(DecryptError::NotLeased)
    }
}

/// The extents that hold some of the bytes.
fn overlapping(extents: &[Extent], wanted: &Range<u64>) -> Vec<Extent> {
    let overlaps = |extent: &&Extent| {
        extent.offset < wanted.end && wanted.start < extent.offset + extent.length
    };
    extents.iter().filter(overlaps).copied().collect()
}
