//! Which names a caller may see at all.
//!
//! Never waits and never asks: what a human, a ticket, another hour or a hash still to be computed
//! could permit is visible, since otherwise nobody could ask for it.

use crate::client::UnknownHash;
use crate::rule::{Rank, Rule, Verdict};
use crate::subject::Subject;
use crate::{Caller, LocalTime, Operation, OperationSet, Question, Rules, SecretPath, VaultName};

/// What shows a name to whoever may do it.
const SHOWING: [Operation; 3] = [Operation::FileList, Operation::FileRead, Operation::FileWrite];
/// See [`SHOWING`].
const SHOWING_SET: OperationSet =
    OperationSet::of(Operation::FileList).with(Operation::FileRead).with(Operation::FileWrite);

impl Rules {
    /// Whether `caller` sees the name of the file at `path`.
    ///
    /// It does when it may list, read or write it, or may once a human, a ticket or the hour says
    /// so; and not while a deny rule is what decides about listing it.
    pub fn is_visible(
        &self,
        caller: &Caller,
        vault: &VaultName,
        path: &SecretPath,
        time: LocalTime,
    ) -> bool {
        let question = Question {
            operations: SHOWING_SET,
            vault: Some(vault),
            path: Some(path),
            ..Question::default()
        };
        let subject = Subject::new(self, question);
        let mut outlooks: [Option<Outlook>; 3] = [None; 3];
        self.index.visit(caller, &question, SHOWING_SET, |place| {
            let Some(rule) = self.rules.get(place) else { return };
            let rank = rule.rank();
            let counts = |(operation, outlook): (Operation, &Option<Outlook>)| {
                rule.operations.contains(operation) && outlook.is_none_or(|it| rank > it.rank)
            };
            if !SHOWING.into_iter().zip(&outlooks).any(counts) || !rule.lies_at(&question) {
                return;
            }
            for (operation, outlook) in SHOWING.into_iter().zip(&mut outlooks) {
                if counts((operation, outlook))
                    && could_speak(rule, operation, caller, &subject, time)
                {
                    let is_deny = matches!(rule.verdict, Verdict::Deny);
                    *outlook = Some(Outlook { rank, is_deny });
                }
            }
        });
        let is_hidden = matches!(outlooks, [Some(Outlook { is_deny: true, .. }), ..]);
        let may = |(operation, outlook): (Operation, Option<Outlook>)| {
            self.risk(operation).is_some() && outlook.is_some_and(|outlook| !outlook.is_deny)
        };
        !is_hidden && SHOWING.into_iter().zip(outlooks).any(may)
    }

    /// Whether `caller` could write some name below `folder` (`None`: the top of the vault).
    ///
    /// Compares patterns, not names: where `path` and `targets` of one rule, or an allow and a
    /// narrower deny, leave no name at all, it may still say yes.
    pub fn may_write_in(
        &self,
        caller: &Caller,
        vault: &VaultName,
        folder: Option<&SecretPath>,
        time: LocalTime,
    ) -> bool {
        let operation = Operation::FileWrite;
        if self.risk(operation).is_none() {
            return false;
        }
        let mut permitted: Option<i64> = None;
        let mut forbidden: Option<i64> = None;
        let place = (vault, folder);
        self.folders.visit_below(caller, place, OperationSet::of(operation), |number| {
            let Some(rule) = self.rules.get(number) else { return };
            let tier = Some(rule.priority);
            let (is_deny, counts) = match rule.verdict {
                Verdict::Deny => (true, tier > forbidden),
                Verdict::Allow | Verdict::Approve(_) => (false, tier > permitted),
            };
            if !counts
                || !rule.operations.contains(operation)
                || !is_said(rule, operation, time)
                || !rule.speaks_to(caller, UnknownHash::Matches)
                || !rule.conditions.admit_session(caller)
            {
                return;
            }
            if !is_deny && self.reaches_below(rule, place) {
                permitted = tier;
            } else if is_deny && rule.fills_below(place) {
                forbidden = tier;
            }
        });
        permitted > forbidden
    }

    fn reaches_below(&self, rule: &Rule, place: (&VaultName, Option<&SecretPath>)) -> bool {
        rule.reaches_below(place) && rule.conditions.reach_below(&self.targets, place)
    }
}

/// The rule that counts for one operation, as far as it goes.
#[derive(Clone, Copy, Debug)]
struct Outlook {
    rank: Rank,
    is_deny: bool,
}

impl Rule {
    fn reaches_below(&self, (vault, folder): (&VaultName, Option<&SecretPath>)) -> bool {
        self.paths.as_ref().is_none_or(|paths| paths.reaches_below(vault, folder))
            && (self.targets.is_empty()
                || self.targets.iter().any(|target| target.paths.reaches_below(vault, folder)))
    }

    fn fills_below(&self, (vault, folder): (&VaultName, Option<&SecretPath>)) -> bool {
        self.conditions.are_the_same_for_all_names()
            && self.paths.as_ref().is_none_or(|paths| paths.fill_below(vault, folder))
            && (self.targets.is_empty()
                || self.targets.iter().any(|target| target.paths.fill_below(vault, folder)))
    }
}

/// Whether a rule speaks to `caller` of `operation`, or may at another hour or with a ticket.
fn could_speak(
    rule: &Rule,
    operation: Operation,
    caller: &Caller,
    subject: &Subject<'_>,
    time: LocalTime,
) -> bool {
    is_said(rule, operation, time)
        && rule.speaks_to(caller, UnknownHash::Matches)
        && rule.conditions.hold_whenever(caller, subject, operation, rule.manner())
}

/// A deny rule holds only while it is said: in its hours, and where no ticket could lift it.
/// Listing alone has no ticket to show, so there a missing one denies.
fn is_said(rule: &Rule, operation: Operation, time: LocalTime) -> bool {
    let is_lifted = operation != Operation::FileList && rule.conditions.ticket.is_some();
    match rule.verdict {
        Verdict::Allow | Verdict::Approve(_) => true,
        Verdict::Deny => {
            rule.conditions.include(time) && rule.conditions.admit_ticket(None) && !is_lifted
        }
    }
}
