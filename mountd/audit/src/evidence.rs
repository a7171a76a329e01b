//! Evidence: what an answer stood on, so that it can be checked again without the daemon.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// What an answer stood on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The class.
    pub kind: EvidenceKind,
    /// The client of the policy that spoke; absent where the policy lets who asks answer.
    pub approver: Option<String>,
    /// The proof: a signature of OpenSSH. Empty where only the daemon's word is there.
    pub bytes: Vec<u8>,
    /// The digest of the binding that was signed. Empty where nothing was.
    pub digest: Vec<u8>,
    /// Whether it came from the asker's own uid, as the policy of a private root allows.
    pub is_self_approved: bool,
}

/// Classes of evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EvidenceKind {
    /// The approver's process, attested.
    Local,
    /// That, and the approval passphrase of the root.
    Passphrase,
    /// A signature over the binding.
    Signed,
    /// Such a signature with a touch.
    Hardware,
}

impl Evidence {
    /// That a process was attested, which is `approver` to the policy.
    pub fn local(approver: Option<&str>) -> Self {
        let approver = approver.map(str::to_owned);
        let (bytes, digest) = (Vec::new(), Vec::new());
        Self { kind: EvidenceKind::Local, approver, bytes, digest, is_self_approved: false }
    }

    pub(crate) fn shown(&self) -> EvidenceText<'_> {
        let is_there = |bytes: &[u8]| !bytes.is_empty();
        EvidenceText {
            approver: self.approver.as_deref().map(Cow::Borrowed),
            bytes: is_there(&self.bytes).then(|| Cow::Owned(STANDARD.encode(&self.bytes))),
            digest: is_there(&self.digest).then(|| Cow::Owned(hex(&self.digest))),
            kind: self.kind,
            self_approved: self.is_self_approved.then_some(true),
        }
    }
}

/// The same as it stands in an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EvidenceText<'a> {
    /// The client of the policy that spoke.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approver: Option<Cow<'a, str>>,
    /// The signature, in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<Cow<'a, str>>,
    /// The digest that was signed, in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Cow<'a, str>>,
    /// The class.
    pub kind: EvidenceKind,
    /// `true` when who asked answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub self_approved: Option<bool>,
}

impl EvidenceText<'_> {
    /// What it says; `None` when it is no evidence.
    pub fn read(&self) -> Option<Evidence> {
        let bytes = self.bytes.as_deref().map(|text| STANDARD.decode(text).ok());
        let digest = self.digest.as_deref().map(from_hex);
        Some(Evidence {
            kind: self.kind,
            approver: self.approver.as_deref().map(str::to_owned),
            bytes: bytes.unwrap_or_else(|| Some(Vec::new()))?,
            digest: digest.unwrap_or_else(|| Some(Vec::new()))?,
            is_self_approved: self.self_approved.unwrap_or(false),
        })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    text.len().is_multiple_of(2).then(|| pairs.map(byte).collect()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_entry_says_of_evidence_is_what_was_recorded() {
        let signed = Evidence {
            kind: EvidenceKind::Hardware,
            bytes: vec![0, 255],
            digest: vec![1, 0xab],
            is_self_approved: true,
            ..Evidence::local(Some("ops"))
        };
        for evidence in [signed, Evidence::local(Some("ops")), Evidence::local(None)] {
            let text = serde_json::to_string(&evidence.shown()).unwrap();
            let read: EvidenceText<'_> = serde_json::from_str(&text).unwrap();
            assert_eq!(read.read(), Some(evidence));
        }
    }
}
