//! Commands about requests: ask, list, answer.

use super::failure::{bad_input, denied, no_such_secret, of_answer, of_open};
use super::message::{Done, Failure, Pending, PendingRequest, Process, Requested};
use super::session::{About, Control};
use crate::approval_queue::{AnswerError, PATIENCE, PendingView};
use crate::clock;
use crate::pipeline::GiveAnswerError;
use ward_audit::EventType;
use ward_policy::{
    Caller, Decision, Operation, OperationSet, Question, RequestId, SecretPath, Ticket, VaultName,
};

/// The longest reason, in bytes.
const LONGEST_REASON: usize = 1024;

impl Control<'_> {
    /// Asks a human ahead of an open.
    pub(super) fn request(
        &self,
        (vault, path): (&str, &str),
        operations: &[String],
        reason: &str,
        ticket: Option<&str>,
    ) -> Result<Requested, Failure> {
        let (vault, path) = names(vault, path)?;
        let operations = file_operations(operations)?;
        let ticket = ticket.map(Ticket::try_from).transpose();
        let ticket = ticket.map_err(|error| bad_input(error, "leave --ticket out, or mend it"))?;
        if reason.trim().is_empty() || reason.len() > LONGEST_REASON {
            let message = "a reason is 1 to 1024 bytes long";
            return Err(bad_input(message, "say in a sentence what it is needed for"));
        }
        let open = self.reach(&vault)?;
        let file = open.vault.find(&path);
        let about = About { vault: Some(&vault), path: Some(&path), file, ..About::default() };
        self.permit(Operation::RequestCreate, EventType::Command, about)?;
        let question = Question {
            operations,
            vault: Some(&vault),
            path: Some(&path),
            file,
            ticket: ticket.as_ref(),
            ..Question::default()
        };
        let pipeline = &self.daemon.pipeline;
        let rules = pipeline.policy.rules();
        if file.is_none() || !rules.is_visible(&self.caller, &vault, &path, clock::local(&rules)) {
            return Err(no_such_secret());
        }
        let request = match pipeline.policy.evaluate(&self.caller, &question) {
            Decision::NeedsApproval(request) => request,
            Decision::Permitted(permit) => {
                let _nothing_to_ask = permit;
                let message = "the policy allows it already";
                return Err(bad_input(message, "just open the file"));
            }
            Decision::Denied(denial) => {
                let refused = pipeline.record_refusal(&self.caller, &question, &denial);
                return Err(refused.map_or_else(|error| of_open(&error), denied));
            }
        };
        let id = pipeline.request(&self.caller, &question, request, Some(reason));
        let id = id.map_err(|error| of_open(&error))?;
        let expires = clock::wall_text(clock::now().after(PATIENCE));
        Ok(Requested { request: id.to_string(), expires })
    }

    /// What waits for an answer, oldest first.
    pub(super) fn pending(&self) -> Result<Pending, Failure> {
        self.permit(Operation::RequestList, EventType::Command, About::default())?;
        let pipeline = &self.daemon.pipeline;
        let rules = pipeline.policy.rules();
        let requests = pipeline.approvals.pending().into_iter().map(|view| {
            let may = pipeline.approvals.may_answer(&rules, &self.caller, view.id);
            shown(&view, may.is_ok())
        });
        Ok(Pending { requests: requests.collect() })
    }

    pub(super) fn approve(&self, request: &str) -> Result<Done, Failure> {
        let id = self.answerable(request, Operation::RequestApprove)?;
        let pipeline = &self.daemon.pipeline;
        match pipeline.approve(&self.caller, id) {
            Ok(_approvers_still_needed) => Ok(Done {}),
            Err(error) => Err(of_answer(&error)),
        }
    }

    pub(super) fn deny(&self, request: &str, reason: Option<&str>) -> Result<Done, Failure> {
        let id = self.answerable(request, Operation::RequestDeny)?;
        let denied = self.daemon.pipeline.deny(&self.caller, id, reason);
        denied.map(|()| Done {}).map_err(|error| of_answer(&error))
    }

    /// The request of that id, when policy lets the caller answer requests about its secret.
    fn answerable(&self, request: &str, operation: Operation) -> Result<RequestId, Failure> {
        let id = ulid::Ulid::from_string(request).map(RequestId);
        let id = id.map_err(|_| bad_input("this is no request id", "see ward list --pending"))?;
        let not_pending = || of_answer(&GiveAnswerError::Answer(AnswerError::NotPending));
        let view = self.daemon.pipeline.approvals.find(id).ok_or_else(not_pending)?;
        let grant = &view.grant;
        let about =
            About { vault: grant.vault.as_ref(), path: grant.path.as_ref(), ..About::default() };
        self.permit(operation, EventType::Command, about)?;
        Ok(id)
    }
}

/// A vault and a path, both well-formed.
pub(super) fn names(vault: &str, path: &str) -> Result<(VaultName, SecretPath), Failure> {
    let vault = vault_name(vault)?;
    let path = SecretPath::try_from(path);
    let path = path.map_err(|error| bad_input(error, "name it like db/password"))?;
    Ok((vault, path))
}

/// A well-formed vault name.
pub(super) fn vault_name(vault: &str) -> Result<VaultName, Failure> {
    VaultName::try_from(vault).map_err(|error| bad_input(error, "see ward vault list"))
}

fn file_operations(words: &[String]) -> Result<OperationSet, Failure> {
    let mut operations = OperationSet::EMPTY;
    for word in words {
        match Operation::from_name(word) {
            Some(operation @ (Operation::FileRead | Operation::FileWrite)) => {
                operations = operations.with(operation);
            }
            _ => {
                let message = format!("{word:?} cannot be requested");
                return Err(bad_input(message, "use file.read or file.write"));
            }
        }
    }
    if operations.is_empty() {
        return Err(bad_input("no operation was named", "use file.read or file.write"));
    }
    Ok(operations)
}

fn shown(view: &PendingView, may_answer: bool) -> PendingRequest {
    let grant = &view.grant;
    PendingRequest {
        request: view.id.to_string(),
        vault: grant.vault.as_ref().map(ToString::to_string).unwrap_or_default(),
        path: grant.path.as_ref().map(ToString::to_string).unwrap_or_default(),
        operations: words(grant.operations),
        asker: process(&view.asker),
        reason: view.reason.as_deref().map(ToOwned::to_owned),
        ticket: grant.ticket.as_ref().map(|ticket| ticket.as_str().to_owned()),
        lease_seconds: view.lease.as_secs(),
        require: view.require.name().to_owned(),
        is_held: view.is_held,
        expires: clock::wall_text(view.expires),
        expires_in: view.expires.remaining(clock::now()).as_secs(),
        may_answer,
    }
}

/// Names of operations.
pub(super) fn words(operations: OperationSet) -> Vec<String> {
    operations.iter().map(|operation| operation.name().to_owned()).collect()
}

fn process(caller: &Caller) -> Process {
    let executable = caller.executable.as_deref();
    let path = executable.and_then(|executable| executable.path.as_deref());
    Process {
        uid: caller.uid.0,
        pid: caller.process.number,
        program: path.map(|path| String::from_utf8_lossy(path).into_owned()),
        sha256: caller.program().map(|digest| digest.to_string()),
        grade: caller.grade().name().to_owned(),
        agent: caller.agent.as_ref().map(|agent| agent.name.to_string()),
    }
}
