//! A decision: denied, needs approval, or permitted.

use crate::rule::{Rank, Rule, Verdict};
use crate::subject::Subject;
use crate::terms::Terms;
use crate::{
    ApprovalRequest, Approvers, Basis, Caller, FileId, Grant, HandleTerms, LocalTime, Mapping,
    Obligations, Operation, OperationSet, Permit, Rules, SameUser, SecretPath, Ticket, VaultName,
};
use smallvec::SmallVec;
use std::fmt;
use std::sync::Arc;

/// What `role = "approver"` grants by itself.
const APPROVER_OPERATIONS: OperationSet = OperationSet::of(Operation::RequestApprove)
    .with(Operation::RequestDeny)
    .with(Operation::RequestList);

/// What a caller asks for.
#[derive(Clone, Copy, Debug, Default)]
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
    /// The names of secrets that the daemon derived from it, never those the asker gives; empty where
    /// it is about no other secret than the path.
    pub secrets: &'a [SecretPath],
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

/// Rules by their places in the text. A decision of more than these takes memory.
type Places = SmallVec<[usize; 16]>;

/// What speaks for a question: rules, or a role.
#[derive(Default)]
pub(crate) struct Voices<'rules> {
    rules: Places,
    pub(crate) role: Option<&'rules Arc<str>>,
}

