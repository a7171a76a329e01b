//! The program behind an exe link: opened once, and only what was opened is believed.
//!
//! A process in its own mount namespace shows any path it likes, so the path counts only when
//! device and inode agree with it in our namespace.

use super::message::ExecutableFacts;
use lru::LruCache;
use rustix::fs::{AtFlags, Mode, OFlags, Stat, fstat, openat, readlinkat, statat};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Mutex;
use std::time::SystemTime;

/// How many hashes are remembered.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(1024).unwrap();
/// The largest program that is hashed, in bytes; a larger one has no hash and matches no rule.
const LARGEST: i64 = 2 << 30;
/// A file changed less than this many seconds ago may change again under the same times.
const SETTLED: i64 = 2;
/// Programs that run what they are told to: their own hash says little (design: grade weak).
const INTERPRETERS: [&str; 15] = [
    "awk", "bash", "dash", "gawk", "java", "lua", "mawk", "node", "perl", "php", "python", "ruby",
    "sh", "tclsh", "zsh",
];

/// Hashes of programs, by what changes when the program does.
#[derive(Debug)]
pub(crate) struct Hashes {
    /// Guards the cache only; never held while a file is read.
    known: Mutex<LruCache<FileState, [u8; 32]>>,
}

/// What was seen of a program.
#[derive(Debug)]
pub(crate) struct Looked {
    pub(crate) facts: ExecutableFacts,
    /// Whether somebody else than root could change the file or a folder above it.
    pub(crate) is_changeable: bool,
    /// Whether it runs what it is told to.
    pub(crate) is_interpreter: bool,
}

/// A file at one state. Mtime alone can be set at will, ctime cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct FileState {
    device: u64,
    inode: u64,
    size: i64,
    modified: (i64, u64),
    changed: (i64, u64),
}

impl Default for Hashes {
    fn default() -> Self {
        Self { known: Mutex::new(LruCache::new(REMEMBERED)) }
    }
}

impl Hashes {
    /// Looks at the program of the process whose `/proc` directory is `process`.
    pub(crate) fn look(&self, process: &OwnedFd) -> io::Result<Looked> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let program = openat(process, "exe", flags, Mode::empty())?;
        let stat = fstat(&program)?;
        let link = readlinkat(process, "exe", Vec::new())?.into_bytes();
        let path = agrees(&link, &stat).then_some(link);
        let is_changeable = path.as_ref().is_none_or(|path| is_changeable(path, &stat));
        let is_interpreter = path.as_ref().is_none_or(|path| is_interpreter(path));
        let facts = ExecutableFacts {
            path,
            device: stat.st_dev,
            inode: stat.st_ino,
            sha256: self.hash(program, &stat),
        };
        Ok(Looked { facts, is_changeable, is_interpreter })
    }

    fn hash(&self, program: OwnedFd, stat: &Stat) -> Option<[u8; 32]> {
        let state = FileState::of(stat);
        let known = || self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(hash) = known().get(&state) {
            return Some(*hash);
        }
        if stat.st_size > LARGEST {
            return None;
        }
        let mut program = File::from(program);
        let hash = sha256(&mut program).ok()?;
        // What changed while it was read has no hash.
        if FileState::of(&fstat(program.as_fd()).ok()?) != state {
            return None;
        }
        if state.is_settled() {
            known().put(state, hash);
        }
        Some(hash)
    }
}

impl FileState {
    fn of(stat: &Stat) -> Self {
        Self {
            device: stat.st_dev,
            inode: stat.st_ino,
            size: stat.st_size,
            modified: (stat.st_mtime, stat.st_mtime_nsec),
            changed: (stat.st_ctime, stat.st_ctime_nsec),
        }
    }

    fn is_settled(&self) -> bool {
        let now = SystemTime::from(crate::clock::wall());
        let now = now.duration_since(SystemTime::UNIX_EPOCH).map(|since| since.as_secs());
        now.is_ok_and(|now| i64::try_from(now).is_ok_and(|now| now - self.changed.0 >= SETTLED))
    }
}

fn agrees(path: &[u8], stat: &Stat) -> bool {
    statat(rustix::fs::CWD, path, AtFlags::empty())
        .is_ok_and(|ours| (ours.st_dev, ours.st_ino) == (stat.st_dev, stat.st_ino))
}

fn is_changeable(path: &[u8], stat: &Stat) -> bool {
    use std::os::unix::ffi::OsStrExt;
    let is_open = |stat: &Stat| {
        let is_sticky = stat.st_mode & 0o1000 != 0;
        stat.st_uid != 0
            || (stat.st_mode & 0o020 != 0 && stat.st_gid != 0)
            || (stat.st_mode & 0o002 != 0 && !is_sticky)
    };
    let folders = Path::new(std::ffi::OsStr::from_bytes(path)).ancestors().skip(1);
    let stats = folders.map(|folder| statat(rustix::fs::CWD, folder, AtFlags::empty()));
    is_open(stat) || stats.into_iter().any(|stat| stat.is_ok_and(|stat| is_open(&stat)))
}

fn is_interpreter(path: &[u8]) -> bool {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let end = name.iter().position(|byte| byte.is_ascii_digit() || *byte == b'.');
    let stem = name.get(..end.unwrap_or(name.len())).unwrap_or_default();
    INTERPRETERS.iter().any(|interpreter| interpreter.as_bytes() == stem)
}

fn sha256(file: &mut File) -> io::Result<[u8; 32]> {
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; 256 << 10];
    loop {
        match file.read(&mut chunk) {
            Ok(0) => return Ok(hasher.finalize().into()),
            Ok(count) => hasher.update(chunk.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interpreters_are_known_with_and_without_a_version() {
        for path in ["/usr/bin/python3.11", "/bin/sh", "/usr/bin/node", "/usr/bin/perl5.36.0"] {
            assert!(is_interpreter(path.as_bytes()), "{path}");
        }
        for path in ["/usr/bin/cat", "/usr/bin/ssh", "/opt/claude"] {
            assert!(!is_interpreter(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn a_path_that_means_another_file_here_does_not_agree() {
        let stat = statat(rustix::fs::CWD, "/proc/self/exe", AtFlags::empty()).unwrap();
        assert!(!agrees(b"/etc/passwd", &stat));
        assert!(agrees(std::env::current_exe().unwrap().as_os_str().as_encoded_bytes(), &stat));
    }
}
