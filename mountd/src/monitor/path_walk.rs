//! Walks paths that others name, without asking a filesystem that could keep us waiting.
//!
//! A program can lie on a FUSE filesystem whose server answers when it likes, and so can any folder
//! above it. So paths are walked through the kernel's cache (`RESOLVE_CACHED`, openat2(2)): a program
//! that runs, and all folders above it, are in it. But a rename or a mount anywhere disturbs such a
//! walk, and whether a folder has an ACL is in the cache only once somebody asked who is not its owner:
//! in the folders of a user mostly nobody, since the machine started. So where the cache does not do, a
//! folder is asked itself if it lies on a filesystem of this machine.

use super::file_view::FileView;
use super::filesystem_kind::is_local;
use super::mount_table::mount_of;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2, readlinkat};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path};

/// How often a walk through the cache is tried.
const TRIES: usize = 4;
/// How many parts a path may have, with those of all links on its way.
const MOST_PARTS: usize = 1000;
/// Found as a place: nothing is opened, and a link is found itself.
const PLACE: OFlags = OFlags::PATH.union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW);

/// What a link at the end of a path stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Last {
    /// What it leads to.
    Followed,
    /// Itself.
    Itself,
}

/// Walks paths, and remembers of mounts whether they are of this machine, as far as one caller is looked at.
#[derive(Debug, Default)]
pub(super) struct PathWalk {
    /// By the numbers of mounts.
    are_local: BTreeMap<u64, bool>,
}

impl PathWalk {
    /// Finds a path as a place only (`O_PATH`), from `folder` on where it is relative.
    pub(super) fn find(
        &mut self,
        folder: BorrowedFd<'_>,
        path: &[u8],
        last: Last,
    ) -> io::Result<OwnedFd> {
        let flags = match last {
            Last::Followed => PLACE.difference(OFlags::NOFOLLOW),
            Last::Itself => PLACE,
        };
        let path = OsStr::from_bytes(path);
        match cached(folder, path, flags) {
            Err(Errno::AGAIN) => self.find_by_parts(folder, Path::new(path), last),
            found => Ok(found?),
        }
    }

    fn find_by_parts(
        &mut self,
        folder: BorrowedFd<'_>,
        path: &Path,
        last: Last,
    ) -> io::Result<OwnedFd> {
        let mut rest = parts(path);
        let mut place = if path.is_absolute() { root()? } else { rustix::io::dup(folder)? };
        for _ in 0..MOST_PARTS {
            let Some(part) = rest.pop() else { return Ok(place) };
            let next = self.step(place.as_fd(), &part)?;
            let is_link = FileView::of(next.as_fd())?.is_link();
            if is_link && !(rest.is_empty() && last == Last::Itself) {
                let target = OsString::from_vec(readlinkat(&next, "", Vec::new())?.into_bytes());
                if Path::new(&target).is_absolute() {
                    place = root()?;
                }
                rest.extend(parts(Path::new(&target)));
            } else {
                place = next;
            }
        }
        Err(Errno::LOOP.into())
    }

    /// What has that name in a folder, a link itself.
    fn step(&mut self, folder: BorrowedFd<'_>, name: &OsStr) -> io::Result<OwnedFd> {
        match cached(folder, name, PLACE) {
            Err(Errno::AGAIN) if self.is_local(folder)? => {
                // Nothing is asked that another filesystem, mounted there, would have to answer.
                let within = ResolveFlags::NO_XDEV | ResolveFlags::NO_MAGICLINKS;
                match openat2(folder, name, PLACE, Mode::empty(), within) {
                    Err(Errno::XDEV) => Ok(cached(folder, name, PLACE)?),
                    found => Ok(found?),
                }
            }
            found => Ok(found?),
        }
    }

    /// Whether a folder of our namespace lies on a filesystem of this machine.
    fn is_local(&mut self, folder: BorrowedFd<'_>) -> io::Result<bool> {
        let mount = FileView::of(folder)?.mount;
        let look = || mount_of(folder).is_some_and(|mount| is_local(&mount.kind));
        Ok(*self.are_local.entry(mount).or_insert_with(look))
    }
}

fn cached(folder: BorrowedFd<'_>, path: &OsStr, flags: OFlags) -> Result<OwnedFd, Errno> {
    let look = || openat2(folder, path, flags, Mode::empty(), ResolveFlags::CACHED);
    let is_undisturbed = |found: &Result<_, _>| !matches!(found, Err(Errno::AGAIN));
    (1..TRIES).map(|_| look()).find(is_undisturbed).unwrap_or_else(look)
}

fn root() -> io::Result<OwnedFd> {
    Ok(openat2(CWD, "/", PLACE, Mode::empty(), ResolveFlags::empty())?)
}

/// The parts of a path, the first one last.
fn parts(path: &Path) -> Vec<OsString> {
    let named = path.components().filter(|part| *part != Component::RootDir);
    named.rev().map(|part| part.as_os_str().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::file_view::Folders;
    use std::os::unix::fs::{MetadataExt, symlink};
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn a_walk_part_by_part_finds_what_the_kernel_finds() {
        let folder = tempfile::tempdir().unwrap();
        let (top, within) = (folder.path(), folder.path().join("a/b"));
        std::fs::create_dir_all(&within).unwrap();
        std::fs::File::create(within.join("file")).unwrap();
        symlink("b/../b/file", top.join("a/relative")).unwrap();
        symlink(top.join("a/relative"), within.join("absolute")).unwrap();
        symlink("loop", top.join("loop")).unwrap();
        let place = std::fs::File::open(top).unwrap();
        let found = |path: &Path, last| {
            let found = PathWalk::default().find_by_parts(place.as_fd(), path, last);
            let view = found.and_then(|it| FileView::of(it.as_fd()));
            view.map(|view| view.inode).map_err(|error| error.raw_os_error())
        };
        for path in ["a/b/file", "a/relative", "a//./b/../b/absolute", "a/b/absolute", "a", "."] {
            let kernel = std::fs::metadata(top.join(path)).unwrap().ino();
            let itself = std::fs::symlink_metadata(top.join(path)).unwrap().ino();
            for path in [Path::new(path), &top.join(path)] {
                assert_eq!(found(path, Last::Followed), Ok(kernel), "{path:?}");
                assert_eq!(found(path, Last::Itself), Ok(itself), "{path:?}");
            }
        }
        for (path, error) in
            [("a/none", libc::ENOENT), ("a/b/file/c", libc::ENOTDIR), ("loop", libc::ELOOP)]
        {
            assert_eq!(found(Path::new(path), Last::Followed), Err(Some(error)), "{path}");
        }
    }

    #[test]
    fn a_program_is_found_while_others_rename_files_all_the_time() {
        let program = std::env::current_exe().unwrap();
        let view = FileView::of(std::fs::File::open(&program).unwrap().as_fd()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for name in ["one", "two", "three"] {
                let (from, to) = (folder.path().join(name), folder.path().join(format!("{name}-")));
                std::fs::File::create(&from).unwrap();
                scope.spawn(|| {
                    let (from, to) = (from, to);
                    while !is_over.load(Ordering::Relaxed) {
                        std::fs::rename(&from, &to).unwrap();
                        std::fs::rename(&to, &from).unwrap();
                    }
                });
            }
            let path = program.as_os_str().as_bytes();
            let missed = (0..50_000).filter(|_| !Folders::default().lead_to(path, &view)).count();
            is_over.store(true, Ordering::Relaxed);
            assert_eq!(missed, 0);
        });
    }
}
