//! A request: a question waiting for a human.

use crate::permit::{Basis, Permit};
use crate::{Factors, Given, Grant, Names, Narrowing, TooWide, caller::ScopeKind};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use ulid::Ulid;

/// The id of a request or of a refusal; all that a refused caller learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub Ulid);

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

/// The name of a piece of work elsewhere, such as `OPS-1234`: 1 to 64 of `A-Z a-z 0-9 . _ # / -`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(Arc<str>);

/// A text that is no ticket.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no ticket: use 1 to 64 of A-Z a-z 0-9 . _ # / -, such as OPS-1234")]
pub struct TicketError(String);

impl Ticket {
    /// The ticket as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&str> for Ticket {
    type Error = TicketError;

    fn try_from(text: &str) -> Result<Self, TicketError> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._#/-".contains(&byte);
        if (1..=64).contains(&text.len()) && text.bytes().all(is_allowed) {
            Ok(Self(text.into()))
        } else {
            Err(TicketError(text.to_owned()))
        }
    }
}

/// How often a human must be asked. The order is from weak to strong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Require {
    /// Once for a holder, until the lease ends.
    FirstUse,
    /// One answer serves exactly one open.
    OneTime,
    /// For each open anew.
    Always,
}

impl Require {
    /// The word of the policy and the protocol.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FirstUse => "first_use",
            Self::OneTime => "one_time",
            Self::Always => "always",
        }
    }
}

/// Who may answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Approvers {
    /// Every client whose role is approver.
    AnyApprover,
    /// Approvers among these clients, by name.
    Clients(Names),
}

/// Everything that all winning approve rules demand together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obligations {
    /// How often to ask.
    pub require: Require,
    /// Evidence.
    pub factors: Factors,
    /// The longest the lease may last.
    pub lease: Duration,
    /// How many opens a yes serves at most, where the asker wants no more.
    pub uses: Option<u32>,
    /// The longest an open may wait.
    pub hold: Duration,
    /// Who may answer.
    pub approvers: Approvers,
    /// How many distinct approvers it takes; at least 1.
    pub quorum: u32,
    /// How widely the lease is held.
    pub scope: ScopeKind,
    /// Whether the secret is `restricted` or `critical`: the asker's own uid never suffices.
    pub is_sensitive: bool,
}

/// A question that only a human can answer with yes.
///
/// The daemon's queue owns it; the one way to a permit is [`Self::approve`], which spends it.
///
/// ```compile_fail
/// use ward_policy::{ApprovalRequest, RequestId, Given};
/// fn twice(request: ApprovalRequest, id: RequestId, given: Given) {
///     drop(request.approve(id, given));
///     drop(request.approve(id, given));
/// }
/// ```
///
/// Its twin compiles:
///
/// ```
/// use ward_policy::{ApprovalRequest, RequestId, Given};
/// fn once(request: ApprovalRequest, id: RequestId, given: Given) {
///     drop(request.approve(id, given));
/// }
/// ```
#[derive(Debug)]
#[must_use = "a request that nobody keeps is never answered"]
pub struct ApprovalRequest {
    grant: Grant,
    obligations: Obligations,
}

impl ApprovalRequest {
    pub(crate) const fn new(grant: Grant, obligations: Obligations) -> Self {
        Self { grant, obligations }
    }

    /// A question as the log has kept it. Called in one file of the daemon, which a test sees to.
    pub const fn recalled(grant: Grant, obligations: Obligations) -> Self {
        Self::new(grant, obligations)
    }

    /// What would be granted.
    pub const fn grant(&self) -> &Grant {
        &self.grant
    }

    /// What the answer must satisfy.
    pub const fn obligations(&self) -> &Obligations {
        &self.obligations
    }

    /// The same question by who wants no more than `wished`, which a yes can narrow further.
    ///
    /// # Errors
    /// It would be more than the policy allows.
    pub fn no_more_than(self, wished: &Narrowing) -> Result<Self, TooWide> {
        let Given { uses, lifetime, scope } = self.obligations.narrowed(wished)?;
        let uses = wished.uses.and(uses);
        let obligations = Obligations { uses, lease: lifetime, scope, ..self.obligations };
        Ok(Self { obligations, ..self })
    }

    /// A human's yes to request `request`, which gives `given`. Called in one file of the daemon,
    /// which a test sees to.
    pub fn approve(self, request: RequestId, given: Given) -> Permit {
        let Given { uses, lifetime, scope: _ } = given;
        Permit::new(self.grant, Basis::Approval { request, lifetime, uses })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_one_plain_word() {
        for good in ["OPS-1234", "a", "team/x#12", "v1.2_3", &"a".repeat(64)] {
            assert_eq!(Ticket::try_from(good).map(|ticket| ticket.as_str() == good), Ok(true));
        }
        for bad in ["", " ", "OPS 1", "OPS\n1", "\u{e4}", "a\x1b[0m", "a:b", &"a".repeat(65)] {
            assert!(Ticket::try_from(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_stronger_demand_is_the_greater_one() {
        assert!(Require::Always > Require::OneTime && Require::OneTime > Require::FirstUse);
        assert!(ScopeKind::Process < ScopeKind::Session && ScopeKind::Session < ScopeKind::Program);
    }
}
