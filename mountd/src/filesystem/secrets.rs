//! Mounts of `secrets` vaults. Nothing of them stays with the kernel: direct I/O, and no name or
//! attribute is valid for longer than its reply.

mod attributes;
mod directory;
mod names;

use super::invalidation::Invalidator;
use super::open::{self, operations};
use super::{GENERATION, asker, empty, refused};
use crate::errno;
use crate::handle_table::HandleId;
use crate::pipeline::{Fills, Occasion, Pipeline, ReadRequest, Removed, WriteAt};
use crate::place::Place;
use crate::tree::{self, Tree};
use directory::Listings;
use fuser::{
    AccessFlags, BsdFileFlags, Errno, FileHandle, Filesystem, FopenFlags, INodeNo, KernelConfig,
    LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory,
    ReplyDirectoryPlus, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, ReplyXattr,
    Request, TimeOrNow, WriteFlags,
};
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use ward_policy::{Caller, FileId, Operation};

/// For how long the kernel may believe a name or an attribute: not at all.
const NO_TIME: Duration = Duration::ZERO;
/// The largest WRITE, in bytes: plaintext passes through a buffer of the library that nobody else
/// can wipe, so it is kept small.
const LARGEST_WRITE: u32 = 128 << 10;

/// One mount of a `secrets` vault, as FUSE sees it.
#[derive(Debug)]
pub(crate) struct SecretsFilesystem {
    pipeline: Arc<Pipeline>,
    place: Arc<Place>,
    tree: Tree,
    listings: Listings,
    invalidator: Invalidator,
}

impl SecretsFilesystem {
    pub(super) fn new(
        pipeline: Arc<Pipeline>,
        place: Arc<Place>,
        invalidator: Invalidator,
    ) -> Self {
        let tree = Tree::new(place.vault.vault.root());
        Self { pipeline, place, tree, listings: Listings::default(), invalidator }
    }

    fn caller(&self, request: &Request) -> Result<Arc<Caller>, Errno> {
        let identified = self.pipeline.callers.glance(asker(request));
        identified.map_err(|error| errno::of_identity(&error))
    }

    fn file(&self, inode: INodeNo) -> Result<FileId, Errno> {
        self.tree.file_of(inode.0).ok_or(errno::ENDED)
    }

    fn is_visible(&self, caller: &Caller, file: FileId) -> bool {
        tree::is_visible(&self.place, &self.pipeline, caller, file)
    }
}

impl Filesystem for SecretsFilesystem {
    fn init(&mut self, _request: &Request, config: &mut KernelConfig) -> io::Result<()> {
        use fuser::InitFlags;
        let wanted = InitFlags::FUSE_ATOMIC_O_TRUNC
            | InitFlags::FUSE_PARALLEL_DIROPS
            | InitFlags::FUSE_DO_READDIRPLUS
            | InitFlags::FUSE_READDIRPLUS_AUTO;
        config.add_capabilities(wanted).map_err(|missing| refused(missing.bits()))?;
        config.set_max_write(LARGEST_WRITE).map_err(|limit| refused(u64::from(limit)))?;
        Ok(())
    }

    fn destroy(&mut self) {
        self.pipeline.handles.remove_place(&self.place);
    }

    fn lookup(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        self.pipeline.cpu_latency.keep_low();
        match self.look_up(request, parent, name) {
            Ok(attributes) => reply.entry(&NO_TIME, &attributes, GENERATION),
            Err(errno) => reply.error(errno),
        }
    }

    fn forget(&self, _request: &Request, inode: INodeNo, lookups: u64) {
        if self.tree.forget(inode.0, lookups) {
            self.invalidator.allow(inode.0);
        }
    }

    fn getattr(
        &self,
        request: &Request,
        inode: INodeNo,
        _handle: Option<FileHandle>,
        reply: ReplyAttr,
    ) {
        self.pipeline.cpu_latency.keep_low();
        match self.attributes(request, inode) {
            Ok(attributes) => reply.attr(&NO_TIME, &attributes),
            Err(errno) => reply.error(errno),
        }
    }

