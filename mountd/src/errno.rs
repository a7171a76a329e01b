//! Our errors as numbers; nowhere else. The table is docs/semantics.md.

use crate::approval_queue::Unanswered;
use crate::caller::IdentifyError;
use crate::draft::GrowError;
use crate::pipeline::{ChangeError, HandOutError, OpenError, ReadError, WriteError};
use crate::request_file::RequestFileError;
use crate::source::SourceError;
use fuser::Errno;
use ward_policy::{LeaseEnd, NameFault};
use ward_store::{ChangeError as StoreError, EntryNameError, TreeError};

/// A mount or lease that has ended: the bytes were here and are gone for good.
pub(crate) const ENDED: Errno = Errno::ESTALE;

/// A secret whose time is over: "Key has expired".
fn expired() -> Errno {
    Errno::from_i32(libc::EKEYEXPIRED)
}

pub(crate) fn of_open(error: &OpenError) -> Errno {
    match error {
        OpenError::Name(fault) => of_name(*fault),
        OpenError::NoSuchSecret => Errno::ENOENT,
        OpenError::Unidentified(error) => of_identity(error),
        OpenError::Denied(_) | OpenError::Limited(..) => Errno::EACCES,
        OpenError::NeedsApproval(_) => Errno::EAGAIN,
        OpenError::Unanswered(_, why) => match why {
            Unanswered::Refused
            | Unanswered::NotServed
            | Unanswered::TimedOut
            | Unanswered::Ended => Errno::EACCES,
            Unanswered::Interrupted => Errno::EINTR,
            Unanswered::Asleep => Errno::EAGAIN,
        },
        OpenError::Expired(_) => expired(),
        OpenError::Source(_, SourceError::Refused(_)) => Errno::EACCES,
        OpenError::Source(_, SourceError::Failed(_)) => Errno::EIO,
        OpenError::Ended => ENDED,
        OpenError::ReadOnly => Errno::EROFS,
        OpenError::NoRoom(_) => Errno::ENOSPC,
        OpenError::TooMany(_) => Errno::EMFILE,
        OpenError::Decrypt(_) | OpenError::Log(_) | OpenError::NoRandomness(_) => Errno::EIO,
    }
}

pub(crate) fn of_read(error: &ReadError) -> Errno {
    match error {
        ReadError::NotOpen => Errno::EBADF,
        ReadError::Ended => ENDED,
        ReadError::Expired => expired(),
        ReadError::Lease(end) => of_lease(*end),
        ReadError::Open(error) => of_open(error),
        ReadError::Decrypt(_) | ReadError::Log(_) => Errno::EIO,
    }
}

pub(crate) fn of_write(error: &WriteError) -> Errno {
    match error {
        WriteError::NotOpen => Errno::EBADF,
        WriteError::Ended => ENDED,
        WriteError::Expired => expired(),
        WriteError::Lease(end) => of_lease(*end),
        WriteError::Open(error) => of_open(error),
        WriteError::Grow(GrowError::TooLong) => Errno::EFBIG,
        WriteError::Grow(GrowError::NoRoom(_)) => Errno::ENOSPC,
        WriteError::Store(error) => of_store(error),
        WriteError::Log(_) => Errno::EIO,
    }
}

pub(crate) fn of_change(error: &ChangeError) -> Errno {
    match error {
        ChangeError::Name(fault) => of_name(*fault),
        ChangeError::NoSuchName => Errno::ENOENT,
        ChangeError::Unidentified(error) => of_identity(error),
        ChangeError::Denied(_) => Errno::EACCES,
        ChangeError::Ended => ENDED,
        ChangeError::ReadOnly => Errno::EROFS,
        ChangeError::Store(error) => of_store(error),
        ChangeError::Log(_) => Errno::EIO,
        ChangeError::Open(error) => of_open(error),
        ChangeError::Write(error) => of_write(error),
    }
}

pub(crate) fn of_hand_out(error: &HandOutError) -> Errno {
    match error {
        HandOutError::NotYours => Errno::ENOENT,
        HandOutError::Terms => Errno::EINVAL,
        HandOutError::Open(error) => of_open(error),
    }
}

pub(crate) fn of_request_file(error: &RequestFileError) -> Errno {
    match error {
        RequestFileError::Absent => Errno::ENOENT,
        RequestFileError::Exists => Errno::EEXIST,
        RequestFileError::Name | RequestFileError::Invalid => Errno::EINVAL,
        RequestFileError::NotWriter => Errno::EACCES,
        RequestFileError::TooLong => Errno::EFBIG,
        RequestFileError::TooMany => Errno::EDQUOT,
        RequestFileError::Refused(error) => of_open(error),
    }
}

pub(crate) const fn of_name(fault: NameFault) -> Errno {
    match fault {
        NameFault::Empty | NameFault::LeadingSlash | NameFault::TrailingSlash => Errno::EINVAL,
        NameFault::EmptyPart | NameFault::Climbs | NameFault::ControlCharacter => Errno::EINVAL,
        NameFault::PartTooLong | NameFault::TooLong => Errno::ENAMETOOLONG,
        NameFault::Reserved => Errno::EPERM,
    }
}

pub(crate) const fn of_store(error: &StoreError) -> Errno {
    match error {
        StoreError::NotFound => Errno::ENOENT,
        StoreError::Exists => Errno::EEXIST,
        StoreError::NotDirectory => Errno::ENOTDIR,
        StoreError::IsDirectory => Errno::EISDIR,
        StoreError::NotEmpty => Errno::ENOTEMPTY,
        StoreError::IntoItself => Errno::EINVAL,
        StoreError::Name(fault) => of_name(*fault),
        StoreError::TooLong { .. } | StoreError::TooFar => Errno::EFBIG,
        StoreError::TooManyLinks => Errno::EMLINK,
        StoreError::NotFile => Errno::EINVAL,
        StoreError::Target => Errno::ENAMETOOLONG,
        StoreError::NoSuchAttribute => Errno::ENODATA,
        StoreError::AttributeName => Errno::ERANGE,
        StoreError::WrongKind => Errno::EPERM,
        StoreError::NoSpace => Errno::ENOSPC,
        StoreError::ReadOnly(_) => Errno::EROFS,
        StoreError::Io(_) => Errno::EIO,
    }
}

/// A look at the tree of a workspace that found nothing.
pub(crate) const fn of_tree(error: TreeError) -> Errno {
    match error {
        TreeError::NotFound => Errno::ENOENT,
        TreeError::NotDirectory => Errno::ENOTDIR,
    }
}

pub(crate) const fn of_entry_name(error: EntryNameError) -> Errno {
    match error {
        EntryNameError::Impossible => Errno::EINVAL,
        EntryNameError::TooLong => Errno::ENAMETOOLONG,
    }
}

/// Nobody we can name gets nothing.
pub(crate) const fn of_identity(error: &IdentifyError) -> Errno {
    match error {
        IdentifyError::Unread => Errno::EAGAIN,
        IdentifyError::Nobody | IdentifyError::Ourselves | IdentifyError::Monitor(_) => {
            Errno::EACCES
        }
    }
}

const fn of_lease(end: LeaseEnd) -> Errno {
    match end {
        LeaseEnd::Expired | LeaseEnd::Withdrawn => ENDED,
        LeaseEnd::NotHolder => Errno::EACCES,
    }
}
