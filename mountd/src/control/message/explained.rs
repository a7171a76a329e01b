//! Answers about the policy: why it decides so, what of it changed, what it would decide.

use super::{CheckVerdict, LeaseState};
use serde::{Deserialize, Serialize};
use ward_policy::{Change, DescribedCaller, DescribedQuestion, Explanation};

/// What would be asked of the policy.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// What would be done, together.
    pub operations: Vec<String>,
    /// The vault; absent for commands about the daemon.
    pub vault: Option<String>,
    /// The secret, or without a vault the name of an agent.
    pub path: Option<String>,
    /// The ticket it would be asked with.
    pub ticket: Option<String>,
}

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

/// A policy that was taken.
#[derive(Debug, Serialize, Deserialize)]
pub struct PolicyReloaded {
    /// SHA-256 of its text.
    pub policy: String,
    /// What differs from the one before.
    pub changes: Vec<Change>,
    /// Leases of approvals that ended with the one before.
    pub leases_ended: Vec<LeaseState>,
    /// Settings of `ward.toml` that are others from now on.
    #[serde(default)]
    pub settings_changed: Vec<String>,
    /// Settings that are others in the file, and count when the daemon starts again.
    #[serde(default)]
    pub settings_waiting: Vec<String>,
}

/// What the policy would decide of several things.
#[derive(Debug, Serialize, Deserialize)]
pub struct PlanVerdict {
    /// A new id for this answer.
    pub plan: String,
    /// SHA-256 of the policy that all of it was decided by.
    pub policy: String,
    /// The worst of all: `denied`, `needs-approval` or `permitted`.
    pub decision: String,
    /// Each, in the order of the question.
    pub steps: Vec<CheckVerdict>,
}
