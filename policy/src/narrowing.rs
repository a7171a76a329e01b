//! A narrowing: how much less than the policy allows a human's yes gives.

use crate::{Obligations, Require, ScopeKind, UNTIL_UNMOUNT};
use std::time::Duration;

/// No yes that names a time gives more, whatever the policy says.
const LONGEST_FOR: Duration = Duration::from_secs(60 * 60);

/// What an approver says beside yes. Nothing said is what the policy allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Narrowing {
    /// It serves so many opens.
    pub uses: Option<u32>,
    /// How long it lasts.
    pub term: Option<Term>,
    /// How widely the lease is held.
    pub scope: Option<ScopeKind>,
}

/// How long a yes lasts, as an approver says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Term {
    /// So long.
    For(Duration),
    /// Until the mount ends.
    UntilUnmount,
}

/// What exactly a yes gives: what the policy allows, less what the approver took away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Given {
    /// How many opens; `None` for any number.
    pub uses: Option<u32>,
    /// How long at most; [`UNTIL_UNMOUNT`] for as long as the mount lasts.
    pub lifetime: Duration,
    /// How widely it is held.
    pub scope: ScopeKind,
}

/// A yes that would give more than the policy does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooWide {
    /// The rule gives one open a yes, or fewer opens were asked for.
    #[error("a yes to this serves {0} open(s) at most")]
    Uses(u32),
    /// Nothing would be left.
    #[error("a yes for nothing is a no")]
    Nothing,
    /// The rule's lease is shorter.
    #[error("the rule lets a yes last {} s at most", .0.as_secs())]
    Lifetime(Duration),
    /// The rule's lease ends by the clock.
    #[error("the rule does not say lease = \"unmount\"")]
    UntilUnmount,
    /// The rule's lease is narrower, or the program does whatever it is told.
    #[error("a yes to this holds for the {} at most", .0.name())]
    Scope(ScopeKind),
}

impl Obligations {
    /// What a yes gives that says nothing more.
    pub const fn whole(&self) -> Given {
        let uses = match self.require {
            Require::FirstUse => self.uses,
            Require::OneTime | Require::Always => Some(1),
        };
        Given { uses, lifetime: self.lease, scope: self.scope }
    }

    /// What a yes gives that says `narrowing`.
    ///
    /// # Errors
    /// It would be more than the policy allows.
    pub fn narrowed(&self, narrowing: &Narrowing) -> Result<Given, TooWide> {
        let most = self.whole().uses;
        let uses = match (narrowing.uses, most) {
            (Some(0), _) => return Err(TooWide::Nothing),
            (Some(uses), Some(most)) if uses > most => return Err(TooWide::Uses(most)),
            (uses, most) => uses.or(most),
        };
        let lifetime = match narrowing.term {
            None => self.lease,
            Some(Term::For(Duration::ZERO)) => return Err(TooWide::Nothing),
            Some(Term::For(time)) if time > self.lease.min(LONGEST_FOR) => {
                return Err(TooWide::Lifetime(self.lease.min(LONGEST_FOR)));
            }
            Some(Term::For(time)) => time,
            Some(Term::UntilUnmount) if self.lease != UNTIL_UNMOUNT => {
                return Err(TooWide::UntilUnmount);
            }
            Some(Term::UntilUnmount) => UNTIL_UNMOUNT,
        };
        let scope = narrowing.scope.unwrap_or(self.scope);
        if scope > self.scope {
            return Err(TooWide::Scope(self.scope));
        }
        Ok(Given { uses, lifetime, scope })
    }
}

