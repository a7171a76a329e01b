//! One connection: lines in, answers out, each line attested and decided for itself.

use super::connection::{Connection, Line, ReceiveError};
use super::failure::{ask_an_approver, denied, needs_approval, of_open};
use super::message::{Answer, Command, Failure, FailureCode, Outcome, Request, VERSION};
use super::mounts::Order;
use super::peer::{Peer, PeerError};
use crate::approval_queue::Answerers;
use crate::caller::Asker;
use crate::clock;
use crate::daemon::Daemon;
use crate::pipeline::OpenError;
use crate::root::POLICY;
use serde::Serialize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use ward_audit::{Durability, EventType, Record};
use ward_policy::{
    Caller, Decision, FileId, Grant, Operation, OperationSet, Question, RequestId, SecretPath,
    Ticket, VaultName,
};
use ward_store::Existing;
use zeroize::Zeroizing;

/// One command of one caller, on its way through the daemon.
#[derive(Debug)]
pub(crate) struct Control<'a> {
    pub(super) daemon: &'a Arc<Daemon>,
    pub(super) caller: Arc<Caller>,
    pub(super) asker: Asker,
    pub(super) descriptor: Option<OwnedFd>,
    /// Where it came from.
    pub(super) connection: BorrowedFd<'a>,
}

/// What a command is about; all that is named must be within the caller's rights.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct About<'a> {
    pub(super) vault: Option<&'a VaultName>,
    pub(super) path: Option<&'a SecretPath>,
    pub(super) file: Option<FileId>,
    /// Binds a yes to one state of the thing.
    pub(super) ticket: Option<&'a Ticket>,
}

impl<'a> About<'a> {
    pub(super) fn question(self, operation: Operation) -> Question<'a> {
        Question {
            operations: OperationSet::of(operation),
            vault: self.vault,
            path: self.path,
            file: self.file,
            ticket: self.ticket,
            ..Question::default()
        }
    }
}

/// Serves one connection until it ends.
pub(crate) fn serve(daemon: &Arc<Daemon>, mut connection: Connection) {
    let callers = &daemon.pipeline.callers;
    let peer = Peer::of(&connection, callers);
    loop {
        let answer = match connection.receive() {
            Ok(Some(line)) => {
                let sender = match &peer {
                    Ok(peer) => peer.identify(line.sender, callers),
                    Err(PeerError::Unidentified(error)) => {
                        let failure = super::failure::of_identity(error);
                        let _other_side_is_gone =
                            connection.send(&encoded::<()>(Err(failure)), None);
                        return;
                    }
                    Err(_) => return,
                };
                match sender {
                    Ok(sender) => match answer(daemon, line, sender, &connection) {
                        Some(answer) => answer,
                        None => return,
                    },
                    Err(error) => return refuse(daemon, &error),
                }
            }
            Ok(None) => return,
            Err(error @ ReceiveError::TooLong) => {
                let failure = malformed(&error.to_string());
                let _other_side_is_gone = connection.send(&encoded::<()>(Err(failure)), None);
                return;
            }
            Err(ReceiveError::Cut | ReceiveError::Mixed | ReceiveError::Socket(_)) => return,
        };
        let sent = connection.send(&answer, None);
        if daemon.is_stopping() {
            // Whether or not the one who asked for it still listens.
            daemon.leave();
            return;
        }
        if sent.is_err() {
            return;
        }
    }
}

/// Records who sent on a connection that is not theirs; it is closed without a word.
fn refuse(daemon: &Arc<Daemon>, error: &PeerError) {
    if let Some(intruder) = error.intruder() {
        let reason = error.to_string();
        let record =
            Record::new(EventType::Refused).by(intruder).decision(ward_audit::Outcome::Denied);
        // A log that has stopped serves nobody in any case.
        let record = record.reason(&reason);
        let _log_has_stopped =
            daemon.pipeline.log.append(record, Durability::Durable, clock::stamp());
    }
}

