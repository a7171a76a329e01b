//! What client and daemon say to each other: one JSON object a line, version 1 (docs/protocol.md).
//!
//! Both sides use these types, so that they cannot disagree. `ward --json` prints an [`Answer`] as
//! it came.

use serde::{Deserialize, Serialize};

/// The version of the protocol that this program speaks.
pub const VERSION: u32 = 1;
/// The longest line either side accepts, in bytes.
pub const LONGEST_LINE: usize = 1 << 20;
/// The longest value that fits into a line, in bytes; longer ones go through a mount.
pub const LONGEST_VALUE: usize = 512 << 10;

/// One line from the client.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The version of the protocol, [`VERSION`].
    pub version: u32,
    /// What to do.
    pub command: Command,
}

/// One line from the daemon.
#[derive(Debug, Serialize, Deserialize)]
pub struct Answer<T> {
    /// The version of the protocol, [`VERSION`].
    pub version: u32,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome<T>,
}

/// Either of the two that can come of a command.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome<T> {
    /// It was done.
    Result(T),
    /// It was not done, and nothing was changed.
    Error(Failure),
}

/// Why a command was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The class, on which programs may decide.
    pub code: FailureCode,
    /// What was wrong, in a sentence.
    pub message: String,
    /// What to do next, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// The id of the refusal or of the request that now waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
}

/// Classes of failure; each has an exit code in docs/cli-contract.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureCode {
    /// Policy says no. The rule is not named.
    Denied,
    /// A human must say yes first; `request` waits for it.
    ApprovalNeeded,
    /// No such vault, secret, request or mount, or none that the caller may know of.
    NotFound,
    /// Something is there already or in use.
    Conflict,
    /// The input is no name, policy, value or id.
    BadInput,
    /// The vault needs a passphrase first.
    Locked,
    /// The passphrase or key file does not open the vault.
    WrongKey,
    /// The vault or the log is damaged, or of a newer format.
    Damaged,
    /// This machine or this layout cannot do it.
    Unsupported,
    /// The log takes no records; nothing is served until it does.
    LogFailed,
    /// The other side speaks another version.
    Version,
    /// The line is no request.
    Malformed,
    /// Anything else.
    Failed,
}

/// Everything a client can ask for. Vault and path are text, checked by the daemon.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Command {
    /// [`Status`] of the daemon, its mounts, requests and leases.
    Status {},
    /// Ends every mount and the daemon: [`Done`].
    DaemonStop {},
    /// Stores a secret: [`Stored`].
    Set {
        /// The vault.
        vault: String,
        /// The secret.
        path: String,
        /// Where the value comes from.
        value: Value,
    },
    /// Reads a secret: [`Secret`].
    Get {
        /// The vault.
        vault: String,
        /// The secret.
        path: String,
    },
    /// The names the caller may see: [`Names`].
    List {
        /// The vault.
        vault: String,
    },
    /// Destroys every version of a secret: [`Done`].
    Revoke {
        /// The vault.
        vault: String,
        /// The secret.
        path: String,
    },
    /// Asks a human ahead of an open: [`Requested`].
    Request {
        /// The vault.
        vault: String,
        /// The secret.
        path: String,
        /// `file.read`, `file.write` or both.
        operations: Vec<String>,
        /// Why, for the human.
        reason: String,
        /// The piece of work it is for.
        ticket: Option<String>,
    },
    /// What waits for an answer: [`Pending`].
    ListPending {},
    /// Answers with yes: [`Done`].
    Approve {
        /// The request's id.
        request: String,
    },
    /// Answers with no: [`Done`].
    Deny {
        /// The request's id.
        request: String,
        /// Why, for the asker.
        reason: Option<String>,
    },
    /// Makes a vault: [`VaultState`].
    VaultInit {
        /// The vault.
        vault: String,
        /// How it is unlocked.
        slot: NewSlot,
    },
    /// Unlocks a vault with a passphrase, for the commands that follow: [`Done`].
    VaultUnlock {
        /// The vault.
        vault: String,
        /// The passphrase, as typed.
        passphrase: Passphrase,
    },
    /// Shows a vault at the directory whose descriptor comes with this line: [`MountState`].
    VaultMount {
        /// The vault.
        vault: String,
        /// The directory's path, for people and the log; the descriptor counts.
        path: String,
        /// Seconds until the mount ends.
        ttl: u64,
        /// Refuse every change through this mount.
        read_only: bool,
        /// Whether the client made the directory, so that it goes when the mount ends.
        made_directory: bool,
    },
    /// Ends the mount of a vault: [`Done`].
    VaultUnmount {
        /// The vault.
        vault: String,
    },
    /// Every vault that the caller may know of: [`Vaults`].
    VaultList {},
    /// The state of one vault: [`VaultState`].
    VaultStatus {
        /// The vault.
        vault: String,
    },
    /// A page of the log: [`AuditPage`].
    AuditShow {
        /// Which entries.
        filter: AuditFilter,
    },
    /// Whether the log is whole: [`AuditVerdict`].
    AuditVerify {},
    /// Whether a policy text, or the one in force when there is none, loads: [`PolicyVerdict`].
    PolicyCheck {
        /// The text to check instead.
        text: Option<String>,
    },
}

/// A passphrase on its way to the daemon; wiped when dropped, never shown.
#[derive(Serialize, Deserialize, zeroize::Zeroize, zeroize::ZeroizeOnDrop)]
#[serde(transparent)]
pub struct Passphrase(pub String);

impl std::fmt::Debug for Passphrase {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Passphrase(..)")
    }
}

/// Bytes of a secret in base64 (RFC 4648, padded); wiped when dropped, never shown.
#[derive(Serialize, Deserialize, zeroize::Zeroize, zeroize::ZeroizeOnDrop)]
#[serde(transparent)]
pub struct SecretText(pub String);

impl std::fmt::Debug for SecretText {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SecretText(..)")
    }
}

/// Where the value of a `set` comes from.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Value {
    /// The daemon makes one, of this many characters; nobody sees it on the way.
    Generate(u32),
    /// These bytes.
    Bytes(SecretText),
}

/// How a new vault is unlocked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NewSlot {
    /// By a file that the daemon makes in its root.
    Keyfile,
    /// By this passphrase.
    Passphrase(Passphrase),
}

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
    /// Whether a program waits in open() right now.
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
