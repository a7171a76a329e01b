//! The state of the daemon and of all it holds.

use super::{PendingRequest, Process};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
    /// Vaults that the patrol found damaged since the daemon started.
    #[serde(default)]
    pub damage: Vec<Damage>,
    /// Agent sessions, oldest first.
    #[serde(default)]
    pub agents: Vec<AgentState>,
    /// How many requests wait.
    pub pending: u64,
    /// Those that wait and the caller may answer, oldest first, eight at most.
    #[serde(default)]
    pub requests: Vec<PendingRequest>,
    /// The last refusals of files that the caller may know of, newest first, eight at most.
    #[serde(default)]
    pub refusals: Vec<Refused>,
    /// How mounts of vaults ended that are mounted no more, by vault.
    #[serde(default)]
    pub ended: BTreeMap<String, LastEnd>,
    /// Live leases of approvals.
    pub leases: Vec<LeaseState>,
    /// Grants of secrets that live, of names that the caller may know of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<super::GrantState>,
    /// Clients against whom guards of the policy count something.
    #[serde(default)]
    pub limited: Vec<LimitedClient>,
    /// How far sinks of the log are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sinks: Vec<SinkState>,
    /// What is kept elsewhere and shown in vaults.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SourceState>,
    /// What guards the daemon itself; an older one does not tell.
    #[serde(default)]
    pub guards: Option<Guards>,
}

/// Counts and states.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metrics {
    /// In the text format of Prometheus, version 0.0.4.
    pub text: String,
}

/// What guards the process that has the keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guards {
    /// `locked`; `replies` when only what is on its way to readers is; or `swappable`.
    pub memory: String,
    /// How keys are kept: `secret`, `locked` or `plain`.
    pub keys: String,
    /// The version of Landlock in force; 0 is none.
    pub landlock: u32,
}

/// The state of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogState {
    /// `healthy`, or why it takes no records.
    pub state: String,
    /// The last entry's number.
    pub last: u64,
    /// What is wrong with what it has, as last found, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub damage: Option<String>,
    /// `durable`, or `written` when the policy relaxes opens.
    pub opens: String,
    /// By how many seconds the clock is behind the newest entry.
    #[serde(default)]
    pub clock_behind: u64,
    /// What signs for it; an older daemon does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<SignerState>,
}

/// What signs for the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignerState {
    /// The name of the key.
    pub kid: String,
    /// Where it is: `software`, `pkcs11` or `proxy`.
    pub source: String,
    /// Why it did not sign when it was last asked; absent when it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// Whether the key in the root signs in its place then.
    pub standby: bool,
}

/// Every sink of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sinks {
    /// In the order of `ward.toml`.
    pub sinks: Vec<SinkState>,
}

/// How far a sink of the log is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkState {
    /// Its name.
    pub sink: String,
    /// `file`, `webhook`, `s3`, `heads` or `witness`.
    pub kind: String,
    /// It has everything up to this entry.
    pub shipped: u64,
    /// How many entries it has not; 0 when there is no news among them.
    pub behind: u64,
    /// Since when it lacks the first of them, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Why it did not get them when that was last tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// A source, and what it showed when it was last looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceState {
    /// Its table in `ward.toml`.
    pub source: String,
    /// The vault that shows it.
    pub vault: String,
    /// The folder in it.
    pub at: String,
    /// How many entries are shown.
    pub entries: u64,
    /// How many are not: their names cannot be secrets, or are taken, or are links that lead elsewhere.
    pub left_out: u64,
    /// Why it could not be looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// A vault with damage; the log names the places (`vault.damaged`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Damage {
    /// The vault.
    pub vault: String,
    /// How many places of it.
    pub places: u64,
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
    /// Who has them open, the most first, sixteen processes at most.
    #[serde(default)]
    pub holders: Vec<FileHolder>,
    /// It is the private mount of an export or import, and ends with that command.
    #[serde(default)]
    pub for_copy: bool,
    /// Seconds without use after which it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<u64>,
    /// Seconds until that, unless somebody uses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_ends_in: Option<u64>,
    /// How many commands it is for, with the last of which it ends; 0 when it ends with none.
    #[serde(default)]
    pub commands: u64,
    /// The hold of the command that asked, with which it lets the mount go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<String>,
}

/// A process with open files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileHolder {
    /// Who it is.
    pub process: Process,
    /// How many it opened.
    pub files: u64,
}

/// The mount of a vault was ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VaultUnmounted {
    /// Who had files open in it, the most first, sixteen processes at most: they yield nothing any more.
    #[serde(default)]
    pub holders: Vec<FileHolder>,
}

/// A refusal of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Its id in the log.
    pub request: String,
    /// When, RFC 3339.
    pub at: String,
    /// The vault.
    pub vault: String,
    /// The secret.
    pub path: String,
    /// What was wanted.
    pub operations: Vec<String>,
    /// Who wanted it.
    pub process: Process,
    /// What it got.
    pub errno: String,
}

/// How the last mount of a vault ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastEnd {
    /// Where it was; empty when an earlier daemon mounted it.
    pub path: String,
    /// When it ended, RFC 3339; when that was found, if the daemon died.
    pub at: String,
    /// Why, in words.
    pub why: String,
}

/// One agent session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentState {
    /// The agent.
    pub agent: String,
    /// The session's id.
    pub session: String,
    /// Since when it runs, RFC 3339.
    pub since: String,
    /// Who began it.
    pub uid: u32,
    /// Its first process, with which it ends.
    pub pid: u32,
    /// How many processes are in it beside that one.
    pub processes: u64,
    /// How the kernel tells them from others: `cgroup v2`, `cgroup v1` or `descent`.
    pub kept_by: String,
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
    /// The client that its holder acts as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acting: Option<String>,
    /// The request it answered.
    pub request: String,
    /// Seconds until it ends.
    pub ends_in: u64,
}

/// How guards of the policy stand to a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitedClient {
    /// The user.
    pub uid: u32,
    /// SHA-256 of the program, when it is verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// The agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// `closed`, `open` or `half-open`.
    pub breaker: String,
    /// The points of cumulative risk.
    pub points: u32,
}
