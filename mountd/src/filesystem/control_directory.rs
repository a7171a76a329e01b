//! The control directory `.ward` at the top of every mount: what is asked of the daemon by plain
//! file I/O.
//!
//! It is found by name and never listed, so that git, rsync, tar and scanners do not meet it, and no
//! vault can hold that name. Nothing of it stays with the kernel: what a file says is made for whoever
//! reads it.

use super::asker;
use crate::caller::Asker;
use crate::pipeline::Pipeline;
use crate::place::Place;
use crate::tree::TOP;
use crate::{clock, errno, whoami};
use fuser::{AccessFlags, Errno, FileAttr, FileType, INodeNo, OpenFlags, Request};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;
use ward_policy::Caller;

/// Its name.
const NAME: &str = ".ward";
/// From here on inode numbers are ours: a vault numbers its nodes up to 2^62, and random numbers are
/// drawn below 2^63.
const FIRST: u64 = 1 << 63;
/// Where everybody looks, and nobody writes.
const DIRECTORY_MODE: u16 = 0o555;
const FILE_MODE: u16 = 0o444;

/// Something of the control directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// The directory.
    Directory,
    /// What the daemon attests about who reads it.
    Whoami,
}

/// The files of the directory.
const FILES: [Node; 1] = [Node::Whoami];

/// The control directory of one mount.
#[derive(Debug)]
pub(super) struct ControlDirectory {
    pipeline: Arc<Pipeline>,
    place: Arc<Place>,
    /// Guards the map only; never held while a caller is looked at.
    open: Mutex<Numbered>,
}

#[derive(Debug, Default)]
struct Numbered {
    last: u64,
    files: BTreeMap<u64, OpenFile>,
}

#[derive(Debug)]
struct OpenFile {
    node: Node,
    said: Said,
}

/// What a file says to one caller.
#[derive(Clone, Debug)]
struct Said {
    to: Arc<Caller>,
    text: Arc<str>,
}

impl Node {
    /// What has that inode number; `None` for whatever is of the vault.
    pub(super) fn of(inode: INodeNo) -> Option<Self> {
        [Self::Directory].into_iter().chain(FILES).find(|node| node.inode() == inode)
    }

    /// Its inode number.
    pub(super) const fn inode(self) -> INodeNo {
        match self {
            Self::Directory => INodeNo(FIRST),
            Self::Whoami => INodeNo(FIRST + 1),
        }
    }

    /// Its name in the directory above it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Directory => NAME,
            Self::Whoami => "whoami",
        }
    }

    pub(super) const fn kind(self) -> FileType {
        match self {
            Self::Directory => FileType::Directory,
            Self::Whoami => FileType::RegularFile,
        }
    }

    /// Whether an entry is of the directory or is the directory: nobody makes, moves or removes it.
    pub(super) fn is_ours((parent, name): (INodeNo, &OsStr)) -> bool {
        Self::of(parent).is_some() || parent == INodeNo(TOP) && name == NAME
    }

    /// access(2): everybody reads, and nobody writes.
    pub(super) fn check_access(self, mask: AccessFlags) -> Result<(), Errno> {
        let is_file = self.kind() == FileType::RegularFile;
        let is_refused =
            mask.contains(AccessFlags::W_OK) || is_file && mask.contains(AccessFlags::X_OK);
        if is_refused { Err(Errno::EACCES) } else { Ok(()) }
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
            perm: if self == Self::Directory { DIRECTORY_MODE } else { FILE_MODE },
            nlink: 1,
            uid: request.uid(),
            gid: request.gid(),
            rdev: 0,
            blksize: 4096,
            flags: 0,
        }
    }
}

impl ControlDirectory {
    pub(super) fn new(pipeline: Arc<Pipeline>, place: Arc<Place>) -> Self {
        Self { pipeline, place, open: Mutex::default() }
    }

    /// What an entry of ours is. To nobody it is not there.
    pub(super) fn look_up(
        &self,
        request: &Request,
        (parent, name): (INodeNo, &OsStr),
    ) -> Result<FileAttr, Errno> {
        let node = if Node::of(parent).is_some() {
            FILES.into_iter().find(|file| name == file.name()).ok_or(Errno::ENOENT)?
        } else {
            Node::Directory
        };
        let callers = &self.pipeline.callers;
        let _somebody = callers.glance(asker(request)).map_err(|_nobody| Errno::ENOENT)?;
        Ok(node.attributes(request))
    }

    /// What the directory holds: number, kind, name and the position after it, from `offset` on.
    pub(super) fn entries(
        offset: u64,
    ) -> impl Iterator<Item = (INodeNo, FileType, &'static str, u64)> {
        let own = Node::Directory;
        let dots = [(own.inode(), own.kind(), "."), (INodeNo(TOP), FileType::Directory, "..")];
        let files = FILES.into_iter().map(|file| (file.inode(), file.kind(), file.name()));
        let all = dots.into_iter().chain(files).zip(1..);
        all.map(|((inode, kind, name), next)| (inode, kind, name, next))
            .filter(move |(.., next)| *next > offset)
    }

    /// Opens a file for reading: what it says is made now, for who opens it.
    pub(super) fn open(
        &self,
        request: &Request,
        node: Node,
        flags: OpenFlags,
    ) -> Result<u64, Errno> {
        if flags.0 & libc::O_ACCMODE != libc::O_RDONLY || flags.0 & libc::O_TRUNC != 0 {
            return Err(Errno::EACCES);
        }
        let caller = self.caller(asker(request))?;
        let said = self.say(node, caller)?;
        let mut open = self.files();
        open.last += 1;
        let number = open.last;
        open.files.insert(number, OpenFile { node, said });
        Ok(number)
    }

    /// Reads from an open file: another reader than the one it was made for is told of itself.
    pub(super) fn read(
        &self,
        asker: Asker,
        number: u64,
        (offset, size): (u64, u32),
    ) -> Result<Vec<u8>, Errno> {
        let reader = self.caller(asker)?;
        let known = self.files().files.get(&number).map(|file| (file.node, file.said.clone()));
        let (node, mut said) = known.ok_or(Errno::EBADF)?;
        if said.to != reader {
            said = self.say(node, reader)?;
            if let Some(file) = self.files().files.get_mut(&number) {
                file.said = said.clone();
            }
        }
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = said.text.as_bytes().get(from..).unwrap_or_default();
        let length = usize::try_from(size).unwrap_or(usize::MAX).min(rest.len());
        Ok(rest.get(..length).unwrap_or_default().to_vec())
    }

    pub(super) fn close(&self, number: u64) {
        self.files().files.remove(&number);
    }

    fn say(&self, node: Node, to: Arc<Caller>) -> Result<Said, Errno> {
        let text = match node {
            Node::Directory => return Err(Errno::EISDIR),
            Node::Whoami => whoami::whoami(&to, &self.pipeline.policy.rules()).to_string(),
        };
        Ok(Said { to, text: text.into() })
    }

    fn caller(&self, asker: Asker) -> Result<Arc<Caller>, Errno> {
        if !self.place.is_open(clock::now()) {
            return Err(errno::ENDED);
        }
        let identified = self.pipeline.callers.identify_here(asker);
        identified.map_err(|error| errno::of_identity(&error))
    }

    fn files(&self) -> MutexGuard<'_, Numbered> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
