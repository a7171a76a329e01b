//! The history of a secret: which versions a name has had, and what becomes of them.
//!
//! History stays with the name: a file that is renamed onto it, or made anew after an unlink,
//! goes on with the versions that were there.

use crate::extent::VersionId;
use crate::wall_time::WallTime;
use ward_policy::{FileId, SecretPath};

/// How many versions are shown and restored; older ones only wait to be reclaimed or shredded.
const SHOWN: usize = 10;

/// A file without a name, whose versions are kept until they are shredded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// Its last path.
    pub path: SecretPath,
    /// Its number.
    pub file: FileId,
    /// The versions that can be restored, oldest first.
    pub versions: Vec<VersionId>,
    /// When its name went.
    pub time: WallTime,
}

/// Versions of one name, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct History(Vec<VersionId>);

impl History {
    /// Makes `version` the current one.
    pub(crate) fn push(&mut self, version: VersionId) {
        self.0.push(version);
    }

    /// The newest version, which may have been written before this file took the name over.
    pub(crate) fn newest(&self) -> Option<VersionId> {
        self.0.last().copied()
    }

    /// The versions that are shown, oldest first.
    pub(crate) fn shown(&self) -> &[VersionId] {
        &self.0[self.0.len().saturating_sub(SHOWN)..]
    }

    /// All versions whose bytes are still on disk.
    pub(crate) fn all(&self) -> &[VersionId] {
        &self.0
    }

    /// Keeps the versions for which `has_bytes` holds: without that every value ever written counts.
    pub(crate) fn retain(&mut self, has_bytes: impl Fn(VersionId) -> bool) {
        self.0.retain(|version| has_bytes(*version));
        self.0.shrink_to(self.0.len() * 2);
    }

    /// Puts `older` in front: the history of the name this file takes over.
    pub(crate) fn follow(&mut self, mut older: Self) {
        older.0.append(&mut self.0);
        *self = older;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_ten_versions_are_shown_and_all_are_known() {
        let mut history = History::default();
        (1..=13).for_each(|number| history.push(VersionId(number)));
        assert_eq!(history.shown().len(), 10);
        assert_eq!(history.shown()[0], VersionId(4));
        assert_eq!(history.all().len(), 13);
        assert_eq!(history.newest(), Some(VersionId(13)));
    }

    #[test]
    fn a_file_that_takes_a_name_goes_on_with_its_history() {
        let (mut new, mut old) = (History::default(), History::default());
        old.push(VersionId(1));
        new.push(VersionId(5));
        new.follow(old);
        assert_eq!(new.all(), [VersionId(1), VersionId(5)]);
    }
}
