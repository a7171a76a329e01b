//! What commands give back.

use super::DistrustedEntries;
use super::Process;
use super::{LastEnd, MountState, SecretText};
use serde::{Deserialize, Serialize};

/// It was done, and there is nothing to say about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {}

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
    /// What ended without an answer within a day, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missed: Vec<super::MissedRequest>,
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
    /// How many opens it serves at most, where the asker wants no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<u32>,
    /// `first_use`, `one_time` or `always`.
    pub require: String,
    /// What a yes takes: of each list one.
    #[serde(default)]
    pub factors: Vec<Vec<String>>,
    /// Whether a program waits in `open(2)` right now.
    pub is_held: bool,
    /// When it ends unanswered, RFC 3339.
    pub expires: String,
    /// Seconds until then.
    pub expires_in: u64,
    /// Whether the caller of this command could answer it.
    pub may_answer: bool,
}

/// A process is the first one of an agent session, or was within one of that agent already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentBegun {
    /// The agent.
    pub agent: String,
    /// The session's id.
    pub session: String,
    /// Whether it was within the session already.
    pub joined: bool,
}

/// The script that a process is known to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptPinned {
    /// Its path; none for a sealed copy.
    pub script: Option<String>,
    /// SHA-256 of its content.
    pub sha256: String,
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
    /// How many places of it the patrol found damaged since the daemon started.
    #[serde(default)]
    pub damaged_places: u64,
    /// Where it is mounted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mount: Option<MountState>,
    /// How its last mount ended, when it is mounted no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_end: Option<LastEnd>,
    /// The folder in it that shows what a source keeps, and not the vault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// Versions of a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// The vault.
    pub vault: String,
    /// The secret.
    pub path: String,
    /// Whether it has lost its name.
    pub is_removed: bool,
    /// Those that can be restored, oldest first; ten at most.
    pub versions: Vec<VersionState>,
}

/// One version of a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionState {
    /// Its number, for `ward restore`.
    pub version: u64,
    /// Its size in bytes.
    pub bytes: u64,
    /// When it was written, RFC 3339.
    pub written: String,
    /// Whether it is what a read gives.
    pub is_current: bool,
}

/// An older state of a vault is its newest now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreAccepted {
    /// The vault.
    pub vault: String,
    /// Where it stands, and where it stood before, in words.
    pub state: String,
    /// Secrets that the log says were stored since.
    pub set: Vec<String>,
    /// Names that the log says were removed or moved since.
    pub removed: Vec<String>,
    /// Secrets that the log says were destroyed since.
    pub revoked: Vec<String>,
    /// Those of them that had come back and were destroyed again.
    pub shredded_again: Vec<String>,
    /// What else the log says was done with it since.
    #[serde(default)]
    pub activity: Vec<Activity>,
    /// How often key slots were added or removed since.
    pub key_changes: u64,
    /// Entries of the log that do not open with the key of this state.
    pub unreadable: u64,
}

/// Something that was done with a vault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activity {
    /// Such as `mount` or `open for writing`.
    pub what: String,
    /// How often.
    pub times: u64,
    /// When last, RFC 3339.
    pub last: String,
}

/// How much a vault holds, and how it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VaultInfo {
    /// The vault.
    pub vault: String,
    /// Its id.
    pub id: String,
    /// `secrets` or `workspace`.
    pub kind: String,
    /// `agent` or `human`.
    pub owner: String,
    /// Why it takes no changes; absent when it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_only: Option<String>,
    /// Files with a name.
    pub files: u64,
    /// Directories, the top one among them.
    pub directories: u64,
    /// Versions whose bytes are on disk.
    pub versions: u64,
    /// Bytes of the current content.
    pub current_bytes: u64,
    /// Segments.
    pub segments: u64,
    /// Bytes of all segments.
    pub disk_bytes: u64,
    /// Bytes of them that nothing needs any more.
    pub dead_bytes: u64,
    /// Segments that are still under an older key, after `ward vault rekey`.
    pub segments_to_rekey: u64,
    /// About how many bytes of memory the index takes.
    pub memory_bytes: u64,
    /// Which image it was opened with: `none`, `newest` or `older`.
    pub image: String,
    /// Bytes of the newest image; 0 when there is none.
    pub image_bytes: u64,
    /// When the newest position was last remembered outside of it, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<String>,
    /// Where the log stands durably.
    pub head: Head,
}

