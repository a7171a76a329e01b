//! The terms of an approve rule: what a human's yes must be like, and what it gives.

use crate::local_time::Zone;
use crate::rule::Vocabulary;
use crate::rule_text::{Fault, Field};
use crate::{
    Approvers, Caller, Factor, Factors, Grade, GuardSettings, Names, Obligations, Require,
    SameUser, ScopeKind, Sensitivity,
};
use std::collections::BTreeSet;
use std::time::Duration;

/// No lease lasts longer, whatever the policy says.
const LONGEST_LEASE: Duration = Duration::from_secs(60 * 60);
/// The lease of a rule that says `lease = "unmount"`: no mount lasts longer, and its end is the lease's.
pub const UNTIL_UNMOUNT: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a yes that no rule asked for waits to be used.
const HUMAN_LEASE: Duration = Duration::from_secs(10 * 60);
/// No open waits longer.
const LONGEST_HOLD: Duration = Duration::from_secs(60);

/// Programs that do whatever their arguments say: a lease for one of them is one for everything. Sorted.
const GENERIC_PROGRAMS: &[&[u8]] = &[
    b"ash", b"awk", b"base64", b"bash", b"busybox", b"cat", b"cp", b"curl", b"dash", b"dd", b"env",
    b"fish", b"gawk", b"grep", b"head", b"install", b"ksh", b"less", b"mawk", b"more", b"mv",
    b"nano", b"nc", b"od", b"perl", b"rsync", b"scp", b"sed", b"sh", b"ssh", b"tail", b"tar",
    b"tee", b"toybox", b"vi", b"vim", b"wget", b"xxd", b"zsh",
];

/// `[defaults]`: what rules say by saying nothing.
#[derive(Debug)]
pub(crate) struct Defaults {
    pub(crate) lease: Duration,
    pub(crate) hold: Duration,
    pub(crate) factors: Option<Factors>,
    pub(crate) zone: Zone,
    /// More programs that do whatever their arguments say, by the names of their files.
    pub(crate) generic_programs: BTreeSet<Box<[u8]>>,
    pub(crate) guards: GuardSettings,
    /// How sensitive is what no target grades.
    pub(crate) ungraded: Sensitivity,
}

/// What one approve rule demands.
#[derive(Debug)]
pub(crate) struct Terms {
    require: Require,
    factors: Factors,
    lease: Duration,
    by: Option<Names>,
    quorum: u32,
    scope: ScopeKind,
}

impl Defaults {
    /// Reads `[defaults]`.
    pub(crate) fn read(field: Option<Field<'_>>) -> Result<Self, Fault> {
        let mut defaults = Self {
            lease: Duration::from_secs(600),
            hold: Duration::from_secs(15),
            factors: None,
            zone: Zone::default(),
            generic_programs: BTreeSet::new(),
            guards: GuardSettings::default(),
            ungraded: Sensitivity::Internal,
        };
        let Some(field) = field else {
            return Ok(defaults);
        };
        let table = field.table()?;
        table.allow_only(
            &[
                "lease",
                "hold",
                "factors",
                "timezone",
                "generic_programs",
                "rate",
                "risk",
                "ungraded",
            ],
            &[],
        )?;
        if let Some(lease) = table.field("lease") {
            defaults.lease = lease.duration(LONGEST_LEASE)?;
        }
        if let Some(hold) = table.field("hold") {
            defaults.hold = hold.duration(LONGEST_HOLD)?;
        }
        defaults.factors = table.field("factors").map(read_factors).transpose()?;
        if let Some(zone) = table.field("timezone") {
            defaults.zone = Zone::parse(zone.text()?).map_err(|message| zone.fault(message))?;
        }
        defaults.guards = GuardSettings::read(&table)?;
        if let Some(ungraded) = table.field("ungraded") {
            // Defaults can only tighten, so nothing is public without a target.
            let grades = [Sensitivity::Internal, Sensitivity::Restricted, Sensitivity::Critical];
            defaults.ungraded = ungraded.choice(&grades.map(|grade| (grade.name(), grade)))?;
        }
        if let Some(programs) = table.field("generic_programs") {
            let read = |item: Field<'_>| item.name().map(|name| name.as_bytes().into());
            defaults.generic_programs =
                programs.list()?.into_iter().map(read).collect::<Result<_, _>>()?;
        }
        Ok(defaults)
    }
}

impl Terms {
    /// Reads `approve = { .. }` of a rule with that `scope`.
    pub(crate) fn read(
        field: Field<'_>,
        scope: ScopeKind,
        vocabulary: &Vocabulary<'_>,
    ) -> Result<Self, Fault> {
        let Vocabulary { defaults, same_user, has_approver, .. } = vocabulary;
        let table = field.table()?;
        table.allow_only(
            &["require", "factors", "lease", "by", "quorum"],
            &["hold", "uses", "rate", "risk"],
        )?;
        let require = table.required("require", "require = \"first_use\"")?.choice(
            &[Require::FirstUse, Require::OneTime, Require::Always].map(|it| (it.name(), it)),
        )?;
        let factors = match table.field("factors") {
            Some(factors) => read_factors(factors)?,
            None => defaults.factors.ok_or_else(|| {
                table.fault("`factors` is missing; add factors = { any = [\"local\"] }")
            })?,
        };
        let lease = table.field("lease").map(read_lease).transpose()?;
        let quorum = table.field("quorum").map_or(Ok(1), Field::count)?;
        let by = table.field("by").map(|by| read_approvers(by, vocabulary)).transpose()?;
        let is_answerable = by.as_ref().map_or(*has_approver, |by| !by.is_empty());
        if !is_answerable && *same_user == SameUser::Deny {
            return Err(table
                .field("by")
                .unwrap_or(field)
                .fault("nobody could answer this; give role = \"approver\" to a client it names"));
        }
        Ok(Self { require, factors, lease: lease.unwrap_or(defaults.lease), by, quorum, scope })
    }

