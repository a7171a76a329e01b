//! A decision: denied, needs approval, or permitted.

use crate::client::UnknownHash;
use crate::rule::{Rule, Verdict};
use crate::target::Sensitivity;
use crate::terms::Terms;
use crate::{
    ApprovalRequest, Approvers, Basis, Caller, FileId, Grant, HandleTerms, LocalTime, Mapping,
    Obligations, Operation, OperationSet, Permit, Rules, SameUser, SecretPath, Ticket, VaultName,
};
use std::fmt;
use std::sync::Arc;

/// What `role = "approver"` grants by itself.
const APPROVER_OPERATIONS: OperationSet = OperationSet::of(Operation::RequestApprove)
    .with(Operation::RequestDeny)
    .with(Operation::RequestList);

/// What a caller asks for.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Everything it would do, decided together.
    pub operations: OperationSet,
    /// The vault; absent for commands about the daemon itself.
    pub vault: Option<&'a VaultName>,
    /// The secret, or without a vault the name of an agent; absent for commands about a whole vault.
    pub path: Option<&'a SecretPath>,
    /// The file behind the path, when there is one.
    pub file: Option<FileId>,
    /// The ticket it is asked with.
    pub ticket: Option<&'a Ticket>,
}

/// The outcome. Nobody can ignore it, and only `Permitted` carries a permit.
#[derive(Debug)]
#[must_use]
pub enum Decision {
    /// No.
    Denied(Denial),
    /// Only if a human says so.
    NeedsApproval(ApprovalRequest),
    /// Yes.
    Permitted(Permit),
}

/// Why not. For the log and for `explain`; the refused caller never sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denial {
    /// No rule speaks of it.
    NoRule,
    /// `[ops]` does not list the operation.
    UnlistedOperation,
    /// This rule says no.
    Rule(Arc<str>),
    /// The approve rules that match have no approver in common.
    NoApprover,
    /// A rule that permits it refuses reads that fill pages, and here the kernel keeps pages.
    PagesAreKept,
}

/// What speaks for a question: rules by their place in the text, or a role.
#[derive(Default)]
struct Voices<'rules> {
    rules: Vec<(usize, &'rules Rule)>,
    role: Option<&'rules Arc<str>>,
}

impl Rules {
    /// Decides a question of `caller` at `time`.
    ///
    /// Each operation is decided alone: of the matching rules the highest priority counts, and in
    /// it deny > approve > allow. Then the strictest counts, and obligations add up.
    pub fn evaluate(&self, caller: &Caller, question: &Question<'_>, time: LocalTime) -> Decision {
        let mut voices = Voices::default();
        if question.operations.is_empty() {
            return Decision::Denied(Denial::NoRule);
        }
        for operation in question.operations.iter() {
            if let Err(denial) = self.hear(operation, caller, question, time, &mut voices) {
                return Decision::Denied(denial);
            }
        }
        voices.rules.sort_unstable_by_key(|(place, _)| *place);
        voices.rules.dedup_by_key(|(place, _)| *place);
        let grant = self.grant(question, &voices);
        let is_approve = |(_, rule): &(usize, &Rule)| matches!(rule.verdict, Verdict::Approve(_));
        if !voices.rules.iter().any(is_approve) {
            return Decision::Permitted(Permit::new(grant, Basis::Rule));
        }
        let obligations = self.obligations(caller, question, &voices);
        if obligations.approvers == Approvers::Clients([].into())
            && self.same_user == SameUser::Deny
        {
            return Decision::Denied(Denial::NoApprover);
        }
        Decision::NeedsApproval(ApprovalRequest::new(grant, obligations))
    }

    /// As [`Self::evaluate`], but what the rules allow takes an approver's yes all the same, once
    /// for each time.
    pub fn evaluate_with_a_human(
        &self,
        caller: &Caller,
        question: &Question<'_>,
        time: LocalTime,
    ) -> Decision {
        match self.evaluate(caller, question, time) {
            Decision::Permitted(permit) => {
                let (grant, _) = permit.spend();
                if self.same_user == SameUser::Deny && !self.has_approver() {
                    return Decision::Denied(Denial::NoApprover);
                }
                let is_sensitive = self.is_sensitive(question);
                let obligations = Obligations { is_sensitive, ..Terms::of_a_human(self.hold) };
                Decision::NeedsApproval(ApprovalRequest::new(grant, obligations))
            }
            decided @ (Decision::Denied(_) | Decision::NeedsApproval(_)) => decided,
        }
    }

