//! What the log knows about a vault that an older state of it does not.
//!
//! Each entry about a secret is compared with its file: a change is recorded before it is made, so a
//! state that has it has a file changed at the entry's time or later. Of a workspace the log knows no
//! writes, but what they took: that is counted from the last change on that the state knows of.

use crate::clock;
use crate::lifecycle::READ_ONLY;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::ControlFlow;
use ward_audit::{Entry, EventType, Filter, Log, ReadLogError};
use ward_policy::{FileId, Operation, VaultName};
use ward_store::{EntryName, NodeKind, Vault, VaultKind, WallTime};

/// Most names of each list that are said; the rest is counted.
const SAID: usize = 5;

/// Changes that only the log knows of.
#[derive(Debug, Default)]
pub(crate) struct Newer {
    /// Secrets stored since.
    pub(crate) set: BTreeSet<String>,
    /// Names removed or moved since.
    pub(crate) removed: BTreeSet<String>,
    /// Secrets destroyed since.
    pub(crate) revoked: BTreeSet<String>,
    /// What was done with the vault since, and is not among these.
    pub(crate) activity: BTreeMap<Activity, Times>,
    /// Key slots added or removed since.
    pub(crate) keys: u64,
    /// Entries whose names do not open with the key of this state.
    pub(crate) unreadable: u64,
    /// What was destroyed and is there again, by its path.
    pub(crate) to_shred: BTreeSet<(String, FileId)>,
}

/// What a vault was used for, as far as the log has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Activity {
    Mount,
    OpenForWriting,
    Creation,
    Truncation,
    Renaming,
    Removal,
    Rekeying,
    Compaction,
}

/// How often something was done, and when last.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Times {
    pub(crate) count: u64,
    pub(crate) last: WallTime,
}

/// The files of an older state.
struct State {
    /// Each file with a name: when it was made and last changed.
    files: BTreeMap<String, (FileId, WallTime, WallTime)>,
    /// Files without a name, by their last path, and when it went.
    removed: Vec<(String, FileId, WallTime)>,
    /// The last change it knows of.
    changed: WallTime,
    /// Where files that the log knows to have moved were, by their later names.
    origins: BTreeMap<String, String>,
}

/// Reads the log and compares it with `vault`, whose last change was at `changed`.
pub(crate) fn newer_in_the_log(
    log: &Log,
    name: &VaultName,
    (vault, changed): (&Vault, WallTime),
) -> Result<Newer, ReadLogError> {
    let mut newer = Newer::default();
    let mut state = State::of(vault, changed);
    let filter = Filter { vault: Some(name.clone()), ..Filter::default() };
    let unread = log.read(&filter, |shown| {
        let entry = &shown.entry;
        newer.take_command(entry, &state);
        match vault.kind() {
            VaultKind::Secrets => newer.take(entry, &mut state),
            VaultKind::Workspace => newer.take_use(entry, (vault, &state)),
        }
        ControlFlow::Continue(())
    })?;
    // What it does not say, it cannot have said.
    unread.into_iter().next().map_or(Ok(newer), |unread| Err(ReadLogError::Damaged(unread)))
}

impl Newer {
    /// Paths of what is destroyed once more.
    pub(crate) fn shredded_again(&self) -> BTreeSet<&str> {
        self.to_shred.iter().map(|(path, _)| path.as_str()).collect()
    }

    fn take(&mut self, entry: &Entry<'_>, state: &mut State) {
        let at = time_of(entry);
        let Some(path) = entry.path.as_deref() else {
            let is_hidden = entry.sealed.is_some() && state.is_before(at);
            self.unreadable += u64::from(is_hidden);
            return;
        };
        let event = entry.event_type;
        let is_restore = event == EventType::Command && has(entry, Operation::SecretRestore);
        let sets = [EventType::SecretSet, EventType::FileWrite, EventType::FileCreate];
        if is_restore || sets.contains(&event) {
            self.set_at(path, at, state);
        } else if event == EventType::FileRemove {
            if state.has_older(path, at) {
                self.removed.insert(path.to_owned());
            }
            self.set.remove(path);
        } else if event == EventType::FileRename {
            if let Some(to) = entry.to.as_deref() {
                self.rename(path, to, at, state);
            }
        } else if event == EventType::SecretRevoked {
            self.revoke(path, at, state);
        }
    }

