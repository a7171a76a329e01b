//! Who may answer a request, and with what evidence. Who asks cannot.

use super::{AnswerError, ApprovalQueue, Pending};
use crate::root::Layout;
use std::time::Duration;
use ward_audit::{Evidence, EvidenceKind};
use ward_policy::{
    Approvers, Caller, Factor, Given, Moment, Narrowing, RequestId, Rules, SameUser, UNTIL_UNMOUNT,
    UserId,
};

/// How long a yes lasts at most that was to last until a mount ends, where there is none.
const WITHOUT_MOUNT: Duration = Duration::from_secs(60 * 60);

/// Who can answer a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answerers {
    /// Who asked as well: the policy of a private root lets them.
    AskerToo,
    /// Clients of the policy that another user may be; none when nobody can answer.
    Others(Vec<String>),
}

/// An approver's yes.
#[derive(Debug)]
pub(crate) struct Yes<'a> {
    /// Who gives it: attested just now, with parents.
    pub(crate) approver: &'a Caller,
    /// How much less it gives than the policy allows.
    pub(crate) narrowing: Narrowing,
    /// What it brings beside who gives it.
    pub(crate) evidence: Option<Evidence>,
    /// When the mount ends at the latest, if there is one: its end takes the lease with it in any case.
    pub(crate) mount_ends: Option<Moment>,
}

/// A yes that counts.
#[derive(Clone, Debug)]
pub(crate) struct Entitled {
    pub(crate) given: Given,
    pub(crate) evidence: Evidence,
    pub(super) identity: Identity,
}

/// By what one approver is told from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) user: UserId,
    /// The client whose key signed.
    pub(super) signer: Option<String>,
}

impl Identity {
    /// Whether both are surely two persons: two keys' names, or else two users.
    pub(super) fn differs_from(&self, other: &Self) -> bool {
        match (&self.signer, &other.signer) {
            (Some(signer), Some(other)) => signer != other,
            (None, _) | (_, None) => self.user != other.user,
        }
    }
}

impl ApprovalQueue {
    /// Whether `approver` may say yes to `id`, with no more than the factors that the rule wants.
    pub(crate) fn may_answer(&self, rules: &Rules, approver: &Caller, id: RequestId) -> bool {
        let state = self.state();
        state.pending.get(&id).is_some_and(|pending| {
            let is_others = approver.uid != pending.asker.uid;
            (is_others || pending.may_be_answered_by_asker(rules))
                && pending.may_be_denied_by(rules, approver).is_ok()
        })
    }

    /// Whether `approver` may say no to `id`.
    pub(crate) fn may_deny(
        &self,
        rules: &Rules,
        approver: &Caller,
        id: RequestId,
    ) -> Result<(), AnswerError> {
        let state = self.state();
        let pending = state.pending.get(&id).ok_or(AnswerError::NotPending)?;
        pending.may_be_denied_by(rules, approver)
    }

    /// Who can answer `id`; `None` when it does not wait any more.
    pub(crate) fn answerers(&self, rules: &Rules, id: RequestId) -> Option<Answerers> {
        let state = self.state();
        let pending = state.pending.get(&id)?;
        if pending.may_be_answered_by_asker(rules) {
            return Some(Answerers::AskerToo);
        }
        let approvers = &pending.request.obligations().approvers;
        let others = rules.approvers_besides(pending.asker.uid, approvers);
        Some(Answerers::Others(others.into_iter().map(str::to_owned).collect()))
    }

    /// Whether the client of that name may answer `id`.
    pub(crate) fn admits(&self, rules: &Rules, id: RequestId, client: &str) -> bool {
        let state = self.state();
        state.pending.get(&id).is_some_and(|pending| pending.admits(rules, client))
    }

    /// What `yes` comes to if it counts, and changes nothing.
    pub(crate) fn entitle(
        &self,
        rules: &Rules,
        id: RequestId,
        yes: &Yes<'_>,
    ) -> Result<Entitled, AnswerError> {
        let state = self.state();
        let pending = state.pending.get(&id).ok_or(AnswerError::NotPending)?;
        pending.entitle(rules, self.layout, yes)
    }
}

impl Pending {
    pub(super) fn may_be_answered_by_asker(&self, rules: &Rules) -> bool {
        rules.same_user() == SameUser::Allow && !self.request.obligations().is_sensitive
    }

