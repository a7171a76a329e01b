//! Terms: what a request asks for beyond what its entry says anyway, so that a later daemon can take
//! it up from the log alone.

use crate::entry::{Number, Opener};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::time::Duration;
use ward_policy::{
    AnyFactor, Approvers, Factor, Fingerprint, Grant, Mapping, Obligations, ProcessId, Scope,
};

/// A request as the daemon knows it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// What would be granted.
    pub grant: &'a Grant,
    /// What the answer must satisfy.
    pub obligations: &'a Obligations,
    /// Who would hold the lease.
    pub holder: &'a Fingerprint,
    /// How long it waits for its answer.
    pub patience: Duration,
}

/// The same as the log has it. Times are milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Terms<'a> {
    /// The clients who may answer; absent when every approver may.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approvers: Option<Vec<Cow<'a, str>>>,
    /// Evidence: of each list one.
    pub factors: Vec<Vec<Cow<'a, str>>>,
    /// The number of the file behind the path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<Number>,
    /// The longest an open may wait.
    pub hold: Number,
    /// The leader of the session that would hold the lease.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leader: Option<Opener>,
    /// The longest the lease may last.
    pub lease: Number,
    /// Whether reads may fill pages.
    pub mapped: bool,
    /// How long it waits for its answer.
    pub patience: Number,
    /// How many distinct approvers it takes.
    pub quorum: u32,
    /// How often to ask: `first_use`, `one_time`, `always`.
    pub require: Cow<'a, str>,
    /// Who would hold the lease: `process`, `session`, `agent`, `name`, `program`.
    pub scope: Cow<'a, str>,
    /// Whether the asker's own uid never suffices.
    pub sensitive: bool,
    /// Who else may go on with an open file: `exec`, `children`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<Cow<'a, str>>,
    /// How many opens a yes serves at most, where the asker wants no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uses: Option<u32>,
}

impl Asked<'_> {
    /// As the log has it; `None` for what names secrets beside its path, which is asked anew.
    pub(crate) fn terms<'a>(&self) -> Option<Terms<'a>> {
        let Self { grant, obligations, holder, patience } = self;
        if !grant.secrets.is_empty() {
            return None;
        }
        let (scope, leader) = match holder.scope() {
            Scope::Process(_) => ("process", None),
            Scope::Session(session) => ("session", Some(session.leader)),
            Scope::Agent => ("agent", None),
            Scope::Name => ("name", None),
            Scope::Program => ("program", None),
        };
        let words = |any: AnyFactor| any.iter().map(Factor::name).map(Cow::Borrowed).collect();
        Some(Terms {
            approvers: match &obligations.approvers {
                Approvers::AnyApprover => None,
                Approvers::Clients(names) => {
                    Some(names.iter().map(|name| Cow::Owned(name.to_string())).collect())
                }
            },
            factors: obligations.factors.iter().map(words).collect(),
            file: grant.file.map(|file| Number(file.0)),
            hold: milliseconds(obligations.hold),
            leader: leader.map(process),
            lease: milliseconds(obligations.lease),
            mapped: grant.handle.mapping == Mapping::Allowed,
            patience: milliseconds(*patience),
            quorum: obligations.quorum,
            require: Cow::Borrowed(obligations.require.name()),
            scope: Cow::Borrowed(scope),
            sensitive: obligations.is_sensitive,
            share: grant.handle.share.name().map(Cow::Borrowed),
            uses: obligations.uses,
        })
    }
}

/// A process as entries name it beside the actor.
pub(crate) const fn process(process: ProcessId) -> Opener {
    Opener { pid: process.number, start_ticks: Number(process.start_ticks) }
}

fn milliseconds(duration: Duration) -> Number {
    Number(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
