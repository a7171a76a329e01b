//! What a client can ask the daemon for.

use super::*;
use serde::{Deserialize, Serialize};

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
        /// How long it is served; for ever when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ttl: Option<Lifetime>,
        /// Whether it takes the place of a value that is there, of which the versions are kept.
        #[serde(default)]
        replace: bool,
    },
    /// Reads a secret: [`Secret`].
    Get {
        /// The vault.
        vault: String,
        /// The secret.
        path: String,
        /// Where its bytes go.
        #[serde(default, skip_serializing_if = "GoesTo::is_asker")]
        to: GoesTo,
    },
    /// Whether bytes of a secret may go there, by the settings: [`Done`].
    PipeCheck {
        /// The vault.
        vault: String,
        /// The secret.
        path: String,
        /// Where they would go.
        to: GoesTo,
    },
    /// Serves clients at the listening TCP socket that comes with this line, until this client goes:
    /// [`Listening`].
    Sidecar {
        /// What its clients must show besides who they are.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<Passphrase>,
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
    /// How a secret stands for who asks: [`SecretState`].
    SecretStatus {
        /// The vault.
        vault: String,
        /// The secret.
        path: String,
    },
    /// Lets a client of the policy read a secret: [`GrantState`].
    SecretGrant {
        /// The vault.
        vault: String,
        /// The secret.
        path: String,
        /// The client.
        client: String,
        /// For so many seconds; until it is taken back when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seconds: Option<u64>,
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
    /// Ends what an approval gave, or a grant of a secret: [`Done`].
    GrantRevoke {
        /// The id of the lease or grant.
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
    /// What the rules say to a client of the policy: [`AccessVerdict`].
    Access {
        /// The client.
        client: String,
    },
    /// Reads all of every vault that is unlocked or unlocks itself: [`Verified`].
    Verify {},
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