impl Rules {
    /// Decides a question of `caller` at `time`.
    ///
    /// Each operation is decided alone: of the matching rules the highest priority counts, and in
    /// it deny > approve > allow. Then the strictest counts, and obligations add up.
    pub fn evaluate(&self, caller: &Caller, question: &Question<'_>, time: LocalTime) -> Decision {
        if question.operations.is_empty() {
            return Decision::Denied(Denial::NoRule);
        }
        let subject = Subject::new(self, *question);
        let mut voices = Voices::default();
        for operation in question.operations.iter() {
            if let Err(denial) = self.hear(operation, caller, &subject, time, &mut voices) {
                return Decision::Denied(denial);
            }
        }
        voices.rules.sort_unstable();
        voices.rules.dedup();
        let mut grant = self.grant(question, &voices);
        let mut asking = self.spoken_by(&voices).filter_map(Rule::terms).peekable();
        let widest = self.defaults.widest_scope(caller);
        let sum = match (asking.peek(), self.human_owned.of(question)) {
            (Some(_), _) => Terms::add_up(asking, widest, self.defaults.hold),
            (None, Some(owner)) => {
                grant.rules.push(Arc::clone(owner));
                Terms::of_an_owner(&self.defaults)
            }
            (None, None) => return Decision::Permitted(Permit::new(grant, Basis::Rule)),
        };
        let is_sensitive = subject.sensitivity().is_high();
        let obligations = Obligations { is_sensitive, ..sum };
        let has_none = match &obligations.approvers {
            Approvers::Clients(names) => names.is_empty(),
            Approvers::AnyApprover => !self.has_approver,
        };
        if has_none && self.same_user == SameUser::Deny {
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
                if self.same_user == SameUser::Deny && !self.has_approver {
                    return Decision::Denied(Denial::NoApprover);
                }
                let is_sensitive = self.sensitivity(question).is_high();
                let terms = Terms::of_a_human(self.defaults.hold);
                let obligations = Obligations { is_sensitive, ..terms };
                Decision::NeedsApproval(ApprovalRequest::new(grant, obligations))
            }
            decided @ (Decision::Denied(_) | Decision::NeedsApproval(_)) => decided,
        }
    }

    /// Adds to `voices` what speaks for one operation, or says why nothing does.
    pub(crate) fn hear<'rules>(
        &'rules self,
        operation: Operation,
        caller: &Caller,
        subject: &Subject<'_>,
        time: LocalTime,
        voices: &mut Voices<'rules>,
    ) -> Result<(), Denial> {
        let (strongest, is_denied) = self.strongest(operation, caller, subject, time);
        if APPROVER_OPERATIONS.contains(operation)
            && !is_denied
            && let Some(client) = self.approver_role(caller)
        {
            voices.role = Some(client.table());
            return Ok(());
        }
        if self.risk(operation).is_none() {
            return Err(Denial::UnlistedOperation);
        }
        match self.first_of(&strongest).ok_or(Denial::NoRule)? {
            Rule { verdict: Verdict::Deny, name, .. } => {
                return Err(Denial::Rule(Arc::clone(name)));
            }
            Rule { verdict: Verdict::Allow | Verdict::Approve(_), .. } => {}
        }
        voices.rules.extend(strongest.places);
        // What restricts a caller goes on to do so under another name.
        if let Some(unbound) = caller.unbound() {
            let (all, _) = self.strongest(operation, &unbound, subject, time);
            match self.first_of(&all).ok_or(Denial::NoRule)? {
                Rule { verdict: Verdict::Deny, name, .. } => {
                    return Err(Denial::Rule(Arc::clone(name)));
                }
                Rule { verdict: Verdict::Approve(_), .. } => voices.rules.extend(all.places),
                Rule { verdict: Verdict::Allow, .. } => {}
            }
        }
        Ok(())
    }

    /// The rules that count for one operation, and whether a deny rule forbids an answer.
    fn strongest(
        &self,
        operation: Operation,
        caller: &Caller,
        subject: &Subject<'_>,
        time: LocalTime,
    ) -> (Strongest, bool) {
        let mut strongest = Strongest::default();
        let mut is_denied = false;
        let is_answer = APPROVER_OPERATIONS.contains(operation);
        self.index.visit(caller, subject.question(), OperationSet::of(operation), |place| {
            let Some(rule) = self.rules.get(place) else { return };
            let (rank, may_count) = (rule.rank(), strongest.may_be(rule.rank(), place));
            let forbids_answer = is_answer && rank.is_deny();
            if (forbids_answer || may_count) && rule.matches(caller, subject, operation, time) {
                is_denied |= forbids_answer;
                if may_count {
                    strongest.add(rank, place);
                }
            }
        });
        (strongest, is_denied)
    }

    /// The first of them in the text.
    fn first_of(&self, strongest: &Strongest) -> Option<&Rule> {
        strongest.places.iter().min().and_then(|place| self.rules.get(*place))
    }

    /// The rules among them.
    pub(crate) fn spoken_by(&self, voices: &Voices<'_>) -> impl Iterator<Item = &Rule> {
        voices.rules.iter().filter_map(|place| self.rules.get(*place))
    }

    fn grant(&self, question: &Question<'_>, voices: &Voices<'_>) -> Grant {
        let rules = self.spoken_by(voices).map(|rule| &rule.name);
        let handle = self.spoken_by(voices).map(|rule| rule.handle);
        Grant {
            operations: question.operations,
            vault: question.vault.cloned(),
            path: question.path.cloned(),
            file: question.file,
            ticket: question.ticket.cloned(),
            secrets: question.secrets.to_vec(),
            rules: rules.chain(voices.role).cloned().collect(),
            policy: self.digest,
            handle: handle.reduce(HandleTerms::narrowed_by).unwrap_or_default(),
        }
    }
}

/// The rules that count among those that match.
#[derive(Default)]
struct Strongest {
    rank: Option<Rank>,
    places: Places,
}

impl Strongest {
    /// Whether a rule of that rank and place would count. Of deny rules the first one is named.
    fn may_be(&self, rank: Rank, place: usize) -> bool {
        match self.rank {
            Some(highest) if rank == highest && rank.is_deny() => {
                self.places.first().is_none_or(|first| place < *first)
            }
            highest => highest.is_none_or(|highest| rank >= highest),
        }
    }

    /// Takes a rule that matches; twice is as good as once.
    fn add(&mut self, rank: Rank, place: usize) {
        if self.rank != Some(rank) || rank.is_deny() {
            self.rank = Some(rank);
            self.places.clear();
        }
        if !self.places.contains(&place) {
            self.places.push(place);
        }
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

impl Denial {
    /// Whether a text is what a denial shows itself as, and not somebody else's no.
    pub fn is_told_by(text: &str) -> bool {
        let rule = text.strip_prefix("rule ").and_then(|rest| rest.strip_suffix(" denies it"));
        let others = [Self::NoRule, Self::UnlistedOperation, Self::PagesAreKept, Self::NoApprover];
        rule.is_some() || others.iter().any(|denial| denial.to_string() == text)
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
