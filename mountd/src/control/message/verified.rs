//! What a look at everything found, and what a client of the policy may do.

use serde::{Deserialize, Serialize};
use ward_policy::Access;

/// What the rules say to a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessVerdict {
    /// The client.
    pub client: String,
    /// SHA-256 of the policy in force.
    pub policy: String,
    /// Each rule that speaks to it, the highest priority first.
    pub access: Vec<Access>,
}

/// What was found of vaults, and what lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// Every vault.
    pub vaults: Vec<VerifiedVault>,
    /// Requests that wait. Those whose time is over have ended by themselves.
    pub pending: u64,
    /// What approvals gave and still lives.
    pub leases: u64,
    /// Mounts.
    pub mounts: u64,
}

/// What was found of one vault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifiedVault {
    /// Its name.
    pub vault: String,
    /// `whole`, `damaged`, or `locked`: it takes a passphrase, and was not looked at.
    pub state: String,
    /// What is damaged.
    pub findings: Vec<String>,
}
