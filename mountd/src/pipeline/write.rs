//! Writing to an open file: into its draft, and from there into a version.

use super::{OpenError, Pipeline};
use crate::caller::Asker;
use crate::clock;
use crate::draft::{Draft, GrowError, State};
use crate::handle_table::{Handle, HandleId, Opened};
use crate::maker;
use std::sync::Arc;
use ward_audit::{AppendError, Durability, EventType, Record};
use ward_policy::{LeaseEnd, Operation};
use ward_store::Existing;

/// Why a write did not happen.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// No such open file, or it was not opened for writing.
    #[error("the file is not open for writing")]
    NotOpen,
    /// The mount has ended.
    #[error("the mount has ended")]
    Ended,
    /// The secret has expired.
    #[error("the secret has expired")]
    Expired,
    /// The lease is over, or somebody else's.
    #[error(transparent)]
    Lease(#[from] LeaseEnd),
    /// The writer is nobody, or not the opener and may not write it itself.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// More than the store takes, or than there is memory for.
    #[error(transparent)]
    Grow(#[from] GrowError),
    /// The store could not keep it.
    #[error(transparent)]
    Store(#[from] ward_store::ChangeError),
    /// The log took no record.
    #[error(transparent)]
    Log(#[from] AppendError),
}

/// Where a write goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteAt {
    /// At this offset.
    Offset(u64),
    /// At the end, wherever that is by now.
    End,
}

/// What asks for a version to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// A close (FLUSH): what was written.
    Flush,
    /// fsync(2), or the last close: also a file that was only cut to nothing.
    Settle,
}

impl Pipeline {
    /// Writes `bytes` into the draft of an open file.
    pub(crate) fn write(
        &self,
        id: HandleId,
        asker: Asker,
        at: WriteAt,
        bytes: &[u8],
    ) -> Result<(), WriteError> {
        let (handle, draft) = self.writable(id, asker)?;
        match at {
            WriteAt::Offset(offset) => draft.write(offset, bytes)?,
            WriteAt::End => draft.append(bytes)?,
        }
        handle.place.term.touch(clock::now());
        Ok(())
    }

    /// Makes the draft of an open file `length` bytes long.
    pub(crate) fn truncate_open(
        &self,
        id: HandleId,
        asker: Asker,
        length: u64,
    ) -> Result<(), WriteError> {
        let (handle, draft) = self.writable(id, asker)?;
        draft.truncate(length)?;
        handle.place.term.touch(clock::now());
        Ok(())
    }

    /// Makes a version of what was written, durably; nothing for a handle that only reads.
    ///
    /// Whoever closes need not be known: a process that ends closes when nothing is left of it to
    /// look at, and what it wrote was attested when it wrote it.
    pub(crate) fn settle(&self, id: HandleId, occasion: Occasion) -> Result<(), WriteError> {
        let handle = self.handles.find(id).ok_or(WriteError::NotOpen)?;
        let Opened::Secret { draft: Some(draft), .. } = &handle.opened else {
            return Ok(());
        };
        if !handle.place.is_open(clock::now()) {
            return Err(WriteError::Ended);
        }
        let is_due = |state| match occasion {
            Occasion::Flush => state == State::Dirty,
            Occasion::Settle => state != State::Clean,
        };
        draft.commit(is_due, |bytes| {
            let vault = &handle.place.vault.vault;
            let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            let record = Record::new(EventType::FileWrite).granted(handle.lease.grant());
            let record = record.lease(handle.lease.id()).bytes(length);
            let record = record.by(&handle.opener);
            let _recorded = self.log.append(record, Durability::Durable, clock::stamp())?;
            // Writing prolongs nothing: what replaces a value ends when that would have.
            let version = vault.current_version(handle.file);
            let current = version.and_then(|version| vault.expires(handle.file, version));
            let expires = handle.expires.into_iter().chain(current).min();
            let written = (clock::file_time(), expires);
            let writing = maker::writing(&handle.opener, written, Existing::Replace);
            vault.write_version(handle.file, bytes, writing)?;
            vault.sync()?;
            Ok(())
        })
    }

    /// Closes an open file for good. A file that was only cut to nothing becomes a version now.
    pub(crate) fn release(&self, id: HandleId) -> Result<(), WriteError> {
        let settled = self.settle(id, Occasion::Settle);
        self.handles.remove(id);
        settled
    }

    fn writable(
        &self,
        id: HandleId,
        asker: Asker,
    ) -> Result<(Arc<Handle>, Arc<Draft>), WriteError> {
        let handle = self.handles.find(id).ok_or(WriteError::NotOpen)?;
        if !handle.permits(Operation::FileWrite) {
            return Err(WriteError::NotOpen);
        }
        if !handle.place.is_open(clock::now()) {
            return Err(WriteError::Ended);
        }
        if self.calendar.is_over(handle.expires) {
            return Err(WriteError::Expired);
        }
        let right = self.right_to(&handle, asker, Operation::FileWrite)?;
        right.active(clock::now())?;
        let draft = match &handle.opened {
            Opened::Secret { draft, .. } => draft.clone(),
            Opened::Entry(_) | Opened::Node(_) => None,
        };
        let draft = draft.ok_or(WriteError::NotOpen)?;
        Ok((handle, draft))
    }
}
