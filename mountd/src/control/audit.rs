//! Commands about the log as a whole: whether it is whole, its head, and proofs of entries.

use super::failure::{bad_input, failure};
use super::message::{
    AuditHead, AuditProof, AuditVerdict, DistrustedEntries, EvidenceVerdict, Failure, FailureCode,
    SinkState, Sinks,
};
use super::session::{About, Control};
use crate::factor::Recheck;
use crate::root::AUDIT;
use crate::shipping::{SinkSettings, State};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;
use ward_audit::{EventType, Filter, HeadNote, ProveError, Report};
use ward_policy::Operation;

/// How long `audit-ship` waits for sinks.
const SHIPPING: Duration = Duration::from_secs(40);

impl Control<'_> {
    pub(super) fn audit_verify(
        &self,
        head: Option<&str>,
        evidence: bool,
    ) -> Result<AuditVerdict, Failure> {
        self.permit(Operation::AuditVerify, EventType::Command, About::default())?;
        let report = match head.map(HeadNote::parse).transpose() {
            Ok(Some(note)) => ward_audit::verify_against(&self.log_folder(), &note),
            Ok(None) => ward_audit::verify(&self.log_folder(), None),
            Err(error) => return Err(bad_input(error, "keep what it prints as it is")),
        };
        let report = report.map_err(|error| {
            failure(FailureCode::Damaged, error, "see that the folder of the log is there")
        })?;
        let evidence = evidence.then(|| self.evidence_verdict()).transpose()?;
        Ok(AuditVerdict { evidence, ..AuditVerdict::from(&report) })
    }

    /// The evidence of answers, with the names of vaults that are unlocked.
    fn evidence_verdict(&self) -> Result<EvidenceVerdict, Failure> {
        let refuse = |error: &dyn std::fmt::Display| {
            failure(FailureCode::Failed, error, "mend it, or look at a copy of the root")
        };
        let mut recheck = Recheck::of(&self.daemon.root).map_err(|error| refuse(&error))?;
        let all = self.daemon.pipeline.log.read(&Filter::default(), |shown| {
            recheck.look_at(&shown.entry);
            ControlFlow::Continue(())
        });
        all.map_err(|error| refuse(&error))?;
        Ok(recheck.verdict())
    }

    pub(super) fn audit_head(&self) -> Result<AuditHead, Failure> {
        self.permit(Operation::AuditVerify, EventType::Command, About::default())?;
        AuditHead::read(&self.log_folder()).map_err(|error| of_prove(&error))
    }

    pub(super) fn audit_prove(&self, seq: u64) -> Result<AuditProof, Failure> {
        self.permit(Operation::AuditShow, EventType::Command, About::default())?;
        let proof = ward_audit::prove(&self.log_folder(), seq).map_err(|error| of_prove(&error))?;
        Ok(AuditProof { seq, proof: proof.to_string() })
    }

    /// Ships to every sink, and tells how far each is.
    pub(super) fn audit_ship(&self) -> Result<Sinks, Failure> {
        self.permit(Operation::AuditVerify, EventType::Command, About::default())?;
        self.daemon.pipeline.shipping.ship_now(SHIPPING);
        Ok(Sinks { sinks: self.sinks() })
    }

    /// How far each sink is.
    pub(super) fn sinks(&self) -> Vec<SinkState> {
        let pipeline = &self.daemon.pipeline;
        let last = pipeline.log.synced().unwrap_or_default();
        let shown = |(settings, state): (&SinkSettings, State)| SinkState {
            sink: settings.name.clone(),
            kind: settings.kind().to_owned(),
            shipped: state.shipped,
            behind: state.waits_since.map_or(0, |_| last.saturating_sub(state.shipped)),
            since: state.waits_since.map(|since| since.to_string()),
            failure: state.failure,
        };
        pipeline.shipping.states().map(shown).collect()
    }

    pub(super) fn log_folder(&self) -> PathBuf {
        self.daemon.root.join(AUDIT)
    }
}

impl From<&Report> for AuditVerdict {
    fn from(report: &Report) -> Self {
        Self {
            verdict: report.verdict.word().to_owned(),
            entries: report.good.head.map_or(0, |head| head.seq),
            finding: report.to_string(),
            distrusted: report.good.distrusted.iter().map(DistrustedEntries::from).collect(),
            evidence: None,
        }
    }
}

impl AuditHead {
    /// The head of the log in `folder`.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub fn read(folder: &std::path::Path) -> Result<Self, ProveError> {
        let note = ward_audit::head(folder)?;
        let key = ward_audit::verifier_key(&note.log, ward_audit::notes_key(folder)?);
        Ok(Self { head: note.to_string(), entries: note.head.size, key })
    }
}

fn of_prove(error: &ProveError) -> Failure {
    let code = FailureCode::from(error);
    failure(code, error, "see ward audit verify and ward audit show")
}

impl From<&ProveError> for FailureCode {
    fn from(error: &ProveError) -> Self {
        match error {
            ProveError::NotSigned { .. } | ProveError::NoEntry { .. } => Self::NotFound,
            ProveError::Access(_) => Self::Failed,
            ProveError::Broken => Self::Damaged,
            ProveError::Stopped => Self::LogFailed,
        }
    }
}
