//! Secrets that have an end: nobody opens one whose time is over.

use super::open::Attempt;
use super::{OpenError, Pipeline};
use crate::place::Place;
use ward_policy::{Ending, FileId};
use ward_store::{VaultKind, VersionId, WallTime};

/// Why nobody is given it.
pub(super) const EXPIRED: &str = "the secret has expired";

impl Pipeline {
    /// Refuses to open what has expired, for reading and writing alike, and records that.
    pub(super) fn refuse_expired(&self, attempt: &Attempt) -> Result<(), OpenError> {
        let Attempt { place, secret, caller, request, .. } = attempt;
        if place.kind() == VaultKind::Workspace
            || !self.calendar.is_over(current(place, request.file).1)
        {
            return Ok(());
        }
        self.note(attempt, Ending::Open);
        let id = self.record_no(secret, caller, &attempt.question(), &EXPIRED)?;
        self.tell_expired(attempt, id);
        Err(OpenError::Expired(id))
    }
}

/// What a secret reads as now, and until when.
pub(super) fn current(place: &Place, file: FileId) -> (Option<VersionId>, Option<WallTime>) {
    let vault = &place.vault.vault;
    let version = vault.current_version(file);
    (version, version.and_then(|version| vault.expires(file, version)))
}
