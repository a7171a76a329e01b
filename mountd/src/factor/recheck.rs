//! A second look at the evidence in the log, without the daemon and its word.

use super::{ALLOWED_SIGNERS, AllowedSigners, AllowedSignersError, SshSignature, look_again};
use crate::control::message::{EvidenceVerdict, FailedEvidence};
use crate::root::Root;
use jiff::Timestamp;
use ward_audit::{Entry, EventType, EvidenceKind};

/// Looks at entry after entry.
#[derive(Debug)]
pub struct Recheck {
    signers: AllowedSigners,
    verdict: EvidenceVerdict,
}

/// What one answer stands on.
enum Stand {
    /// The daemon's word.
    Attested,
    /// A signature over what the entry says, or over what is sealed in it.
    Signed { kind: EvidenceKind, is_sealed: bool },
}

impl Recheck {
    /// Takes the keys of a root: those whose time is over are still good for answers of their time.
    ///
    /// # Errors
    /// They cannot be read. Where there are none, no signature counts.
    pub fn of(root: &Root) -> Result<Self, AllowedSignersError> {
        let is_there =
            rustix::fs::statat(root, ALLOWED_SIGNERS, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)
                .is_ok_and(|_| true);
        let signers =
            if is_there { AllowedSigners::load(root)? } else { AllowedSigners::default() };
        Ok(Self { signers, verdict: EvidenceVerdict::default() })
    }

    /// Looks at one entry, whatever it is.
    pub fn look_at(&mut self, entry: &Entry<'_>) {
        if entry.event_type != EventType::RequestApproved {
            return;
        }
        match stand(entry, &self.signers) {
            Ok(Stand::Attested) => self.verdict.attested += 1,
            Ok(Stand::Signed { kind, is_sealed }) => {
                self.verdict.signed += 1;
                self.verdict.touched += u64::from(kind == EvidenceKind::Hardware);
                self.verdict.sealed += u64::from(is_sealed);
            }
            Err(why) => self.verdict.failed.push(FailedEvidence { seq: entry.seq.0, why }),
        }
    }

    /// What came of all.
    pub fn verdict(self) -> EvidenceVerdict {
        self.verdict
    }
}

/// Checks an answer again, by the keys that were valid when it was given; or says why its evidence
/// does not carry it.
fn stand(entry: &Entry<'_>, signers: &AllowedSigners) -> Result<Stand, String> {
    let Some(text) = &entry.evidence else {
        return Ok(Stand::Attested);
    };
    let evidence = text.read().ok_or("the evidence is no base64 or no hexadecimal")?;
    match evidence.kind {
        EvidenceKind::Local | EvidenceKind::Passphrase => return Ok(Stand::Attested),
        EvidenceKind::Signed | EvidenceKind::Hardware => {}
    }
    let time: Timestamp = entry.ts.to_string().parse().map_err(|_| "it has no time".to_owned())?;
    let kind = look_again(signers, &evidence, time)?;
    if kind != evidence.kind {
        return Err("a touch is recorded that the signature does not show".to_owned());
    }
    let Some(binding) = entry.binding.as_deref() else {
        return Ok(Stand::Signed { kind, is_sealed: true });
    };
    let signature = SshSignature::from_bytes(&evidence.bytes).map_err(|error| error.to_string())?;
    if signature.digest(binding.as_bytes()) != evidence.digest {
        return Err("another text was signed than the entry has".to_owned());
    }
    says_the_same(binding, entry)?;
    Ok(Stand::Signed { kind, is_sealed: false })
}

/// The binding is of this request, and of what the entry says was granted.
fn says_the_same(binding: &str, entry: &Entry<'_>) -> Result<(), String> {
    let binding: serde_json::Value =
        serde_json::from_str(binding).map_err(|_| "the signed text is no JSON".to_owned())?;
    let operations = |value: &serde_json::Value| -> Option<Vec<String>> {
        serde_json::from_value(value.clone()).ok()
    };
    let granted = entry.operations.iter().flatten().map(|each| each.clone().into_owned());
    let is_same = binding["request"].as_str() == entry.request.as_deref()
        && binding["vault"].as_str() == entry.vault.as_deref()
        && binding["path"].as_str() == entry.path.as_deref()
        && binding["ticket"].as_str() == entry.ticket.as_deref()
        && operations(&binding["grant"]["operations"]) == Some(granted.collect());
    if is_same { Ok(()) } else { Err("what was signed is not what was granted".to_owned()) }
}
