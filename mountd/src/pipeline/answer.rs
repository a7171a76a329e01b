//! What a human's answer does: recorded first, then the lease, then the opens that wait.

use super::{OpenError, Pipeline};
use crate::approval_queue::{AnswerError, Answered, Approved, Expired, Unanswered, Why, Yes};
use crate::clock;
use crate::lease_table::Reach;
use std::sync::Arc;
use ward_audit::{Durability, EventType, Outcome, Record};
use ward_policy::{Caller, Moment, RequestId};

/// Why an answer changed nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GiveAnswerError {
    /// It does not count.
    #[error(transparent)]
    Answer(#[from] AnswerError),
    /// It could not be recorded, or a lease could not be begun.
    #[error(transparent)]
    Open(#[from] OpenError),
}

impl Pipeline {
    /// An approver says yes to `id`; how many more approvers it takes.
    pub(crate) fn approve(&self, id: RequestId, yes: &Yes<'_>) -> Result<usize, GiveAnswerError> {
        let rules = self.policy.rules();
        let entitled = self.approvals.entitle(&rules, id, yes)?;
        let binding = self.approvals.binding(id, yes)?;
        let view = self.approvals.find(id).ok_or(AnswerError::NotPending)?;
        let record = Record::new(EventType::RequestApproved).by(yes.approver).granted(&view.grant);
        let record = record.request(id).evidence(&entitled.evidence, &binding);
        self.record_answer(record)?;
        match self.approvals.approve(&rules, id, yes)? {
            Answered::NeedsMore(missing) => Ok(missing),
            Answered::Approved(approved) => {
                self.lease_out(*approved, yes.mount_ends)?;
                Ok(0)
            }
        }
    }

    /// `approver` says no to `id`.
    pub(crate) fn deny(
        &self,
        approver: &Caller,
        id: RequestId,
        reason: Option<&str>,
    ) -> Result<(), GiveAnswerError> {
        let rules = self.policy.rules();
        self.approvals.may_deny(&rules, approver, id)?;
        let view = self.approvals.find(id).ok_or(AnswerError::NotPending)?;
        let record = Record::new(EventType::RequestDenied).by(approver).granted(&view.grant);
        let record = record.decision(Outcome::Denied).request(id);
        self.record_answer(record.reason(reason.unwrap_or_default()))?;
        for equal in self.approvals.deny(&rules, approver, (id, reason))? {
            let record = Record::new(EventType::RequestDenied).by(approver).granted(&equal.grant);
            let record = record.decision(Outcome::Denied).request(equal.id);
            self.record_answer(record.reason(reason.unwrap_or_default()))?;
        }
        Ok(())
    }

    /// Records that nobody answered in time.
    pub(crate) fn record_expiry(&self, expired: &Expired) {
        let view = &expired.view;
        self.missed.add(expired);
        let record = Record::new(EventType::RequestExpired).by(&view.asker).granted(&view.grant);
        let record = record.decision(Outcome::Denied).request(view.id).reason(expired.why.text());
        // A log that takes no records refuses everything already; an expiry adds nothing to that.
        let _log_has_stopped = self.log.append(record, Durability::Written, clock::stamp());
    }

    /// Ends what agent sessions held that are over, and records their ends.
    pub(crate) fn end_agents(&self) {
        for ended in self.agents.take_ended() {
            self.leases.withdraw_agent(ended.session.id);
            self.approvals.end_agent(ended.session.id);
            self.end_handoffs(&self.handoffs.end_agent(ended.session.id), "the agent ended");
            let record = Record::new(EventType::AgentEnded).by(&ended.starter);
            // A log that takes no records refuses everything already.
            let _log_has_stopped = self.log.append(record, Durability::Written, clock::stamp());
        }
    }

    fn record_answer(&self, record: Record<'_>) -> Result<(), GiveAnswerError> {
        let recorded = self.log.append(record, Durability::Durable, clock::stamp());
        let _recorded = recorded.map_err(|error| GiveAnswerError::Open(error.into()))?;
        Ok(())
    }

    /// Begins the lease of a yes and lets the opens go on that wait for it.
    pub(crate) fn lease_out(
        &self,
        approved: Approved,
        mount_ends: Option<Moment>,
    ) -> Result<(), GiveAnswerError> {
        let Approved { permit, holder, uses, held, onlookers, equal } = approved;
        let reach = Reach::of(uses, held.len());
        let latest = mount_ends.unwrap_or(Moment::from_nanoseconds(u64::MAX));
        let lease = self.leases.begin(permit, holder, reach, latest).map_err(OpenError::from)?;
        for view in equal {
            self.record_expiry(&Expired { view, why: Why::AnsweredWithEqual });
        }
        let served = uses.map_or(usize::MAX, |uses| usize::try_from(uses).unwrap_or(usize::MAX));
        for (place, open) in held.into_iter().enumerate() {
            let is_served = place < served;
            let answer =
                if is_served { Ok(Arc::clone(&lease)) } else { Err(Unanswered::NotServed) };
            (open.resume)(answer);
        }
        onlookers.into_iter().for_each(|onlooker| (onlooker.resume)(Ok(Arc::clone(&lease))));
        Ok(())
    }
}