    fn rename(&mut self, path: &str, to: &str, at: WallTime, state: &mut State) {
        if state.has_older(path, at) {
            self.removed.insert(path.to_owned());
            let origin = state.origin(path).to_owned();
            state.origins.insert(to.to_owned(), origin);
            self.set.insert(to.to_owned());
        }
    }

    fn revoke(&mut self, path: &str, at: WallTime, state: &State) {
        let origin = state.origin(path);
        let again = state.files_of(origin, at);
        if state.is_before(at) || !again.is_empty() {
            self.revoked.insert(path.to_owned());
            self.set.remove(path);
        }
        self.to_shred.extend(again.into_iter().map(|file| (origin.to_owned(), file)));
    }

    fn set_at(&mut self, path: &str, at: WallTime, state: &State) {
        let is_known =
            state.files.get(state.origin(path)).is_some_and(|(_, _, changed)| *changed >= at);
        // A file that the state knows to be gone was removed after all that was stored in it.
        let is_gone = state.removed.iter().any(|(gone, _, when)| gone == path && *when >= at);
        if !is_known && !is_gone && (state.is_before(at) || state.files.contains_key(path)) {
            self.set.insert(path.to_owned());
        }
    }

    fn take_command(&mut self, entry: &Entry<'_>, state: &State) {
        if entry.event_type != EventType::Command || !state.is_before(time_of(entry)) {
            return;
        }
        let is_one = |operation| has(entry, operation);
        self.keys += u64::from(is_one(Operation::VaultKeyAdd) || is_one(Operation::VaultKeyRemove));
        let commands = [
            (Operation::VaultRekey, Activity::Rekeying),
            (Operation::VaultCompact, Activity::Compaction),
        ];
        for (_, activity) in commands.into_iter().filter(|(operation, _)| is_one(*operation)) {
            self.count(activity, entry);
        }
    }

    /// What was done with a workspace after the last change that its state knows of.
    fn take_use(&mut self, entry: &Entry<'_>, (vault, state): (&Vault, &State)) {
        if let Some(activity) = use_of(entry)
            && state.is_before(time_of(entry))
            // A creation is recorded right after it.
            && !(activity == Activity::Creation && has_path(vault, entry.path.as_deref()))
        {
            self.count(activity, entry);
        }
    }

    fn count(&mut self, activity: Activity, entry: &Entry<'_>) {
        let times = self.activity.entry(activity).or_default();
        times.count += entry.count.map_or(1, |count| count.0);
        times.last = times.last.max(time_of(entry));
    }
}

impl State {
    fn of(vault: &Vault, changed: WallTime) -> Self {
        let (files, origins) = (BTreeMap::new(), BTreeMap::new());
        let mut state = Self { files, removed: Vec::new(), changed, origins };
        if vault.kind() == VaultKind::Secrets {
            state.collect(vault, vault.root());
            let gone = vault.removed().into_iter();
            state.removed = gone.map(|it| (it.path.to_string(), it.file, it.time)).collect();
        }
        state
    }

    fn collect(&mut self, vault: &Vault, folder: FileId) {
        for entry in vault.entries(folder) {
            let Some(attributes) = vault.attributes(entry.file) else { continue };
            match (entry.kind, vault.path_of(entry.file)) {
                (NodeKind::Directory, _) => self.collect(vault, entry.file),
                (NodeKind::File, Some(path)) => {
                    let times = (entry.file, attributes.created, attributes.changed);
                    self.files.insert(path.to_string(), times);
                }
                (NodeKind::File, None) => {}
            }
        }
    }

    /// Whether all of it was there before `at`.
    fn is_before(&self, at: WallTime) -> bool {
        self.changed < at
    }

    fn origin<'path>(&'path self, path: &'path str) -> &'path str {
        self.origins.get(path).map_or(path, String::as_str)
    }

    fn has_older(&self, path: &str, at: WallTime) -> bool {
        self.files.get(self.origin(path)).is_some_and(|(_, _, changed)| *changed < at)
    }