    /// The least grade of a caller whose client names none: a signed yes deserves a sure asker.
    pub(crate) fn least_grade(&self) -> Grade {
        let mut factors = self.factors.iter().flat_map(crate::AnyFactor::iter);
        if factors.any(|factor| factor != Factor::Local) { Grade::Verified } else { Grade::Weak }
    }

    /// What a human's yes takes that no rule asked for: it serves once, and soon.
    pub(crate) fn of_a_human(hold: Duration) -> Obligations {
        Obligations {
            require: Require::OneTime,
            factors: Factors::any([Factor::Local]),
            lease: HUMAN_LEASE,
            uses: None,
            hold,
            approvers: Approvers::AnyApprover,
            quorum: 1,
            scope: ScopeKind::Session,
            is_sensitive: false,
        }
    }

    /// What the owner's yes takes where rules only allow: that of an approve rule that says nothing
    /// more than it must, for the session that asked.
    pub(crate) fn of_an_owner(defaults: &Defaults) -> Obligations {
        Obligations {
            require: Require::FirstUse,
            factors: defaults.factors.unwrap_or_else(|| Factors::any([Factor::Local])),
            lease: defaults.lease,
            ..Self::of_a_human(defaults.hold)
        }
    }

    /// Adds up what all of `terms` demand of `caller`'s approval.
    pub(crate) fn add_up<'terms>(
        terms: impl Iterator<Item = &'terms Self>,
        widest: ScopeKind,
        hold: Duration,
    ) -> Obligations {
        let mut sum = Obligations {
            require: Require::FirstUse,
            factors: Factors::default(),
            lease: UNTIL_UNMOUNT,
            uses: None,
            hold,
            approvers: Approvers::AnyApprover,
            quorum: 1,
            scope: widest,
            is_sensitive: false,
        };
        for each in terms {
            sum.require = sum.require.max(each.require);
            sum.factors = sum.factors.and(each.factors);
            sum.lease = sum.lease.min(each.lease);
            sum.quorum = sum.quorum.max(each.quorum);
            sum.scope = sum.scope.min(each.scope);
            if let Some(by) = &each.by {
                match &mut sum.approvers {
                    Approvers::AnyApprover => sum.approvers = Approvers::Clients(by.clone()),
                    Approvers::Clients(so_far) => so_far.retain(|name| by.contains(name)),
                }
            }
        }
        sum
    }
}

impl Defaults {
    /// How widely a lease of `caller` may reach: for the whole program only one that is sure of what
    /// it runs, and runs something that does one thing.
    pub(crate) fn widest_scope(&self, caller: &Caller) -> ScopeKind {
        let path = caller.executable.as_ref().and_then(|executable| executable.path.as_deref());
        let name = path.and_then(|path| path.rsplit(|byte| *byte == b'/').next());
        match name {
            Some(name) if caller.grade() == Grade::Verified && !self.is_generic(name) => {
                ScopeKind::Program
            }
            Some(_) | None => ScopeKind::Session,
        }
    }

    fn is_generic(&self, name: &[u8]) -> bool {
        // python3.12, node-22 and ld-linux-x86-64.so.2 carry a version.
        let interpreters: [&[u8]; 6] = [b"python", b"node", b"ruby", b"php", b"java", b"ld-"];
        GENERIC_PROGRAMS.binary_search(&name).is_ok()
            || self.generic_programs.contains(name)
            || interpreters.iter().any(|stem| name.starts_with(stem))
    }
}

/// Reads `{ any = [..] }` or `{ all = [..] }`.
fn read_factors(field: Field<'_>) -> Result<Factors, Fault> {
    let table = field.table()?;
    table.allow_only(&["any", "all"], &[])?;
    let read = |list: Field<'_>| -> Result<Vec<Factor>, Fault> {
        list.list()?.into_iter().map(read_factor).collect()
    };
    match (table.field("any"), table.field("all")) {
        (Some(any), None) => read(any).map(Factors::any),
        (None, Some(all)) => read(all).map(Factors::all),
        (Some(_), Some(_)) | (None, None) => {
            Err(field.fault("`factors` must be { any = [..] } or { all = [..] }"))
        }
    }
}

/// A time, or `"unmount"`.
fn read_lease(field: Field<'_>) -> Result<Duration, Fault> {
    match field.text() {
        Ok("unmount") => Ok(UNTIL_UNMOUNT),
        Ok(_) | Err(_) => field.duration(LONGEST_LEASE),
    }
}

fn read_factor(field: Field<'_>) -> Result<Factor, Fault> {
    field.choice(&Factor::ALL.map(|factor| (factor.name(), factor)))
}

/// The approvers among the clients that `by` names.
fn read_approvers(by: Field<'_>, vocabulary: &Vocabulary<'_>) -> Result<Names, Fault> {
    let mut names = Names::new();
    for item in by.list()? {
        let client = vocabulary.client_of(item)?;
        if client.is_approver() {
            names.push(client.name().clone());
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_that_do_what_they_are_told_are_sorted_so_that_each_is_found() {
        assert!(GENERIC_PROGRAMS.is_sorted());
    }
}
