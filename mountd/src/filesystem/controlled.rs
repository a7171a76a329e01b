//! A mount with its control directory: what is of `.ward` is answered here, all else by the adapter
//! of the vault, which knows nothing of it. What only an open for writing could ask for is of the vault.

use super::control_directory::{ControlDirectory, Node, attributes};
use super::empty;
use fuser::{
    AccessFlags, BsdFileFlags, CopyFileRangeFlags, Errno, FileHandle, Filesystem, FopenFlags,
    INodeNo, KernelConfig, LockOwner, OpenFlags, PollEvents, PollFlags, PollNotifier, RenameFlags,
    ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty, ReplyEntry,
    ReplyLseek, ReplyOpen, ReplyPoll, ReplyStatfs, ReplyWrite, ReplyXattr, Request, TimeOrNow,
    WriteFlags,
};
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::time::SystemTime;

/// What poll(2) says of a file of a vault.
const ALWAYS_READY: PollEvents = PollEvents::POLLIN
    .union(PollEvents::POLLRDNORM)
    .union(PollEvents::POLLOUT)
    .union(PollEvents::POLLWRNORM);

/// The adapter of a vault, with a control directory at its top.
#[derive(Debug)]
pub(super) struct Controlled<F> {
    control: ControlDirectory,
    vault: F,
}

impl<F> Controlled<F> {
    pub(super) const fn new(control: ControlDirectory, vault: F) -> Self {
        Self { control, vault }
    }
}

impl<F: Filesystem> Filesystem for Controlled<F> {
    fn init(&mut self, request: &Request, config: &mut KernelConfig) -> io::Result<()> {
        self.vault.init(request, config)
    }

    fn destroy(&mut self) {
        self.vault.destroy();
    }

    fn lookup(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        if !Node::is_ours((parent, name)) {
            return self.vault.lookup(request, parent, name, reply);
        }
        self.control.answer_look_up(request, (parent, name), reply);
    }

    fn forget(&self, request: &Request, inode: INodeNo, lookups: u64) {
        if Node::of(inode).is_none() {
            self.vault.forget(request, inode, lookups);
        }
    }

