//! Grants of secrets: who may read one lets a client of the policy read it.
//!
//! A grant is no right that counts for giving: nobody grants on, or hands out, what was granted.

use super::{OpenError, Pipeline};
use crate::clock;
use crate::grant_table::{GivenGrant, timestamp};
use crate::lease_table::NoRandomness;
use std::sync::Arc;
use std::time::Duration;
use ward_audit::{Durability, Record};
use ward_policy::{
    Caller, Decision, Denial, FileId, Grant, Moment, Operation, OperationSet, Question, Reading,
    SecretGrant, SecretGrantId, SecretPath, VaultName,
};
use ward_store::{VaultKind, WallTime};

/// A grant that somebody gives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Giving<'a> {
    /// By which right it is given.
    pub(crate) granting: &'a Grant,
    /// The client of the policy.
    pub(crate) client: &'a str,
    /// For how long; until it is taken back when absent.
    pub(crate) lasts: Option<Duration>,
}

impl Pipeline {
    /// Decides about reading a secret: by the rules, and where none speaks of it by what was granted.
    pub(crate) fn decide_reading(
        &self,
        caller: &Caller,
        kind: VaultKind,
        question: &Question<'_>,
    ) -> Decision {
        match self.decide(caller, kind, question) {
            Decision::Denied(Denial::NoRule) => self.decide_granted(caller, question),
            decided @ (Decision::Permitted(_)
            | Decision::NeedsApproval(_)
            | Decision::Denied(_)) => decided,
        }
    }

    fn decide_granted(&self, caller: &Caller, question: &Question<'_>) -> Decision {
        let (Some(vault), Some(file)) = (question.vault, question.file) else {
            return Decision::Denied(Denial::NoRule);
        };
        let given = self.grants.of_file(vault, file);
        let rules = self.policy.rules();
        let live = given.iter().filter(|given| !self.calendar.is_over(given.until));
        live.map(|given| {
            let granted = (&given.grant, self.moment_of(given.until));
            rules.evaluate_granted(caller, question, clock::local(&rules), granted)
        })
        .find(|decision| !matches!(decision, Decision::Denied(_)))
        .unwrap_or(Decision::Denied(Denial::NoRule))
    }

    /// Whether `caller` may know of the name: by the rules, or for it was granted and no rule hides it.
    pub(crate) fn is_visible(
        &self,
        caller: &Caller,
        (vault, path): (&VaultName, &SecretPath),
        file: Option<FileId>,
    ) -> bool {
        let rules = self.policy.rules();
        let time = clock::local(&rules);
        if rules.is_visible(caller, vault, path, time) {
            return true;
        }
        let operations = OperationSet::of(Operation::FileRead);
        let (vault, path) = (Some(vault), Some(path));
        let question = Question { operations, vault, path, file, ..Question::default() };
        let is_granted = match self.decide_granted(caller, &question) {
            Decision::Permitted(permit) => {
                let _looked_at_only = permit;
                true
            }
            Decision::NeedsApproval(_) | Decision::Denied(_) => false,
        };
        is_granted && !rules.hides(caller, &question, time)
    }

