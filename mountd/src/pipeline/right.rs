//! By which right somebody uses an open file: as its holder, by one of its own, or because the
//! opener's rules let it be shared.

use super::{Fills, OpenError, Pipeline, ReadRequest};
use crate::caller::Asker;
use crate::clock;
use crate::handle_table::Handle;
use crate::lease_table::Reach;
use crate::place::Place;
use std::sync::Arc;
use ward_audit::Record;
use ward_policy::{
    ActiveLease, Basis, Caller, Decision, Denial, Fingerprint, Lease, LeaseEnd, Moment, Operation,
    OperationSet, Permit, ProcessId, Question, ScopeKind, Share,
};
use ward_store::VaultKind;

/// Why a process that did not open the file itself gets nothing through it.
const NEEDS_ITS_OWN: &str = "somebody else opened the file, and this process needs an approval";

/// Why a reader gets nothing by mapping the file, which read(2) would give it.
const NOT_MAPPED: &str = "a rule that permits it says mapped = false";

/// The right of one process to do one thing with an open file.
#[derive(Debug)]
pub(super) struct Right {
    user: Arc<Caller>,
    lease: Arc<Lease>,
    whose: Whose,
}

#[derive(Debug)]
enum Whose {
    /// It holds the lease of the open.
    Holder,
    /// It has an allow or a lease of its own.
    Own(ProcessId),
    /// The opener's rules share it.
    Shared(Arc<Caller>, Share),
}

impl Right {
    pub(super) fn user(&self) -> &Caller {
        &self.user
    }

    /// Proof, for the length of one step, that it still holds.
    pub(super) fn active(&self, now: Moment) -> Result<ActiveLease<'_>, LeaseEnd> {
        match &self.whose {
            Whose::Holder | Whose::Own(_) => self.lease.active_for(&self.user, now),
            Whose::Shared(opener, _) => self.lease.active_through(opener, &self.user, now),
        }
    }

    /// The record of a read by it: who reads, and who opened when that was somebody else.
    pub(super) fn reading<'a>(
        &'a self,
        lease: &'a ActiveLease<'_>,
        request: &ReadRequest,
        length: u64,
    ) -> Record<'a> {
        let record = Record::reading(&self.user, lease, request.offset, length);
        let record = match request.fills {
            Fills::Buffer => record,
            Fills::Pages => record.mapped(),
        };
        match &self.whose {
            Whose::Holder => record,
            // No open has this lease, so the rules that gave it stand here.
            Whose::Own(opener) => {
                let grant = lease.grant();
                record.rules(&grant.rules).policy(grant.policy).opened_by(*opener, Share::Nobody)
            }
            Whose::Shared(opener, share) => record.opened_by(opener.process, *share),
        }
    }
}

impl Pipeline {
    /// Spends a permit on a lease for one open file, unless what it rests on has ended meanwhile: who
    /// ended that could not withdraw what had not begun.
    pub(super) fn begin_lease(
        &self,
        permit: Permit,
        holder: Fingerprint,
        place: &Place,
    ) -> Result<Arc<Lease>, OpenError> {
        let lease = self.leases.begin(permit, holder, Reach::Handle, place.term.latest())?;
        let is_granted = match lease.basis() {
            Basis::SecretGrant { grant, .. } => self.grants.has(*grant),
            Basis::Rule | Basis::Approval { .. } | Basis::Handoff { .. } => true,
        };
        if is_granted && lease.grant().policy == self.policy.rules().digest() {
            return Ok(lease);
        }
        lease.withdraw();
        Err(OpenError::Ended)
    }

    /// The right of `asker` to do `operation` with `handle`. Who does not hold it is never waited for
    /// and raises no request: it takes an allow, a live lease, or a rule that shares the handle and
    /// no rule that denies.
    pub(super) fn right_to(
        &self,
        handle: &Handle,
        asker: Asker,
        operation: Operation,
    ) -> Result<Right, OpenError> {
        // A file that was opened under a name is read under it.
        let user = self.callers.recognise(asker)?.under(handle.opener.acting.as_ref());
        if handle.lease.holder().is(&user) {
            return Ok(Right { user, lease: Arc::clone(&handle.lease), whose: Whose::Holder });
        }
        let secret = handle.place.secret_of(handle.file).ok_or(OpenError::Ended)?;
        let question = secret.question(OperationSet::of(operation), None);
        let opener = handle.opener.process;
        let refused = match self.decide_reading(&user, secret.kind, &question) {
            Decision::Permitted(permit) => {
                let holder = user.fingerprint(ScopeKind::Process).ok_or(OpenError::Ended)?;
                let lease = self.begin_lease(permit, holder, &handle.place)?;
                return Ok(Right { user, lease, whose: Whose::Own(opener) });
            }
            Decision::NeedsApproval(request) => {
                if let Some(right) = self.share(handle, asker)? {
                    return Ok(right);
                }
                match self.leases.find(&request, &user) {
                    Some(lease) => return Ok(Right { user, lease, whose: Whose::Own(opener) }),
                    None => self.record_no(&secret, &user, &question, &NEEDS_ITS_OWN),
                }
            }
            Decision::Denied(denial @ (Denial::NoRule | Denial::UnlistedOperation)) => {
                if let Some(right) = self.share(handle, asker)? {
                    return Ok(right);
                }
                self.record_no(&secret, &user, &question, &denial)
            }
            Decision::Denied(
                denial @ (Denial::Rule(_) | Denial::NoApprover | Denial::PagesAreKept),
            ) => self.record_no(&secret, &user, &question, &denial),
        };
        let id = refused?;
        self.tell_no_right(&secret, &user, &question, id);
        Err(OpenError::Denied(id))
    }

    /// Decides a question about a vault of that kind.
    pub(super) fn decide(
        &self,
        caller: &Caller,
        kind: VaultKind,
        question: &Question<'_>,
    ) -> Decision {
        let decision = self.policy.evaluate(caller, question);
        match kind {
            VaultKind::Secrets => decision,
            VaultKind::Workspace => decision.where_pages_are_kept(),
        }
    }

    /// Records that a read was refused because it fills pages.
    pub(super) fn refuse_pages(&self, handle: &Handle, right: &Right) -> OpenError {
        let Some(secret) = handle.place.secret_of(handle.file) else {
            return OpenError::Ended;
        };
        let question = secret.question(OperationSet::of(Operation::FileRead), None);
        match self.record_no(&secret, right.user(), &question, &NOT_MAPPED) {
            Ok(id) => OpenError::Denied(id),
            Err(error) => error,
        }
    }

    /// The right that the opener's rules give `asker`, which is looked at anew: parents end, and
    /// nothing of the process itself tells.
    fn share(&self, handle: &Handle, asker: Asker) -> Result<Option<Right>, OpenError> {
        let share = handle.lease.grant().handle.share;
        if share == Share::Nobody {
            return Ok(None);
        }
        let user = self.callers.look_anew(asker)?;
        let opener = Arc::clone(&handle.opener);
        let share = share.right_of(&opener, &user);
        if share == Share::Nobody || !handle.lease.is_live(clock::now()) {
            return Ok(None);
        }
        let lease = Arc::clone(&handle.lease);
        Ok(Some(Right { user, lease, whose: Whose::Shared(opener, share) }))
    }
}