    /// The files that a shred of `path` at `at` destroyed, with their name or without.
    fn files_of(&self, path: &str, at: WallTime) -> Vec<FileId> {
        let named = self.files.get(path).filter(|(_, made, _)| *made < at).map(|it| it.0);
        let gone = self.removed.iter().filter(|(gone, _, when)| gone == path && *when < at);
        named.into_iter().chain(gone.map(|(_, file, _)| *file)).collect()
    }
}

impl fmt::Display for Newer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        for (what, names) in
            [("revoked", &self.revoked), ("set", &self.set), ("removed", &self.removed)]
        {
            if !names.is_empty() {
                parts.push(format!("{what} {}", some_of(names)));
            }
        }
        if let Some(last) = self.activity.values().map(|times| times.last).max() {
            let counts = self.activity.iter().map(|(what, times)| what.counted(times.count));
            let counts: Vec<String> = counts.collect();
            let last = clock::text(clock::wall_of(last));
            parts.push(format!("{}, the last at {last}", counts.join(", ")));
        }
        if self.keys > 0 {
            let ending = if self.keys == 1 { "" } else { "s" };
            parts.push(format!("{} change{ending} of key slots", self.keys));
        }
        if self.unreadable > 0 {
            parts.push(format!("{} entries whose names do not open", self.unreadable));
        }
        if parts.is_empty() {
            return formatter.write_str("the log knows nothing newer");
        }
        write!(formatter, "the log knows to be newer: {}", parts.join("; "))?;
        if self.to_shred.is_empty() {
            return Ok(());
        }
        let again = self.shredded_again().into_iter().map(str::to_owned).collect();
        write!(formatter, "; to be shredded again: {}", some_of(&again))
    }
}

impl Activity {
    /// What it is called, once.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Mount => "mount",
            Self::OpenForWriting => "open for writing",
            Self::Creation => "creation",
            Self::Truncation => "truncation",
            Self::Renaming => "renaming",
            Self::Removal => "removal",
            Self::Rekeying => "new key",
            Self::Compaction => "compaction",
        }
    }

    fn counted(self, count: u64) -> String {
        match (count, self) {
            (1, _) => format!("1 {}", self.name()),
            (_, Self::OpenForWriting) => format!("{count} opens for writing"),
            _ => format!("{count} {}s", self.name()),
        }
    }
}

/// What an entry says a workspace was used for.
fn use_of(entry: &Entry<'_>) -> Option<Activity> {
    let event = entry.event_type;
    let uses = [
        (EventType::MountBegun, Activity::Mount, entry.reason.as_deref() != Some(READ_ONLY)),
        (EventType::FileOpen, Activity::OpenForWriting, has(entry, Operation::FileWrite)),
        (EventType::FileCreate, Activity::Creation, true),
        (EventType::FileWrite, Activity::Truncation, true),
        (EventType::FileRename, Activity::Renaming, true),
        (EventType::FileRemove, Activity::Removal, true),
    ];
    let found = uses.into_iter().find(|(of, _, is_one)| *of == event && *is_one);
    found.map(|(_, activity, _)| activity)
}

/// Whether a workspace has something of that name.
fn has_path(vault: &Vault, path: Option<&str>) -> bool {
    let mut parts = path.unwrap_or_default().split('/');
    let found = parts.try_fold(vault.root(), |folder, part| {
        let name = EntryName::try_from(part.as_bytes()).ok()?;
        vault.find_entry(folder, &name).ok().map(|entry| entry.file)
    });
    found.is_some()
}

fn some_of(names: &BTreeSet<String>) -> String {
    let said: Vec<&str> = names.iter().take(SAID).map(String::as_str).collect();
    match names.len().saturating_sub(SAID) {
        0 => said.join(", "),
        more => format!("{} and {more} more", said.join(", ")),
    }
}

fn has(entry: &Entry<'_>, operation: Operation) -> bool {
    let operations = entry.operations.as_deref().unwrap_or_default();
    operations.iter().any(|each| each == operation.name())
}

fn time_of(entry: &Entry<'_>) -> WallTime {
    let nanoseconds = entry.ts.microseconds().saturating_mul(1000);
    WallTime::from_nanoseconds(i64::try_from(nanoseconds).unwrap_or(i64::MAX))
}
