//! A process, as answers tell of it.

use serde::{Deserialize, Serialize};

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
    /// The agent whose session it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The name it acts under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acting: Option<String>,
}
