//! The guards on the way of an open: before the rules and after them, and what they learn of its end.

use super::open::Attempt;
use super::{OpenError, Pipeline};
use crate::guard_table::GuardTable;
use crate::meter::Verdict;
use crate::place::Secret;
use ward_audit::Counts;
use ward_policy::{Caller, Decision, Ending, GuardRefusal, OperationSet, Weight};
use ward_store::VaultKind;

impl Pipeline {
    /// Breaker and rate, before the rules are asked.
    pub(super) fn admit_to_rules(&self, attempt: &Attempt) -> Result<(), OpenError> {
        let admitted = self.guards.admit(&self.policy.rules(), &attempt.caller);
        admitted.map_err(|refusal| self.refuse_for(attempt, &refusal))
    }

    /// What the cumulative risk makes of the rules' yes: a human's yes too, or a no.
    pub(super) fn weigh(
        &self,
        attempt: &Attempt,
        decision: Decision,
    ) -> Result<Decision, OpenError> {
        if let Decision::Denied(_) = decision {
            return Ok(decision);
        }
        let question = attempt.question();
        let weight = self.guards.weigh(&self.policy.rules(), &attempt.caller, &question);
        match (weight, decision) {
            (Err(refusal), _) => Err(self.refuse_for(attempt, &refusal)),
            (Ok(Weight::Heavy), Decision::Permitted(permit)) => {
                let _takes_a_human = permit;
                let asked = self.policy.evaluate_with_a_human(&attempt.caller, &question);
                Ok(match attempt.place.kind() {
                    VaultKind::Secrets => asked,
                    VaultKind::Workspace => asked.where_pages_are_kept(),
                })
            }
            (Ok(Weight::Light | Weight::Heavy | Weight::TooHeavy(_)), decision) => Ok(decision),
        }
    }

    /// Tells the guards how an open ended that they had let through.
    pub(super) fn note(&self, attempt: &Attempt, ending: Ending) {
        self.meter.count(match ending {
            Ending::Permitted => Verdict::Allowed,
            Ending::Denied => Verdict::Denied,
            Ending::Open => Verdict::Asked,
        });
        let question = attempt.question();
        self.guards.settle(&self.policy.rules(), &attempt.caller, &question, ending);
    }

    /// What the log says of an open that they let through.
    pub(super) fn counts(&self, attempt: &Attempt) -> Option<Counts> {
        GuardTable::counts(&self.policy.rules(), &attempt.question())
    }

    /// Refuses who has too many open files.
    pub(super) fn admit_another(
        &self,
        secret: &Secret,
        caller: &Caller,
        operations: OperationSet,
    ) -> Result<(), OpenError> {
        self.handles.admits(caller.uid).or_else(|error| {
            self.meter.count(Verdict::Limited);
            let _id = self.record_no(secret, caller, &secret.question(operations, None), &error)?;
            Err(error.into())
        })
    }

    /// Records a guard's no. It counts for no guard.
    fn refuse_for(&self, attempt: &Attempt, refusal: &GuardRefusal) -> OpenError {
        self.meter.count(Verdict::Limited);
        let (secret, caller) = (&attempt.secret, &attempt.caller);
        match self.record_no(secret, caller, &attempt.question(), refusal) {
            Ok(id) => {
                let seconds = refusal.retry.as_secs_f64().ceil();
                self.tell(attempt, id, "EACCES", format!("come back in {seconds} s"));
                OpenError::Limited(id, refusal.retry)
            }
            Err(error) => error,
        }
    }
}
