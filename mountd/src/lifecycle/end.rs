//! The end of mounts: in order, recorded, and remembered.

use super::{MountTable, Mounted, Why};
use crate::clock;
use crossbeam_channel::bounded;
use std::sync::Arc;
use std::time::Duration;
use ward_audit::{Durability, Entry, EventType, Log, Record};
use ward_policy::VaultName;
use ward_store::VaultKind;

/// How long the end of a mount waits for the kernel to hand over what it keeps of changes.
const LONGEST_WRITE_BACK: Duration = Duration::from_secs(5);

/// A mount that is over, as it is remembered.
#[derive(Clone, Debug)]
pub(crate) struct MountEnd {
    /// Where it was; empty when an earlier daemon mounted it.
    pub(crate) path: String,
    /// When, RFC 3339; when it was found, if its daemon died.
    pub(crate) at: String,
    pub(crate) why: Arc<str>,
}

/// What is known of the last mount of a vault.
#[derive(Debug)]
pub(super) enum Last {
    Ended(MountEnd),
    /// It is in the log of an earlier daemon, with a reason that may be sealed until its vault is unlocked.
    Logged(Box<Entry<'static>>),
}

/// Of a daemon that was killed nobody wrote how its mounts ended.
const DAEMON_DIED: &str = "the daemon died";
/// Of a reason that is sealed.
const SEALED: &str = "for a reason that the log shows once the vault is unlocked";

impl Last {
    /// The last mount of a vault as an earlier daemon logged it: one that has no end was found now to be over.
    fn found(entry: Entry<'static>) -> Self {
        if entry.event_type == EventType::MountEnded {
            return Self::Logged(Box::new(entry));
        }
        let at = clock::text(clock::wall());
        Self::Ended(MountEnd { path: String::new(), at, why: DAEMON_DIED.into() })
    }

    fn end(&self, log: &Log) -> MountEnd {
        match self {
            Self::Ended(end) => end.clone(),
            Self::Logged(entry) => {
                let mut entry = entry.clone();
                // What stays sealed says so.
                let _log_has_stopped = log.open_names(&mut entry);
                let microseconds = i64::try_from(entry.ts.microseconds()).unwrap_or_default();
                let at = jiff::Timestamp::from_microsecond(microseconds).unwrap_or_default();
                let why = entry.reason.as_deref().unwrap_or(SEALED);
                MountEnd { path: String::new(), at: clock::text(at), why: why.into() }
            }
        }
    }
}

impl MountTable {
    /// Ends the mount of a vault; false when there is none.
    pub(crate) fn end(&self, vault: &VaultName, why: Why) -> bool {
        self.end_if(vault, why, |_| true)
    }

    /// Ends the mount of a vault that `is_it`; false when there is none.
    pub(super) fn end_if(
        &self,
        vault: &VaultName,
        why: Why,
        mut is_it: impl FnMut(&mut Mounted) -> bool,
    ) -> bool {
        let found = |_: &VaultName, mounted: &mut Mounted| is_it(mounted);
        let mounted = self.mounts().extract_if(vault..=vault, found).next();
        let Some((_, mounted)) = mounted else { return false };
        self.finish(mounted, why);
        true
    }

    /// Ends every mount: none gives anything from now on, then one after the other goes.
    pub(crate) fn end_all(&self, why: Why) {
        let mounts = std::mem::take(&mut *self.mounts());
        mounts.values().for_each(|mounted| mounted.place.term.end());
        mounts.into_values().for_each(|mounted| self.finish(mounted, why));
    }

    /// How the last mount of a vault ended, under an earlier daemon too.
    pub(crate) fn last_end(&self, vault: &VaultName) -> Option<MountEnd> {
        self.ended().get(vault).map(|last| last.end(&self.pipeline.log))
    }

    /// Remembers how mounts ended, by the last that an earlier daemon logged of each vault.
    pub(super) fn recall(&self, logged: Vec<Entry<'static>>) {
        let of_a_vault = |entry: Entry<'static>| {
            let vault = VaultName::try_from(entry.vault.as_deref()?).ok()?;
            Some((vault, Last::found(entry)))
        };
        self.ended().extend(logged.into_iter().filter_map(of_a_vault));
    }

    /// The order was measured: opens first, held ones next, pages before the abort, keys last. What
    /// the kernel keeps of changes is written back before, and taken until its pages are gone.
    fn finish(&self, mounted: Mounted, why: Why) {
        let Mounted { place, session, number, timer, path, .. } = mounted;
        let vault = place.vault.name.clone();
        let pipeline = &self.pipeline;
        drop(timer);
        place.term.end();
        if why == Why::DaemonStops {
            pipeline.approvals.leave_vault(&vault);
        } else {
            pipeline.approvals.end_vault(&vault);
        }
        pipeline.end_handoffs_of(&vault);
        let wrote_back = place.kind() == VaultKind::Secrets || self.write_back(number);
        let took_pages_back = session.take_pages(pipeline.handles.files(&vault), &self.hurry);
        place.close();
        if why == Why::DaemonStops {
            pipeline.leases.leave_vault(&vault);
        } else {
            pipeline.leases.withdraw_vault(&vault);
        }
        let detached = pipeline.monitor.end(number);
        let is_cut = session.join(&self.hurry);
        let mut reason = why.text().to_owned();
        if !wrote_back {
            reason.push_str("; not all that the kernel kept was written back in time");
        }
        if !took_pages_back {
            reason.push_str("; pages of mapped files could not be taken back in time");
        }
        if !is_cut {
            reason.push_str("; the connection ends with the last descriptor of its files");
        }
        if let Err(error) = detached {
            reason.push_str(&format!("; {error}"));
        }
        let mount = place.mount.clone().unwrap_or_default();
        let record = Record::new(EventType::MountEnded).within(&vault).mount(&mount);
        // The mount is over whether or not the log still takes records.
        let _log_has_stopped =
            pipeline.log.append(record.reason(&reason), Durability::Durable, clock::stamp());
        drop(place);
        self.vaults.lock(&vault);
        let at = clock::text(clock::wall());
        let end = MountEnd { path, at, why: why.text().into() };
        self.ended().insert(vault, Last::Ended(end));
    }

    /// Has the kernel write back what it keeps of changes; false when that took too long.
    fn write_back(&self, number: u64) -> bool {
        let (told, done) = bounded(1);
        let monitor = Arc::clone(&self.pipeline.monitor);
        let work = move || {
            let _gave_up_waiting = told.send(monitor.write_back(number).is_ok());
        };
        let started = std::thread::Builder::new().name("write-back".to_owned()).spawn(work);
        started.is_ok() && self.hurry.wait(&done, LONGEST_WRITE_BACK) == Ok(true)
    }
}
