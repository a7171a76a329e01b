//! What is odd about a policy that loads: rules that cannot do what they seem to.
//!
//! Compares patterns and names as written. Says nothing rather than guess.

use crate::client::{Client, Clients, UnknownHash};
use crate::handle_terms::HandleTerms;
use crate::pattern::Patterns;
use crate::rule::{Rule, Verdict};
use crate::target::Target;
use crate::{Caller, Operation, Rules, SecretPath, VaultName};
use std::fmt;
use std::sync::Arc;

/// Something `ward policy check` tells about a part of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The part, such as `rule db-read`.
    pub about: String,
    /// What is odd about it, and what to do.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.about, self.message)
    }
}

impl Rules {
    /// Everything odd, in the order of the rules.
    pub fn lint(&self) -> Vec<Finding> {
        self.rules.iter().flat_map(|rule| self.faults_of(rule)).collect()
    }

    /// Targets in which none of `names` lies, which are all that there are.
    pub fn targets_without(
        &self,
        names: impl IntoIterator<Item = (VaultName, SecretPath)>,
    ) -> Vec<Finding> {
        let mut idle: Vec<_> = self.targets.iter().collect();
        for (vault, path) in names {
            idle.retain(|target| !target.paths.matches(Some(&vault), Some(&path)));
            if idle.is_empty() {
                break;
            }
        }
        let finding = |target: &Arc<Target>| Finding {
            about: format!("target {}", target.name),
            message: "no file lies in it; mend its `path` if one should".to_owned(),
        };
        idle.into_iter().map(finding).collect()
    }

    /// Clients that none of `callers` is, who are all that live; an approver may well be away, and an
    /// agent's session lives only while it is used.
    pub fn clients_of_nobody(&self, callers: &[Caller]) -> Vec<Finding> {
        let is_one =
            |client: &Client| callers.iter().any(|caller| client.is(caller, UnknownHash::Matches));
        let is_odd = |client: &&Arc<Client>| {
            !client.is_approver() && !client.is_of_a_session() && !is_one(client)
        };
        let finding = |client: &Arc<Client>| Finding {
            about: format!("client {}", client.name()),
            message: "no process that lives shows its facts; mend them if one should".to_owned(),
        };
        if callers.is_empty() {
            return Vec::new();
        }
        self.clients.iter().filter(is_odd).map(finding).collect()
    }

    fn faults_of(&self, rule: &Rule) -> Vec<Finding> {
        let finding = |message| Finding { about: format!("rule {}", rule.name), message };
        let mut findings: Vec<_> = self.unlisted(rule).map(finding).collect();
        findings.extend(too_wide(rule).map(str::to_owned).map(finding));
        let opens = [Operation::FileRead, Operation::FileWrite];
        if rule.handle != HandleTerms::default()
            && !opens.iter().any(|operation| rule.operations.contains(*operation))
        {
            findings.push(finding(
                "permits no open, so `share` and `mapped` say nothing; remove them, or add \
                 file.read"
                    .to_owned(),
            ));
        }
        findings.extend(self.asks_for_what_is_not_there(rule).map(finding));
        if let Some(other) = self.rules.iter().find(|other| silences(other, rule)) {
            findings.push(finding(format!(
                "never decides, because rule {} always does; remove it or raise its `priority`",
                other.name
            )));
            return findings;
        }
        let overriding = self.rules.iter().filter(|other| overrides(other, rule));
        findings.extend(overriding.map(|other| {
            finding(format!(
                "rule {} of priority {} overrides this deny; raise its `priority` if it must hold",
                other.name, other.priority
            ))
        }));
        findings
    }

    /// Conditions that nothing can meet.
    fn asks_for_what_is_not_there(&self, rule: &Rule) -> impl Iterator<Item = String> {
        let conditions = &rule.conditions;
        let label = conditions.label_of_none(&self.targets).map(|label| {
            format!(
                "never decides, because no target has the label `{label}` in a value that `where` \
                 asks for; add it to [targets]"
            )
        });
        let sandbox = conditions.ask_for_a_sandbox().then(|| {
            "never decides, because no session is confined to a sandbox yet; remove `sandbox`"
                .to_owned()
        });
        [label, sandbox].into_iter().flatten()
    }