/// The answer to one line, ready to be sent; none when the other side has gone.
fn answer(
    daemon: &Arc<Daemon>,
    line: Line,
    (asker, caller): (Asker, Arc<Caller>),
    connection: &Connection,
) -> Option<Zeroizing<Vec<u8>>> {
    let request = match parse(&line.bytes) {
        Ok(request) => request,
        Err(failure) => return Some(encoded::<()>(Err(failure))),
    };
    let descriptor = line.descriptor;
    let control = Control { daemon, caller, asker, descriptor, connection: connection.as_fd() };
    let control = match &request.agent {
        None => control,
        Some(name) => match control.acting(name) {
            Ok(control) => control,
            Err(failure) => return Some(encoded::<()>(Err(failure))),
        },
    };
    if matches!(request.command, Command::Watch {}) {
        return control.follow(connection);
    }
    if let Command::Sidecar { token } = &request.command {
        return control.sidecar(token.as_ref(), connection);
    }
    if let Command::AuditFollow { filter } = &request.command {
        return control.follow_log(filter, connection);
    }
    Some(control.perform(request.command))
}

/// A request of our version; version and form are told apart, so that an old client hears why.
fn parse(line: &[u8]) -> Result<Request, Failure> {
    #[derive(serde::Deserialize)]
    struct Versioned {
        version: u32,
    }
    let fault = |error: serde_json::Error| {
        // Only the place: the text around it may be a secret.
        malformed(&format!("the line is no request (column {})", error.column()))
    };
    let Versioned { version } = serde_json::from_slice(line).map_err(fault)?;
    if version != VERSION {
        return Err(Failure {
            code: FailureCode::Version,
            message: format!("this daemon speaks version {VERSION} of the protocol, not {version}"),
            next: Some("use the ward that came with the daemon".to_owned()),
            request: None,
        });
    }
    serde_json::from_slice(line).map_err(fault)
}

fn malformed(message: &str) -> Failure {
    Failure {
        code: FailureCode::Malformed,
        message: message.to_owned(),
        next: Some("see docs/protocol.md".to_owned()),
        request: None,
    }
}

/// One line of answer; wiped when dropped, since it may hold a secret.
pub(super) fn encoded<T: Serialize>(outcome: Result<T, Failure>) -> Zeroizing<Vec<u8>> {
    let outcome = match outcome {
        Ok(result) => Outcome::Result(result),
        Err(failure) => Outcome::Error(failure),
    };
    let line = serde_json::to_vec(&Answer { version: VERSION, outcome });
    Zeroizing::new(line.unwrap_or_default())
}

