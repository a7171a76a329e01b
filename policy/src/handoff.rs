//! A handoff: one file, which somebody who may read it lets somebody else read for a time.

use crate::{
    ActiveLease, Basis, Caller, Decision, Denial, Digest, Grade, Grant, HandleTerms, LocalTime,
    Moment, Operation, OperationSet, Permit, Question, RequestId, Rules, Share,
};

/// By which right the giver may read the file itself, at that moment.
#[derive(Debug)]
pub enum Reading<'lease> {
    /// A rule's.
    Rule(&'lease Permit),
    /// A live lease, which a human gave.
    Lease(ActiveLease<'lease>),
}

/// A file that was handed out. What the receiver gets ends with it, and nobody else gets anything.
#[derive(Debug)]
pub struct Handoff {
    grant: Grant,
    request: RequestId,
    ends: Moment,
}

impl Handoff {
    /// The giver's yes to `request`: by `granting` it may hand the file out, by `reading` it may read
    /// it. `None` when the two are not about one file, or another operation.
    pub fn begin(
        granting: &Permit,
        reading: &Reading<'_>,
        request: RequestId,
        ends: Moment,
    ) -> Option<Self> {
        let granted = granting.grant();
        let read = match reading {
            Reading::Rule(permit) => permit.grant(),
            Reading::Lease(lease) => lease.grant(),
        };
        let is_one_file = read.file.is_some()
            && (&read.vault, &read.path, read.file)
                == (&granted.vault, &granted.path, granted.file);
        let may_do_both = granted.operations.contains(Operation::HandoffGrant)
            && read.operations.contains(Operation::FileRead);
        if !is_one_file || !may_do_both || read.policy != granted.policy {
            return None;
        }
        let mut grant = granted.clone();
        grant.operations = OperationSet::of(Operation::FileRead);
        grant.rules.extend(read.rules.iter().cloned());
        grant.rules.sort();
        grant.rules.dedup();
        // What was handed out cannot be handed on.
        grant.handle = HandleTerms { share: Share::Nobody, ..read.handle };
        Some(Self { grant, request, ends })
    }

    /// What it permits, and which rules let the giver.
    pub const fn grant(&self) -> &Grant {
        &self.grant
    }

    /// The request that it answers.
    pub const fn request(&self) -> RequestId {
        self.request
    }

    /// When it ends by itself.
    pub const fn ends(&self) -> Moment {
        self.ends
    }

    /// Whether that policy gave it: another one ends it.
    pub fn is_of(&self, policy: Digest) -> bool {
        self.grant.policy == policy
    }
}

impl Rules {
    /// Decides an open of what was handed out to `caller`: where no rule speaks of it, the handoff
    /// does. A rule's no stays one, and one that wants a human still wants one.
    pub fn evaluate_handed(
        &self,
        caller: &Caller,
        question: &Question<'_>,
        time: LocalTime,
        handoff: &Handoff,
    ) -> Decision {
        let grant = &handoff.grant;
        let is_it = question.operations == grant.operations
            && question.vault == grant.vault.as_ref()
            && question.path == grant.path.as_ref()
            && question.file == grant.file;
        if !is_it || !handoff.is_of(self.digest()) || caller.grade() == Grade::Untrusted {
            return Decision::Denied(Denial::NoRule);
        }
        if self.belongs_to_a_human(question) {
            // Only its owner gives it away, by a yes to who opens it.
            return self.evaluate(caller, question, time);
        }
        match self.evaluate(caller, question, time) {
            Decision::Permitted(_) | Decision::Denied(Denial::NoRule) => {
                let (request, ends) = (handoff.request, handoff.ends);
                let basis = Basis::Handoff { request, ends };
                Decision::Permitted(Permit::new(grant.clone(), basis))
            }
            decided @ (Decision::NeedsApproval(_) | Decision::Denied(_)) => decided,
        }
    }
}
