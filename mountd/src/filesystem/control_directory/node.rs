//! What is in the control directory: names, inode numbers, modes.

use crate::request_file::{RequestFile, WAIT};
use crate::tree::TOP;
use fuser::{AccessFlags, Errno, FileAttr, FileType, INodeNo, Request};
use std::ffi::OsStr;
use std::time::SystemTime;

/// Its name.
const NAME: &str = ".ward";
/// From here on inode numbers are ours: a vault numbers its nodes up to 2^62, and random numbers are
/// drawn below 2^63.
const FIRST: u64 = 1 << 63;
/// From here on two for each request file: its own, and that of its `.wait`.
const FIRST_REQUEST: u64 = FIRST + (1 << 33);

/// From here on three for each handoff: the file that takes its answer, the folder of what was handed
/// out, and that file.
const FIRST_HANDOFF: u64 = FIRST + (1 << 34);

/// Something of the control directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::filesystem) enum Node {
    /// The directory.
    Directory,
    /// What the daemon attests about who reads it.
    Whoami,
    /// What is mounted here, and for how long.
    Status,
    /// What who reads it may do with what is here.
    Access,
    /// The last refusal of who reads it.
    LastDenial,
    /// The folder of request files.
    Requests,
    /// A request file.
    Request(u32),
    /// What can be opened once that request is decided.
    Wait(u32),
    /// The folder of requests for files that who looks may hand out.
    Inbox,
    /// One of them, which takes the answer.
    Asked(u32),
    /// The folder of what was handed out to who looks.
    Handoff,
    /// The folder of one file that was.
    HandedFolder(u32),
    /// That file.
    Handed(u32),
}

/// What is in the directory itself.
pub(super) const ENTRIES: [Node; 7] = [
    Node::Access,
    Node::Handoff,
    Node::Inbox,
    Node::LastDenial,
    Node::Requests,
    Node::Status,
    Node::Whoami,
];

impl Node {
    /// What has that inode number; `None` for whatever is of the vault.
    pub(in crate::filesystem) fn of(inode: INodeNo) -> Option<Self> {
        let fixed = [Self::Directory].into_iter().chain(ENTRIES);
        let fixed = fixed.into_iter().find(|node| node.inode() == inode);
        let handoff = inode.0.checked_sub(FIRST_HANDOFF).map(|place| {
            let number = u32::try_from(place / 3).unwrap_or(u32::MAX);
            match place % 3 {
                0 => Self::Asked(number),
                1 => Self::HandedFolder(number),
                _ => Self::Handed(number),
            }
        });
        let request = inode.0.checked_sub(FIRST_REQUEST).map(|place| {
            let number = u32::try_from(place / 2).unwrap_or(u32::MAX);
            if place % 2 == 0 { Self::Request(number) } else { Self::Wait(number) }
        });
        fixed.or(handoff).or(request)
    }

    /// Its inode number.
    pub(in crate::filesystem) fn inode(self) -> INodeNo {
        INodeNo(match self {
            Self::Directory => FIRST,
            Self::Whoami => FIRST + 1,
            Self::Status => FIRST + 2,
            Self::Access => FIRST + 3,
            Self::LastDenial => FIRST + 4,
            Self::Requests => FIRST + 5,
            Self::Inbox => FIRST + 6,
            Self::Handoff => FIRST + 7,
            Self::Asked(number) => FIRST_HANDOFF + 3 * u64::from(number),
            Self::HandedFolder(number) => FIRST_HANDOFF + 3 * u64::from(number) + 1,
            Self::Handed(number) => FIRST_HANDOFF + 3 * u64::from(number) + 2,
            Self::Request(number) => FIRST_REQUEST + 2 * u64::from(number),
            Self::Wait(number) => FIRST_REQUEST + 2 * u64::from(number) + 1,
        })
    }

    /// Its name in the directory; what comes and goes has another each time.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Directory => NAME,
            Self::Whoami => "whoami",
            Self::Status => "status",
            Self::Access => "access",
            Self::LastDenial => "last-denial",
            Self::Requests => "requests",
            Self::Inbox => "inbox",
            Self::Handoff => "handoff",
            Self::Request(_) | Self::Wait(_) => "",
            Self::Asked(_) | Self::HandedFolder(_) | Self::Handed(_) => "",
        }
    }

    pub(super) const fn kind(self) -> FileType {
        match self {
            Self::Directory | Self::Requests => FileType::Directory,
            Self::Inbox | Self::Handoff | Self::HandedFolder(_) => FileType::Directory,
            Self::Whoami | Self::Status | Self::Access | Self::LastDenial => FileType::RegularFile,
            Self::Request(_) | Self::Wait(_) => FileType::RegularFile,
            Self::Asked(_) | Self::Handed(_) => FileType::RegularFile,
        }
    }

    /// Whether an entry is of the directory or is the directory: nobody moves it.
    pub(in crate::filesystem) fn is_ours((parent, name): (INodeNo, &OsStr)) -> bool {
        Self::of(parent).is_some() || parent == INodeNo(TOP) && name == NAME
    }

    /// access(2): everybody reads; who sees a request file may try to write it.
    pub(in crate::filesystem) fn check_access(self, mask: AccessFlags) -> Result<(), Errno> {
        let is_file = self.kind() == FileType::RegularFile;
        let takes_writes = matches!(self, Self::Requests | Self::Request(_) | Self::Asked(_));
        let is_refused = mask.contains(AccessFlags::W_OK) && !takes_writes
            || is_file && mask.contains(AccessFlags::X_OK);
        if is_refused { Err(Errno::EACCES) } else { Ok(()) }
    }

    const fn mode(self) -> u16 {
        match self {
            Self::Directory => 0o555,
            Self::Requests => 0o700,
            Self::Whoami | Self::Status | Self::Access | Self::LastDenial => 0o444,
            Self::Request(_) | Self::Wait(_) | Self::Handed(_) => 0o400,
            Self::Asked(_) => 0o600,
            Self::Inbox | Self::Handoff | Self::HandedFolder(_) => 0o500,
        }
    }

    /// It belongs to whoever looks; its size is not known before it is read.
    pub(super) fn attributes(self, request: &Request) -> FileAttr {
        let time = SystemTime::UNIX_EPOCH;
        FileAttr {
            ino: self.inode(),
            size: 0,
            blocks: 0,
            atime: time,
            mtime: time,
            ctime: time,
            crtime: time,
            kind: self.kind(),
            perm: self.mode(),
            nlink: 1,
            uid: request.uid(),
            gid: request.gid(),
            rdev: 0,
            blksize: 4096,
            flags: 0,
        }
    }

    /// The same of a file that was handed out, for who may know its size.
    pub(super) fn attributes_of_size(self, size: u64, request: &Request) -> FileAttr {
        FileAttr { size, blocks: size.div_ceil(512), ..self.attributes(request) }
    }

    /// The same of a request file, which can be written for a time.
    pub(super) fn attributes_of_request(file: &RequestFile, request: &Request) -> FileAttr {
        let attributes = Self::Request(file.number()).attributes(request);
        FileAttr { perm: if file.is_open() { 0o600 } else { attributes.perm }, ..attributes }
    }
}

/// The name of the request file whose answer `name` waits for.
pub(super) fn waited_for(name: &str) -> Option<&str> {
    name.strip_suffix(WAIT)
}
