//! Mounts of `workspace` vaults: a full filesystem, of which the kernel keeps all it can.
//!
//! Nothing changes behind the kernel's back, so names, attributes and pages are valid until they
//! change through it, or until a lease or the mount ends. Modes and owners are the kernel's to check
//! (`default_permissions`); what the policy says comes on top, at each open and each change.

mod acl;
mod attributes;
mod content;
mod known;
mod listing;
mod names;
mod xattr;

use super::invalidation::Invalidator;
use super::open::{self, operations};
use super::{GENERATION, asker, empty, refused};
use crate::errno;
use crate::handle_table::HandleId;
use crate::pipeline::Pipeline;
use crate::place::Place;
use attributes::{BEST_BLOCK, Change};
use fuser::{
    BsdFileFlags, CopyFileRangeFlags, Errno, FileAttr, FileHandle, FileType, Filesystem,
    FopenFlags, INodeNo, InitFlags, KernelConfig, LockOwner, OpenFlags, RenameFlags, ReplyAttr,
    ReplyCreate, ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty, ReplyEntry, ReplyLseek,
    ReplyOpen, ReplyStatfs, ReplyWrite, ReplyXattr, Request, TimeOrNow, WriteFlags,
};
use known::KnownNodes;
use names::Wanted;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use ward_policy::{FileId, Operation};
use ward_store::{NodeType, Room, Vault};

/// For how long the kernel may believe a name or an attribute: longer than any mount lasts.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// The largest WRITE, and the largest READ, in bytes: what the kernel allows
/// (`fs.fuse.max_pages_limit`).
const LARGEST_WRITE: u32 = 1 << 20;
/// The longest name, in bytes (`NAME_MAX`).
const LONGEST_NAME: u32 = 255;
/// How many READs and WRITEs the kernel may have under way that nobody waits for yet.
const BACKGROUND: u16 = 64;

/// One mount of a `workspace` vault, as FUSE sees it. An inode has the number of its node.
#[derive(Debug)]
pub(crate) struct WorkspaceFilesystem {
    pipeline: Arc<Pipeline>,
    place: Arc<Place>,
    known: KnownNodes,
    invalidator: Invalidator,
}

impl WorkspaceFilesystem {
    pub(super) fn new(
        pipeline: Arc<Pipeline>,
        place: Arc<Place>,
        invalidator: Invalidator,
    ) -> Self {
        Self { pipeline, place, known: KnownNodes::default(), invalidator }
    }

    fn vault(&self) -> &Vault {
        &self.place.vault.vault
    }

    /// Answers with a node, which counts as a look-up.
    fn entry(&self, reply: ReplyEntry, outcome: Result<FileAttr, Errno>) {
        match outcome {
            Ok(attributes) => {
                if attributes.ino.0 != 0 {
                    self.known.look_up(FileId(attributes.ino.0));
                }
                reply.entry(&FOREVER, &attributes, GENERATION);
            }
            Err(errno) => reply.error(errno),
        }
    }
}

/// How the kernel is to treat an open file: what it keeps stays, unless the lease may end before the
/// mount does; then every access reaches us and is looked at. Nor does it keep anything of a file of
/// which somebody still has a descriptor whose lease is over.
fn reply_flags(pipeline: &Pipeline, handle: HandleId) -> FopenFlags {
    let is_kept = pipeline.handles.find(handle).is_some_and(|handle| {
        let is_barred = handle.place.pages().is_some_and(|pages| pages.is_barred(handle.file.0));
        !is_barred && handle.lease.ends() >= handle.place.term.ends()
    });
    if is_kept { FopenFlags::FOPEN_KEEP_CACHE } else { FopenFlags::FOPEN_DIRECT_IO }
}

impl Filesystem for WorkspaceFilesystem {
    fn init(&mut self, _request: &Request, config: &mut KernelConfig) -> io::Result<()> {
        let wanted = InitFlags::FUSE_WRITEBACK_CACHE
            | InitFlags::FUSE_HANDLE_KILLPRIV_V2
            | InitFlags::FUSE_POSIX_ACL
            | InitFlags::FUSE_DONT_MASK
            | InitFlags::FUSE_CACHE_SYMLINKS
            | InitFlags::FUSE_DO_READDIRPLUS
            | InitFlags::FUSE_READDIRPLUS_AUTO
            | InitFlags::FUSE_PARALLEL_DIROPS
            | InitFlags::FUSE_ASYNC_DIO
            | InitFlags::FUSE_DIRECT_IO_ALLOW_MMAP;
        config.add_capabilities(wanted).map_err(|missing| refused(missing.bits()))?;
        config.set_max_write(LARGEST_WRITE).map_err(refused)?;
        config.set_max_background(BACKGROUND).map_err(refused)?;
        Ok(())
    }