    fn getattr(
        &self,
        request: &Request,
        inode: INodeNo,
        handle: Option<FileHandle>,
        reply: ReplyAttr,
    ) {
        match Node::of(inode) {
            Some(node) => attributes(reply, self.control.attributes(request, node)),
            None => self.vault.getattr(request, inode, handle, reply),
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
        accessed: Option<TimeOrNow>,
        modified: Option<TimeOrNow>,
        changed: Option<SystemTime>,
        handle: Option<FileHandle>,
        created: Option<SystemTime>,
        changed_again: Option<SystemTime>,
        backed_up: Option<SystemTime>,
        flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        if let Some(node) = Node::of(inode) {
            let is_other = mode.is_some() || uid.is_some() || gid.is_some() || flags.is_some();
            return attributes(reply, self.control.change(request, node, size, is_other));
        }
        self.vault.setattr(
            request,
            inode,
            mode,
            uid,
            gid,
            size,
            accessed,
            modified,
            changed,
            handle,
            created,
            changed_again,
            backed_up,
            flags,
            reply,
        );
    }

    fn readlink(&self, request: &Request, inode: INodeNo, reply: ReplyData) {
        self.vault.readlink(request, inode, reply);
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
        if Node::is_ours((parent, name)) {
            return reply.error(Errno::EPERM);
        }
        self.vault.mknod(request, parent, name, mode, umask, device, reply);
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
        if Node::is_ours((parent, name)) {
            return reply.error(Errno::EPERM);
        }
        self.vault.mkdir(request, parent, name, mode, umask, reply);
    }

    fn symlink(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        target: &Path,
        reply: ReplyEntry,
    ) {
        if Node::is_ours((parent, name)) {
            return reply.error(Errno::EPERM);
        }
        self.vault.symlink(request, parent, name, target, reply);
    }

    fn link(
        &self,
        request: &Request,
        inode: INodeNo,
        parent: INodeNo,
        name: &OsStr,
        reply: ReplyEntry,
    ) {
        if Node::of(inode).is_some() || Node::is_ours((parent, name)) {
            return reply.error(Errno::EPERM);
        }
        self.vault.link(request, inode, parent, name, reply);
    }

    fn unlink(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        if Node::is_ours((parent, name)) {
            return empty(reply, self.control.remove(request, (parent, name)));
        }
        self.vault.unlink(request, parent, name, reply);
    }

    fn rmdir(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        if Node::is_ours((parent, name)) {
            return reply.error(Errno::EPERM);
        }
        self.vault.rmdir(request, parent, name, reply);
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
        if Node::is_ours((parent, name)) || Node::is_ours((new_parent, new_name)) {
            return reply.error(Errno::EPERM);
        }
        self.vault.rename(request, parent, name, new_parent, new_name, flags, reply);
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
        if Node::is_ours((parent, name)) {
            return self.control.answer_create(request, (parent, name), reply);
        }
        self.vault.create(request, parent, name, mode, umask, flags, reply);
    }

    fn open(&self, request: &Request, inode: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        match Node::of(inode) {
            Some(node) => self.control.open(request, node, flags, reply),
            None => self.vault.open(request, inode, flags, reply),
        }
    }

    fn read(
        &self,
        request: &Request,
        inode: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        flags: OpenFlags,
        lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let Some(node) = Node::of(inode) else {
            return self.vault.read(request, inode, handle, offset, size, flags, lock_owner, reply);
        };
        self.control.answer_read(request, (node, handle), (offset, size), lock_owner, reply);
    }

    fn write(
        &self,
        request: &Request,
        inode: INodeNo,
        handle: FileHandle,
        offset: u64,
        data: &[u8],
        write_flags: WriteFlags,
        flags: OpenFlags,
        lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        if Node::of(inode).is_some() {
            return self.control.answer_write(request, handle, (offset, data), flags, reply);
        }
        let vault = &self.vault;
        vault.write(request, inode, handle, offset, data, write_flags, flags, lock_owner, reply);
    }

    fn flush(
        &self,
        request: &Request,
        inode: INodeNo,
        handle: FileHandle,
        lock_owner: LockOwner,
        reply: ReplyEmpty,
    ) {
        match Node::of(inode) {
            Some(node) => empty(reply, self.control.flush(node, handle.0)),
            None => self.vault.flush(request, inode, handle, lock_owner, reply),
        }
    }

    fn release(
        &self,
        request: &Request,
        inode: INodeNo,
        handle: FileHandle,
        flags: OpenFlags,
        lock_owner: Option<LockOwner>,
        flush: bool,
        reply: ReplyEmpty,
    ) {
        let Some(node) = Node::of(inode) else {
            return self.vault.release(request, inode, handle, flags, lock_owner, flush, reply);
        };
        self.control.close(node, handle.0);
        reply.ok();
    }

    fn fsync(
        &self,
        request: &Request,
        inode: INodeNo,
        handle: FileHandle,
        datasync: bool,
        reply: ReplyEmpty,
    ) {
        match Node::of(inode) {
            Some(_) => reply.ok(),
            None => self.vault.fsync(request, inode, handle, datasync, reply),
        }
    }

    fn opendir(&self, request: &Request, inode: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        match Node::of(inode) {
            Some(_) => reply.opened(FileHandle(0), FopenFlags::empty()),
            None => self.vault.opendir(request, inode, flags, reply),
        }
    }

    fn readdir(
        &self,
        request: &Request,
        inode: INodeNo,
        handle: FileHandle,
        offset: u64,
        reply: ReplyDirectory,
    ) {
        match Node::of(inode) {
            Some(directory) => self.control.list(request, directory, offset, reply),
            None => self.vault.readdir(request, inode, handle, offset, reply),
        }
    }

    fn readdirplus(
        &self,
        request: &Request,
        inode: INodeNo,
        handle: FileHandle,
        offset: u64,
        reply: ReplyDirectoryPlus,
    ) {
        match Node::of(inode) {
            Some(folder) => self.control.list_with_attributes(request, folder, offset, reply),
            None => self.vault.readdirplus(request, inode, handle, offset, reply),
        }
    }

    fn releasedir(
        &self,
        request: &Request,
        inode: INodeNo,
        handle: FileHandle,
        flags: OpenFlags,
        reply: ReplyEmpty,
    ) {
        match Node::of(inode) {
            Some(_) => reply.ok(),
            None => self.vault.releasedir(request, inode, handle, flags, reply),
        }
    }

    fn fsyncdir(
        &self,
        request: &Request,
        inode: INodeNo,
        handle: FileHandle,
        datasync: bool,
        reply: ReplyEmpty,
    ) {
        self.vault.fsyncdir(request, inode, handle, datasync, reply);
    }

    fn statfs(&self, request: &Request, inode: INodeNo, reply: ReplyStatfs) {
        self.vault.statfs(request, inode, reply);
    }

    fn access(&self, request: &Request, inode: INodeNo, mask: AccessFlags, reply: ReplyEmpty) {
        match Node::of(inode) {
            Some(node) => empty(reply, node.check_access(mask)),
            None => self.vault.access(request, inode, mask, reply),
        }
    }

    fn setxattr(
        &self,
        request: &Request,
        inode: INodeNo,
        name: &OsStr,
        value: &[u8],
        flags: i32,
        position: u32,
        reply: ReplyEmpty,
    ) {
        if Node::of(inode).is_some() {
            return reply.error(Errno::EPERM);
        }
        self.vault.setxattr(request, inode, name, value, flags, position, reply);
    }

    fn getxattr(
        &self,
        request: &Request,
        inode: INodeNo,
        name: &OsStr,
        size: u32,
        reply: ReplyXattr,
    ) {
        match Node::of(inode) {
            // Not ENOTSUP: for an access control list the kernel takes only this for there being none.
            Some(_) => reply.error(Errno::ENODATA),
            None => self.vault.getxattr(request, inode, name, size, reply),
        }
    }

    fn listxattr(&self, request: &Request, inode: INodeNo, size: u32, reply: ReplyXattr) {
        match Node::of(inode) {
            Some(_) if size == 0 => reply.size(0),
            Some(_) => reply.data(&[]),
            None => self.vault.listxattr(request, inode, size, reply),
        }
    }

    fn removexattr(&self, request: &Request, inode: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        match Node::of(inode) {
            Some(_) => reply.error(Errno::EPERM),
            None => self.vault.removexattr(request, inode, name, reply),
        }
    }

    fn fallocate(
        &self,
        request: &Request,
        inode: INodeNo,
        handle: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        self.vault.fallocate(request, inode, handle, offset, length, mode, reply);
    }

    fn lseek(
        &self,
        request: &Request,
        inode: INodeNo,
        handle: FileHandle,
        offset: i64,
        whence: i32,
        reply: ReplyLseek,
    ) {
        self.vault.lseek(request, inode, handle, offset, whence, reply);
    }

    fn copy_file_range(
        &self,
        request: &Request,
        from: INodeNo,
        from_handle: FileHandle,
        from_offset: u64,
        to: INodeNo,
        to_handle: FileHandle,
        to_offset: u64,
        length: u64,
        flags: CopyFileRangeFlags,
        reply: ReplyWrite,
    ) {
        if Node::of(from).is_some() || Node::of(to).is_some() {
            return reply.error(Errno::ENOTSUP);
        }
        self.vault.copy_file_range(
            request,
            from,
            from_handle,
            from_offset,
            to,
            to_handle,
            to_offset,
            length,
            flags,
            reply,
        );
    }

    fn poll(
        &self,
        _request: &Request,
        inode: INodeNo,
        handle: FileHandle,
        notifier: PollNotifier,
        _events: PollEvents,
        _flags: PollFlags,
        reply: ReplyPoll,
    ) {
        match Node::of(inode) {
            Some(node) => reply.poll(self.control.poll((node, handle.0), notifier)),
            // Not ENOSYS: the kernel would ask of no file any more.
            None => reply.poll(ALWAYS_READY),
        }
    }
}
