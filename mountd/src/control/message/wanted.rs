//! What commands say about what they want.

use super::Passphrase;
use serde::{Deserialize, Serialize};

/// What a new vault is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VaultKind {
    /// Secrets: nothing is cached, every read is recorded, versions are kept.
    #[default]
    Secrets,
    /// Bulk files: a whole file system, opens are recorded.
    Workspace,
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

/// A key slot to be added.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AddedSlot {
    /// A file that the daemon makes in its root.
    Keyfile,
    /// This passphrase.
    Passphrase(Passphrase),
    /// A code that the daemon makes and tells once.
    Recovery,
}

/// What a mount is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// To be used until it ends.
    #[default]
    Use,
    /// To copy everything out: read-only, and of a vault that was rolled back too.
    Export,
    /// To copy files in.
    Import,
    /// For one command: the mount that is there, or one that ends with it and all others that joined.
    Exec,
}