    /// Operations that a rule would permit and `[ops]` denies to everybody.
    fn unlisted(&self, rule: &Rule) -> impl Iterator<Item = String> {
        let is_yes = !matches!(rule.verdict, Verdict::Deny);
        let is_listed = |operation| self.risk(operation).is_some();
        let has_none = is_yes && !rule.operations.iter().any(is_listed);
        let none = has_none
            .then(|| "never decides, because [ops] lists none of its operations; list them".into());
        let some = rule
            .spelled_out
            .iter()
            .filter(move |operation| is_yes && !has_none && self.risk(*operation).is_none());
        let some = some.map(|operation| {
            format!("permits {operation}, but [ops] does not list it; add it there")
        });
        none.into_iter().chain(some)
    }
}

/// What an allow rule gives without saying to whom or what; an approver may well have everything.
fn too_wide(rule: &Rule) -> Option<&'static str> {
    if !matches!(rule.verdict, Verdict::Allow) {
        return None;
    }
    match &rule.clients {
        Clients::Everybody => Some("allows everybody; name its `clients`"),
        Clients::AnyOf(clients) => {
            let is_for_others = clients.iter().any(|client| !client.is_approver());
            let is_anything = matches!(rule.paths, Some(Patterns::Anything));
            let is_wide = rule.spelled_out.is_empty() && is_anything && rule.targets.is_empty();
            (is_for_others && is_wide).then_some(
                "allows operations and paths by wildcards alone; name what its clients need",
            )
        }
    }
}

/// Whether `rule` can never decide, since `other` always speaks too and counts more.
fn silences(other: &Rule, rule: &Rule) -> bool {
    other.rank() > rule.rank()
        && other.conditions.cover(&rule.conditions)
        && rule.operations.iter().all(|operation| other.operations.contains(operation))
        && hears_all_of(other, rule)
        && holds_all_of(other, rule)
}

/// Whether `other` permits, from a higher tier, something that `rule` denies.
fn overrides(other: &Rule, rule: &Rule) -> bool {
    matches!(rule.verdict, Verdict::Deny)
        && !matches!(other.verdict, Verdict::Deny)
        && other.priority > rule.priority
        && rule.operations.iter().any(|operation| other.operations.contains(operation))
        && share_a_client(&other.clients, &rule.clients)
        && (holds_all_of(other, rule) || holds_all_of(rule, other))
}

/// Whether every caller that `narrow` speaks to is one that `wide` speaks to.
fn hears_all_of(wide: &Rule, narrow: &Rule) -> bool {
    // `None` is less than any grade.
    if wide.grade > narrow.grade {
        return false;
    }
    let Some(wide_least) = wide.least_grade() else {
        return includes(&wide.clients, &narrow.clients);
    };
    let Some(narrow_least) = narrow.least_grade() else {
        return false;
    };
    let accepts_all_grades = match (&wide.clients, &narrow.clients) {
        (_, Clients::Everybody) => wide_least <= narrow_least,
        (Clients::Everybody, Clients::AnyOf(clients)) => {
            clients.iter().all(|client| wide_least <= client.least_grade(narrow_least))
        }
        (Clients::AnyOf(_), Clients::AnyOf(clients)) => clients
            .iter()
            .all(|client| client.least_grade(wide_least) <= client.least_grade(narrow_least)),
    };
    accepts_all_grades && includes(&wide.clients, &narrow.clients)
}

fn includes(wide: &Clients, narrow: &Clients) -> bool {
    match (wide, narrow) {
        (Clients::Everybody, _) => true,
        (Clients::AnyOf(_), Clients::Everybody) => false,
        (Clients::AnyOf(wide), Clients::AnyOf(narrow)) => {
            narrow.iter().all(|client| wide.iter().any(|other| other.name() == client.name()))
        }
    }
}

fn share_a_client(one: &Clients, other: &Clients) -> bool {
    match (one, other) {
        (Clients::Everybody, _) | (_, Clients::Everybody) => true,
        (Clients::AnyOf(one), Clients::AnyOf(other)) => {
            one.iter().any(|client| other.iter().any(|each| each.name() == client.name()))
        }
    }
}

/// Whether every secret that `narrow` speaks of is one that `wide` speaks of.
fn holds_all_of(wide: &Rule, narrow: &Rule) -> bool {
    let narrow = demands(narrow);
    demands(wide).iter().all(|wide| {
        narrow
            .iter()
            .any(|narrow| narrow.iter().all(|narrow| wide.iter().any(|wide| wide.cover(narrow))))
    })
}

/// What a rule demands of a secret: each inner list must have a match.
fn demands(rule: &Rule) -> Vec<Vec<&Patterns>> {
    let paths = rule.paths.iter().map(|paths| vec![paths]);
    let targets: Vec<_> = rule.targets.iter().map(|target| &target.paths).collect();
    paths.chain((!targets.is_empty()).then_some(targets)).collect()
}