    /// Whether `approver` may say no to it: that takes no evidence.
    pub(super) fn may_be_denied_by(
        &self,
        rules: &Rules,
        approver: &Caller,
    ) -> Result<(), AnswerError> {
        let is_own = approver.uid == self.asker.uid;
        let may_answer_itself = is_own && self.may_be_answered_by_asker(rules);
        if may_answer_itself || self.client_of(rules, approver).is_some() {
            return Ok(());
        }
        Err(if is_own { AnswerError::OwnRequest } else { AnswerError::NotApprover })
    }

    /// What `yes` gives, if it counts.
    pub(super) fn entitle(
        &self,
        rules: &Rules,
        layout: Layout,
        yes: &Yes<'_>,
    ) -> Result<Entitled, AnswerError> {
        let given = self.given(yes)?;
        let client = self.client_of(rules, yes.approver);
        let is_own = yes.approver.uid == self.asker.uid;
        let evidence = match &yes.evidence {
            Some(evidence) if evidence.kind != EvidenceKind::Passphrase => {
                self.check_signer(rules, layout, evidence)?;
                evidence.clone()
            }
            Some(evidence) => Evidence { approver: client.map(str::to_owned), ..evidence.clone() },
            None => {
                if self.is_within_reach_of_asker(yes.approver) {
                    return Err(AnswerError::AskersProcess);
                }
                let is_self_approved = is_own && self.may_be_answered_by_asker(rules);
                if is_own && !is_self_approved {
                    return Err(AnswerError::OwnRequest);
                }
                Evidence { is_self_approved, ..Evidence::local(client) }
            }
        };
        let is_local = client.is_some() || evidence.is_self_approved;
        if !is_local && !is_signature(evidence.kind) {
            return Err(AnswerError::NotApprover);
        }
        let has = |factor: Factor| match factor {
            Factor::Local => is_local,
            Factor::Signed => is_signature(evidence.kind),
            Factor::Hardware => evidence.kind == EvidenceKind::Hardware,
        };
        let mut sets = self.request.obligations().factors.iter();
        if let Some(lacking) = sets.find(|any| !any.iter().any(has)) {
            return Err(AnswerError::Factor(lacking));
        }
        let signer = evidence.approver.clone().filter(|_| is_signature(evidence.kind));
        Ok(Entitled { given, identity: Identity { user: yes.approver.uid, signer }, evidence })
    }

    /// What a yes of that narrowing gives.
    pub(super) fn given(&self, yes: &Yes<'_>) -> Result<Given, AnswerError> {
        let given = self.request.obligations().narrowed(&yes.narrowing)?;
        match yes.mount_ends {
            None if given.lifetime == UNTIL_UNMOUNT => {
                Ok(Given { lifetime: WITHOUT_MOUNT, ..given })
            }
            Some(_) | None => Ok(given),
        }
    }

    /// Whether the client `name` is among those whose answer counts.
    pub(super) fn admits(&self, rules: &Rules, name: &str) -> bool {
        let is_meant = match &self.request.obligations().approvers {
            Approvers::AnyApprover => true,
            Approvers::Clients(names) => names.iter().any(|each| **each == *name),
        };
        is_meant && rules.has_approver_named(name)
    }

    /// As which client `approver` may answer.
    fn client_of<'rules>(&self, rules: &'rules Rules, approver: &Caller) -> Option<&'rules str> {
        rules.approver_clients(approver).into_iter().find(|name| self.admits(rules, name))
    }

    /// A key speaks for a client. Whoever has that client's uid may have signed without a person: in
    /// a system root the asker's own takes a touch.
    fn check_signer(
        &self,
        rules: &Rules,
        layout: Layout,
        evidence: &Evidence,
    ) -> Result<(), AnswerError> {
        let signer = evidence.approver.as_deref().filter(|name| self.admits(rules, name));
        let signer = signer.ok_or(AnswerError::NotApprover)?;
        let is_asker = rules.may_be_user_of(signer, &self.asker);
        match (layout, evidence.kind) {
            (Layout::System, EvidenceKind::Signed) if is_asker => Err(AnswerError::SignerIsAsker),
            _ => Ok(()),
        }
    }

    /// Whether who answers is the asker's process, descends from it, or is within an agent's session:
    /// an agent can type into a terminal that it shares.
    fn is_within_reach_of_asker(&self, approver: &Caller) -> bool {
        approver.process == self.asker.process
            || approver.agent.is_some()
            || approver.parents.iter().any(|parent| parent.process == self.asker.process)
    }
}

const fn is_signature(kind: EvidenceKind) -> bool {
    match kind {
        EvidenceKind::Signed | EvidenceKind::Hardware => true,
        EvidenceKind::Local | EvidenceKind::Passphrase => false,
    }
}