/// A position of a vault's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Raised by each accepted restore.
    pub branch: u64,
    /// The segment.
    pub segment: u64,
    /// The frame in it.
    pub sequence: u64,
    /// The chain value, in hexadecimal.
    pub chain: String,
    /// Raised by each change of the header.
    pub header_generation: u64,
}

/// What a compaction did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compacted {
    /// Segments out of which everything that lives was copied.
    pub retired: u64,
    /// Segments that were removed.
    pub removed: u64,
    /// Bytes that were copied.
    pub copied_bytes: u64,
}

/// The key slots of a vault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeySlots {
    /// By number.
    pub slots: Vec<KeySlot>,
}

/// One key slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeySlot {
    /// Its number, never used again in this vault.
    pub slot: u32,
    /// `passphrase`, `keyfile` or `recovery`.
    pub kind: String,
    /// The generation of the header it was made with.
    pub created: u64,
}

/// A key slot was added.
#[derive(Debug, Serialize, Deserialize)]
pub struct KeyAdded {
    /// Its number.
    pub slot: u32,
    /// `passphrase`, `keyfile` or `recovery`.
    pub kind: String,
    /// The recovery code, told this once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery_code: Option<SecretText>,
}

/// A vault has a new key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rekeyed {
    /// Segments that are still under the old one; the daemon rewrites them in the background.
    pub segments_to_rekey: u64,
}

/// A copy of a header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Its bytes, in base64.
    pub header: String,
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
    /// Only entries by this client of the policy in force, by the facts that entries keep.
    pub client: Option<String>,
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
    /// What could not be shown of the log, because it is damaged, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub damaged: Vec<String>,
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
    /// What stands on keys that were stolen by then, when anything does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub distrusted: Vec<DistrustedEntries>,
    /// Whether the evidence of answers carries them, when that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<EvidenceVerdict>,
}

/// What the answers in the log stand on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceVerdict {
    /// Answers with a signature that counts.
    pub signed: u64,
    /// Those among them with a touch.
    pub touched: u64,
    /// Those among them of which the signed text is sealed here.
    pub sealed: u64,
    /// Answers that stand on the daemon's word.
    pub attested: u64,
    /// Answers that their evidence does not carry.
    pub failed: Vec<FailedEvidence>,
}

/// An answer that its evidence does not carry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedEvidence {
    /// The number of the entry.
    pub seq: u64,
    /// Why not.
    pub why: String,
}

/// A head of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditHead {
    /// The note (docs/formats.md).
    pub head: String,
    /// How many entries it has.
    pub entries: u64,
    /// The key that signs such notes, as verifiers of notes take it.
    pub key: String,
}

/// A proof that an entry is in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditProof {
    /// The number of the entry.
    pub seq: u64,
    /// The proof (docs/formats.md).
    pub proof: String,
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

/// What the policy would decide.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckVerdict {
    /// `permitted`, `denied` or `needs-approval`.
    pub decision: String,
    /// The rules that decide. This and all below only for who may check the policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules: Option<Vec<String>>,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The effective risk: `low`, `medium`, `high` or `critical`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub risk: Option<String>,
    /// `public`, `internal`, `restricted` or `critical`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sensitivity: Option<String>,
    /// What a human's yes would take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub demands: Option<Demands>,
}

/// What a human's yes takes and gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demands {
    /// `first_use`, `one_time` or `always`.
    pub require: String,
    /// Of each list one.
    pub factors: Vec<Vec<String>>,
    /// How long the lease may last.
    pub lease_seconds: u64,
    /// The clients that may answer; any approver when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approvers: Option<Vec<String>>,
    /// How many of them it takes.
    pub quorum: u32,
    /// `process`, `session` or `program`.
    pub scope: String,
}
