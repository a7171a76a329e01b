//! Which names a caller may see at all.
//!
//! Never waits and never asks: what a human, a ticket, another hour or a hash still to be computed
//! could permit is visible, since otherwise nobody could ask for it.

use crate::client::UnknownHash;
use crate::decision::strongest;
use crate::rule::{Rule, Verdict};
use crate::{Caller, LocalTime, Operation, Rules, SecretPath, VaultName};

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
        let outlook = |operation| {
            let candidates = self.rules.iter().filter(|rule| {
                could_speak(rule, operation, caller, time)
                    && rule.speaks_of(operation, Some(vault), Some(path))
            });
            strongest(candidates).map(|rule| &rule.verdict)
        };
        let may = |operation| {
            self.risk(operation).is_some()
                && matches!(outlook(operation), Some(Verdict::Allow | Verdict::Approve(_)))
        };
        !matches!(outlook(Operation::FileList), Some(Verdict::Deny))
            && [Operation::FileList, Operation::FileRead, Operation::FileWrite].into_iter().any(may)
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
        let writing = |rule: &&Rule| {
            rule.operations.contains(operation) && could_speak(rule, operation, caller, time)
        };
        let forbids_all =
            |rule: &Rule| matches!(rule.verdict, Verdict::Deny) && rule.fills_below(vault, folder);
        let forbidden = self.rules.iter().filter(writing).filter(|rule| forbids_all(rule));
        let forbidden = forbidden.map(|rule| rule.priority).max();
        self.risk(operation).is_some()
            && self.rules.iter().filter(writing).any(|rule| {
                !matches!(rule.verdict, Verdict::Deny)
                    && forbidden.is_none_or(|priority| rule.priority > priority)
                    && rule.reaches_below(vault, folder)
            })
    }
}

impl Rule {
    fn reaches_below(&self, vault: &VaultName, folder: Option<&SecretPath>) -> bool {
        self.paths.as_ref().is_none_or(|paths| paths.reaches_below(vault, folder))
            && (self.targets.is_empty()
                || self.targets.iter().any(|target| target.paths.reaches_below(vault, folder)))
    }

    fn fills_below(&self, vault: &VaultName, folder: Option<&SecretPath>) -> bool {
        self.paths.as_ref().is_none_or(|paths| paths.fill_below(vault, folder))
            && (self.targets.is_empty()
                || self.targets.iter().any(|target| target.paths.fill_below(vault, folder)))
    }
}

/// Whether a rule speaks to `caller` of `operation`, or may at another hour or with a ticket.
///
/// A deny rule holds only while it is said: in its hours, and where no ticket could lift it.
/// Listing alone has no ticket to show, so there a missing one denies.
fn could_speak(rule: &Rule, operation: Operation, caller: &Caller, time: LocalTime) -> bool {
    let is_lifted = operation != Operation::FileList && rule.ticket.is_some();
    let is_said = match rule.verdict {
        Verdict::Allow | Verdict::Approve(_) => true,
        Verdict::Deny => rule.speaks_at(time) && rule.takes(None) && !is_lifted,
    };
    is_said && rule.speaks_to(caller, UnknownHash::Matches)
}
