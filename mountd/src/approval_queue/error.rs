//! Why a question cannot be asked, and why an answer does not count.

use ward_policy::{AnyFactor, TooWide};

/// Why a question cannot be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AskError {
    /// A human said no to the same question a moment ago.
    #[error("the same question was answered with no less than a minute ago")]
    Silenced,
    /// Nobody could be told apart from others, so no lease could have a holder.
    #[error("the caller's session or program could not be established")]
    NoHolder,
    /// The kernel gives no random bytes.
    #[error("the kernel gives no random bytes")]
    NoRandomness,
}

/// Why an answer does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AnswerError {
    /// Answered, expired, or never there.
    #[error("no request with this id waits for an answer")]
    NotPending,
    /// The policy does not make the caller an approver of it.
    #[error("you are not an approver of this request")]
    NotApprover,
    /// Who asks cannot answer.
    #[error("the request came from your own uid; somebody else must answer it")]
    OwnRequest,
    /// An agent, or the asker itself, cannot be told from the approver by more than the uid.
    #[error("the answer comes from a process of the asker or of an agent")]
    AskersProcess,
    /// To the policy the key is that of who asks, and nobody touched it.
    #[error("the key speaks for who asks; that takes a touch")]
    SignerIsAsker,
    /// The rule wants more evidence.
    #[error("the rule wants the factor {}", words(*.0))]
    Factor(AnyFactor),
    /// It would give more than the policy does.
    #[error(transparent)]
    TooWide(#[from] TooWide),
}

/// The factors of which one is wanted.
fn words(any: AnyFactor) -> String {
    any.iter().map(|factor| factor.name()).collect::<Vec<_>>().join(" or ")
}
