//! A FUSE mount without a store: `passthrough BELOW MOUNTPOINT` shows one directory at another.
//!
//! The room there is, for `scripts/measure store`: two event loops, kernel caches kept as in a vault
//! of kind `workspace`, and every request one call to the disk below. What its work loads do not use
//! (links, locks, attributes beyond mode and time) is not there.
#![expect(
    clippy::disallowed_methods,
    clippy::significant_drop_tightening,
    reason = "an example: it answers the kernel's time of day, and holds a table for one call"
)]

use fuser::{
    BsdFileFlags, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags,
    Generation, INodeNo, InitFlags, KernelConfig, LockOwner, MountOption, OpenFlags, RenameFlags,
    ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty, ReplyEntry,
    ReplyOpen, ReplyWrite, Request, Session, SessionACL, TimeOrNow, WriteFlags,
};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{File, FileTimes, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

/// Nobody else changes what is below.
const FOR_EVER: Duration = Duration::from_secs(86400);
const GENERATION: Generation = Generation(0);
const ROOT: u64 = 1;
const LARGEST: u32 = 1 << 20;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A file by its number on the disk below: the directory it is in, and its name there.
type Nodes = BTreeMap<u64, (u64, OsString)>;
type Entry = (u64, FileType, OsString);

/// Open directories by number, each as it was when it was opened.
type Listings = BTreeMap<u64, Arc<Vec<Entry>>>;

#[derive(Debug, Default)]
struct Passthrough {
    below: PathBuf,
    nodes: RwLock<Nodes>,
    files: RwLock<(u64, BTreeMap<u64, Arc<File>>)>,
    listings: RwLock<(u64, Listings)>,
}

impl Passthrough {
    fn path(&self, inode: u64) -> io::Result<PathBuf> {
        let nodes = self.nodes.read().unwrap_or_else(PoisonError::into_inner);
        let mut names = Vec::new();
        let mut at = inode;
        while at != ROOT {
            let (parent, name) = nodes.get(&at).ok_or(io::ErrorKind::NotFound)?;
            names.push(name);
            at = *parent;
        }
        let mut path = self.below.clone();
        path.extend(names.into_iter().rev());
        Ok(path)
    }

    fn child(&self, parent: INodeNo, name: &OsStr) -> io::Result<PathBuf> {
        Ok(self.path(parent.0)?.join(name))
    }

    fn entry(&self, parent: INodeNo, name: &OsStr) -> io::Result<FileAttr> {
        let attributes = attributes(&self.child(parent, name)?.symlink_metadata()?);
        let mut nodes = self.nodes.write().unwrap_or_else(PoisonError::into_inner);
        nodes.insert(attributes.ino.0, (parent.0, name.to_owned()));
        Ok(attributes)
    }

    fn file(&self, handle: FileHandle) -> io::Result<Arc<File>> {
        let files = self.files.read().unwrap_or_else(PoisonError::into_inner);
        files.1.get(&handle.0).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn keep(&self, file: File) -> FileHandle {
        let mut files = self.files.write().unwrap_or_else(PoisonError::into_inner);
        files.0 += 1;
        let number = files.0;
        files.1.insert(number, Arc::new(file));
        FileHandle(number)
    }

    /// With a writeback cache the kernel reads what it writes in part, and appends by offset.
    fn open_below(&self, inode: INodeNo, flags: i32) -> io::Result<FileHandle> {
        let is_read_only = flags & libc::O_ACCMODE == libc::O_RDONLY;
        let mut options = OpenOptions::new();
        options.read(true).write(!is_read_only).custom_flags(flags & libc::O_TRUNC);
        Ok(self.keep(options.open(self.path(inode.0)?)?))
    }

    fn create_below(
        &self,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
    ) -> io::Result<(FileAttr, FileHandle)> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true).mode(mode);
        let file = options.open(self.child(parent, name)?)?;
        Ok((self.entry(parent, name)?, self.keep(file)))
    }

    fn make_directory(&self, parent: INodeNo, name: &OsStr, mode: u32) -> io::Result<FileAttr> {
        std::fs::DirBuilder::new().mode(mode).create(self.child(parent, name)?)?;
        self.entry(parent, name)
    }

    fn move_name(&self, from: (INodeNo, &OsStr), to: (INodeNo, &OsStr)) -> io::Result<()> {
        std::fs::rename(self.child(from.0, from.1)?, self.child(to.0, to.1)?)?;
        self.entry(to.0, to.1).map(drop)
    }

    fn list(&self, inode: INodeNo) -> io::Result<FileHandle> {
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(self.path(inode.0)?)? {
            let entry = entry?;
            let kind = kind_of(entry.file_type()?);
            entries.push((std::os::unix::fs::DirEntryExt::ino(&entry), kind, entry.file_name()));
        }
        let mut listings = self.listings.write().unwrap_or_else(PoisonError::into_inner);
        listings.0 += 1;
        let number = listings.0;
        listings.1.insert(number, Arc::new(entries));
        Ok(FileHandle(number))
    }

    /// The entries of a listing from `offset` on, each with the offset behind it.
    fn listed(&self, handle: FileHandle, offset: u64) -> impl Iterator<Item = (u64, Entry)> {
        let listings = self.listings.read().unwrap_or_else(PoisonError::into_inner);
        let entries = listings.1.get(&handle.0).cloned().unwrap_or_default();
        let skipped = usize::try_from(offset).unwrap_or(usize::MAX);
        (skipped..entries.len())
            .zip(offset + 1..)
            .filter_map(move |(place, next)| entries.get(place).cloned().map(|entry| (next, entry)))
    }

    fn change(
        &self,
        inode: INodeNo,
        mode: Option<u32>,
        size: Option<u64>,
        times: FileTimes,
    ) -> io::Result<FileAttr> {
        let path = self.path(inode.0)?;
        if let Some(mode) = mode {
            std::fs::set_permissions(&path, Permissions::from_mode(mode))?;
        }
        if let Some(size) = size {
            OpenOptions::new().write(true).open(&path)?.set_len(size)?;
        }
        File::open(&path)?.set_times(times)?;
        Ok(self.shown(inode, &path.symlink_metadata()?))
    }

    fn shown(&self, inode: INodeNo, metadata: &Metadata) -> FileAttr {
        FileAttr { ino: inode, ..attributes(metadata) }
    }
}

