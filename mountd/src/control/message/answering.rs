//! What an approver says, and with what evidence.

use super::{Command, Passphrase, Process};
use serde::{Deserialize, Serialize};

/// How much less a yes gives than the policy allows; nothing said is all of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct YesTerms {
    /// It serves so many opens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<u32>,
    /// It lasts so many seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
    /// It lasts until the mount ends; `seconds` is absent then.
    #[serde(default, skip_serializing_if = "is_false")]
    pub until_unmount: bool,
    /// For whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<YesScope>,
}

impl Command {
    /// A yes to all that the policy allows, by who says it alone.
    pub fn approve(request: String) -> Self {
        Self::Approve { request, terms: YesTerms::default(), evidence: None }
    }
}

/// For whom a yes is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum YesScope {
    /// For the very process that asked.
    Process,
    /// For the processes of its session that run the same program.
    Session,
    /// For every process of its user that runs the same program.
    Program,
}

/// What comes with a yes beside who says it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum YesEvidence {
    /// What `ssh-keygen -Y sign -n ward-approval@v1` made of the binding.
    Signature(String),
    /// The approval passphrase of the root.
    Passphrase(Passphrase),
}

/// What is to be signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// The text, to the byte.
    pub binding: String,
    /// Public keys of `allowed_signers` whose signature would count now.
    pub keys: Vec<String>,
}

/// A request that ended without an answer. Its words are the asker's: escape them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissedRequest {
    /// Its id.
    pub request: String,
    /// The vault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vault: Option<String>,
    /// The secret; absent when its vault was locked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What would have been allowed.
    pub operations: Vec<String>,
    /// Who asked.
    pub uid: u32,
    /// By which program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// The asker's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it ended, RFC 3339.
    pub ended: String,
}

/// A request to be handed a file was made, or waits already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandoffRequested {
    /// Its id.
    pub request: String,
    /// The vault.
    pub vault: String,
    /// The file.
    pub path: String,
    /// Who asks, as attested.
    pub asker: Process,
    /// Where who may hand it out answers: a file to write `approve` or `deny REASON` into.
    pub inbox: String,
    /// Where who asks finds the file once it is handed out.
    pub file: String,
    /// When it ends unanswered, RFC 3339.
    pub expires: String,
}

/// How a request stands; for an hour after its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestState {
    /// Its id.
    pub request: String,
    /// `pending`, `approved`, `denied` or `expired`.
    pub state: String,
    /// The approver's words with a no. Escape them before showing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A yes was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approved {
    /// How many more approvers must say yes.
    pub missing: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_false(value: &bool) -> bool {
    !*value
}
