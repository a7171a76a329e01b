//! A draft: what writers of a file have written and not yet made a version of.
//!
//! All writers of one file share one draft, as they would share the file. A version is the whole
//! draft at a FLUSH or fsync, so that a reader sees the old value or the new one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use ward_policy::FileId;
use zeroize::Zeroizing;

/// The longest value a draft can grow to, in bytes: that of the store.
pub(crate) const LONGEST: usize = 16 << 20;

/// The bytes writers of one file see.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    /// Guards the content; held while a version is made of it, so that versions come in order.
    content: Mutex<Content>,
}

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

/// Longer than [`LONGEST`].
#[derive(Debug, thiserror::Error)]
#[error("a secret is at most 16 MiB long")]
pub(crate) struct TooLong;

impl Draft {
    /// A draft that starts as `bytes`, the newest version.
    pub(crate) fn of(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self { content: Mutex::new(Content { bytes, state: State::Clean }) }
    }

    /// Cuts it to nothing, as O_TRUNC does.
    pub(crate) fn empty(&self) {
        let mut content = self.content();
        content.bytes = Zeroizing::new(Vec::new());
        if content.state == State::Clean {
            content.state = State::Emptied;
        }
    }

    /// Writes `bytes` at `offset`; a gap before it reads as zeros.
    pub(crate) fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), TooLong> {
        let start = usize::try_from(offset).map_err(|_| TooLong)?;
        let end = start.checked_add(bytes.len()).filter(|end| *end <= LONGEST).ok_or(TooLong)?;
        let mut content = self.content();
        if content.bytes.len() < end {
            content.resize(end);
        }
        if let Some(range) = content.bytes.get_mut(start..end) {
            range.copy_from_slice(bytes);
        }
        content.state = State::Dirty;
        Ok(())
    }

    /// Writes `bytes` at the end, wherever that is by now (O_APPEND).
    pub(crate) fn append(&self, bytes: &[u8]) -> Result<(), TooLong> {
        let mut content = self.content();
        let start = content.bytes.len();
        let end = start.checked_add(bytes.len()).filter(|end| *end <= LONGEST).ok_or(TooLong)?;
        content.resize(end);
        if let Some(range) = content.bytes.get_mut(start..) {
            range.copy_from_slice(bytes);
        }
        content.state = State::Dirty;
        Ok(())
    }

    /// Makes it `length` bytes long.
    pub(crate) fn truncate(&self, length: u64) -> Result<(), TooLong> {
        let length = usize::try_from(length).ok().filter(|length| *length <= LONGEST);
        let length = length.ok_or(TooLong)?;
        let mut content = self.content();
        content.resize(length);
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

impl Content {
    /// Grows or shrinks; what is left behind in memory is wiped.
    fn resize(&mut self, length: usize) {
        if length > self.bytes.capacity() {
            let mut grown = Zeroizing::new(Vec::with_capacity(length.next_power_of_two()));
            grown.extend_from_slice(&self.bytes);
            self.bytes = grown;
        }
        if let Some(rest) = self.bytes.get_mut(length..) {
            rest.fill(0);
        }
        self.bytes.resize(length, 0);
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
}

impl DraftTable {
    /// The draft of `file`, if somebody writes it now.
    pub(crate) fn find(&self, file: FileId) -> Option<Arc<Draft>> {
        self.drafts().get(&file).and_then(Weak::upgrade)
    }

    /// The draft of `file`; `start` makes it when nobody has one.
    pub(crate) fn share<E>(
        &self,
        file: FileId,
        start: impl FnOnce() -> Result<Draft, E>,
    ) -> Result<Arc<Draft>, E> {
        let mut drafts = self.drafts();
        drafts.retain(|_, draft| draft.strong_count() > 0);
        if let Some(draft) = drafts.get(&file).and_then(Weak::upgrade) {
            return Ok(draft);
        }
        let draft = Arc::new(start()?);
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
        let draft = Draft::of(Zeroizing::new(b"ab".to_vec()));
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
        let start = || Ok::<_, ()>(Draft::default());
        let first = table.share(FileId(7), start).unwrap();
        first.write(0, b"x").unwrap();
        let second = table.share(FileId(7), start).unwrap();
        assert_eq!(bytes(&second), b"x");
        drop((first, second));
        assert!(table.find(FileId(7)).is_none());
    }
}
