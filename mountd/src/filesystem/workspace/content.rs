//! What lies in the files of a workspace, as the kernel reads it and writes it back.

use super::{Errno, WorkspaceFilesystem};
use crate::errno;
use crate::handle_table::HandleId;
use fuser::{INodeNo, ReplyLseek, WriteFlags};
use std::sync::Arc;
use ward_policy::FileId;
use ward_store::{AllocateMode, ChangeError, Revealed, Seek, SetAttributes};

/// The most bytes that one request copies: the rest is asked for again.
const LONGEST_COPY: u64 = 64 << 20;

impl WorkspaceFilesystem {
    pub(super) fn read_pages(
        &self,
        handle: HandleId,
        offset: u64,
        size: u32,
    ) -> Result<Revealed, Errno> {
        let length = usize::try_from(size).unwrap_or(usize::MAX);
        let read = self.pipeline.read_page(handle, offset, length);
        read.map_err(|error| errno::of_read(&error))
    }

    pub(super) fn write_pages(
        &self,
        handle: HandleId,
        (offset, bytes): (u64, &[u8]),
        flags: WriteFlags,
    ) -> Result<(), Errno> {
        let written = if flags.contains(WriteFlags::FUSE_WRITE_CACHE) {
            self.pipeline.write_page(handle, offset, bytes)
        } else {
            self.pipeline
                .change_open(handle, |vault, file, now| vault.write_node(file, offset, bytes, now))
        };
        written.map_err(|error| errno::of_write(&error))?;
        if flags.contains(WriteFlags::FUSE_WRITE_KILL_SUIDGID) {
            let taken = self.pipeline.change_open(handle, |vault, file, now| {
                let mode = vault.node(file).map_or(0, |node| node.mode);
                let mode = super::attributes::without_privilege(mode);
                let lost = SetAttributes { mode, ..SetAttributes::default() };
                if mode.is_some() {
                    vault.set_attributes(file, &lost, now).map(drop)
                } else {
                    Ok(())
                }
            });
            taken.map_err(|error| errno::of_write(&error))?;
        }
        Ok(())
    }

    /// Finds data or a hole. What a writer left with the kernel is written back first, since the
    /// kernel does not do it, and only on another thread: it waits for pages.
    pub(super) fn seek(&self, inode: INodeNo, offset: i64, whence: i32, reply: ReplyLseek) {
        let sought = match whence {
            libc::SEEK_DATA => Seek::Data,
            libc::SEEK_HOLE => Seek::Hole,
            _ => return reply.error(Errno::EINVAL),
        };
        let file = FileId(inode.0);
        let place = Arc::clone(&self.place);
        let answer = move || {
            let found = u64::try_from(offset)
                .ok()
                .and_then(|offset| place.vault.vault.seek(file, offset, sought).ok()?)
                .and_then(|found| i64::try_from(found).ok());
            match found {
                Some(found) => reply.offset(found),
                None => reply.error(Errno::ENXIO),
            }
        };
        if self.pipeline.handles.has_writer(&self.place.vault.name, file) {
            self.invalidator.then(inode.0, answer);
        } else {
            answer();
        }
    }

    pub(super) fn allocate(
        &self,
        handle: HandleId,
        (offset, length): (u64, u64),
        mode: i32,
    ) -> Result<(), Errno> {
        const KEEP_SIZE: i32 = libc::FALLOC_FL_KEEP_SIZE;
        const PUNCH_HOLE: i32 = libc::FALLOC_FL_PUNCH_HOLE | KEEP_SIZE;
        const ZERO_RANGE: i32 = libc::FALLOC_FL_ZERO_RANGE;
        const ZERO_RANGE_WITHIN: i32 = ZERO_RANGE | KEEP_SIZE;
        let mode = match mode {
            0 => AllocateMode::Extend,
            KEEP_SIZE => AllocateMode::KeepSize,
            // A hole reads as zeros, and takes no room where none can be promised.
            PUNCH_HOLE | ZERO_RANGE_WITHIN => AllocateMode::PunchHole,
            ZERO_RANGE => AllocateMode::ZeroRange,
            _ => return Err(Errno::ENOTSUP),
        };
        let allocated = self.pipeline.change_open(handle, |vault, file, now| {
            vault.allocate(file, offset, length, mode, now).map(drop)
        });
        allocated.map_err(|error| errno::of_write(&error))
    }

    /// Copies bytes of one open file into another; how many.
    pub(super) fn copy(
        &self,
        (from, from_offset): (HandleId, u64),
        (to, to_offset): (HandleId, u64),
        length: u64,
    ) -> Result<u32, Errno> {
        let source = self.pipeline.readable(from).map_err(|error| errno::of_read(&error))?;
        let length = length.min(LONGEST_COPY);
        let copied = self.pipeline.change_open(to, |vault, file, now| {
            vault.copy_range((source, from_offset), (file, to_offset), length, now)
        });
        let copied = copied.map_err(|error| errno::of_write(&error))?;
        Ok(u32::try_from(copied).unwrap_or(u32::MAX))
    }

    /// Makes everything durable that was written before.
    pub(super) fn sync(&self) -> Result<(), Errno> {
        let synced: Result<_, ChangeError> = self.vault().sync();
        synced.map(|_head| ()).map_err(|error| errno::of_store(&error))
    }
}