    fn destroy(&mut self) {
        self.known.forget_all(self.vault());
        self.pipeline.handles.remove_place(&self.place);
    }

    fn lookup(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        self.pipeline.cpu_latency.keep_low();
        self.entry(reply, self.look_up(parent, name));
    }

    fn forget(&self, _request: &Request, inode: INodeNo, lookups: u64) {
        self.known.forget(self.vault(), FileId(inode.0), lookups);
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        self.pipeline.cpu_latency.keep_low();
        attr(reply, self.attributes(FileId(inode.0)));
    }

    fn setattr(
        &self,
        request: &Request,
        inode: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        accessed: Option<TimeOrNow>,
        modified: Option<TimeOrNow>,
        changed: Option<SystemTime>,
        handle: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        self.pipeline.cpu_latency.keep_low();
        let change = Change { mode, uid, gid, size, accessed, modified, changed, handle };
        attr(reply, self.change_attributes(request, inode, &change));
    }

    fn readlink(&self, _request: &Request, inode: INodeNo, reply: ReplyData) {
        match self.vault().read_target(FileId(inode.0)) {
            Ok(target) => reply.data(&target),
            Err(error) => reply.error(errno::of_store(&error)),
        }
    }

    fn mknod(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        device: u32,
        reply: ReplyEntry,
    ) {
        let node_type = match mode & libc::S_IFMT {
            libc::S_IFREG | 0 => NodeType::File,
            libc::S_IFIFO => NodeType::Fifo,
            libc::S_IFSOCK => NodeType::Socket,
            libc::S_IFCHR => NodeType::CharacterDevice,
            libc::S_IFBLK => NodeType::BlockDevice,
            _ => return reply.error(Errno::EINVAL),
        };
        let is_device = matches!(node_type, NodeType::CharacterDevice | NodeType::BlockDevice);
        let device = if is_device { device } else { 0 };
        let wanted = Wanted { node_type, mode, umask, device, target: &[] };
        self.entry(reply, self.make(request, (parent, name), &wanted));
    }

    fn mkdir(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        reply: ReplyEntry,
    ) {
        let node_type = NodeType::Directory;
        let wanted = Wanted { node_type, mode, umask, device: 0, target: &[] };
        self.entry(reply, self.make(request, (parent, name), &wanted));
    }

    fn symlink(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        target: &Path,
        reply: ReplyEntry,
    ) {
        let (node_type, target) = (NodeType::Symlink, target.as_os_str().as_bytes());
        let wanted = Wanted { node_type, mode: 0o777, umask: 0, device: 0, target };
        self.entry(reply, self.make(request, (parent, name), &wanted));
    }

    fn link(
        &self,
        request: &Request,
        inode: INodeNo,
        parent: INodeNo,
        name: &OsStr,
        reply: ReplyEntry,
    ) {
        self.entry(reply, self.link_node(request, FileId(inode.0), (parent, name)));
    }

    fn unlink(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.pipeline.cpu_latency.keep_low();
        empty(reply, self.remove_name(request, (parent, name), FileType::RegularFile));
    }

    fn rmdir(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        empty(reply, self.remove_name(request, (parent, name), FileType::Directory));
    }

    fn rename(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        empty(reply, self.move_name(request, (parent, name), (new_parent, new_name), flags));
    }

    fn open(&self, request: &Request, inode: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        self.pipeline.cpu_latency.keep_low();
        let wanted = open::open_request(request, FileId(inode.0), flags);
        let pipeline = Arc::clone(&self.pipeline);
        let flags = move |handle| reply_flags(&pipeline, handle);
        open::answer(&self.pipeline, &self.place, wanted, reply, flags);
    }

    fn create(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        self.pipeline.cpu_latency.keep_low();
        let operations = operations(flags).with(Operation::FileWrite);
        let node_type = NodeType::File;
        let wanted = Wanted { node_type, mode, umask, device: 0, target: &[] };
        match self.create_file(request, (parent, name), &wanted, operations) {
            Ok((attributes, handle)) => {
                self.known.look_up(FileId(attributes.ino.0));
                let (flags, handle) = (reply_flags(&self.pipeline, handle), FileHandle(handle.0));
                reply.created(&FOREVER, &attributes, GENERATION, handle, flags);
            }
            Err(errno) => reply.error(errno),
        }
    }

    fn read(
        &self,
        _request: &Request,
        inode: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        self.pipeline.cpu_latency.keep_low();
        match self.read_pages(HandleId(handle.0), offset, size) {
            Ok(bytes) => reply.data(&bytes),
            Err(errno) => reply.error(errno),
        }
        if self.invalidator.is_barred(inode.0) {
            self.invalidator.bar(inode.0);
        }
    }