    fn setattr(
        &self,
        request: &Request,
        inode: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        handle: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        self.pipeline.cpu_latency.keep_low();
        let change = attributes::Change { mode, uid, gid, size, modified: mtime, handle };
        match self.change_attributes(request, inode, &change) {
            Ok(attributes) => reply.attr(&NO_TIME, &attributes),
            Err(errno) => reply.error(errno),
        }
    }

    fn open(&self, request: &Request, inode: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        self.pipeline.cpu_latency.keep_low();
        match self.file(inode) {
            Ok(file) => {
                let wanted = open::open_request(request, file, flags);
                let reply_flags = reply_flags(flags.0);
                open::answer(&self.pipeline, &self.place, wanted, reply, move |_| reply_flags);
            }
            Err(errno) => reply.error(errno),
        }
    }

    fn read(
        &self,
        request: &Request,
        inode: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        self.pipeline.cpu_latency.keep_low();
        let length = usize::try_from(size).unwrap_or(usize::MAX);
        let handle = HandleId(handle.0);
        // read(2) carries a lock owner; what fills pages does not.
        let fills = if lock_owner.is_some() { Fills::Buffer } else { Fills::Pages };
        let wanted = ReadRequest { handle, asker: asker(request), offset, length, fills };
        match self.pipeline.read(&wanted) {
            Ok(bytes) => reply.data(&bytes),
            Err(error) => reply.error(errno::of_read(&error)),
        }
        if fills == Fills::Pages {
            self.invalidator.bar(inode.0);
        }
    }

    fn write(
        &self,
        request: &Request,
        _inode: INodeNo,
        handle: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        self.pipeline.cpu_latency.keep_low();
        let is_append = flags.0 & libc::O_APPEND != 0;
        let at = if is_append { WriteAt::End } else { WriteAt::Offset(offset) };
        match self.pipeline.write(HandleId(handle.0), asker(request), at, data) {
            Ok(()) => reply.written(u32::try_from(data.len()).unwrap_or(u32::MAX)),
            Err(error) => reply.error(errno::of_write(&error)),
        }
    }

    fn flush(
        &self,
        _request: &Request,
        _inode: INodeNo,
        handle: FileHandle,
        _lock_owner: LockOwner,
        reply: ReplyEmpty,
    ) {
        let settled = self.pipeline.settle(HandleId(handle.0), Occasion::Flush);
        empty(reply, settled.map_err(|error| errno::of_write(&error)));
    }

    fn fsync(
        &self,
        _request: &Request,
        _inode: INodeNo,
        handle: FileHandle,
        _datasync: bool,
        reply: ReplyEmpty,
    ) {
        self.pipeline.cpu_latency.keep_low();
        let settled = self.pipeline.settle(HandleId(handle.0), Occasion::Settle);
        empty(reply, settled.map_err(|error| errno::of_write(&error)));
    }

    fn release(
        &self,
        _request: &Request,
        _inode: INodeNo,
        handle: FileHandle,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        // Nobody is there to hear of an error: what can fail was done at FLUSH.
        let _nobody_hears = self.pipeline.release(HandleId(handle.0));
        reply.ok();
    }

    fn create(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        self.pipeline.cpu_latency.keep_low();
        let operations = operations(flags).with(Operation::FileWrite);
        match self.create_file(request, (parent, name), operations) {
            Ok((attributes, HandleId(handle))) => {
                let flags = FopenFlags::FOPEN_DIRECT_IO;
                reply.created(&NO_TIME, &attributes, GENERATION, FileHandle(handle), flags);
            }
            Err(errno) => reply.error(errno),
        }
    }

