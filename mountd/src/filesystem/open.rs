//! What an OPEN asks for, from its flags.

use super::{Errno, WardFilesystem, asker};
use crate::pipeline::{Content, OpenRequest, Patience};
use fuser::{FopenFlags, INodeNo, OpenFlags, Request};
use ward_policy::{Operation, OperationSet};

impl WardFilesystem {
    pub(super) fn open_request(
        &self,
        request: &Request,
        inode: INodeNo,
        flags: OpenFlags,
    ) -> Result<OpenRequest, Errno> {
        let truncate = flags.0 & libc::O_TRUNC != 0;
        Ok(OpenRequest {
            file: self.file(inode)?,
            asker: asker(request),
            operations: operations(flags.0),
            content: if truncate { Content::Truncate } else { Content::Keep },
            patience: if flags.0 & libc::O_NONBLOCK != 0 { Patience::None } else { Patience::Hold },
        })
    }
}

/// How the kernel is to treat the open file: nothing of it stays in the page cache, and the close of
/// one that is only read is no request.
pub(super) fn reply_flags(flags: i32) -> FopenFlags {
    if operations(flags).contains(Operation::FileWrite) {
        FopenFlags::FOPEN_DIRECT_IO
    } else {
        FopenFlags::FOPEN_DIRECT_IO | FopenFlags::FOPEN_NOFLUSH
    }
}

/// What an open with these flags would do. Reading and executing are one.
pub(super) const fn operations(flags: i32) -> OperationSet {
    let truncates = flags & libc::O_TRUNC != 0;
    let (read, write) = match flags & libc::O_ACCMODE {
        libc::O_WRONLY => (false, true),
        libc::O_RDWR => (true, true),
        _ => (true, truncates),
    };
    let mut operations = OperationSet::EMPTY;
    if read {
        operations = operations.with(Operation::FileRead);
    }
    if write {
        operations = operations.with(Operation::FileWrite);
    }
    operations
}
