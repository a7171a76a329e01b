//! What commands give back.

use super::SecretText;
use serde::{Deserialize, Serialize};

/// It was done, and there is nothing to say about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {}

/// A secret was stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// The vault.
    pub vault: String,
    /// The secret.
    pub path: String,
    /// How many versions of it are kept now.
    pub versions: u64,
}

/// A secret's value.
#[derive(Debug, Serialize, Deserialize)]
pub struct Secret {
    /// The bytes.
    pub value: SecretText,
}

/// Names that the caller may see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    /// In the order of their bytes.
    pub names: Vec<Name>,
}

/// One name in a listing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Name {
    /// The secret.
    pub path: String,
    /// Its size in bytes, for those who may read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// When it was last set, RFC 3339.
    pub modified: String,
}

/// A request was made, or one with the same question waits already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requested {
    /// Its id, for `ward approve`.
    pub request: String,
    /// When it ends unanswered, RFC 3339.
    pub expires: String,
}

/// Requests that wait for an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Oldest first.
    pub requests: Vec<PendingRequest>,
}

/// What an approver sees. Every text in it may come from the asker: escape before showing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingRequest {
    /// Its id.
    pub request: String,
    /// The vault.
    pub vault: String,
    /// The secret.
    pub path: String,
    /// What would be allowed.
    pub operations: Vec<String>,
    /// Who asks.
    pub asker: Process,
    /// The asker's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The asker's ticket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// How long a yes lasts, in seconds.
    pub lease_seconds: u64,
    /// `first_use`, `one_time` or `always`.
    pub require: String,
    /// Whether a program waits in `open(2)` right now.
    pub is_held: bool,
    /// When it ends unanswered, RFC 3339.
    pub expires: String,
    /// Seconds until then.
    pub expires_in: u64,
    /// Whether the caller of this command could answer it.
    pub may_answer: bool,
}

/// A process as attested.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// The user's number.
    pub uid: u32,
    /// The process number.
    pub pid: u32,
    /// The program's path, if it could be established.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// SHA-256 of the program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// `verified`, `weak` or `untrusted`.
    pub grade: String,
}

/// The daemon and all it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The root directory.
    pub root: String,
    /// The daemon's process number.
    pub pid: u32,
    /// The daemon's version.
    pub version: String,
    /// Since when it runs, RFC 3339.
    pub since: String,
    /// Whether the log takes records.
    pub log: LogState,
    /// SHA-256 of the policy in force.
    pub policy: String,
    /// `private` or `system`.
    pub layout: String,
    /// Every mount.
    pub mounts: Vec<MountState>,
    /// How many requests wait.
    pub pending: u64,
    /// Live leases of approvals.
    pub leases: Vec<LeaseState>,
}

/// The state of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogState {
    /// `healthy`, or why it takes no records.
    pub state: String,
    /// The last entry's number.
    pub last: u64,
    /// `durable`, or `written` when the policy relaxes opens.
    pub opens: String,
}

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountState {
    /// The vault.
    pub vault: String,
    /// Where.
    pub path: String,
    /// Who mounted it.
    pub owner: u32,
    /// Whether changes through it are refused.
    pub read_only: bool,
    /// When it ends, RFC 3339.
    pub ends: String,
    /// Seconds until then.
    pub ends_in: u64,
    /// Open files.
    pub handles: u64,
}

/// One lease that an approval opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseState {
    /// Its id.
    pub lease: String,
    /// The vault.
    pub vault: String,
    /// The secret.
    pub path: String,
    /// What it allows.
    pub operations: Vec<String>,
    /// Whose it is.
    pub uid: u32,
    /// The request it answered.
    pub request: String,
    /// Seconds until it ends.
    pub ends_in: u64,
}

/// Vaults of the root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vaults {
    /// By name.
    pub vaults: Vec<VaultState>,
}

/// One vault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VaultState {
    /// Its name.
    pub vault: String,
    /// `secrets` or `workspace`.
    pub kind: String,
    /// `agent` or `human`: whether an agent may mount it without a human.
    pub owner: String,
    /// `locked`, `unlocked` or `mounted`.
    pub state: String,
    /// `keyfile`, or `passphrase` when somebody has to give it.
    pub unlocked_by: String,
    /// Where it is mounted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mount: Option<MountState>,
}

/// Which entries of the log to show.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditFilter {
    /// Only entries of this vault.
    pub vault: Option<String>,
    /// Only entries whose path matches this glob.
    pub path: Option<String>,
    /// Only entries of this user.
    pub uid: Option<u32>,
    /// Only entries of this event type.
    pub event: Option<String>,
    /// Only entries with this decision: `permitted`, `denied` or `needs-approval`.
    pub decision: Option<String>,
    /// Only entries at or after this time, RFC 3339.
    pub since: Option<String>,
    /// Only entries before this time, RFC 3339.
    pub until: Option<String>,
    /// Only entries after this number; the cursor of a previous page.
    pub after: Option<u64>,
    /// At most this many, the newest ones unless `after` is given; 100 when absent, 500 at most.
    pub limit: Option<u64>,
}

/// A page of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditPage {
    /// Oldest first; each as in docs/formats.md, sealed fields opened where the vault is unlocked.
    pub entries: Vec<serde_json::Value>,
    /// The cursor for the next page; absent when there is none yet.
    pub next: Option<u64>,
}

/// Whether the log is whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditVerdict {
    /// `whole`, `torn`, `broken` or `missing`.
    pub verdict: String,
    /// How many entries were checked.
    pub entries: u64,
    /// What was found, in a sentence that names file, line and number.
    pub finding: String,
}

/// Whether a policy loads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyVerdict {
    /// SHA-256 of the text.
    pub policy: String,
    /// How many rules it has.
    pub rules: u64,
    /// What is odd about it though it loads.
    pub findings: Vec<String>,
}
