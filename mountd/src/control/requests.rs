//! Commands about requests: ask, list, answer.

use super::failure::{bad_id, bad_input, bad_name, no_such_secret, of_open};
use super::grants::no_such_grant;
use super::message::{Done, Failure, MissedRequest, Pending, PendingRequest, Process, Requested};
use super::session::{About, Control};
use crate::approval_queue::{PATIENCE, PendingView};
use crate::clock;
use crate::missed::Missed;
use crate::pipeline::{AheadError, Wanted, file_operations};
use ward_audit::{EventType, Record};
use ward_policy::{
    AnyFactor, Caller, Factors, LeaseId, Narrowing, Operation, OperationSet, Question,
    SecretGrantId, SecretPath, Ticket, VaultName,
};

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
        let operations = file_operations(operations).ok_or_else(|| {
            let message = format!("{} cannot be requested", operations.join(" and "));
            bad_input(message, "use file.read, file.write or both")
        })?;
        let ticket = ticket.map(Ticket::try_from).transpose();
        let ticket = ticket.map_err(|error| bad_input(error, "leave --ticket out, or mend it"))?;
        let open = self.reach(&vault)?;
        let path = self.name_or_entry(&open, path);
        let (vault, path, file) = (&vault, &path, open.find(&path));
        let expires = file.and_then(|file| open.end_of(file));
        let (ticket, wished) = (ticket.as_ref(), Narrowing::default());
        let wanted = Wanted { vault, path, file, expires, operations, reason, ticket, wished };
        let asked = self.daemon.pipeline.ask_ahead(&self.caller, wanted);
        let asked = asked.map_err(|error| match error {
            AheadError::Open(error) => {
                let (vault, path) = (Some(vault), Some(path));
                self.refused(&error, &Question { vault, path, ..Question::default() })
            }
            other @ (AheadError::Reason
            | AheadError::NoSuchSecret
            | AheadError::Allowed
            | AheadError::TooWide(_)
            | AheadError::LongHandoff(_)) => of_ahead(&other),
        });
        let id = asked?.id;
        let expires = clock::wall_text(clock::now().after(PATIENCE));
        Ok(Requested { request: id.to_string(), expires })
    }

    /// What waits for an answer, oldest first.
    pub(super) fn pending(&self) -> Result<Pending, Failure> {
        self.permit(Operation::RequestList, EventType::Command, About::default())?;
        self.unlock_what_opens_by_itself();
        Ok(self.waiting())
    }

    /// The same, for who was permitted to know.
    pub(super) fn waiting(&self) -> Pending {
        let pipeline = &self.daemon.pipeline;
        let rules = pipeline.policy.rules();
        let requests = pipeline.approvals.pending().into_iter().map(|view| {
            let may = pipeline.approvals.may_answer(&rules, &self.caller, view.id);
            shown(&view, may)
        });
        let mut requests: Vec<PendingRequest> = requests.chain(self.waiting_handoffs()).collect();
        // Ids are in the order of time.
        requests.sort_by(|one, other| one.request.cmp(&other.request));
        // A log that cannot be read tells of nothing missed; audit verify says what is wrong with it.
        let missed = pipeline.missed().unwrap_or_default();
        Pending { requests, missed: missed.into_iter().map(missed_request).collect() }
    }

    /// Takes back what an approval gave: of who may answer such requests, or holds it.
    pub(super) fn grant_revoke(&self, lease: &str) -> Result<Done, Failure> {
        let pipeline = &self.daemon.pipeline;
        let id = ulid::Ulid::from_string(lease);
        let id = id.map_err(|_| bad_id("this is no id of a grant", "see ward grants list"))?;
        if let Some(taken) = self.take_secret_grant_back(SecretGrantId(id)) {
            return taken.map(|()| Done {});
        }
        let id = LeaseId(id);
        let found = pipeline.leases.approved().into_iter().find(|lease| lease.id() == id);
        let found = found.ok_or_else(no_such_grant)?;
        let grant = found.grant();
        let (vault, path) = (grant.vault.as_ref(), grant.path.as_ref());
        if found.holder().uid() != self.caller.uid {
            self.permit(
                Operation::RequestDeny,
                EventType::Command,
                About { vault, path, ..About::default() },
            )?;
        }
        self.record(Record::new(EventType::LeaseEnded).by(&self.caller).granted(grant).lease(id))?;
        pipeline.leases.withdraw_lease(id);
        Ok(Done {})
    }
}

pub(super) fn of_ahead(error: &AheadError) -> Failure {
    match error {
        AheadError::Reason => bad_input(error, "say in a sentence what it is needed for"),
        AheadError::NoSuchSecret => no_such_secret(),
        AheadError::Allowed => bad_input(error, "just open the file"),
        AheadError::TooWide(_) | AheadError::LongHandoff(_) => bad_input(error, "ask for less"),
        AheadError::Open(error) => of_open(error),
    }
}

/// A vault and a path, both well-formed.
pub(super) fn names(vault: &str, path: &str) -> Result<(VaultName, SecretPath), Failure> {
    let vault = vault_name(vault)?;
    let path = SecretPath::try_from(path);
    let path = path.map_err(|error| bad_name(error, "name it like db/password"))?;
    Ok((vault, path))
}

/// A well-formed vault name.
pub(super) fn vault_name(vault: &str) -> Result<VaultName, Failure> {
    VaultName::try_from(vault).map_err(|error| bad_name(error, "see ward vault list"))
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
        uses: view.uses,
        require: view.require.name().to_owned(),
        factors: factors(view.factors),
        is_held: view.is_held,
        expires: clock::wall_text(view.expires),
        expires_in: view.expires.remaining(clock::now()).as_secs(),
        may_answer,
    }
}

fn missed_request(missed: Missed) -> MissedRequest {
    let Missed { request, vault, path, operations, uid, program, reason, ended } = missed;
    let ended = ended.to_string();
    MissedRequest { request, vault, path, operations, uid, program, reason, ended }
}

/// Of each list one.
pub(super) fn factors(factors: Factors) -> Vec<Vec<String>> {
    let names = |any: AnyFactor| any.iter().map(|factor| factor.name().to_owned()).collect();
    factors.iter().map(names).collect()
}

/// Names of operations.
pub(super) fn words(operations: OperationSet) -> Vec<String> {
    operations.iter().map(|operation| operation.name().to_owned()).collect()
}

/// A process, for the protocol.
pub(super) fn process(caller: &Caller) -> Process {
    let executable = caller.executable.as_deref();
    let path = executable.and_then(|executable| executable.path.as_deref());
    Process {
        uid: caller.uid.0,
        pid: caller.process.number,
        program: path.map(|path| String::from_utf8_lossy(path).into_owned()),
        sha256: caller.program().map(|digest| digest.to_string()),
        grade: caller.grade().name().to_owned(),
        agent: caller.agent.as_ref().map(|agent| agent.name.to_string()),
        acting: caller.acting.as_ref().map(|acting| acting.name().to_string()),
    }
}
