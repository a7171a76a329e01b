//! The fold: which requests and leases stand, how far sinks are and how mounts ended, from the entries alone. The log
//! is the state.
//!
//! The first entry of each segment carries the entries that stand, word for word, so that a start
//! reads no further back. What is sealed in them stays sealed until its vault is unlocked.

use crate::entry::Entry;
use crate::line::Line;
use crate::{BootId, CountedEntry, EventType, Stamp};
use memchr::memmem;
use std::collections::BTreeMap;
use std::time::Duration;
use ward_policy::Moment;

/// The `reach` of a lease that serves only the opens that waited for it.
pub(crate) const HANDLE: &str = "handle";

/// In every entry that counts for guards, and in no other: a quote within a text is escaped.
const COUNTED: &[u8] = b"\"counted\":";

/// A request that stands, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The `request.made` entry.
    pub made: Entry<'static>,
    /// Each `request.approved` entry.
    pub approved: Vec<Entry<'static>>,
    /// The `request.denied` entry.
    pub denied: Option<Entry<'static>>,
    /// The `lease.begun` entry of a lease that was neither used up nor ended.
    pub begun: Option<Entry<'static>>,
}

/// What stands, by request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fold {
    standing: BTreeMap<String, Standing>,
    /// The last tallies of guards, and the opens that count and are not in them.
    counts: Option<Entry<'static>>,
    counted: Vec<CountedEntry>,
    /// The `secret.granted` entry of each grant that was not ended.
    grants: BTreeMap<String, Entry<'static>>,
    /// The last `ship.cursor` entry of each sink.
    cursors: BTreeMap<String, Entry<'static>>,
    /// The last `mount.begun` or `mount.ended` entry of each vault.
    mounts: BTreeMap<String, Entry<'static>>,
}

impl Fold {
    /// Takes a line that was found.
    pub(crate) fn line(&mut self, line: &Line<'_>) {
        let event = line.event();
        let is_of_guards =
            event == Some(EventType::GuardsCounted) || memmem::find(line.entry, COUNTED).is_some();
        if !is_of_guards && !event.is_some_and(changes_what_stands) {
            return;
        }
        let Some(entry) = Entry::from_bytes(line.entry) else { return };
        if let Some(since) = entry.since {
            self.counted.retain(|counted| counted.seq > since.0);
            self.counts = Some(entry);
        } else if let Some(counted) = CountedEntry::of(&entry) {
            self.counted.push(counted);
        } else {
            self.take(entry);
        }
    }

    /// Takes the bytes of an entry of this kind that was written. Guards count by themselves.
    pub(crate) fn written(&mut self, event: EventType, entry: &[u8]) {
        if event != EventType::SegmentStart && changes_what_stands(event) {
            Entry::from_bytes(entry).into_iter().for_each(|entry| self.take(entry));
        }
    }

    /// What guards had counted: the last tallies, and the opens since.
    pub(crate) fn take_counts(&mut self) -> (Option<Entry<'static>>, Vec<CountedEntry>) {
        (self.counts.take(), std::mem::take(&mut self.counted))
    }

    /// How far each sink is.
    pub(crate) fn cursors(&self) -> Vec<(String, u64)> {
        let size = |entry: &Entry<'_>| entry.size.map_or(0, |size| size.0);
        self.cursors.iter().map(|(sink, entry)| (sink.clone(), size(entry))).collect()
    }

