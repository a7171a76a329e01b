//! Answers that tell why.

use serde::{Deserialize, Serialize};
use ward_policy::{DescribedCaller, DescribedQuestion, Explanation};

/// Why the policy decides as it does.
#[derive(Debug, Serialize, Deserialize)]
pub struct Explained {
    /// SHA-256 of the policy that it is explained by.
    pub policy: String,
    /// Who asks, as far as it is known.
    pub caller: DescribedCaller,
    /// What for.
    pub ask: DescribedQuestion,
    /// What was decided then, of an entry of the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<RecordedDecision>,
    /// Why.
    pub explanation: Explanation,
}

/// A decision, as an entry of the log tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedDecision {
    /// The number of the entry.
    pub seq: u64,
    /// When.
    pub time: String,
    /// The type of the entry.
    pub event: String,
    /// `permitted`, `denied` or `needs-approval`.
    pub decision: String,
    /// The rules that decided.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<String>,
    /// Why not, or what was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The request whose approval permitted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<String>,
    /// SHA-256 of the policy that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
}
