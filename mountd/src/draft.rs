//! A draft: what writers of a file have written and not yet made a version of.
//!
//! All writers of one file share one draft, as they would share the file. A version is the whole
//! draft at a FLUSH or fsync, so that a reader sees the old value or the new one.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use ward_policy::FileId;
use ward_store::WallTime;
use zeroize::Zeroizing;

/// The longest value a draft can grow to, in bytes: that of the store.
pub(crate) const LONGEST: usize = 16 << 20;
/// The most that all drafts of a vault hold together, in bytes: the daemon's memory is locked, so a
/// writer with many files open must not take it all.
const MOST: usize = 16 * LONGEST;

/// The bytes writers of one file see.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    /// Guards the content; held while a version is made of it, so that versions come in order.
    content: Mutex<Content>,
    /// When the version that it began as ends: what is left of that serves no longer.
    expires: Option<WallTime>,
    room: Arc<Room>,
}

/// How much the drafts of a vault hold together, in bytes.
#[derive(Debug, Default)]
pub(crate) struct Room(AtomicUsize);

#[derive(Default)]
struct Content {
    bytes: Zeroizing<Vec<u8>>,
    state: State,
}

/// How far the draft is from the newest version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum State {
    /// Not at all.
    #[default]
    Clean,
    /// It was cut to nothing at open, and nothing was written since: the writer is at work, and a
    /// shell's first FLUSH comes before its first WRITE, so this alone makes no version until the
    /// last close.
    Emptied,
    /// It holds bytes, or lacks some, that the newest version does not.
    Dirty,
}

/// Why a draft does not grow.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GrowError {
    /// Longer than [`LONGEST`].
    #[error("a secret is at most 16 MiB long")]
    TooLong,
    /// All drafts together would hold more than [`MOST`].
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
}

/// Too much is written in a vault that is no version yet.
#[derive(Debug, thiserror::Error)]
#[error("the files of this vault that are open for writing hold 256 MiB, close some of them")]
pub(crate) struct NoRoom;

impl Draft {
    /// A draft in `room` that starts as `bytes`, the newest version, which ends at `expires`.
    pub(crate) fn of(
        bytes: Zeroizing<Vec<u8>>,
        expires: Option<WallTime>,
        room: &Arc<Room>,
    ) -> Result<Self, NoRoom> {
        room.take(bytes.capacity())?;
        let content = Mutex::new(Content { bytes, state: State::Clean });
        Ok(Self { content, expires, room: Arc::clone(room) })
    }

    /// When the version that it began as ends.
    pub(crate) const fn expires(&self) -> Option<WallTime> {
        self.expires
    }

    /// Cuts it to nothing, as O_TRUNC does.
    pub(crate) fn empty(&self) {
        let mut content = self.content();
        self.room.give_back(content.bytes.capacity());
        content.bytes = Zeroizing::new(Vec::new());
        if content.state == State::Clean {
            content.state = State::Emptied;
        }
    }

    /// Writes `bytes` at `offset`; a gap before it reads as zeros.
    pub(crate) fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), GrowError> {
        let start = usize::try_from(offset).map_err(|_| GrowError::TooLong)?;
        let end = end_of(start, bytes)?;
        let mut content = self.content();
        if content.bytes.len() < end {
            content.resize(end, &self.room)?;
        }
        if let Some(range) = content.bytes.get_mut(start..end) {
            range.copy_from_slice(bytes);
        }
        content.state = State::Dirty;
        Ok(())
    }

    /// Writes `bytes` at the end, wherever that is by now (O_APPEND).
    pub(crate) fn append(&self, bytes: &[u8]) -> Result<(), GrowError> {
        let mut content = self.content();
        let start = content.bytes.len();
        content.resize(end_of(start, bytes)?, &self.room)?;
        if let Some(range) = content.bytes.get_mut(start..) {
            range.copy_from_slice(bytes);
        }
        content.state = State::Dirty;
        Ok(())
    }

    /// Makes it `length` bytes long.
    pub(crate) fn truncate(&self, length: u64) -> Result<(), GrowError> {
        let length = usize::try_from(length).ok().filter(|length| *length <= LONGEST);
        let length = length.ok_or(GrowError::TooLong)?;
        let mut content = self.content();
        content.resize(length, &self.room)?;
        content.state = State::Dirty;
        Ok(())
    }

    /// Its length in bytes.
    pub(crate) fn length(&self) -> usize {
        self.content().bytes.len()
    }

    /// Calls `look` with the bytes; writers wait.
    pub(crate) fn with_bytes<T>(&self, look: impl FnOnce(&[u8]) -> T) -> T {
        look(&self.content().bytes)
    }

    /// Makes a version of it with `make` if it `is_due`, and is clean after that succeeded.
    pub(crate) fn commit<E>(
        &self,
        is_due: impl FnOnce(State) -> bool,
        make: impl FnOnce(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut content = self.content();
        if is_due(content.state) {
            make(&content.bytes)?;
            content.state = State::Clean;
        }
        Ok(())
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        self.room.give_back(self.content().bytes.capacity());
    }
}

impl Room {
    fn take(&self, bytes: usize) -> Result<(), NoRoom> {
        let more = |taken: usize| taken.checked_add(bytes).filter(|sum| *sum <= MOST);
        let taken = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.map(|_before| ()).map_err(|_full| NoRoom)
    }