    /// The grants of secrets that stand, in the order of their ids.
    pub(crate) fn grants(&self) -> Vec<Entry<'static>> {
        self.grants.values().cloned().collect()
    }

    /// The last that happened to the mount of each vault.
    pub(crate) fn mounts(&self) -> Vec<Entry<'static>> {
        self.mounts.values().cloned().collect()
    }

    /// Everything that stands.
    pub(crate) fn standing(&self) -> Vec<Standing> {
        self.standing.values().cloned().collect()
    }

    /// The entries that still count at `now`, for the first entry of a segment.
    pub(crate) fn in_force(&mut self, boot: &BootId, now: Stamp) -> Option<Vec<Entry<'static>>> {
        self.standing.retain(|_, standing| !standing.is_over(boot, now));
        let entries: Vec<Entry<'static>> =
            self.standing.values().flat_map(Standing::entries).collect();
        let latest = self.grants.values().chain(self.cursors.values()).chain(self.mounts.values());
        let entries = [entries, latest.cloned().collect()].concat();
        (!entries.is_empty()).then_some(entries)
    }

    fn take(&mut self, entry: Entry<'static>) {
        let event = entry.event_type;
        if event == EventType::SegmentStart {
            self.standing.clear();
            self.grants.clear();
            self.cursors.clear();
            self.mounts.clear();
            entry.in_force.into_iter().flatten().for_each(|entry| self.take(entry));
            return;
        }
        if event == EventType::ShipCursor {
            let sink = entry.sink.as_deref().unwrap_or_default().to_owned();
            self.cursors.insert(sink, entry);
            return;
        }
        if let EventType::SecretGranted | EventType::SecretGrantEnded = event {
            let id = entry.grant.as_deref().unwrap_or_default().to_owned();
            if event == EventType::SecretGranted {
                self.grants.insert(id, entry);
            } else {
                self.grants.remove(&id);
            }
            return;
        }
        if matches!(event, EventType::MountBegun | EventType::MountEnded) {
            let vault = entry.vault.as_deref().unwrap_or_default().to_owned();
            self.mounts.insert(vault, entry);
            return;
        }
        // A lease is known by the request that was approved.
        let request = entry.request.as_deref().or(entry.approval.as_deref()).unwrap_or_default();
        if event == EventType::RequestMade {
            if entry.terms.is_some() {
                let (approved, denied, begun) = Default::default();
                let id = request.to_owned();
                self.standing.insert(id, Standing { made: entry, approved, denied, begun });
            }
            return;
        }
        let begins = event == EventType::LeaseBegun && entry.reach.as_deref() != Some(HANDLE);
        let Some(standing) = self.standing.get_mut(request) else { return };
        if event == EventType::RequestApproved {
            standing.approved.push(entry);
        } else if event == EventType::RequestDenied {
            standing.denied = Some(entry);
        } else if begins {
            // Two opens at once are recorded in either order: the fewer are left, the later it was.
            if standing.begun.as_ref().is_none_or(|begun| left(&entry) <= left(begun)) {
                standing.begun = Some(entry);
            }
        } else {
            // Nobody answered in time, or the lease is over, used up, or that of one open file.
            self.standing.remove(request);
        }
    }
}

/// How many opens a lease serves, by its `reach`.
fn left(begun: &Entry<'_>) -> u32 {
    let reach = begun.reach.as_deref().unwrap_or_default();
    let number = reach.strip_prefix("next-").and_then(|rest| rest.strip_suffix("-opens"));
    match number {
        Some(number) => number.parse().unwrap_or(0),
        None if reach == "next-open" => 1,
        None => u32::MAX,
    }
}

impl Standing {
    /// In the order in which they were written, so that taking them one by one gives the same.
    fn entries(&self) -> impl Iterator<Item = Entry<'static>> {
        let made = std::iter::once(&self.made);
        made.chain(&self.approved).chain(&self.denied).chain(&self.begun).cloned()
    }

    /// Whether its time has passed, or that of its lease: in another boot by the wall clock.
    fn is_over(&self, boot: &BootId, now: Stamp) -> bool {
        let (since, lasts) = match &self.begun {
            Some(begun) => (begun, begun.lasts()),
            None => (&self.made, self.patience()),
        };
        let has_passed = |lasts| match since.boot_id == boot.as_str() {
            true => Moment::from_nanoseconds(since.boot_time.0).after(lasts) <= now.boot,
            false => u128::from(since.ts.microseconds()) + lasts.as_micros() <= now.wall.into(),
        };
        lasts.is_none_or(has_passed)
    }

    /// How long the request waits for its answer.
    pub fn patience(&self) -> Option<Duration> {
        self.made.terms.as_ref().map(|terms| Duration::from_millis(terms.patience.0))
    }
}

impl Entry<'_> {
    /// For how long from its time on a lease was given.
    pub fn lasts(&self) -> Option<Duration> {
        let nanoseconds = self.ends?.0.saturating_sub(self.boot_time.0);
        Some(Duration::from_nanos(nanoseconds))
    }
}

const fn changes_what_stands(event: EventType) -> bool {
    matches!(
        event,
        EventType::SegmentStart
            | EventType::RequestMade
            | EventType::RequestApproved
            | EventType::RequestDenied
            | EventType::RequestExpired
            | EventType::LeaseBegun
            | EventType::LeaseUsed
            | EventType::LeaseEnded
            | EventType::SecretGranted
            | EventType::SecretGrantEnded
            | EventType::ShipCursor
            | EventType::MountBegun
            | EventType::MountEnded
    )
}