impl Given {
    /// What both give.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let uses = [self.uses, other.uses].into_iter().flatten().min();
        let (lifetime, scope) = (self.lifetime.min(other.lifetime), self.scope.min(other.scope));
        Self { uses, lifetime, scope }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Approvers, Factors};

    fn allowed(require: Require, lease: Duration) -> Obligations {
        Obligations {
            require,
            factors: Factors::default(),
            lease,
            uses: None,
            hold: Duration::ZERO,
            approvers: Approvers::AnyApprover,
            quorum: 1,
            scope: ScopeKind::Session,
            is_sensitive: false,
        }
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_yes_without_more_words_gives_what_the_policy_allows() {
        let given = allowed(Require::FirstUse, MINUTE).narrowed(&Narrowing::default());
        let scope = ScopeKind::Session;
        assert_eq!(given, Ok(Given { uses: None, lifetime: MINUTE, scope }));
        let given = allowed(Require::OneTime, MINUTE).narrowed(&Narrowing::default());
        assert_eq!(given.map(|given| given.uses), Ok(Some(1)));
    }

    #[test]
    fn a_yes_can_give_less_and_never_more() {
        let first_use = allowed(Require::FirstUse, MINUTE);
        let less = Narrowing {
            uses: Some(3),
            term: Some(Term::For(MINUTE / 2)),
            scope: Some(ScopeKind::Process),
        };
        let given = Given { uses: Some(3), lifetime: MINUTE / 2, scope: ScopeKind::Process };
        assert_eq!(first_use.narrowed(&less), Ok(given));
        let say = |term| Narrowing { term: Some(term), ..Narrowing::default() };
        let refused = [
            (say(Term::For(MINUTE * 2)), TooWide::Lifetime(MINUTE)),
            (say(Term::For(Duration::ZERO)), TooWide::Nothing),
            (say(Term::UntilUnmount), TooWide::UntilUnmount),
            (Narrowing { uses: Some(0), ..Narrowing::default() }, TooWide::Nothing),
            (
                Narrowing { scope: Some(ScopeKind::Program), ..Narrowing::default() },
                TooWide::Scope(ScopeKind::Session),
            ),
        ];
        for (narrowing, why) in refused {
            assert_eq!(first_use.narrowed(&narrowing), Err(why));
        }
        let two = Narrowing { uses: Some(2), ..Narrowing::default() };
        let once = allowed(Require::OneTime, MINUTE);
        assert_eq!(once.narrowed(&two), Err(TooWide::Uses(1)));
    }

    #[test]
    fn who_asks_for_less_is_given_no_more() {
        let wished = Obligations { uses: Some(2), ..allowed(Require::FirstUse, MINUTE) };
        let uses = |uses| Narrowing { uses: Some(uses), ..Narrowing::default() };
        let given = wished.narrowed(&Narrowing::default()).map(|given| given.uses);
        assert_eq!(given, Ok(Some(2)));
        assert_eq!(wished.narrowed(&uses(1)).map(|given| given.uses), Ok(Some(1)));
        assert_eq!(wished.narrowed(&uses(3)), Err(TooWide::Uses(2)));
    }

    #[test]
    fn until_the_mount_ends_takes_a_rule_that_says_so_and_a_time_has_its_cap_all_the_same() {
        let rule = allowed(Require::FirstUse, UNTIL_UNMOUNT);
        let say = |term| Narrowing { term: Some(term), ..Narrowing::default() };
        let until = rule.narrowed(&say(Term::UntilUnmount)).map(|given| given.lifetime);
        assert_eq!(until, Ok(UNTIL_UNMOUNT));
        let long = rule.narrowed(&say(Term::For(LONGEST_FOR + MINUTE)));
        assert_eq!(long, Err(TooWide::Lifetime(LONGEST_FOR)));
    }

    #[test]
    fn what_several_approvers_give_is_what_all_of_them_give() {
        let wide = Given { uses: None, lifetime: MINUTE, scope: ScopeKind::Session };
        let other = Given { uses: Some(2), lifetime: MINUTE * 2, scope: ScopeKind::Process };
        let both = Given { uses: Some(2), lifetime: MINUTE, scope: ScopeKind::Process };
        assert_eq!(wide.and(other), both);
    }
}