    fn mkdir(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        reply: ReplyEntry,
    ) {
        match self.make_folder(request, parent, name) {
            Ok(attributes) => reply.entry(&NO_TIME, &attributes, GENERATION),
            Err(errno) => reply.error(errno),
        }
    }

    fn mknod(
        &self,
        _request: &Request,
        _parent: INodeNo,
        _name: &OsStr,
        _mode: u32,
        _umask: u32,
        _device: u32,
        reply: ReplyEntry,
    ) {
        reply.error(Errno::EPERM);
    }

    fn unlink(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.pipeline.cpu_latency.keep_low();
        empty(reply, self.remove_name(request, parent, name, Removed::File));
    }

    fn rmdir(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        empty(reply, self.remove_name(request, parent, name, Removed::Folder));
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
        empty(reply, self.rename_names(request, (parent, name), (new_parent, new_name), flags));
    }

    fn opendir(&self, request: &Request, inode: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        match self.open_listing(request, inode) {
            Ok(listing) => reply.opened(FileHandle(listing), FopenFlags::empty()),
            Err(errno) => reply.error(errno),
        }
    }

    fn readdir(
        &self,
        request: &Request,
        inode: INodeNo,
        handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        self.pipeline.cpu_latency.keep_low();
        match self.listing(request, inode, handle.0, offset) {
            Ok(entries) => {
                for entry in entries {
                    let inode = INodeNo(entry.inode);
                    if reply.add(inode, entry.next, entry.kind, OsStr::from_bytes(&entry.name)) {
                        break;
                    }
                }
                reply.ok();
            }
            Err(errno) => reply.error(errno),
        }
    }

    fn readdirplus(
        &self,
        request: &Request,
        inode: INodeNo,
        handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectoryPlus,
    ) {
        self.pipeline.cpu_latency.keep_low();
        match self.listing(request, inode, handle.0, offset) {
            Ok(entries) => {
                self.add_with_attributes(request, &entries, &mut reply);
                reply.ok();
            }
            Err(errno) => reply.error(errno),
        }
    }

    fn releasedir(
        &self,
        _request: &Request,
        _inode: INodeNo,
        handle: FileHandle,
        _flags: OpenFlags,
        reply: ReplyEmpty,
    ) {
        self.listings.close(handle.0);
        reply.ok();
    }

    fn fsyncdir(
        &self,
        _request: &Request,
        _inode: INodeNo,
        _handle: FileHandle,
        _datasync: bool,
        reply: ReplyEmpty,
    ) {
        let synced = self.place.vault.vault.sync();
        empty(reply, synced.map(|_head| ()).map_err(|error| errno::of_store(&error)));
    }

    fn statfs(&self, _request: &Request, _inode: INodeNo, reply: ReplyStatfs) {
        // How much there is, and how many, is as secret as the names.
        reply.statfs(0, 0, 0, 0, 0, 4096, 255, 4096);
    }

    fn access(&self, request: &Request, inode: INodeNo, mask: AccessFlags, reply: ReplyEmpty) {
        empty(reply, self.check_access(request, inode, mask));
    }

    fn getxattr(
        &self,
        _request: &Request,
        _inode: INodeNo,
        _name: &OsStr,
        _size: u32,
        reply: ReplyXattr,
    ) {
        self.pipeline.cpu_latency.keep_low();
        reply.error(Errno::ENOTSUP);
    }

    fn listxattr(&self, _request: &Request, _inode: INodeNo, _size: u32, reply: ReplyXattr) {
        reply.error(Errno::ENOTSUP);
    }
}

/// How the kernel is to treat the open file: nothing of it stays in the page cache, and the close of
/// one that is only read is no request.
fn reply_flags(flags: i32) -> FopenFlags {
    if operations(flags).contains(Operation::FileWrite) {
        FopenFlags::FOPEN_DIRECT_IO
    } else {
        FopenFlags::FOPEN_DIRECT_IO | FopenFlags::FOPEN_NOFLUSH
    }
}