    /// Gives a client the right to read a secret that `giver` may read without a new question: recorded,
    /// then given. What it gave the same client of the same file before is over.
    pub(crate) fn grant_secret(
        &self,
        giver: &Caller,
        giving: Giving<'_>,
    ) -> Result<GivenGrant, OpenError> {
        let Giving { granting, client, lasts } = giving;
        let reading = Question {
            operations: OperationSet::of(Operation::FileRead),
            vault: granting.vault.as_ref(),
            path: granting.path.as_ref(),
            file: granting.file,
            ..Question::default()
        };
        if self.policy.rules().belongs_to_a_human(&reading) {
            return Err(self.refuse_to_grant(giver, &reading, &OF_A_HUMAN));
        }
        let now = clock::now();
        let (permit, lease);
        let (own, latest) = match self.policy.evaluate(giver, &reading) {
            Decision::Permitted(permitted) => {
                permit = permitted;
                (Reading::Rule(&permit), None)
            }
            // One that serves so many opens is used up by this as by an open.
            Decision::NeedsApproval(request) => match self.leases.find(&request, giver) {
                Some(found) => {
                    lease = found;
                    let active = lease.active_for(giver, now).map_err(|_| OpenError::Ended)?;
                    (Reading::Lease(active), Some(lease.ends()))
                }
                None => return Err(self.refuse_to_grant(giver, &reading, &MAY_NOT_READ)),
            },
            Decision::Denied(denial) => {
                return Err(self.refuse_to_grant(giver, &reading, &denial));
            }
        };
        let lasts = latest.map_or(lasts, |latest| {
            let left = latest.remaining(now);
            Some(lasts.map_or(left, |lasts| lasts.min(left)))
        });
        let until = lasts.map(|lasts| self.calendar.after(lasts));
        let id = SecretGrantId(clock::new_id().ok_or(NoRandomness)?);
        let grant = SecretGrant::begin(id, granting, &own, client.into());
        let grant = grant.ok_or(OpenError::NoSuchSecret)?;
        let record = Record::giving(&grant, until.map(timestamp), granting).by(giver);
        let stamp = clock::stamp();
        let _recorded = self.log.append(record, Durability::Durable, stamp)?;
        let older = self.grants.of_file(grant.vault(), grant.file());
        let since = timestamp(self.calendar.now());
        let given = GivenGrant { grant, giver: giver.uid, since, until };
        self.grants.add(given.clone());
        for older in older.iter().filter(|older| older.grant.client() == given.grant.client()) {
            self.end_grants(&self.grants.take_one(older.grant.id()), Some(giver), "given anew");
        }
        Ok(given)
    }

    /// Takes one grant back.
    pub(crate) fn take_grant_back(&self, id: SecretGrantId, taker: &Caller) {
        self.end_grants(&self.grants.take_one(id), Some(taker), "taken back");
    }

    /// Ends every grant of a file that is revoked, removed or replaced.
    pub(crate) fn end_grants_of(&self, vault: &VaultName, file: FileId, why: &str) {
        self.end_grants(&self.grants.take_file(vault, file), None, why);
    }

    /// Ends what is over by its time.
    pub(crate) fn end_late_grants(&self) {
        self.end_grants(&self.grants.take_late(&self.calendar), None, "its time was over");
    }

    /// Withdraws what is open by grants that were taken out, and records their ends.
    fn end_grants(&self, ended: &[Arc<GivenGrant>], taker: Option<&Caller>, why: &str) {
        for given in ended {
            self.leases.withdraw_granted(given.grant.id());
            let record = Record::taking(&given.grant).reason(why);
            let record = taker.map_or(record, |taker| record.by(taker));
            // A log that takes no records gives nothing any more.
            let _log_has_stopped = self.log.append(record, Durability::Durable, clock::stamp());
        }
    }

    fn refuse_to_grant(
        &self,
        giver: &Caller,
        question: &Question<'_>,
        why: &dyn std::fmt::Display,
    ) -> OpenError {
        match self.record_refusal(giver, question, why) {
            Ok(id) => OpenError::Denied(id),
            Err(error) => error,
        }
    }

    /// When on the boot clock something ends that ends then by the calendar.
    fn moment_of(&self, until: Option<WallTime>) -> Moment {
        let Some(until) = until else { return Moment::from_nanoseconds(u64::MAX) };
        let left = until.nanoseconds().saturating_sub(self.calendar.now().nanoseconds());
        clock::now().after(Duration::from_nanos(u64::try_from(left).unwrap_or(0)))
    }
}

/// Why nobody grants what a source shows.
const OF_A_HUMAN: &str = "what belongs to a human takes a yes of theirs for who opens it";

/// Why nobody grants what it may not read itself.
const MAY_NOT_READ: &str = "who grants a secret must be able to read it without a new question";
