//! The terms of an approve rule: what a human's yes must be like, and what it gives.

use crate::client::Client;
use crate::rule_text::{Fault, Field};
use crate::{Approvers, Caller, Factor, Grade, Obligations, Require, SameUser, ScopeKind};
use std::sync::Arc;
use std::time::Duration;

/// No lease lasts longer, whatever the policy says.
const LONGEST_LEASE: Duration = Duration::from_secs(60 * 60);
/// How long a yes that no rule asked for waits to be used.
const HUMAN_LEASE: Duration = Duration::from_secs(10 * 60);
/// No open waits longer.
const LONGEST_HOLD: Duration = Duration::from_secs(60);

/// Programs that do whatever their arguments say: a lease for one of them is one for everything.
const GENERIC_PROGRAMS: &[&[u8]] = &[
    b"ash", b"awk", b"base64", b"bash", b"busybox", b"cat", b"cp", b"curl", b"dash", b"dd", b"env",
    b"fish", b"gawk", b"grep", b"head", b"install", b"ksh", b"less", b"mawk", b"more", b"mv",
    b"nano", b"nc", b"od", b"perl", b"rsync", b"scp", b"sed", b"sh", b"ssh", b"tail", b"tar",
    b"tee", b"toybox", b"vi", b"vim", b"wget", b"xxd", b"zsh",
];

/// `[defaults]`: what an approve rule says by saying nothing.
#[derive(Debug)]
pub(crate) struct Defaults {
    pub(crate) lease: Duration,
    pub(crate) hold: Duration,
    pub(crate) factors: Option<Factors>,
}

/// Classes of evidence: one of each inner list.
pub(crate) type Factors = Arc<[Arc<[Factor]>]>;

/// What one approve rule demands.
#[derive(Debug)]
pub(crate) struct Terms {
    require: Require,
    factors: Factors,
    lease: Duration,
    by: Option<Vec<Arc<str>>>,
    quorum: u32,
    scope: ScopeKind,
}

impl Defaults {
    /// Reads `[defaults]`.
    pub(crate) fn read(field: Option<Field<'_>>) -> Result<Self, Fault> {
        let mut defaults =
            Self { lease: Duration::from_secs(600), hold: Duration::from_secs(15), factors: None };
        let Some(field) = field else {
            return Ok(defaults);
        };
        let table = field.table()?;
        table.allow_only(
            &["lease", "hold", "factors", "timezone"],
            &["rate", "breaker", "within", "cooldown", "risk", "generic_programs"],
        )?;
        if let Some(lease) = table.field("lease") {
            defaults.lease = lease.duration(LONGEST_LEASE)?;
        }
        if let Some(hold) = table.field("hold") {
            defaults.hold = hold.duration(LONGEST_HOLD)?;
        }
        defaults.factors = table.field("factors").map(read_factors).transpose()?;
        if let Some(zone) = table.field("timezone")
            && zone.text()? != "UTC"
        {
            return Err(zone.fault("this version knows no time zone but \"UTC\"; write \"UTC\""));
        }
        Ok(defaults)
    }
}

impl Terms {
    /// Reads `approve = { .. }` of a rule with that `scope`.
    pub(crate) fn read(
        field: Field<'_>,
        scope: ScopeKind,
        defaults: &Defaults,
        clients: &[Arc<Client>],
        same_user: SameUser,
    ) -> Result<Self, Fault> {
        let table = field.table()?;
        table.allow_only(
            &["require", "factors", "lease", "by", "quorum"],
            &["hold", "uses", "rate", "risk"],
        )?;
        let require = table.required("require", "require = \"first_use\"")?.choice(&[
            ("first_use", Require::FirstUse),
            ("one_time", Require::OneTime),
            ("always", Require::Always),
        ])?;
        let factors = match table.field("factors") {
            Some(factors) => read_factors(factors)?,
            None => defaults.factors.clone().ok_or_else(|| {
                table.fault("`factors` is missing; add factors = { any = [\"local\"] }")
            })?,
        };
        let lease = table.field("lease").map(|lease| lease.duration(LONGEST_LEASE)).transpose()?;
        let quorum = table.field("quorum").map_or(Ok(1), |quorum| {
            let number = u32::try_from(quorum.number()?).ok().filter(|number| *number > 0);
            number.ok_or_else(|| quorum.fault("`quorum` must be a number of approvers from 1"))
        })?;
        let by = table.field("by").map(|by| read_approvers(by, clients)).transpose()?;
        let nobody = match &by {
            Some(by) => by.is_empty(),
            None => !clients.iter().any(|client| client.is_approver()),
        };
        if nobody && same_user == SameUser::Deny {
            return Err(table
                .field("by")
                .unwrap_or(field)
                .fault("nobody could answer this; give role = \"approver\" to a client it names"));
        }
        Ok(Self { require, factors, lease: lease.unwrap_or(defaults.lease), by, quorum, scope })
    }

