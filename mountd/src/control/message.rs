//! What client and daemon say to each other: one JSON object a line, version 1 (docs/protocol.md).
//!
//! Both sides use these types, so that they cannot disagree. `ward --json` prints an [`Answer`] as
//! it came.

mod answering;
mod explained;
mod result;
mod signers;
mod status;
mod wanted;
mod whoami;

pub use crate::owner::Owner;
pub use answering::*;
pub use explained::*;
pub use result::*;
pub use signers::*;
pub use status::*;
pub use wanted::*;
pub use whoami::{ParentProcess, Whoami};

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
    /// The source of a secret, such as `GnuPG`, does not give it.
    SourceRefused,
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
    /// No daemon answers, and none could be started; said by `ward` itself.
    Unreachable,
    /// Anything else.
    Failed,
}

/// Everything a client can ask for. Vault and path are text, checked by the daemon.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Command {
    /// [`Status`] of the daemon, its mounts, requests and leases.
    Status {},
    /// Counts and states, as Prometheus takes them: [`Metrics`].
    Metrics {},
    /// What the daemon attests about the process that asks: [`Whoami`].
    Whoami {},
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
    /// Versions of a secret, or of one that was removed: [`History`].
    History {
        /// The vault.
        vault: String,
        /// The secret.
        path: String,
    },
    /// Makes an older version current again, or gives a removed secret its name back: [`Stored`].
    Restore {
        /// The vault.
        vault: String,
        /// The secret.
        path: String,
        /// Which version, by its number; the one before the current one, or of a removed secret the
        /// last one, when absent.
        version: Option<u64>,
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
    /// What came of a request of the caller's, or of one it may answer: [`RequestState`].
    RequestState {
        /// The request's id.
        request: String,
    },
    /// What a yes takes a signature over: [`Binding`].
    ApprovalBinding {
        /// The request's id.
        request: String,
        /// What the yes will give.
        #[serde(default)]
        terms: YesTerms,
    },
    /// Answers with yes: [`Approved`].
    Approve {
        /// The request's id.
        request: String,
        /// What it gives.
        #[serde(default)]
        terms: YesTerms,
        /// What it stands on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        evidence: Option<YesEvidence>,
    },
    /// Sets or changes the approval passphrase: [`Done`].
    ApprovalPassphrase {
        /// The one before.
        old: Option<Passphrase>,
        /// The new one.
        new: Passphrase,
    },
    /// Answers with no: [`Done`].
    Deny {
        /// The request's id.
        request: String,
        /// Why, for the asker.
        reason: Option<String>,
    },
    /// What waits for an answer, told again after each change until the client goes: many
    /// [`Pending`].
    Watch {},
    /// Asks whoever may hand a file out for it: [`HandoffRequested`].
    VaultAskFile {
        /// The vault, which is mounted.
        vault: String,
        /// The file.
        path: String,
        /// Why, for who answers.
        reason: String,
        /// The agent, or client of the policy, whom alone it is asked of.
        from: Option<String>,
        /// The piece of work it is for.
        ticket: Option<String>,
        /// For so many opens.
        uses: Option<u32>,
        /// For so many seconds.
        seconds: Option<u64>,
    },
    /// Ends what an approval gave: [`Done`].
    GrantRevoke {
        /// The id of the lease.
        lease: String,
    },
    /// Makes a vault: [`VaultState`].
    VaultInit {
        /// The vault.
        vault: String,
        /// What it is for.
        #[serde(default)]
        kind: VaultKind,
        /// Whether an agent may mount it without a human.
        #[serde(default)]
        owner: Owner,
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
        /// Seconds until the mount ends; what the settings say when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ttl: Option<u64>,
        /// Seconds without use after which it ends before that; what the settings say when absent, and 0
        /// for never.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        idle: Option<u64>,
        /// Refuse every change through this mount.
        read_only: bool,
        /// Whether the client made the directory, so that it goes when the mount ends.
        made_directory: bool,
        /// What the mount is for.
        #[serde(default)]
        purpose: Purpose,
    },
    /// Has the mount of a vault end later: [`MountState`].
    VaultExtend {
        /// The vault.
        vault: String,
        /// Seconds from now until it ends.
        ttl: u64,
    },
    /// Lets a mount go that a command has; with the last of its commands it ends: [`Done`].
    VaultLeave {
        /// The vault.
        vault: String,
        /// The hold, of the answer that gave it.
        hold: String,
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
    /// Makes an older state of a vault, put back on purpose, its newest: [`RestoreAccepted`].
    VaultAcceptRestore {
        /// The vault.
        vault: String,
        /// Its passphrase, when it has no key file.
        passphrase: Option<Passphrase>,
    },
    /// How much a vault holds, and how it is kept: [`VaultInfo`].
    VaultInfo {
        /// The vault.
        vault: String,
    },
    /// Gives the room of dead bytes back: [`Compacted`].
    VaultCompact {
        /// The vault.
        vault: String,
    },
    /// The key slots of a vault: [`KeySlots`].
    VaultKeyList {
        /// The vault.
        vault: String,
    },
    /// Adds a key slot: [`KeyAdded`].
    VaultKeyAdd {
        /// The vault.
        vault: String,
        /// What opens it.
        slot: AddedSlot,
    },
    /// Removes a key slot: [`Done`].
    VaultKeyRemove {
        /// The vault.
        vault: String,
        /// Its number.
        slot: u32,
    },
    /// Gives a vault a new key: [`Rekeyed`].
    VaultRekey {
        /// The vault.
        vault: String,
        /// What opens the slots that are kept, beside the key file of the root.
        passphrases: Vec<Passphrase>,
        /// Slots that do not get the new key.
        remove: Vec<u32>,
    },
    /// A copy of the header: [`Header`].
    VaultHeaderBackup {
        /// The vault.
        vault: String,
    },
    /// Puts a copy of the header back: [`Done`].
    VaultHeaderRestore {
        /// The vault.
        vault: String,
        /// The copy, in base64.
        header: String,
        /// A passphrase that opens the copy, when the vault has no key file.
        passphrase: Option<Passphrase>,
    },
    /// Begins an agent session around the process that asks: [`AgentBegun`].
    AgentRun {
        /// The agent.
        agent: String,
    },
    /// Pins the script of an interpreter that the process that asks holds at its first instruction:
    /// [`ScriptPinned`].
    AgentPin {
        /// The interpreter.
        pid: u32,
    },
    /// A page of the log: [`AuditPage`].
    AuditShow {
        /// Which entries.
        filter: AuditFilter,
    },
    /// The same, and then each entry as it comes, in further [`AuditPage`]s, until the client goes.
    AuditFollow {
        /// Which entries.
        filter: AuditFilter,
    },
    /// Whether the log is whole: [`AuditVerdict`].
    AuditVerify {
        /// A head that was kept elsewhere: the text of [`AuditHead`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        head: Option<String>,
        /// Whether the evidence of answers is checked too.
        #[serde(default)]
        evidence: bool,
    },
    /// The newest head of the log that is signed and synced: [`AuditHead`].
    AuditHead {},
    /// Every sink gets what it has not, now: [`Sinks`].
    AuditShip {},
    /// That an entry is in the log: [`AuditProof`].
    AuditProve {
        /// Its number.
        seq: u64,
    },
    /// Has the next signer sign the log: [`SignerRotated`].
    AuditRotateKey {},
    /// Says that a key that signed the log was stolen: [`SignerDistrusted`].
    AuditCompromise {
        /// The name of the key.
        kid: String,
        /// From when on what it signed is not to be believed, RFC 3339.
        since: String,
    },
    /// Whether the root's policy loads as it is in the file now: [`PolicyVerdict`].
    PolicyCheck {},
    /// Has the daemon take the root's policy as it is in the file now: [`PolicyReloaded`].
    PolicyReload {},
    /// Why the policy in force decides as it does, of a live process: [`Explained`].
    PolicyExplain {
        /// What it would ask.
        ask: Ask,
        /// The process; who asks when absent.
        pid: Option<u32>,
    },
    /// The same of what an entry of the log tells: [`Explained`].
    Explain {
        /// Its number.
        seq: u64,
    },
    /// What the policy would decide of who asks, without doing it: [`CheckVerdict`].
    Check(Ask),
    /// The same of several things at once: [`PlanVerdict`].
    Plan {
        /// Each of them, decided alone.
        steps: Vec<Ask>,
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