    fn give_back(&self, bytes: usize) {
        self.0.fetch_sub(bytes, Ordering::Relaxed);
    }
}

fn end_of(start: usize, bytes: &[u8]) -> Result<usize, GrowError> {
    start.checked_add(bytes.len()).filter(|end| *end <= LONGEST).ok_or(GrowError::TooLong)
}

impl Content {
    /// Grows or shrinks; what is left behind in memory is wiped.
    fn resize(&mut self, length: usize, room: &Room) -> Result<(), NoRoom> {
        let capacity = self.bytes.capacity();
        if length > capacity {
            let mut grown = Zeroizing::new(Vec::with_capacity(length.next_power_of_two()));
            room.take(grown.capacity() - capacity)?;
            grown.extend_from_slice(&self.bytes);
            self.bytes = grown;
        }
        if let Some(rest) = self.bytes.get_mut(length..) {
            rest.fill(0);
        }
        self.bytes.resize(length, 0);
        Ok(())
    }
}

impl std::fmt::Debug for Content {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Content({:?}, ..)", self.state)
    }
}

/// The drafts of a vault's files, for as long as somebody has one open.
#[derive(Debug, Default)]
pub(crate) struct DraftTable {
    /// Guards the map only.
    drafts: Mutex<BTreeMap<FileId, Weak<Draft>>>,
    room: Arc<Room>,
}

impl DraftTable {
    /// The draft of `file`, if somebody writes it now.
    pub(crate) fn find(&self, file: FileId) -> Option<Arc<Draft>> {
        self.drafts().get(&file).and_then(Weak::upgrade)
    }

    /// The draft of `file`; `start` makes it, in the room that all share, when nobody has one.
    pub(crate) fn share<E>(
        &self,
        file: FileId,
        start: impl FnOnce(&Arc<Room>) -> Result<Draft, E>,
    ) -> Result<Arc<Draft>, E> {
        let mut drafts = self.drafts();
        drafts.retain(|_, draft| draft.strong_count() > 0);
        if let Some(draft) = drafts.get(&file).and_then(Weak::upgrade) {
            return Ok(draft);
        }
        let draft = Arc::new(start(&self.room)?);
        drafts.insert(file, Arc::downgrade(&draft));
        Ok(draft)
    }

    fn drafts(&self) -> MutexGuard<'_, BTreeMap<FileId, Weak<Draft>>> {
        self.drafts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(draft: &Draft) -> Vec<u8> {
        draft.with_bytes(<[u8]>::to_vec)
    }

    #[test]
    fn a_write_beyond_the_end_leaves_zeros_before_it() {
        let draft = Draft::of(Zeroizing::new(b"ab".to_vec()), None, &Arc::default()).unwrap();
        draft.write(4, b"cd").unwrap();
        assert_eq!(bytes(&draft), b"ab\0\0cd");
        draft.append(b"e").unwrap();
        draft.write(0, b"X").unwrap();
        assert_eq!(bytes(&draft), b"Xb\0\0cde");
        draft.truncate(1).unwrap();
        draft.truncate(3).unwrap();
        assert_eq!(bytes(&draft), b"X\0\0");
    }

    #[test]
    fn a_draft_does_not_grow_beyond_what_the_store_takes() {
        let draft = Draft::default();
        assert!(draft.write(u64::MAX, b"x").is_err());
        assert!(draft.write(16 << 20, b"x").is_err());
        assert!(draft.truncate((16 << 20) + 1).is_err());
        assert_eq!(draft.length(), 0);
    }

    #[test]
    fn drafts_that_hold_too_much_together_do_not_grow_until_one_is_gone() {
        let room = Arc::new(Room::default());
        let draft = || Draft::of(Zeroizing::default(), None, &room).unwrap();
        let full: Vec<Draft> = std::iter::repeat_with(draft).take(MOST / LONGEST).collect();
        for one in &full {
            one.truncate(LONGEST as u64).unwrap();
        }
        let late = draft();
        assert!(matches!(late.write(0, b"x"), Err(GrowError::NoRoom(_))));
        assert_eq!(late.length(), 0);
        full[0].empty();
        late.truncate(LONGEST as u64).unwrap();
        assert!(full[0].append(b"x").is_err());
        drop(late);
        full[0].append(b"x").unwrap();
    }

    #[test]
    fn only_a_failed_commit_leaves_a_draft_dirty() {
        let draft = Draft::default();
        draft.write(0, b"x").unwrap();
        let is_dirty = |state| state == State::Dirty;
        assert!(draft.commit(is_dirty, |_| Err::<(), _>("disk full")).is_err());
        draft
            .commit(is_dirty, |bytes| {
                assert_eq!(bytes, b"x");
                Ok::<_, ()>(())
            })
            .unwrap();
        draft.commit(is_dirty, |_| Err::<(), _>("a clean draft is not written")).unwrap();
    }

    #[test]
    fn writers_of_one_file_share_its_draft_until_the_last_is_gone() {
        let table = DraftTable::default();
        let start = |_: &Arc<Room>| Ok::<_, ()>(Draft::default());
        let first = table.share(FileId(7), start).unwrap();
        first.write(0, b"x").unwrap();
        let second = table.share(FileId(7), start).unwrap();
        assert_eq!(bytes(&second), b"x");
        drop((first, second));
        assert!(table.find(FileId(7)).is_none());
    }
}