impl Filesystem for Passthrough {
    fn init(&mut self, _request: &Request, config: &mut KernelConfig) -> io::Result<()> {
        let wanted = InitFlags::FUSE_ATOMIC_O_TRUNC
            | InitFlags::FUSE_PARALLEL_DIROPS
            | InitFlags::FUSE_WRITEBACK_CACHE
            | InitFlags::FUSE_DO_READDIRPLUS
            | InitFlags::FUSE_READDIRPLUS_AUTO;
        let refused = |what| io::Error::other(format!("the kernel refuses {what}"));
        config.add_capabilities(wanted).map_err(|missing| refused(missing.bits()))?;
        config.set_max_write(LARGEST).map_err(|limit| refused(u64::from(limit)))?;
        Ok(())
    }

    fn lookup(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        entered(reply, self.entry(parent, name));
    }

    fn getattr(
        &self,
        _request: &Request,
        inode: INodeNo,
        _handle: Option<FileHandle>,
        reply: ReplyAttr,
    ) {
        match self.path(inode.0).and_then(|path| path.symlink_metadata()) {
            Ok(metadata) => reply.attr(&FOR_EVER, &self.shown(inode, &metadata)),
            Err(error) => reply.error(error.into()),
        }
    }

    fn setattr(
        &self,
        _request: &Request,
        inode: INodeNo,
        mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _handle: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let mut times = FileTimes::new();
        if let Some(time) = atime {
            times = times.set_accessed(time_of(time));
        }
        if let Some(time) = mtime {
            times = times.set_modified(time_of(time));
        }
        match self.change(inode, mode, size, times) {
            Ok(attributes) => reply.attr(&FOR_EVER, &attributes),
            Err(error) => reply.error(error.into()),
        }
    }

    fn mkdir(
        &self,
        _request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        reply: ReplyEntry,
    ) {
        entered(reply, self.make_directory(parent, name, mode));
    }

    fn unlink(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        empty(reply, self.child(parent, name).and_then(std::fs::remove_file));
    }

    fn rmdir(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        empty(reply, self.child(parent, name).and_then(std::fs::remove_dir));
    }

    fn rename(
        &self,
        _request: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        _flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        empty(reply, self.move_name((parent, name), (new_parent, new_name)));
    }

    fn open(&self, _request: &Request, inode: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        match self.open_below(inode, flags.0) {
            Ok(handle) => reply.opened(handle, FopenFlags::FOPEN_KEEP_CACHE),
            Err(error) => reply.error(error.into()),
        }
    }

    fn create(
        &self,
        _request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        match self.create_below(parent, name, mode) {
            Ok((attributes, handle)) => {
                let flags = FopenFlags::FOPEN_KEEP_CACHE;
                reply.created(&FOR_EVER, &attributes, GENERATION, handle, flags);
            }
            Err(error) => reply.error(error.into()),
        }
    }

