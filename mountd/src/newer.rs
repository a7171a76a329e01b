//! What the log knows about a vault that an older state of it does not.
//!
//! Each entry is compared with the file it is about: a change is recorded before it is made, so a
//! state that has it has a file changed at the entry's time or later.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::ControlFlow;
use ward_audit::{Entry, EventType, Filter, Log, ReadLogError};
use ward_policy::{FileId, Operation, VaultName};
use ward_store::{NodeKind, Vault, VaultKind, WallTime};

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
    /// Key slots added or removed since.
    pub(crate) keys: u64,
    /// Entries whose names do not open with the key of this state.
    pub(crate) unreadable: u64,
    /// What was destroyed and is there again, by its path.
    pub(crate) to_shred: BTreeSet<(String, FileId)>,
}

/// The files of an older state.
struct State {
    /// Each file with a name: when it was made and last changed.
    files: BTreeMap<String, (FileId, WallTime, WallTime)>,
    /// Files without a name, by their last path, and when it went.
    removed: Vec<(String, FileId, WallTime)>,
    changed: Option<WallTime>,
    /// Where files that the log knows to have moved were, by their later names.
    origins: BTreeMap<String, String>,
}

/// Reads the log and compares it with `vault`.
pub(crate) fn newer_in_the_log(
    log: &Log,
    name: &VaultName,
    vault: &Vault,
) -> Result<Newer, ReadLogError> {
    let mut newer = Newer::default();
    let mut state = State::of(vault);
    let filter = Filter { vault: Some(name.clone()), ..Filter::default() };
    log.read(&filter, |shown| {
        match vault.kind() {
            VaultKind::Secrets => newer.take(&shown.entry, &mut state),
            // The log has only opens of these.
            VaultKind::Workspace => newer.take_command(&shown.entry, state.changed),
        }
        ControlFlow::Continue(())
    })?;
    Ok(newer)
}

impl Newer {
    /// Paths of what is destroyed once more.
    pub(crate) fn shredded_again(&self) -> BTreeSet<&str> {
        self.to_shred.iter().map(|(path, _)| path.as_str()).collect()
    }

    fn take(&mut self, entry: &Entry<'_>, state: &mut State) {
        let at = time_of(entry);
        self.take_command(entry, state.changed);
        let Some(path) = entry.path.as_deref() else {
            let is_hidden = entry.sealed.is_some() && state.is_before(at);
            self.unreadable += u64::from(is_hidden);
            return;
        };
        let is_restore = has(entry, Operation::SecretRestore);
        match entry.event_type {
            EventType::SecretSet | EventType::FileWrite | EventType::FileCreate => {
                self.set_at(path, at, state);
            }
            EventType::Command if is_restore => self.set_at(path, at, state),
            EventType::FileRemove => {
                if state.has_older(path, at) {
                    self.removed.insert(path.to_owned());
                }
                self.set.remove(path);
            }
            EventType::FileRename => {
                if let Some(to) = entry.to.as_deref() {
                    self.rename(path, to, at, state);
                }
            }
            EventType::SecretRevoked => self.revoke(path, at, state),
            EventType::ClockJump
            | EventType::Command
            | EventType::DaemonStarted
            | EventType::DaemonStopped
            | EventType::FileOpen
            | EventType::FileRead
            | EventType::LeaseEnded
            | EventType::LogRecovered
            | EventType::MountBegun
            | EventType::MountEnded
            | EventType::PolicyLoaded
            | EventType::PolicyRefused
            | EventType::Refused
            | EventType::RequestApproved
            | EventType::RequestDenied
            | EventType::RequestExpired
            | EventType::RequestMade
            | EventType::SegmentStart
            | EventType::StoreIntent
            | EventType::StoreOutcome
            | EventType::VaultCreated
            | EventType::VaultDamaged
            | EventType::VaultRolledBack
            | EventType::VaultUnlocked => {}
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

    fn take_command(&mut self, entry: &Entry<'_>, changed: Option<WallTime>) {
        let is_of_keys = [Operation::VaultKeyAdd, Operation::VaultKeyRemove];
        if entry.event_type == EventType::Command
            && is_of_keys.iter().any(|operation| has(entry, *operation))
            && changed.is_none_or(|changed| changed < time_of(entry))
        {
            self.keys += 1;
        }
    }
}

impl State {
    fn of(vault: &Vault) -> Self {
        let mut state = Self {
            files: BTreeMap::new(),
            removed: Vec::new(),
            changed: None,
            origins: BTreeMap::new(),
        };
        if vault.kind() == VaultKind::Secrets {
            state.collect(vault, vault.root());
            for gone in vault.removed() {
                state.changed = state.changed.max(Some(gone.time));
                state.removed.push((gone.path.to_string(), gone.file, gone.time));
            }
        }
        state
    }

    fn collect(&mut self, vault: &Vault, folder: FileId) {
        for entry in vault.entries(folder) {
            let Some(attributes) = vault.attributes(entry.file) else { continue };
            self.changed = self.changed.max(Some(attributes.changed));
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
        self.changed.is_none_or(|changed| changed < at)
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
