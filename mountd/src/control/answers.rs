//! Commands that answer requests: what is to be signed, yes, no.

use super::failure::{bad_id, bad_input, failure, of_answer, of_identity, of_open};
use super::message::{
    Approved, Binding, Done, Failure, FailureCode, Passphrase, RequestState, YesEvidence, YesScope,
    YesTerms,
};
use super::session::{About, Control};
use crate::approval_queue::{AnswerError, RequestState as Standing, Yes};
use crate::clock;
use crate::factor::{Factor, FactorError, Signed, Typed, keys_of};
use crate::pipeline::{GiveAnswerError, OpenError};
use std::time::Duration;
use ward_audit::{EventType, Evidence, Outcome, Record};
use ward_policy::{
    Caller, Narrowing, Operation, OperationSet, Question, RequestId, ScopeKind, Term, UserId,
    VaultName,
};
use zeroize::Zeroizing;

impl Control<'_> {
    /// The text that a yes with these terms takes a signature over.
    pub(super) fn approval_binding(
        &self,
        request: &str,
        terms: &YesTerms,
    ) -> Result<Binding, Failure> {
        let id = self.answerable(request, Operation::RequestApprove)?;
        let approver = self.approver()?;
        let yes = self.yes(id, &approver, terms)?;
        let pipeline = &self.daemon.pipeline;
        let binding = pipeline.approvals.binding(id, &yes).map_err(not_counted)?;
        let rules = pipeline.policy.rules();
        let keys = keys_of(&self.daemon.root, |name| pipeline.approvals.admits(&rules, id, name));
        let keys = keys.map_err(|error| of_factor(&error.into()))?;
        Ok(Binding { binding, keys })
    }

    /// An approver's yes.
    pub(super) fn approve(
        &self,
        request: &str,
        terms: &YesTerms,
        evidence: Option<&YesEvidence>,
    ) -> Result<Approved, Failure> {
        if let Some(answered) = self.hand_out(request, terms) {
            return answered;
        }
        let id = self.answerable(request, Operation::RequestApprove)?;
        let approver = self.approver()?;
        let yes = self.yes(id, &approver, terms)?;
        let evidence = evidence.map(|evidence| self.evidence(id, &yes, evidence)).transpose()?;
        let yes = Yes { evidence, ..yes };
        match self.daemon.pipeline.approve(id, &yes) {
            Ok(missing) => Ok(Approved { missing: u64::try_from(missing).unwrap_or(u64::MAX) }),
            Err(error) => Err(of_answer(&error)),
        }
    }

    /// An approver's no.
    pub(super) fn deny(&self, request: &str, reason: Option<&str>) -> Result<Done, Failure> {
        if let Some(answered) = self.keep_back(request, reason) {
            return answered;
        }
        let id = self.answerable(request, Operation::RequestDeny)?;
        let denied = self.daemon.pipeline.deny(&self.caller, id, reason);
        denied.map(|()| Done {}).map_err(|error| of_answer(&error))
    }

    /// Sets or changes the approval passphrase. Whoever can do that within an agent's session could answer
    /// for the person.
    pub(super) fn approval_passphrase(
        &self,
        old: Option<&Passphrase>,
        new: &Passphrase,
    ) -> Result<Done, Failure> {
        self.permit(Operation::ApprovalPassphrase, EventType::Command, About::default())?;
        if self.caller.agent.is_some() {
            let next = "change it from a session that no agent is in";
            return Err(failure(FailureCode::Denied, "this is an agent's session", next));
        }
        if new.0.is_empty() {
            return Err(bad_input("the passphrase is empty", "give at least one character"));
        }
        let bytes = |text: &Passphrase| Zeroizing::new(text.0.as_bytes().to_vec());
        let ours = UserId(rustix::process::geteuid().as_raw());
        let may_set_first = [UserId(0), ours].contains(&self.caller.uid);
        let pipeline = &self.daemon.pipeline;
        let (old, new) = (old.map(bytes), (bytes(new), may_set_first));
        let changed = pipeline.passphrase.change(&self.daemon.root, old.as_ref(), new);
        changed.map(|()| Done {}).map_err(|error| of_factor(&error.into()))
    }

    /// How a request stands, for who asked it and for who could answer it.
    pub(super) fn request_state(&self, request: &str) -> Result<RequestState, Failure> {
        if let Some(state) = self.handoff_state(request) {
            return Ok(state);
        }
        let id = id_of(request)?;
        let not_found = || not_counted(AnswerError::NotPending);
        let (asker, state) = self.daemon.pipeline.approvals.state_of(id).ok_or_else(not_found)?;
        if asker.uid != self.caller.uid && !self.is_approver() {
            return Err(not_found());
        }
        let (state, reason) = match state {
            Standing::Pending => ("pending", None),
            Standing::Approved => ("approved", None),
            Standing::Denied(reason) => ("denied", reason),
            Standing::Expired => ("expired", None),
        };
        let reason = reason.as_deref().map(str::to_owned);
        Ok(RequestState { request: id.to_string(), state: state.to_owned(), reason })
    }

    /// What a refused asker is told: that a human said no to just this, and in which words.
    pub(super) fn refused(&self, error: &OpenError, question: &Question<'_>) -> Failure {
        let failure = of_open(error);
        let said_no = self.daemon.pipeline.approvals.last_denial(&self.caller).filter(|denied| {
            let grant = &denied.grant;
            failure.code == FailureCode::Denied
                && denied.is_silent(clock::now())
                && grant.vault.as_ref() == question.vault
                && grant.path.as_ref() == question.path
        });
        match said_no.map(|denied| (denied.id, denied.state)) {
            Some((id, Standing::Denied(reason))) => {
                let words = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
                Failure {
                    message: format!("an approver said no to request {id}{words}"),
                    ..failure
                }
            }
            Some(_) | None => failure,
        }
    }

    /// The request of that id, when policy lets the caller answer requests about its secret.
    fn answerable(&self, request: &str, operation: Operation) -> Result<RequestId, Failure> {
        let id = id_of(request)?;
        let view = self.daemon.pipeline.approvals.find(id);
        let view = view.ok_or_else(|| not_counted(AnswerError::NotPending))?;
        let grant = &view.grant;
        let about =
            About { vault: grant.vault.as_ref(), path: grant.path.as_ref(), ..About::default() };
        self.permit(operation, EventType::Command, about)?;
        Ok(id)
    }

    /// Who answers, looked at anew and with parents: an asker's own child does not count.
    fn approver(&self) -> Result<Caller, Failure> {
        let approver = self.daemon.pipeline.callers.describe(self.asker);
        let approver = approver.map_err(|error| of_identity(&error))?;
        if approver.process == self.caller.process && approver.program() == self.caller.program() {
            Ok(Caller { acting: self.caller.acting.clone(), ..approver })
        } else {
            Err(not_counted(AnswerError::NotApprover))
        }
    }

    fn yes<'a>(
        &self,
        id: RequestId,
        approver: &'a Caller,
        terms: &YesTerms,
    ) -> Result<Yes<'a>, Failure> {
        let view = self.daemon.pipeline.approvals.find(id);
        let view = view.ok_or_else(|| not_counted(AnswerError::NotPending))?;
        let mount = |vault: &VaultName| self.daemon.mounts.view(vault);
        let mount_ends = view.grant.vault.as_ref().and_then(mount).map(|mount| mount.latest);
        Ok(Yes { approver, narrowing: narrowing(terms)?, evidence: None, mount_ends })
    }

    /// Evidence that counts; what does not is recorded.
    fn evidence(
        &self,
        id: RequestId,
        yes: &Yes<'_>,
        evidence: &YesEvidence,
    ) -> Result<Evidence, Failure> {
        let (pipeline, root) = (&self.daemon.pipeline, &self.daemon.root);
        let rules = pipeline.policy.rules();
        let binding = pipeline.approvals.binding(id, yes).map_err(not_counted)?;
        let is_approver = |name: &str| pipeline.approvals.admits(&rules, id, name);
        let offered = match evidence {
            YesEvidence::Signature(text) => {
                Signed { root, text, is_approver: &is_approver }.offer(&binding)
            }
            YesEvidence::Passphrase(passphrase) => {
                let passphrase = Zeroizing::new(passphrase.0.as_bytes().to_vec());
                Typed { kept: &pipeline.passphrase, root, passphrase }.offer(&binding)
            }
        };
        offered.or_else(|error| {
            let reason = error.to_string();
            let record = Record::new(EventType::Refused).by(&self.caller);
            let record = record.operations(OperationSet::of(Operation::RequestApprove));
            self.record(record.decision(Outcome::Denied).request(id).reason(&reason))?;
            Err(of_factor(&error))
        })
    }
}

