//! What came of commands about the signers of the log.

use serde::{Deserialize, Serialize};

/// Another key signs the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignerRotated {
    /// The name of the key that signed before.
    pub from: String,
    /// That of the one that signs from now on.
    pub to: String,
}

/// What a key signed is not believed from some time on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignerDistrusted {
    /// Its name.
    pub kid: String,
    /// From when on.
    pub since: String,
    /// What stands on it in the log.
    pub distrusted: Vec<DistrustedEntries>,
}

/// Entries that stand on a key that was stolen by then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DistrustedEntries {
    /// The name of the key.
    pub kid: String,
    /// The first entry.
    pub first: u64,
    /// The last one.
    pub last: u64,
    /// How many there are.
    pub count: u64,
}
