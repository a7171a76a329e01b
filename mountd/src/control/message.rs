//! What client and daemon say to each other: one JSON object a line, version 1 (docs/protocol.md).
//!
//! Both sides use these types, so that they cannot disagree. `ward --json` prints an [`Answer`] as
//! it came.

mod answering;
mod command;
mod explained;
mod hidden;
mod pipe;
mod process;
mod result;
mod secrets;
mod signers;
mod status;
mod verified;
mod wanted;
mod whoami;

pub use crate::owner::Owner;
pub use answering::*;
pub use command::*;
pub use explained::*;
pub use hidden::*;
pub use pipe::*;
pub use process::*;
pub use result::*;
pub use secrets::*;
pub use signers::*;
pub use status::*;
pub use verified::*;
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
    /// The name under which it is to be decided and recorded: that of a client of the policy that the
    /// caller may be, or any that no client has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
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
    /// What was shown as proof of who asks or answers proves it not.
    Unauthorized,
    /// A human must say yes first; `request` waits for it.
    ApprovalNeeded,
    /// No such vault, secret, request or mount, or none that the caller may know of.
    NotFound,
    /// It was there, and its time is over.
    Expired,
    /// Something is there already or in use.
    Conflict,
    /// The input is no policy, value or time.
    BadInput,
    /// It cannot name a vault, a secret or an agent.
    BadName,
    /// It is no id of a request or a grant.
    BadId,
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