    fn read(
        &self,
        _request: &Request,
        _inode: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let size = usize::try_from(size).unwrap_or_default();
        BUFFER.with_borrow_mut(|buffer| {
            if buffer.is_empty() {
                buffer.resize(usize::try_from(LARGEST).unwrap_or_default() + 3 * 4096, 0);
            }
            // Half a page behind a page: copies of some other alignments are ten times slower.
            let start = buffer.as_ptr().align_offset(4096) + 2048;
            let Some(room) = buffer.get_mut(start..start + size) else {
                return reply.error(Errno::EINVAL);
            };
            match self.file(handle).and_then(|file| file.read_at(room, offset)) {
                Ok(length) => reply.data(room.get(..length).unwrap_or_default()),
                Err(error) => reply.error(error.into()),
            }
        });
    }

    fn write(
        &self,
        _request: &Request,
        _inode: INodeNo,
        handle: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match self.file(handle).and_then(|file| file.write_all_at(data, offset)) {
            Ok(()) => reply.written(u32::try_from(data.len()).unwrap_or_default()),
            Err(error) => reply.error(error.into()),
        }
    }

    fn fsync(
        &self,
        _request: &Request,
        _inode: INodeNo,
        handle: FileHandle,
        _datasync: bool,
        reply: ReplyEmpty,
    ) {
        empty(reply, self.file(handle).and_then(|file| file.sync_all()));
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
        self.files.write().unwrap_or_else(PoisonError::into_inner).1.remove(&handle.0);
        reply.ok();
    }

    fn opendir(&self, _request: &Request, inode: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        match self.list(inode) {
            Ok(handle) => reply.opened(handle, FopenFlags::empty()),
            Err(error) => reply.error(error.into()),
        }
    }

    fn readdir(
        &self,
        _request: &Request,
        _inode: INodeNo,
        handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        for (next, (inode, kind, name)) in self.listed(handle, offset) {
            if reply.add(INodeNo(inode), next, kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn readdirplus(
        &self,
        _request: &Request,
        inode: INodeNo,
        handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectoryPlus,
    ) {
        for (next, (_, _, name)) in self.listed(handle, offset) {
            let Ok(found) = self.entry(inode, &name) else { continue };
            if reply.add(found.ino, next, name, &FOR_EVER, &found, GENERATION) {
                break;
            }
        }
        reply.ok();
    }

    fn releasedir(
        &self,
        _request: &Request,
        _inode: INodeNo,
        handle: FileHandle,
        _flags: OpenFlags,
        reply: ReplyEmpty,
    ) {
        self.listings.write().unwrap_or_else(PoisonError::into_inner).1.remove(&handle.0);
        reply.ok();
    }
}

fn entered(reply: ReplyEntry, found: io::Result<FileAttr>) {
    match found {
        Ok(attributes) => reply.entry(&FOR_EVER, &attributes, GENERATION),
        Err(error) => reply.error(error.into()),
    }
}

fn empty(reply: ReplyEmpty, outcome: io::Result<()>) {
    match outcome {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(error.into()),
    }
}

fn time_of(time: TimeOrNow) -> SystemTime {
    match time {
        TimeOrNow::SpecificTime(time) => time,
        TimeOrNow::Now => SystemTime::now(),
    }
}

fn kind_of(kind: std::fs::FileType) -> FileType {
    if kind.is_dir() { FileType::Directory } else { FileType::RegularFile }
}

fn attributes(metadata: &Metadata) -> FileAttr {
    let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    FileAttr {
        ino: INodeNo(metadata.ino()),
        size: metadata.len(),
        blocks: metadata.blocks(),
        atime: metadata.accessed().unwrap_or(modified),
        mtime: modified,
        ctime: modified,
        crtime: modified,
        kind: kind_of(metadata.file_type()),
        perm: u16::try_from(metadata.mode() & 0o7777).unwrap_or_default(),
        nlink: u32::try_from(metadata.nlink()).unwrap_or_default(),
        uid: metadata.uid(),
        gid: metadata.gid(),
        rdev: 0,
        blksize: 4096,
        flags: 0,
    }
}

fn main() -> io::Result<()> {
    let places: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [below, mountpoint] = places.as_slice() else {
        return Err(io::Error::other("usage: passthrough BELOW MOUNTPOINT"));
    };
    let filesystem = Passthrough { below: below.clone(), ..Passthrough::default() };
    let mut config = Config::default();
    config.mount_options =
        vec![MountOption::FSName("passthrough".to_owned()), MountOption::DefaultPermissions];
    config.acl = SessionACL::All;
    config.n_threads = Some(2);
    Session::new(filesystem, mountpoint, &config)?.run()
}
