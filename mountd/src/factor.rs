//! Factors: ways to give evidence with an answer. Another one (a passkey, a paired device) is
//! another `Factor`, and nothing else changes.

mod allowed_signers;
mod passphrase;
mod recheck;
mod ssh_signature;
#[cfg(test)]
mod tests;
mod wire;

pub use allowed_signers::{ALLOWED_SIGNERS, AllowedSigners, AllowedSignersError, SignerError};
pub(crate) use passphrase::ApprovalPassphrase;
pub use passphrase::{APPROVAL_PASSPHRASE, ApprovalPassphraseError};
pub use recheck::Recheck;
pub use ssh_signature::{NAMESPACE, Presence, SignatureError, SshSignature};

use crate::clock;
use crate::root::Root;
use jiff::Timestamp;
use ward_audit::{Evidence, EvidenceKind};
use zeroize::Zeroizing;

/// A way to give evidence with an answer.
pub(crate) trait Factor {
    /// The evidence for an answer with this binding.
    fn offer(&self, binding: &str) -> Result<Evidence, FactorError>;
}

/// Why something is no evidence.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FactorError {
    /// The keys that count are not known.
    #[error(transparent)]
    Signers(#[from] AllowedSignersError),
    /// The signature is none.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// Its key speaks for nobody.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// Its key speaks for somebody whose answer does not count.
    #[error("the key speaks for {0}, who is not an approver of this request")]
    NotApprover(String),
    /// The passphrase is wrong, or there is none.
    #[error(transparent)]
    Passphrase(#[from] ApprovalPassphraseError),
}

/// A signature over the binding by a key in `allowed_signers`.
pub(crate) struct Signed<'a> {
    pub(crate) root: &'a Root,
    /// As `ssh-keygen -Y sign` writes it.
    pub(crate) text: &'a str,
    /// Whether the client of that name may answer the request.
    pub(crate) is_approver: &'a dyn Fn(&str) -> bool,
}

/// The approval passphrase of the root.
pub(crate) struct Typed<'a> {
    pub(crate) kept: &'a ApprovalPassphrase,
    pub(crate) root: &'a Root,
    pub(crate) passphrase: Zeroizing<Vec<u8>>,
}

impl Factor for Signed<'_> {
    fn offer(&self, binding: &str) -> Result<Evidence, FactorError> {
        let signature = SshSignature::from_text(self.text)?;
        let digest = signature.digest(binding.as_bytes());
        let presence = signature.verify(&digest)?;
        let signers = AllowedSigners::load(self.root)?;
        let principals = signers.principals(&signature, clock::wall())?;
        let approver = principals.iter().find(|name| (self.is_approver)(name));
        let approver = approver.ok_or_else(|| FactorError::NotApprover(principals.join(" or ")))?;
        Ok(Evidence {
            kind: kind_of(presence),
            bytes: signature.bytes().to_vec(),
            digest,
            ..Evidence::local(Some(approver))
        })
    }
}

impl Factor for Typed<'_> {
    fn offer(&self, _binding: &str) -> Result<Evidence, FactorError> {
        self.kept.check(self.root, &self.passphrase)?;
        Ok(Evidence { kind: EvidenceKind::Passphrase, ..Evidence::local(None) })
    }
}

/// The keys with which one of those approvers can sign now.
pub(crate) fn keys_of(
    root: &Root,
    is_approver: impl Fn(&str) -> bool,
) -> Result<Vec<String>, AllowedSignersError> {
    Ok(AllowedSigners::load(root)?.keys_of(is_approver, clock::wall()))
}

const fn kind_of(presence: Presence) -> EvidenceKind {
    match presence {
        Presence::Unknown => EvidenceKind::Signed,
        Presence::Touched => EvidenceKind::Hardware,
    }
}

/// A signature's evidence, looked at again: what it was then.
fn look_again(
    signers: &AllowedSigners,
    evidence: &Evidence,
    time: Timestamp,
) -> Result<EvidenceKind, String> {
    let signature = SshSignature::from_bytes(&evidence.bytes).map_err(|error| error.to_string())?;
    let presence = signature.verify(&evidence.digest).map_err(|error| error.to_string())?;
    let principals = signers.principals(&signature, time).map_err(|error| error.to_string())?;
    match evidence.approver.as_deref() {
        Some(approver) if principals.contains(&approver) => Ok(kind_of(presence)),
        Some(_) | None => Err(format!("the key speaks for {}", principals.join(" or "))),
    }
}
