//! Commands about what signs the log.

use super::failure::{bad_input, failure};
use super::message::{
    DistrustedEntries, Failure, FailureCode, SignerDistrusted, SignerRotated, SignerState,
};
use super::session::{About, Control};
use super::state::time_of;
use crate::clock;
use crate::signer::{RotateFailure, Rotated};
use ward_audit::{Distrusted, EventType, KeySource, Report, RotateError};
use ward_policy::Operation;

impl Control<'_> {
    /// Two rotations at once end as one after the other: the second finds no next signer, or makes
    /// another key.
    pub(super) fn audit_rotate_key(&self) -> Result<SignerRotated, Failure> {
        self.permit(Operation::AuditRotateKey, EventType::Command, About::default())?;
        let _one_at_a_time =
            self.daemon.reloading.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let pipeline = &self.daemon.pipeline;
        let rotated = pipeline.signers.rotate(&pipeline.log);
        let Rotated { from, to } = rotated.map_err(|error| of_rotation(&error))?;
        let _report = self.look_through()?;
        Ok(SignerRotated { from, to })
    }

    pub(super) fn audit_compromise(
        &self,
        kid: &str,
        since: &str,
    ) -> Result<SignerDistrusted, Failure> {
        self.permit(Operation::AuditCompromise, EventType::Command, About::default())?;
        let from = time_of(since)?;
        let log = &self.daemon.pipeline.log;
        let signs =
            log.signer().map_err(|error| failure(FailureCode::LogFailed, error, RESTART))?;
        let report = self.look_through()?;
        let signer = report.good.signers.iter().find(|signer| signer.kid == kid);
        let Some(signer) = signer else {
            let message = format!("no key {kid:?} has signed this log");
            let next = "see signers.json in the folder of the log";
            return Err(failure(FailureCode::NotFound, message, next));
        };
        if signs.public() == signer.public_key {
            let message = format!("{kid} signs the log now");
            let next = "have another key sign first: ward audit rotate-key";
            return Err(failure(FailureCode::Conflict, message, next));
        }
        log.distrust((signer.public_key, kid), from, clock::stamp())
            .map_err(|error| failure(FailureCode::LogFailed, error, RESTART))?;
        let report = self.look_through()?;
        let distrusted = report.good.distrusted.iter().filter(|it| it.kid == kid);
        Ok(SignerDistrusted {
            kid: kid.to_owned(),
            since: from.to_string(),
            distrusted: distrusted.map(DistrustedEntries::from).collect(),
        })
    }

    /// What signs for the log; nothing once it has stopped for good.
    pub(super) fn signer_state(&self) -> Option<SignerState> {
        let pipeline = &self.daemon.pipeline;
        let signer = pipeline.log.signer().ok()?;
        let is_elsewhere = signer.source() != KeySource::Software;
        Some(SignerState {
            kid: signer.kid().to_owned(),
            source: signer.source().name().to_owned(),
            trouble: pipeline.signers.trouble(&*signer),
            standby: is_elsewhere && pipeline.signers.may_stand_by(),
        })
    }

    /// Reads the whole log for its signers, and puts them beside it.
    fn look_through(&self) -> Result<Report, Failure> {
        let report = ward_audit::verify(&self.log_folder(), None);
        let report = report.map_err(|error| {
            failure(FailureCode::Damaged, error, "see that the folder of the log is there")
        })?;
        let published = self.daemon.pipeline.log.publish_signers(&report);
        published.map_err(|error| failure(FailureCode::LogFailed, error, RESTART))?;
        Ok(report)
    }
}

const RESTART: &str = "see ward status, and start the daemon again";

impl From<&Distrusted> for DistrustedEntries {
    fn from(found: &Distrusted) -> Self {
        let Distrusted { kid, first, last, count, .. } = found;
        Self { kid: kid.clone(), first: *first, last: *last, count: *count }
    }
}

fn of_rotation(error: &RotateFailure) -> Failure {
    match error {
        RotateFailure::NoNext(_) => bad_input(
            error,
            "name one in [audit.next_signer] of ward.toml, start the daemon again, then try again",
        ),
        RotateFailure::Rotate(RotateError::Signer { .. } | RotateError::Same { .. }) => {
            bad_input(error, "see [audit.next_signer] of ward.toml")
        }
        RotateFailure::Rotate(RotateError::Append(_)) | RotateFailure::Log(_) => {
            failure(FailureCode::LogFailed, error, RESTART)
        }
        RotateFailure::Key(_) | RotateFailure::Place(_) => {
            failure(FailureCode::Failed, error, "see that the root's folder can be written")
        }
    }
}