    /// Adds to `voices` what speaks for one operation, or says why nothing does.
    fn hear<'rules>(
        &'rules self,
        operation: Operation,
        caller: &Caller,
        question: &Question<'_>,
        time: LocalTime,
        voices: &mut Voices<'rules>,
    ) -> Result<(), Denial> {
        let matching = || {
            self.rules.iter().enumerate().filter(|(_, rule)| {
                rule.speaks_to(caller, UnknownHash::Differs)
                    && rule.speaks_of(operation, question.vault, question.path)
                    && rule.takes(question.ticket)
                    && rule.speaks_at(time)
            })
        };
        let is_deny = |(_, rule): (usize, &Rule)| matches!(rule.verdict, Verdict::Deny);
        if APPROVER_OPERATIONS.contains(operation)
            && let Some(client) = self.approver_role(caller)
            && !matching().any(is_deny)
        {
            voices.role = Some(client.table());
            return Ok(());
        }
        if self.risk(operation).is_none() {
            return Err(Denial::UnlistedOperation);
        }
        let Some(strongest) = strongest(matching().map(|(_, rule)| rule)) else {
            return Err(Denial::NoRule);
        };
        match strongest.verdict {
            Verdict::Deny => Err(Denial::Rule(Arc::clone(&strongest.name))),
            Verdict::Allow | Verdict::Approve(_) => {
                voices.rules.extend(matching().filter(|(_, rule)| rank(rule) == rank(strongest)));
                Ok(())
            }
        }
    }

    fn grant(&self, question: &Question<'_>, voices: &Voices<'_>) -> Grant {
        let rules = voices.rules.iter().map(|(_, rule)| &rule.name);
        let handle = voices.rules.iter().map(|(_, rule)| rule.handle);
        Grant {
            operations: question.operations,
            vault: question.vault.cloned(),
            path: question.path.cloned(),
            file: question.file,
            ticket: question.ticket.cloned(),
            rules: rules.chain(voices.role).cloned().collect(),
            policy: self.digest,
            handle: handle.reduce(HandleTerms::narrowed_by).unwrap_or_default(),
        }
    }

    fn obligations(
        &self,
        caller: &Caller,
        question: &Question<'_>,
        voices: &Voices<'_>,
    ) -> Obligations {
        let terms = voices.rules.iter().filter_map(|(_, rule)| match &rule.verdict {
            Verdict::Approve(terms) => Some(terms),
            Verdict::Allow | Verdict::Deny => None,
        });
        let is_sensitive = self.is_sensitive(question);
        Obligations { is_sensitive, ..Terms::add_up(terms, caller, self.hold) }
    }

    fn is_sensitive(&self, question: &Question<'_>) -> bool {
        self.targets.iter().any(|target| {
            target.sensitivity >= Sensitivity::Restricted
                && target.paths.matches(question.vault, question.path)
        })
    }
}

impl Decision {
    /// The same where the kernel keeps pages and reads them unseen: no rule that says
    /// `mapped = false` permits `file.read` there.
    pub fn where_pages_are_kept(self) -> Self {
        let refuses = |grant: &Grant| {
            grant.handle.mapping == Mapping::Refused
                && grant.operations.contains(Operation::FileRead)
        };
        match &self {
            Self::Permitted(permit) if refuses(permit.grant()) => {
                Self::Denied(Denial::PagesAreKept)
            }
            Self::NeedsApproval(request) if refuses(request.grant()) => {
                Self::Denied(Denial::PagesAreKept)
            }
            Self::Permitted(_) | Self::NeedsApproval(_) | Self::Denied(_) => self,
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRule => formatter.write_str("no rule allows it"),
            Self::UnlistedOperation => formatter.write_str("[ops] does not list the operation"),
            Self::Rule(name) => write!(formatter, "rule {name} denies it"),
            Self::PagesAreKept => formatter.write_str(
                "a rule that permits it says mapped = false, which a workspace cannot keep",
            ),
            Self::NoApprover => {
                formatter.write_str("the approve rules that match have no approver in common")
            }
        }
    }
}

/// The rule that counts: of the highest priority the strictest, of equals the first.
pub(crate) fn strongest<'rules>(rules: impl Iterator<Item = &'rules Rule>) -> Option<&'rules Rule> {
    rules.reduce(|best, rule| if rank(rule) > rank(best) { rule } else { best })
}

/// What counts first: priority, then strictness.
pub(crate) const fn rank(rule: &Rule) -> (i64, u8) {
    (rule.priority, rule.verdict.strictness())
}
