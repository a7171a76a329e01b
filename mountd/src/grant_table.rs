//! The grants of secrets that live: who may read which file beside those whom rules let.
//!
//! The log is their state: it has each before anybody reads by it, and its end.

use crate::calendar::Calendar;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use ulid::Ulid;
use ward_audit::{Entry, Timestamp};
use ward_policy::{FileId, SecretGrant, SecretGrantId, UserId, VaultName};
use ward_store::WallTime;

/// A grant that lives.
#[derive(Clone, Debug)]
pub(crate) struct GivenGrant {
    pub(crate) grant: SecretGrant,
    /// Who gave it, and when.
    pub(crate) giver: UserId,
    pub(crate) since: Timestamp,
    /// When it ends by itself.
    pub(crate) until: Option<WallTime>,
}

/// Every grant that lives, in the order in which they were given. One for the daemon.
#[derive(Debug, Default)]
pub(crate) struct GrantTable {
    /// Guards the list only.
    grants: RwLock<Vec<Arc<GivenGrant>>>,
}

impl GrantTable {
    /// What stood in the log.
    pub(crate) fn recall(granted: &[Entry<'_>]) -> Self {
        let grants = granted.iter().filter_map(GivenGrant::of).map(Arc::new).collect();
        Self { grants: RwLock::new(grants) }
    }

    pub(crate) fn add(&self, given: GivenGrant) {
        self.grants_mut().push(Arc::new(given));
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<Arc<GivenGrant>> {
        self.grants().clone()
    }

    /// Those of one file.
    pub(crate) fn of_file(&self, vault: &VaultName, file: FileId) -> Vec<Arc<GivenGrant>> {
        let is_its =
            |given: &&Arc<GivenGrant>| given.grant.file() == file && given.grant.vault() == vault;
        self.grants().iter().filter(is_its).cloned().collect()
    }

    /// Whether it lives.
    pub(crate) fn has(&self, id: SecretGrantId) -> bool {
        self.grants().iter().any(|given| given.grant.id() == id)
    }

    /// Those of one file, taken out.
    pub(crate) fn take_file(&self, vault: &VaultName, file: FileId) -> Vec<Arc<GivenGrant>> {
        self.take(|given| given.grant.file() == file && given.grant.vault() == vault)
    }

    /// One, taken out.
    pub(crate) fn take_one(&self, id: SecretGrantId) -> Vec<Arc<GivenGrant>> {
        self.take(|given| given.grant.id() == id)
    }

    /// Those whose time is over, taken out.
    pub(crate) fn take_late(&self, calendar: &Calendar) -> Vec<Arc<GivenGrant>> {
        if self.grants().is_empty() {
            return Vec::new();
        }
        self.take(|given| calendar.is_over(given.until))
    }

    fn take(&self, is_meant: impl Fn(&GivenGrant) -> bool) -> Vec<Arc<GivenGrant>> {
        self.grants_mut().extract_if(.., |given| is_meant(given)).collect()
    }

    fn grants(&self) -> RwLockReadGuard<'_, Vec<Arc<GivenGrant>>> {
        self.grants.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn grants_mut(&self) -> RwLockWriteGuard<'_, Vec<Arc<GivenGrant>>> {
        self.grants.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl GivenGrant {
    /// As its entry has it; `None` when that says something unknown.
    fn of(entry: &Entry<'_>) -> Option<Self> {
        let id = SecretGrantId(Ulid::from_string(entry.grant.as_deref()?).ok()?);
        let vault = VaultName::try_from(entry.vault.as_deref()?).ok()?;
        let file = FileId(entry.file?.0);
        Some(Self {
            grant: SecretGrant::recalled(id, vault, file, entry.client.as_deref()?.into()),
            giver: UserId(entry.actor.as_ref()?.uid),
            since: entry.ts,
            until: entry.until.map(wall_time),
        })
    }
}

/// A time of the log as the store keeps times.
fn wall_time(time: Timestamp) -> WallTime {
    let microseconds = i64::try_from(time.microseconds()).unwrap_or(i64::MAX);
    WallTime::from_nanoseconds(microseconds.saturating_mul(1000))
}

/// A time of the store as the log writes it.
pub(crate) fn timestamp(time: WallTime) -> Timestamp {
    Timestamp::from_microseconds(u64::try_from(time.nanoseconds() / 1000).unwrap_or(0))
}