    fn write(
        &self,
        _request: &Request,
        _inode: INodeNo,
        handle: FileHandle,
        offset: u64,
        data: &[u8],
        write_flags: WriteFlags,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        self.pipeline.cpu_latency.keep_low();
        match self.write_pages(HandleId(handle.0), (offset, data), write_flags) {
            Ok(()) => reply.written(u32::try_from(data.len()).unwrap_or(u32::MAX)),
            Err(errno) => reply.error(errno),
        }
    }

    fn flush(
        &self,
        _request: &Request,
        _inode: INodeNo,
        _handle: FileHandle,
        _lock_owner: LockOwner,
        reply: ReplyEmpty,
    ) {
        // The kernel has written all pages back by itself, and never asks again after this.
        reply.error(Errno::ENOSYS);
    }

    fn release(
        &self,
        _request: &Request,
        inode: INodeNo,
        handle: FileHandle,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        if self.pipeline.close_node(HandleId(handle.0)) {
            self.invalidator.allow(inode.0);
        }
        reply.ok();
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        self.pipeline.cpu_latency.keep_low();
        empty(reply, self.sync());
    }

    fn opendir(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        // Listings are the same for all: the kernel keeps them, and never asks again after this.
        reply.error(Errno::ENOSYS);
    }

    fn readdir(
        &self,
        _request: &Request,
        inode: INodeNo,
        _handle: FileHandle,
        offset: u64,
        reply: ReplyDirectory,
    ) {
        self.pipeline.cpu_latency.keep_low();
        self.list(inode, offset, reply);
    }

    fn readdirplus(
        &self,
        _request: &Request,
        inode: INodeNo,
        _handle: FileHandle,
        offset: u64,
        reply: ReplyDirectoryPlus,
    ) {
        self.pipeline.cpu_latency.keep_low();
        self.list_with_attributes(inode, offset, reply);
    }

    fn fsyncdir(&self, _: &Request, _: INodeNo, _: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        empty(reply, self.sync());
    }

    fn statfs(&self, _request: &Request, _inode: INodeNo, reply: ReplyStatfs) {
        match self.vault().room() {
            Ok(Room { bytes, free, available, files }) => {
                let size = u64::from(BEST_BLOCK);
                let (free, available) = (free / size, available / size);
                // A file takes at least a block, so there is room for as many.
                let all_files = files.saturating_add(available);
                let (all, best) = (bytes / size, BEST_BLOCK);
                reply.statfs(all, free, available, all_files, available, best, LONGEST_NAME, best);
            }
            Err(_) => reply.error(Errno::EIO),
        }
    }

    fn setxattr(
        &self,
        request: &Request,
        inode: INodeNo,
        name: &OsStr,
        value: &[u8],
        flags: i32,
        _position: u32,
        reply: ReplyEmpty,
    ) {
        empty(reply, self.set_xattr(request, FileId(inode.0), (name, value), flags));
    }

    fn getxattr(&self, _: &Request, inode: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        self.pipeline.cpu_latency.keep_low();
        xattr::give(reply, self.xattr(FileId(inode.0), name), size);
    }

    fn listxattr(&self, _request: &Request, inode: INodeNo, size: u32, reply: ReplyXattr) {
        xattr::give(reply, self.xattr_names(FileId(inode.0)), size);
    }

    fn removexattr(&self, request: &Request, inode: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        empty(reply, self.remove_xattr(request, FileId(inode.0), name));
    }

    fn fallocate(
        &self,
        _request: &Request,
        _inode: INodeNo,
        handle: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        empty(reply, self.allocate(HandleId(handle.0), (offset, length), mode));
    }

    fn lseek(
        &self,
        _request: &Request,
        inode: INodeNo,
        _handle: FileHandle,
        offset: i64,
        whence: i32,
        reply: ReplyLseek,
    ) {
        self.seek(inode, offset, whence, reply);
    }

    fn copy_file_range(
        &self,
        _request: &Request,
        _from: INodeNo,
        from_handle: FileHandle,
        from_offset: u64,
        _to: INodeNo,
        to_handle: FileHandle,
        to_offset: u64,
        length: u64,
        _flags: CopyFileRangeFlags,
        reply: ReplyWrite,
    ) {
        let (from, to) = (HandleId(from_handle.0), HandleId(to_handle.0));
        match self.copy((from, from_offset), (to, to_offset), length) {
            Ok(copied) => reply.written(copied),
            Err(errno) => reply.error(errno),
        }
    }
}

fn attr(reply: ReplyAttr, outcome: Result<FileAttr, Errno>) {
    match outcome {
        Ok(attributes) => reply.attr(&FOREVER, &attributes),
        Err(errno) => reply.error(errno),
    }
}
