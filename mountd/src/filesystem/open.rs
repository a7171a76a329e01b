//! What an OPEN asks for, from its flags, and its answer, now or when a human gave one.

use super::asker;
use crate::caller::IdentifyError;
use crate::errno;
use crate::fair_queue::Turn;
use crate::handle_table::HandleId;
use crate::pipeline::{Content, OpenError, OpenRequest, Opening, Patience, Pipeline};
use crate::place::Place;
use fuser::{FileHandle, FopenFlags, OpenFlags, ReplyOpen, Request};
use std::sync::Arc;
use ward_policy::{FileId, Operation, OperationSet};

pub(super) fn open_request(request: &Request, file: FileId, flags: OpenFlags) -> OpenRequest {
    let truncate = flags.0 & libc::O_TRUNC != 0;
    OpenRequest {
        file,
        asker: asker(request),
        operations: operations(flags.0),
        content: if truncate { Content::Truncate } else { Content::Keep },
        patience: if flags.0 & libc::O_NONBLOCK != 0 { Patience::None } else { Patience::Hold },
        handed: None,
    }
}

/// Decides an open and answers it; `flags` says how the kernel is to treat the open file.
pub(super) fn answer(
    pipeline: &Arc<Pipeline>,
    place: &Arc<Place>,
    wanted: OpenRequest,
    reply: ReplyOpen,
    flags: impl FnOnce(HandleId) -> FopenFlags + Send + 'static,
) {
    let answer = move |reply: ReplyOpen, outcome: Result<HandleId, OpenError>| match outcome {
        Ok(handle) => reply.opened(FileHandle(handle.0), flags(handle)),
        Err(error) => reply.error(errno::of_open(&error)),
    };
    let callers = &pipeline.callers;
    let (pipeline, place) = (Arc::clone(pipeline), Arc::clone(place));
    let decide = move |turn: Turn| match turn {
        Turn::Now => match pipeline.open(&place, wanted) {
            Ok(Opening::Admitted(handle)) => answer(reply, Ok(handle)),
            Ok(Opening::Held(held)) => held.answer_with(move |outcome| answer(reply, outcome)),
            Ok(Opening::Fetched(open)) => open.answer_with(move |outcome| answer(reply, outcome)),
            Err(error) => answer(reply, Err(error)),
        },
        Turn::Never => answer(reply, Err(IdentifyError::Unread.into())),
    };
    if callers.is_unread(wanted.asker) {
        // Reading a program can take a second: not on an event loop.
        callers.unread.push(wanted.asker.uid, decide);
    } else {
        decide(Turn::Now);
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
