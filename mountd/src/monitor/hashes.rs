//! SHA-256 of programs and scripts: once for a file at one state, and few at a time.

use super::file_view::FileView;
use crossbeam_channel::{Receiver, Sender, bounded};
use lru::LruCache;
use rustix::fs::{Mode, OFlags};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;
use ward_policy::Digest;

/// How many hashes are remembered.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(4096).unwrap();
/// The largest file that is hashed, in bytes; a larger one has no hash and matches no rule.
const LARGEST: u64 = 2 << 30;
/// A file changed less than this many seconds ago may change again under the same times.
const SETTLED: i64 = 2;
/// How much is read at once, in bytes.
const CHUNK: usize = 256 << 10;

/// Whether a file may be read to know its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hashing {
    /// Only a hash that is known counts.
    Known,
    /// It is read, which can take a second.
    Now,
}

/// What is known of a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    /// It is this.
    Known(Digest),
    /// Nobody has read the file yet.
    Unread,
    /// It has none: too large, not readable, or changing.
    None,
}

/// Hashes of files, by what changes when a file does.
#[derive(Debug)]
pub(crate) struct Hashes {
    /// Guards the cache only; never held while a file is read.
    known: Mutex<LruCache<FileView, Digest>>,
    /// One token for each file that may be read at once.
    permits: (Sender<()>, Receiver<()>),
}

impl Default for Hashes {
    fn default() -> Self {
        // Half of the processors, so that who is known already is served by the other half.
        let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let permits = bounded((processors / 2).max(1));
        while permits.0.try_send(()).is_ok() {}
        Self { known: Mutex::new(LruCache::new(REMEMBERED)), permits }
    }
}

impl Hashes {
    /// The hash of a regular file that is opened as a place, and looked at as `view`.
    pub(super) fn of(&self, place: BorrowedFd<'_>, view: &FileView, hashing: Hashing) -> Hash {
        if !view.is_regular() || view.size > LARGEST {
            return Hash::None;
        }
        if let Some(digest) = self.remembered(view) {
            return Hash::Known(digest);
        }
        if hashing == Hashing::Known {
            return Hash::Unread;
        }
        let Ok(()) = self.permits.1.recv() else {
            return Hash::None;
        };
        // Another may have read it while this one waited.
        let digest = self.remembered(view).or_else(|| self.read(place, view).ok().flatten());
        let _there_is_room = self.permits.0.send(());
        digest.map_or(Hash::None, Hash::Known)
    }

    fn remembered(&self, view: &FileView) -> Option<Digest> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(view).copied()
    }

    fn read(&self, place: BorrowedFd<'_>, view: &FileView) -> io::Result<Option<Digest>> {
        let path = format!("/proc/self/fd/{}", place.as_raw_fd());
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
        let digest = sha256(&mut file)?;
        // What changed while it was read has no hash.
        if FileView::of(file.as_fd())? != *view {
            return Ok(None);
        }
        if is_settled(view) {
            self.known.lock().unwrap_or_else(PoisonError::into_inner).put(*view, digest);
        }
        Ok(Some(digest))
    }
}

fn is_settled(view: &FileView) -> bool {
    let now = SystemTime::from(crate::clock::wall());
    let now = now.duration_since(SystemTime::UNIX_EPOCH).map(|since| since.as_secs());
    now.is_ok_and(|now| i64::try_from(now).is_ok_and(|now| now - view.changed.0 >= SETTLED))
}

fn sha256(file: &mut File) -> io::Result<Digest> {
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk) {
            Ok(0) => return Ok(Digest::from_bytes(hasher.finalize().into())),
            Ok(count) => hasher.update(chunk.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn hash(hashes: &Hashes, file: &File, hashing: Hashing) -> Hash {
        hashes.of(file.as_fd(), &FileView::of(file.as_fd()).unwrap(), hashing)
    }

    #[test]
    fn a_file_is_read_once_and_anew_after_a_change_even_under_its_old_times() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        let fill = |content: &[u8]| {
            std::io::Write::write_all(&mut File::create(&path).unwrap(), content).unwrap();
        };
        fill(b"one");
        let file = File::open(&path).unwrap();
        let hashes = Hashes::default();
        assert_eq!(hash(&hashes, &file, Hashing::Known), Hash::Unread);
        let Hash::Known(first) = hash(&hashes, &file, Hashing::Now) else { panic!("no hash") };
        // Its ctime is too young to be believed.
        assert_eq!(hash(&hashes, &file, Hashing::Known), Hash::Unread);
        let before = std::fs::metadata(&path).unwrap().modified().unwrap();
        fill(b"two");
        File::options().write(true).open(&path).unwrap().set_modified(before).unwrap();
        assert_ne!(hash(&hashes, &file, Hashing::Now), Hash::Known(first));
    }

    #[test]
    fn a_settled_file_is_known_from_its_first_reading_on() {
        let program = File::open("/proc/self/exe").unwrap();
        let changed = std::os::unix::fs::MetadataExt::ctime(&program.metadata().unwrap());
        let hashes = Hashes::default();
        let known = hash(&hashes, &program, Hashing::Now);
        assert!(matches!(known, Hash::Known(_)));
        let now = crate::clock::wall().as_second();
        if now - changed > SETTLED {
            assert_eq!(hash(&hashes, &program, Hashing::Known), known);
        }
    }

    #[test]
    fn what_is_too_large_or_no_file_has_no_hash() {
        let folder = tempfile::tempdir().unwrap();
        let large = File::create(folder.path().join("large")).unwrap();
        large.set_len(LARGEST + 1).unwrap();
        let started = crate::clock::now();
        assert_eq!(hash(&Hashes::default(), &large, Hashing::Now), Hash::None);
        assert!(crate::clock::now() < started.after(Duration::from_secs(1)), "it was read");
        let directory = File::open(folder.path()).unwrap();
        assert_eq!(hash(&Hashes::default(), &directory, Hashing::Now), Hash::None);
    }
}
