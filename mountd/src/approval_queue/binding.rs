//! The binding: what exactly a yes gives, to whom, for which request, until when. What is signed.
//!
//! Canonical JSON (RFC 8785), by fields in sorted order (docs/formats.md).

use super::{AnswerError, ApprovalQueue, Pending, Question, Yes};
use crate::clock;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::time::Duration;
use ward_policy::{Digest, Given, Moment, ProcessId, RequestId, Scope, ScopeKind, UNTIL_UNMOUNT};

/// What makes a request differ from every other, also from those of another daemon.
#[derive(Clone, Debug)]
pub(super) struct Nonce {
    digits: String,
    /// When the request ends; read once, so that the text never changes.
    expires: String,
}

impl Nonce {
    /// A new one; `None` when the kernel gives no random bytes.
    pub(super) fn new(expires: Moment) -> Option<Self> {
        let mut random = [0; 32];
        getrandom::fill(&mut random).ok()?;
        let digits = Digest::from_bytes(random).to_string();
        Some(Self { digits, expires: clock::wall_text(expires) })
    }
}

#[derive(Serialize)]
struct Binding<'a> {
    asker: Asker<'a>,
    expires: &'a str,
    grant: Granted<'a>,
    nonce: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    question: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    request: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ticket: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vault: Option<&'a str>,
    version: u32,
}

#[derive(Serialize)]
struct Asker<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    acting: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exe: Option<String>,
    grade: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    uid: u32,
}

#[derive(Serialize)]
struct Granted<'a> {
    lease: String,
    operations: Vec<&'a str>,
    scope: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    uses: Option<u32>,
}

/// What the question is a hash of.
#[derive(Serialize)]
struct Asked<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    acting: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    operations: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    program: Option<String>,
    scope: String,
    uid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    vault: Option<&'a str>,
}

impl ApprovalQueue {
    /// What a yes would give, as text: what is signed.
    pub(crate) fn binding(&self, id: RequestId, yes: &Yes<'_>) -> Result<String, AnswerError> {
        let state = self.state();
        let pending = state.pending.get(&id).ok_or(AnswerError::NotPending)?;
        pending.binding(id, pending.given(yes)?)
    }
}

impl Pending {
    /// The binding of a yes to it that gives `given`.
    pub(super) fn binding(&self, id: RequestId, given: Given) -> Result<String, AnswerError> {
        let (grant, asker) = (self.request.grant(), &self.asker);
        let executable = asker.executable.as_deref();
        let path = executable.and_then(|executable| executable.path.as_deref());
        let binding = Binding {
            asker: Asker {
                acting: asker.acting.as_ref().map(|acting| acting.name().as_str()),
                agent: asker.agent.as_deref().map(|agent| agent.name.as_str()),
                exe: path.map(|path| String::from_utf8_lossy(path).into_owned()),
                grade: asker.grade().name(),
                sha256: asker.program().map(|program| program.to_string()),
                uid: asker.uid.0,
            },
            expires: &self.nonce.expires,
            grant: Granted {
                lease: lease(given),
                operations: grant.operations.iter().map(|each| each.name()).collect(),
                scope: given.scope.name(),
                uses: given.uses,
            },
            nonce: &self.nonce.digits,
            path: grant.path.as_ref().map(ToString::to_string),
            question: self.question.digest()?.to_string(),
            reason: self.reason.as_deref(),
            request: id.to_string(),
            ticket: grant.ticket.as_ref().map(|ticket| ticket.as_str()),
            vault: grant.vault.as_ref().map(|vault| vault.as_str()),
            version: 1,
        };
        serde_json::to_string(&binding).map_err(|_| AnswerError::NotPending)
    }
}

impl Question {
    fn digest(&self) -> Result<Digest, AnswerError> {
        let asked = Asked {
            acting: self.holder.acting().map(ToString::to_string),
            agent: self.holder.agent().map(|agent| agent.to_string()),
            file: self.file.map(|file| file.0.to_string()),
            operations: self.operations.iter().map(|each| each.name()).collect(),
            path: self.path.as_ref().map(ToString::to_string),
            program: self.holder.program().map(|program| program.to_string()),
            scope: scope(self.holder.scope()),
            uid: self.holder.uid().0,
            vault: self.vault.as_ref().map(|vault| vault.as_str()),
        };
        let text = serde_json::to_vec(&asked).map_err(|_| AnswerError::NotPending)?;
        Ok(Digest::from_bytes(Sha256::digest(text).into()))
    }
}

/// Seconds, or until when else.
fn lease(given: Given) -> String {
    if given.lifetime == UNTIL_UNMOUNT {
        "unmount".to_owned()
    } else {
        format!("{}s", given.lifetime.as_secs())
    }
}

/// What a binding says that a yes gave; `None` when it is none.
pub(super) fn given_by(binding: &str) -> Option<Given> {
    let binding: serde_json::Value = serde_json::from_str(binding).ok()?;
    let grant = binding.get("grant")?;
    let lifetime = match grant.get("lease")?.as_str()? {
        "unmount" => UNTIL_UNMOUNT,
        seconds => Duration::from_secs(seconds.strip_suffix('s')?.parse().ok()?),
    };
    let scopes = [ScopeKind::Process, ScopeKind::Session, ScopeKind::Program];
    let scope = grant.get("scope")?.as_str()?;
    let uses = grant.get("uses").map(|uses| uses.as_u64().and_then(|it| u32::try_from(it).ok()));
    let uses = match uses {
        Some(uses) => Some(uses?),
        None => None,
    };
    let scope = scopes.into_iter().find(|kind| kind.name() == scope)?;
    Some(Given { uses, lifetime, scope })
}

fn scope(scope: &Scope) -> String {
    let process = |process: &ProcessId| format!("{} {}", process.number, process.start_ticks);
    match scope {
        Scope::Process(it) => format!("process {}", process(it)),
        Scope::Session(session) => {
            let cgroup = String::from_utf8_lossy(session.cgroup.as_bytes()).into_owned();
            format!("session {} {cgroup}", process(&session.leader))
        }
        Scope::Agent => "agent".to_owned(),
        Scope::Name => "name".to_owned(),
        Scope::Program => "program".to_owned(),
    }
}