    /// The least grade of a caller whose client names none: a signed yes deserves a sure asker.
    pub(crate) fn least_grade(&self) -> Grade {
        let mut factors = self.factors.iter().flat_map(|any| any.iter());
        if factors.any(|factor| matches!(factor, Factor::Signed | Factor::Hardware)) {
            Grade::Verified
        } else {
            Grade::Weak
        }
    }

    /// What a human's yes takes that no rule asked for: it serves once, and soon.
    pub(crate) fn of_a_human(hold: Duration) -> Obligations {
        Obligations {
            require: Require::OneTime,
            factors: [[Factor::Local].into()].into(),
            lease: HUMAN_LEASE,
            hold,
            approvers: Approvers::AnyApprover,
            quorum: 1,
            scope: ScopeKind::Session,
            is_sensitive: false,
        }
    }

    /// Adds up what all of `terms` demand of `caller`'s approval.
    pub(crate) fn add_up<'terms>(
        terms: impl Iterator<Item = &'terms Self>,
        caller: &Caller,
        hold: Duration,
    ) -> Obligations {
        let mut require = Require::FirstUse;
        let mut factors: Vec<Arc<[Factor]>> = Vec::new();
        let mut lease = LONGEST_LEASE;
        let mut approvers: Option<Vec<Arc<str>>> = None;
        let mut quorum = 1;
        let mut scope = widest_scope(caller);
        for each in terms {
            require = require.max(each.require);
            factors.extend(each.factors.iter().cloned());
            lease = lease.min(each.lease);
            if let Some(by) = &each.by {
                approvers = Some(match approvers {
                    None => by.clone(),
                    Some(so_far) => so_far.into_iter().filter(|name| by.contains(name)).collect(),
                });
            }
            quorum = quorum.max(each.quorum);
            scope = scope.min(each.scope);
        }
        factors.sort();
        factors.dedup();
        Obligations {
            require,
            factors: factors.into(),
            lease,
            hold,
            approvers: approvers
                .map_or(Approvers::AnyApprover, |names| Approvers::Clients(names.into())),
            quorum,
            scope,
            is_sensitive: false,
        }
    }
}

/// How widely a lease of `caller` may reach: for the whole program only one that is sure of what
/// it runs, and runs something that does one thing.
fn widest_scope(caller: &Caller) -> ScopeKind {
    let path = caller.executable.as_ref().and_then(|executable| executable.path.as_deref());
    let name = path.and_then(|path| path.rsplit(|byte| *byte == b'/').next());
    match name {
        Some(name) if caller.grade() == Grade::Verified && !is_generic(name) => ScopeKind::Program,
        Some(_) | None => ScopeKind::Session,
    }
}

fn is_generic(name: &[u8]) -> bool {
    // python3.12, node-22 and ld-linux-x86-64.so.2 carry a version.
    let interpreters: [&[u8]; 6] = [b"python", b"node", b"ruby", b"php", b"java", b"ld-"];
    GENERIC_PROGRAMS.contains(&name) || interpreters.iter().any(|stem| name.starts_with(stem))
}

/// Reads `{ any = [..] }` or `{ all = [..] }`.
fn read_factors(field: Field<'_>) -> Result<Factors, Fault> {
    let table = field.table()?;
    table.allow_only(&["any", "all"], &[])?;
    let read = |list: Field<'_>| -> Result<Vec<Factor>, Fault> {
        list.list()?.into_iter().map(read_factor).collect()
    };
    match (table.field("any"), table.field("all")) {
        (Some(any), None) => Ok([read(any)?.into()].into()),
        (None, Some(all)) => Ok(read(all)?.into_iter().map(|one| [one].into()).collect()),
        (Some(_), Some(_)) | (None, None) => {
            Err(field.fault("`factors` must be { any = [..] } or { all = [..] }"))
        }
    }
}

fn read_factor(field: Field<'_>) -> Result<Factor, Fault> {
    let factor = |factor: Factor| (factor.name(), factor);
    field.choice(&[factor(Factor::Local), factor(Factor::Signed), factor(Factor::Hardware)])
}

/// The approvers among the clients that `by` names.
fn read_approvers(by: Field<'_>, clients: &[Arc<Client>]) -> Result<Vec<Arc<str>>, Fault> {
    let mut names = Vec::new();
    for item in by.list()? {
        let name = item.text()?;
        let client = clients.iter().find(|client| **client.name() == *name).ok_or_else(|| {
            item.fault(format!("no client is named {name:?}; define [clients.{name}]"))
        })?;
        if client.is_approver() {
            names.push(Arc::clone(client.name()));
        }
    }
    Ok(names)
}