fn id_of(request: &str) -> Result<RequestId, Failure> {
    let id = ulid::Ulid::from_string(request).map(RequestId);
    id.map_err(|_| bad_id("this is no request id", "see ward list --pending"))
}

fn narrowing(terms: &YesTerms) -> Result<Narrowing, Failure> {
    let term = match (terms.seconds, terms.until_unmount) {
        (None, false) => None,
        (Some(seconds), false) => Some(Term::For(Duration::from_secs(seconds))),
        (None, true) => Some(Term::UntilUnmount),
        (Some(_), true) => {
            return Err(bad_input("a yes has one end", "give a time, or until unmount"));
        }
    };
    let scope = terms.scope.map(|scope| match scope {
        YesScope::Process => ScopeKind::Process,
        YesScope::Session => ScopeKind::Session,
        YesScope::Program => ScopeKind::Program,
    });
    Ok(Narrowing { uses: terms.uses, term, scope })
}

fn not_counted(error: AnswerError) -> Failure {
    of_answer(&GiveAnswerError::Answer(error))
}

fn of_factor(error: &FactorError) -> Failure {
    let (code, next) = match error {
        FactorError::Signers(_) => {
            (FailureCode::Failed, "mend allowed_signers in the root: see docs/semantics.md")
        }
        FactorError::Signature(_) | FactorError::Signer(_) | FactorError::NotApprover(_) => {
            (FailureCode::Denied, "sign with a key that allowed_signers has for an approver")
        }
        FactorError::Passphrase(_) => {
            (FailureCode::WrongKey, "try again, or have another approver answer it")
        }
    };
    failure(code, error, next)
}
