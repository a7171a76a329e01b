//! What came of a question, in the words of the log.

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Yes.
    Permitted,
    /// No.
    Denied,
    /// Only if a human says so.
    NeedsApproval,
}

impl Outcome {
    /// The word of the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Permitted => "permitted",
            Self::Denied => "denied",
            Self::NeedsApproval => "needs-approval",
        }
    }
}
