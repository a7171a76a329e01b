//! On which type of filesystem a program lies: only local ones are believed.

use super::file_view::{FileView, mount_number};
use super::proc::Proc;
use lru::LruCache;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, PoisonError};

/// Types whose server is the kernel itself, with the bytes on this machine.
const LOCAL: [&str; 13] = [
    "bcachefs", "btrfs", "erofs", "ext2", "ext3", "ext4", "f2fs", "overlay", "rootfs", "squashfs",
    "tmpfs", "xfs", "zfs",
];
/// How many mounts are remembered.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(256).unwrap();

/// The types of mounts, by the number of the mount that never comes again.
#[derive(Debug)]
pub(super) struct FilesystemKinds {
    /// Guards the cache only.
    known: Mutex<LruCache<u64, Arc<str>>>,
}

impl Default for FilesystemKinds {
    fn default() -> Self {
        Self { known: Mutex::new(LruCache::new(REMEMBERED)) }
    }
}

impl FilesystemKinds {
    /// The type of the filesystem that `file` lies on, which the process of `proc` sees; `None` when
    /// it is a local one.
    pub(super) fn strange(
        &self,
        proc: &Proc,
        file: BorrowedFd<'_>,
        view: &FileView,
    ) -> Option<Arc<str>> {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let remembered = known().get(&view.mount).cloned();
        let kind = remembered.unwrap_or_else(|| {
            let kind = find(proc, file).ok().flatten();
            let kind: Arc<str> = kind.as_deref().unwrap_or("unknown").into();
            known().put(view.mount, Arc::clone(&kind));
            kind
        });
        (!is_local(&kind)).then_some(kind)
    }
}

/// Whether it is a type whose bytes are on this machine, and whose server is the kernel itself.
pub(super) fn is_local(kind: &str) -> bool {
    LOCAL.contains(&kind)
}

/// The type that the process's own table of mounts gives for the mount of `file` (proc(5)): the
/// kernel writes it, wherever the process lives.
fn find(proc: &Proc, file: BorrowedFd<'_>) -> io::Result<Option<String>> {
    let number = mount_number(file)?.to_string();
    let table = proc.pieces("mountinfo")?;
    let table = String::from_utf8_lossy(&table);
    let line = table.lines().find(|line| line.split(' ').next() == Some(number.as_str()));
    let kind =
        line.and_then(|line| line.split_once(" - ")).and_then(|(_, it)| it.split(' ').next());
    Ok(kind.map(str::to_owned))
}