impl Control<'_> {
    #[expect(clippy::too_many_lines, reason = "an arm for each command")]
    fn perform(self, command: Command) -> Zeroizing<Vec<u8>> {
        match command {
            Command::Status {} => encoded(self.status()),
            Command::Metrics {} => encoded(self.metrics()),
            Command::Whoami {} => encoded(self.whoami()),
            Command::DaemonStop {} => encoded(self.stop()),
            Command::Set { vault, path, value, ttl, replace } => {
                let existing = if replace { Existing::Replace } else { Existing::Keep };
                encoded(self.set((&vault, &path), &value, (ttl, existing)))
            }
            Command::Get { vault, path, to } => encoded(self.get(&vault, &path, &to)),
            Command::PipeCheck { vault, path, to } => encoded(self.pipe_check(&vault, &path, &to)),
            Command::List { vault } => encoded(self.list(&vault)),
            Command::Revoke { vault, path } => encoded(self.revoke(&vault, &path)),
            Command::SecretStatus { vault, path } => encoded(self.secret_status(&vault, &path)),
            Command::SecretGrant { vault, path, client, seconds } => {
                encoded(self.secret_grant((&vault, &path), &client, seconds))
            }
            Command::History { vault, path } => encoded(self.history(&vault, &path)),
            Command::Restore { vault, path, version } => {
                encoded(self.restore(&vault, &path, version))
            }
            Command::Request { vault, path, operations, reason, ticket } => {
                encoded(self.request((&vault, &path), &operations, &reason, ticket.as_deref()))
            }
            // It goes on: see `answer`.
            Command::Sidecar { .. } => encoded::<()>(Err(malformed("it takes a connection"))),
            // Subscriptions go on: see `answer`.
            Command::ListPending {} | Command::Watch {} => encoded(self.pending()),
            Command::VaultAskFile { vault, path, reason, from, ticket, uses, seconds } => {
                let wished = (uses, seconds);
                encoded(self.ask_file((&vault, &path), (reason, from), ticket.as_deref(), wished))
            }
            Command::GrantRevoke { lease } => encoded(self.grant_revoke(&lease)),
            Command::RequestState { request } => encoded(self.request_state(&request)),
            Command::ApprovalBinding { request, terms } => {
                encoded(self.approval_binding(&request, &terms))
            }
            Command::Approve { request, terms, evidence } => {
                encoded(self.approve(&request, &terms, evidence.as_ref()))
            }
            Command::ApprovalPassphrase { old, new } => {
                encoded(self.approval_passphrase(old.as_ref(), &new))
            }
            Command::Deny { request, reason } => encoded(self.deny(&request, reason.as_deref())),
            Command::VaultInit { vault, kind, owner, slot } => {
                encoded(self.vault_init(&vault, (kind, owner), &slot))
            }
            Command::VaultUnlock { vault, passphrase } => {
                encoded(self.vault_unlock(&vault, &passphrase))
            }
            Command::VaultMount {
                vault,
                path: _,
                ttl,
                idle,
                read_only,
                made_directory,
                purpose,
            } => {
                let order = Order { ttl, idle, read_only, made_directory, purpose };
                encoded(self.vault_mount(&vault, order))
            }
            Command::VaultExtend { vault, ttl } => encoded(self.vault_extend(&vault, ttl)),
            Command::VaultLeave { vault, hold } => encoded(self.vault_leave(&vault, &hold)),
            Command::VaultUnmount { vault } => encoded(self.vault_unmount(&vault)),
            Command::VaultList {} => encoded(self.vault_list()),
            Command::VaultStatus { vault } => encoded(self.vault_status(&vault)),
            Command::VaultAcceptRestore { vault, passphrase } => {
                encoded(self.accept_restore(&vault, passphrase.as_ref()))
            }
            Command::VaultInfo { vault } => encoded(self.vault_info(&vault)),
            Command::VaultCompact { vault } => encoded(self.compact(&vault)),
            Command::VaultKeyList { vault } => encoded(self.key_list(&vault)),
            Command::VaultKeyAdd { vault, slot } => encoded(self.key_add(&vault, &slot)),
            Command::VaultKeyRemove { vault, slot } => encoded(self.key_remove(&vault, slot)),
            Command::VaultRekey { vault, passphrases, remove } => {
                encoded(self.rekey(&vault, &passphrases, &remove))
            }
            Command::VaultHeaderBackup { vault } => encoded(self.header_backup(&vault)),
            Command::VaultHeaderRestore { vault, header, passphrase } => {
                encoded(self.header_restore(&vault, &header, passphrase.as_ref()))
            }
            Command::AgentRun { agent } => encoded(self.agent_run(&agent)),
            Command::AgentPin { pid } => encoded(self.agent_pin(pid)),
            Command::AuditShow { filter } | Command::AuditFollow { filter } => {
                encoded(self.audit_show(&filter))
            }
            Command::Access { client } => encoded(self.access(&client)),
            Command::Verify {} => encoded(self.verify()),
            Command::AuditVerify { head, evidence } => {
                encoded(self.audit_verify(head.as_deref(), evidence))
            }
            Command::AuditHead {} => encoded(self.audit_head()),
            Command::AuditShip {} => encoded(self.audit_ship()),
            Command::AuditProve { seq } => encoded(self.audit_prove(seq)),
            Command::AuditRotateKey {} => encoded(self.audit_rotate_key()),
            Command::AuditCompromise { kid, since } => encoded(self.audit_compromise(&kid, &since)),
            Command::PolicyCheck {} => encoded(self.policy_check()),
            Command::PolicyExplain { ask, pid } => encoded(self.policy_explain(&ask, pid)),
            Command::Explain { seq } => encoded(self.explain(seq)),
            Command::PolicyReload {} => encoded(self.policy_reload()),
            Command::Plan { steps } => encoded(self.plan(&steps)),
            Command::Check(ask) => encoded(self.check(&ask)),
        }
    }

    /// Asks policy, and records the yes or the no before anything is done.
    pub(super) fn permit(
        &self,
        operation: Operation,
        event: EventType,
        about: About<'_>,
    ) -> Result<(), Failure> {
        let grant = self.decided(operation, about)?;
        self.record(Record::new(event).by(&self.caller).granted(&grant))
    }

    /// Asks policy; a no is recorded, and a yes by whoever acts on it.
    pub(super) fn decided(&self, operation: Operation, about: About<'_>) -> Result<Grant, Failure> {
        let question = about.question(operation);
        let decision = self.daemon.pipeline.policy.evaluate(&self.caller, &question);
        self.grant(&question, decision, None)
    }

    /// The same, with an approver's yes even where a rule allows it; `words` tell the approver why.
    pub(super) fn permit_with_a_human(
        &self,
        operation: Operation,
        about: About<'_>,
        words: &str,
    ) -> Result<(), Failure> {
        let question = about.question(operation);
        let policy = &self.daemon.pipeline.policy;
        let decision = policy.evaluate_with_a_human(&self.caller, &question);
        let grant = self.grant(&question, decision, Some(words))?;
        let record = Record::new(EventType::Command).by(&self.caller).granted(&grant);
        self.record(record.reason(words))
    }

    /// Refuses who may not even ask, before anything is looked at.
    pub(super) fn may_ask(&self, operation: Operation, about: About<'_>) -> Result<(), Failure> {
        let question = about.question(operation);
        let policy = &self.daemon.pipeline.policy;
        match policy.evaluate_with_a_human(&self.caller, &question) {
            denied @ Decision::Denied(_) => self.grant(&question, denied, None).map(drop),
            Decision::Permitted(_) | Decision::NeedsApproval(_) => Ok(()),
        }
    }

    /// Whether the policy lets it now. It is only looked at, and not recorded.
    pub(super) fn may(&self, operation: Operation, about: About<'_>) -> bool {
        match self.daemon.pipeline.policy.evaluate(&self.caller, &about.question(operation)) {
            Decision::Permitted(permit) => {
                let _looked_at_only = permit;
                true
            }
            Decision::NeedsApproval(_) | Decision::Denied(_) => false,
        }
    }

    /// What was granted; where a human must be asked, by a lease that answers it already.
    pub(super) fn grant(
        &self,
        question: &Question<'_>,
        decision: Decision,
        words: Option<&str>,
    ) -> Result<Grant, Failure> {
        let pipeline = &self.daemon.pipeline;
        match decision {
            Decision::Permitted(permit) => Ok(permit.spend().0),
            Decision::NeedsApproval(request) => {
                match pipeline.leases.find(&request, &self.caller) {
                    Some(lease) => Ok(lease.grant().clone()),
                    None => {
                        let id = pipeline.request(&self.caller, question, request, (words, None));
                        let id = id.map_err(|error| self.refused(&error, question))?;
                        Err(self.waits_for_approval(id, words))
                    }
                }
            }
            Decision::Denied(denial) => {
                let refused = pipeline.record_refusal(&self.caller, question, &denial);
                Err(refused.map_or_else(|error| of_open(&error), denied))
            }
        }
    }

    /// A request of the caller waits; the failure names who can answer, or how somebody could.
    pub(super) fn waits_for_approval(&self, id: RequestId, words: Option<&str>) -> Failure {
        let pipeline = &self.daemon.pipeline;
        let answerers = pipeline.approvals.answerers(&pipeline.policy.rules(), id);
        let next = match answerers {
            None | Some(Answerers::AskerToo) => ask_an_approver(id),
            Some(Answerers::Others(clients)) if clients.is_empty() => {
                let policy = self.daemon.root.join(POLICY);
                let (policy, daemon) = (policy.display(), std::process::id());
                format!(
                    "who asks cannot answer, and the policy names no approver of another user: add \
                     one to {policy}, as its example [clients.admin] shows, have the daemon take \
                     it (kill -HUP {daemon}), then try again"
                )
            }
            Some(Answerers::Others(clients)) => {
                let clients = clients.join(" or ");
                format!(
                    "who asks cannot answer: have {clients} (clients of the policy), as another \
                     user than you, run: ward approve {id}; then try again"
                )
            }
        };
        needs_approval(id, words, next)
    }

    /// Whether the caller may answer requests.
    pub(super) fn is_approver(&self) -> bool {
        self.daemon.pipeline.policy.rules().is_approver(&self.caller)
    }

    pub(super) fn record(&self, record: Record<'_>) -> Result<(), Failure> {
        let appended = self.daemon.pipeline.log.append(record, Durability::Durable, clock::stamp());
        appended.map(|_receipt| ()).map_err(|error| of_open(&OpenError::from(error)))
    }
}
