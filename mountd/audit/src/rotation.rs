//! Rotation: another key takes over a log's identity, and what a stolen key signed counts no more.

use crate::signer::{Identity, SignError, Signer, SignerFact};
use crate::{
    AppendError, ChainHash, Durability, EventType, Log, PublicKey, Record, Report, Stamp, Timestamp,
};
use std::sync::Arc;

/// Who signed the log and when, for others.
pub const SIGNERS_FILE: &str = "signers.json";

/// What a signer signs to show that it can; never the hash of an entry.
const TRIAL: &[u8] = b"wardfs signer trial v1";

/// Why a key does not take over.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// It is the identity already.
    #[error("{kid} signs the log already")]
    Same {
        /// Its name.
        kid: String,
    },
    /// It does not sign.
    #[error("{kid} does not sign: {source}")]
    Signer {
        /// Its name.
        kid: String,
        /// Why not.
        source: SignError,
    },
    /// The log takes no records.
    #[error(transparent)]
    Append(#[from] AppendError),
}

impl Log {
    /// What signs for the log.
    ///
    /// # Errors
    /// The log has stopped.
    pub fn signer(&self) -> Result<Arc<dyn Signer>, AppendError> {
        Ok(Arc::clone(&self.tail()?.epochs.identity().signer))
    }

    /// Records that `next`, once it has shown that it signs, is about to be the log's identity. From
    /// then on it may sign too; [`Self::apply_rotation`] comes next, in this run or in a later one.
    ///
    /// # Errors
    /// Nothing has changed, unless the log has stopped.
    pub fn request_rotation(&self, next: &Arc<dyn Signer>, now: Stamp) -> Result<(), RotateError> {
        if self.signer()?.public() == next.public() {
            return Err(RotateError::Same { kid: next.kid().to_owned() });
        }
        try_out(next)?;
        let record = Record::of_signer(EventType::SignerRotationRequested, SignerFact::of(&**next));
        let _receipt = self.append(record, Durability::Durable, now)?;
        Ok(())
    }

    /// Has `next` take over, once it has shown that it signs: that and everything after it. What signed
    /// before may not sign any more. The segment ends with the next entry.
    ///
    /// # Errors
    /// As [`Self::request_rotation`].
    pub fn apply_rotation(&self, next: &Arc<dyn Signer>, now: Stamp) -> Result<(), RotateError> {
        try_out(next)?;
        self.change(|tail| {
            tail.epochs.take_over(Arc::clone(next));
            Ok(())
        })?;
        let record = Record::of_signer(EventType::SignerRotationApplied, SignerFact::of(&**next));
        let _receipt = self.append(record, Durability::Durable, now)?;
        self.change(|tail| {
            tail.end_soon();
            Ok(())
        })?;
        Ok(())
    }

    /// Puts the signers that `report` tells of beside the log, for others.
    ///
    /// # Errors
    /// The log has stopped.
    pub fn publish_signers(&self, report: &Report) -> Result<(), AppendError> {
        let disk = self.tail()?.disk();
        let list = serde_json::json!({ "signers": report.good.signers });
        // The log has them all, and they are put there again.
        let _older_ones_stay = disk.replace(SIGNERS_FILE, format!("{list:#}\n").as_bytes());
        Ok(())
    }

    /// Records that what `key` signed at `from` or later is not to be believed.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub fn distrust(
        &self,
        (key, kid): (PublicKey, &str),
        from: Timestamp,
        now: Stamp,
    ) -> Result<(), AppendError> {
        let fact = SignerFact { key, kid, source: None, from: Some(from) };
        let record = Record::of_signer(EventType::SignerCompromise, fact);
        self.append(record, Durability::Durable, now).map(drop)
    }
}

/// A key that does not sign would stop the log.
fn try_out(signer: &Arc<dyn Signer>) -> Result<(), RotateError> {
    let trial = Identity { signer: Arc::clone(signer), standby: None };
    let kid = || signer.kid().to_owned();
    let signed = trial.sign(&ChainHash::of(TRIAL, None));
    signed.map(drop).map_err(|source| RotateError::Signer { kid: kid(), source })
}
