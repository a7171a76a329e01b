//! The approval passphrase: what the owner of a root knows and no program of his does.
//!
//! Only its Argon2id hash is kept (docs/formats.md). One try at a time: each costs what opening a
//! vault costs.

use crate::owned_file::{self, OwnedFileError};
use crate::root::Root;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::io;
use std::sync::{Mutex, PoisonError};
use ward_store::{Passphrase, PassphraseCost};
use zeroize::Zeroizing;

/// The file's name in the root.
pub const APPROVAL_PASSPHRASE: &str = "approval_passphrase";
/// The longest file, in bytes.
const LONGEST: u64 = 4096;

/// Checks the passphrase, once at a time.
#[derive(Debug, Default)]
pub(crate) struct ApprovalPassphrase {
    /// Held while one is tried, so that many cannot be at once.
    trying: Mutex<()>,
}

/// Why a passphrase is no evidence.
#[derive(Debug, thiserror::Error)]
pub enum ApprovalPassphraseError {
    /// The root has none.
    #[error("this root has no approval passphrase; ward approval-passphrase sets one")]
    None,
    /// It has none, and who asks is not the one to set it.
    #[error("the first approval passphrase is set by root, or by the user of the daemon")]
    NotFirst,
    /// It has one, which was not given.
    #[error("this root has an approval passphrase, which must be given to change it")]
    OldWanted,
    /// It is another one.
    #[error("the approval passphrase is wrong")]
    Wrong,
    /// The file is not ours, or no text.
    #[error(transparent)]
    File(#[from] OwnedFileError),
    /// The file is not one that `ward init` made.
    #[error("the file {APPROVAL_PASSPHRASE} in the root is damaged")]
    Damaged,
    /// The machine has not that much memory now.
    #[error("there is not enough memory to try the passphrase")]
    NoMemory,
    /// No salt.
    #[error("the kernel gives no random bytes")]
    NoRandomness,
}

/// What is kept.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    version: u32,
    /// Argon2id: KiB, passes and lanes.
    cost: [u32; 3],
    salt: String,
    /// SHA-256 of the key that the passphrase gives.
    check: String,
}

impl ApprovalPassphrase {
    /// The text of the file that keeps `passphrase`.
    pub(crate) fn text(
        passphrase: Zeroizing<Vec<u8>>,
        cost: PassphraseCost,
    ) -> Result<String, ApprovalPassphraseError> {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).map_err(|_| ApprovalPassphraseError::NoRandomness)?;
        let check = check_of(cost, passphrase, &salt)?;
        let kept = Kept { version: 1, cost: cost.numbers(), salt: STANDARD.encode(salt), check };
        let text = serde_json::to_string(&kept).map_err(|_| ApprovalPassphraseError::Damaged)?;
        Ok(text + "\n")
    }

    /// Keeps `new` from now on, for who knows the one before: `old`. The first one is set by the daemon's
    /// own user, or by root, alone: who could set it could answer for the user it is of.
    pub(crate) fn change(
        &self,
        root: &Root,
        old: Option<&Zeroizing<Vec<u8>>>,
        (new, may_set_first): (Zeroizing<Vec<u8>>, bool),
    ) -> Result<(), ApprovalPassphraseError> {
        let known = match old {
            Some(old) => self.check(root, old),
            None => self.check(root, &Zeroizing::new(Vec::new())),
        };
        match known {
            Ok(()) => {}
            Err(ApprovalPassphraseError::None) if may_set_first => {}
            Err(ApprovalPassphraseError::None) => return Err(ApprovalPassphraseError::NotFirst),
            Err(ApprovalPassphraseError::Wrong) if old.is_none() => {
                return Err(ApprovalPassphraseError::OldWanted);
            }
            Err(error) => return Err(error),
        }
        let text = Self::text(new, crate::initialise::passphrase_cost())?;
        let _one_at_a_time = self.trying.lock().unwrap_or_else(PoisonError::into_inner);
        owned_file::replace(root, APPROVAL_PASSPHRASE, text.as_bytes()).map_err(Into::into)
    }

    /// Tries a passphrase.
    pub(super) fn check(
        &self,
        root: &Root,
        passphrase: &Zeroizing<Vec<u8>>,
    ) -> Result<(), ApprovalPassphraseError> {
        let text = owned_file::read(root, APPROVAL_PASSPHRASE, LONGEST);
        let text = text.map_err(|error| match error {
            OwnedFileError::Read(_, source) if source.kind() == io::ErrorKind::NotFound => {
                ApprovalPassphraseError::None
            }
            other @ (OwnedFileError::Read(..)
            | OwnedFileError::Write(..)
            | OwnedFileError::Ownership { .. }
            | OwnedFileError::Text { .. }) => other.into(),
        })?;
        let damaged = || ApprovalPassphraseError::Damaged;
        let kept: Kept = serde_json::from_str(&text).map_err(|_| damaged())?;
        let salt = STANDARD.decode(&kept.salt).ok().filter(|_| kept.version == 1);
        let [memory, passes, lanes] = kept.cost;
        let cost = PassphraseCost::from_disk(memory, passes, lanes);
        let _one_at_a_time = self.trying.lock().unwrap_or_else(PoisonError::into_inner);
        let check = check_of(cost, passphrase.clone(), &salt.ok_or_else(damaged)?)?;
        // Both are hashes of a hash: how far they agree tells nothing of the passphrase.
        if check == kept.check { Ok(()) } else { Err(ApprovalPassphraseError::Wrong) }
    }
}

fn check_of(
    cost: PassphraseCost,
    passphrase: Zeroizing<Vec<u8>>,
    salt: &[u8],
) -> Result<String, ApprovalPassphraseError> {
    let key = cost.stretch(&Passphrase::new(passphrase), salt);
    let key = key.ok_or(ApprovalPassphraseError::NoMemory)?;
    Ok(STANDARD.encode(Sha256::digest(key.as_slice())))
}
