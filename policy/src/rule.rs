//! A rule: for whom, for what, when, and what it says.

use crate::client::{Client, Clients, UnknownHash, read_grade};
use crate::handle_terms::HandleTerms;
use crate::pattern::Patterns;
use crate::rule_text::{Fault, Field, Table};
use crate::target::{Target, read_patterns};
use crate::terms::{Defaults, Terms};
use crate::window::Window;
use crate::{Caller, Grade, LocalTime, Operation, OperationSet, SameUser, ScopeKind};
use crate::{SecretPath, Ticket, VaultName};
use std::sync::Arc;

/// The keys of a rule.
const KEYS: &[&str] = &[
    "name", "clients", "ops", "path", "targets", "when", "ticket", "priority", "decide", "reason",
    "scope", "approve", "mapped", "share", "grade",
];
/// Conditions of the design that nobody enforces yet.
const LATER: &[&str] = &["where", "secrets", "risk", "sandbox", "rate", "hold"];

/// One `[[rule]]`.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) name: Arc<str>,
    pub(crate) reason: Option<Arc<str>>,
    pub(crate) clients: Clients,
    pub(crate) operations: OperationSet,
    /// Those among them that the text names in full, not by `*`.
    pub(crate) spelled_out: OperationSet,
    pub(crate) paths: Option<Patterns>,
    pub(crate) targets: Vec<Arc<Target>>,
    pub(crate) when: Vec<Window>,
    pub(crate) ticket: Option<bool>,
    pub(crate) priority: i64,
    /// The least grade it accepts of anybody, whatever its clients accept.
    pub(crate) grade: Option<Grade>,
    pub(crate) verdict: Verdict,
    pub(crate) handle: HandleTerms,
}

/// What a rule says when it matches.
#[derive(Debug)]
pub(crate) enum Verdict {
    Allow,
    Approve(Terms),
    Deny,
}

/// Everything of a policy that rules may name.
#[derive(Debug)]
pub(crate) struct Vocabulary<'policy> {
    pub(crate) clients: &'policy [Arc<Client>],
    pub(crate) targets: &'policy [Arc<Target>],
    pub(crate) defaults: &'policy Defaults,
    pub(crate) same_user: SameUser,
}

impl Verdict {
    /// deny > approve > allow.
    pub(crate) const fn strictness(&self) -> u8 {
        match self {
            Self::Allow => 0,
            Self::Approve(_) => 1,
            Self::Deny => 2,
        }
    }
}

impl Rule {
    /// Reads one `[[rule]]`.
    pub(crate) fn read(field: Field<'_>, vocabulary: &Vocabulary<'_>) -> Result<Self, Fault> {
        let table = field.table()?;
        table.allow_only(KEYS, LATER)?;
        let name = table.required("name", "name = \"db-read\"")?.name()?;
        let clients = table.required("clients", "clients = [..], or [\"*\"] for everybody")?;
        let operations = table.required("ops", "ops = [\"file.read\"], or [\"*\"] for all")?;
        let (operations, spelled_out) = read_operations(operations)?;
        if table.field("path").is_none() && table.field("targets").is_none() {
            return Err(table.fault(format!(
                "rule `{name}` has neither `path` nor `targets`; add path = [\"*\"] for anything"
            )));
        }
        Ok(Self {
            name: name.into(),
            reason: table.field("reason").map(Field::text).transpose()?.map(Arc::from),
            clients: read_clients(clients, vocabulary.clients)?,
            operations,
            spelled_out,
            paths: table.field("path").map(read_patterns).transpose()?,
            targets: match table.field("targets") {
                Some(targets) => read_targets(targets, vocabulary.targets)?,
                None => Vec::new(),
            },
            when: match table.field("when") {
                Some(when) => {
                    when.list()?.into_iter().map(read_window).collect::<Result<_, _>>()?
                }
                None => Vec::new(),
            },
            ticket: table.field("ticket").map(Field::flag).transpose()?,
            grade: read_rule_grade(&table)?,
            priority: table.field("priority").map_or(Ok(0), Field::number)?,
            verdict: read_verdict(&table, vocabulary)?,
            handle: HandleTerms::read(&table)?,
        })
    }

    /// Whether it speaks of this operation on what lies at `path` of `vault`.
    pub(crate) fn speaks_of(
        &self,
        operation: Operation,
        vault: Option<&VaultName>,
        path: Option<&SecretPath>,
    ) -> bool {
        self.operations.contains(operation)
            && self.paths.as_ref().is_none_or(|paths| paths.matches(vault, path))
            && (self.targets.is_empty()
                || self.targets.iter().any(|target| target.paths.matches(vault, path)))
    }

    /// Whether it speaks to `caller`. A deny rule does so in whatever grade.
    pub(crate) fn speaks_to(&self, caller: &Caller, unknown_hash: UnknownHash) -> bool {
        if self.grade.is_some_and(|least| caller.grade() < least) {
            return false;
        }
        match self.least_grade() {
            None => self.clients.include(caller, unknown_hash),
            Some(least) => self.clients.admit(caller, least, unknown_hash),
        }
    }

    /// The least grade it accepts of clients that name none; `None` when grades do not matter.
    pub(crate) fn least_grade(&self) -> Option<Grade> {
        match &self.verdict {
            Verdict::Allow => Some(Grade::Weak),
            Verdict::Approve(terms) => Some(terms.least_grade()),
            Verdict::Deny => None,
        }
    }

    /// Whether it speaks at this time.
    pub(crate) fn speaks_at(&self, time: LocalTime) -> bool {
        self.when.is_empty() || self.when.iter().any(|window| window.contains(time))
    }

    /// Whether the ticket, or its absence, is what it asks for.
    pub(crate) fn takes(&self, ticket: Option<&Ticket>) -> bool {
        self.ticket.is_none_or(|wanted| wanted == ticket.is_some())
    }
}

/// The least grade. A deny rule that speaks to the believed alone would let the others pass.
fn read_rule_grade(table: &Table<'_>) -> Result<Option<Grade>, Fault> {
    let Some(field) = table.field("grade") else {
        return Ok(None);
    };
    if table.field("decide").is_some_and(|decide| decide.text().is_ok_and(|word| word == "deny")) {
        return Err(field.key_fault("a deny rule speaks to every grade; remove `grade`"));
    }
    read_grade(field).map(Some)
}

fn read_clients(field: Field<'_>, known: &[Arc<Client>]) -> Result<Clients, Fault> {
    let items = field.list()?;
    if let [only] = items.as_slice()
        && only.text()? == "*"
    {
        return Ok(Clients::Everybody);
    }
    let find = |item: Field<'_>| {
        let name = item.text()?;
        if name == "*" {
            return Err(item.fault("\"*\" is everybody and stands alone; remove the others"));
        }
        known.iter().find(|client| **client.name() == *name).cloned().ok_or_else(|| {
            item.fault(format!("no client is named {name:?}; define [clients.{name}]"))
        })
    };
    items.into_iter().map(find).collect::<Result<_, _>>().map(Clients::AnyOf)
}

fn read_targets(field: Field<'_>, known: &[Arc<Target>]) -> Result<Vec<Arc<Target>>, Fault> {
    let find = |item: Field<'_>| {
        let name = item.text()?;
        known.iter().find(|target| *target.name == *name).cloned().ok_or_else(|| {
            item.fault(format!("no target is named {name:?}; define [targets.{name}]"))
        })
    };
    field.list()?.into_iter().map(find).collect()
}

/// The operations a list stands for, and those it names in full.
fn read_operations(field: Field<'_>) -> Result<(OperationSet, OperationSet), Fault> {
    let items = field.list()?;
    let is_alone = items.len() == 1;
    let (mut all, mut spelled_out) = (OperationSet::EMPTY, OperationSet::EMPTY);
    for item in items {
        let text = item.text()?;
        if text == "*" && !is_alone {
            return Err(item.fault("\"*\" is every operation and stands alone; remove the others"));
        }
        let found = operations_of(text).ok_or_else(|| item.fault(unknown_operation(text)))?;
        all = found.iter().fold(all, OperationSet::with);
        if let Some(operation) = Operation::from_name(text) {
            spelled_out = spelled_out.with(operation);
        }
    }
    Ok((all, spelled_out))
}

/// The operations that a name, `prefix.*` or `*` stands for; `None` when there are none.
pub(crate) fn operations_of(text: &str) -> Option<OperationSet> {
    let matches = |operation: &Operation| match text.strip_suffix('*') {
        Some("") => true,
        Some(prefix) if prefix.ends_with('.') => operation.name().starts_with(prefix),
        Some(_) => false,
        None => operation.name() == text,
    };
    let found = Operation::ALL.iter().copied().filter(matches);
    let found = found.fold(OperationSet::EMPTY, OperationSet::with);
    (!found.is_empty()).then_some(found)
}

/// What to say of a word that is no operation.
pub(crate) fn unknown_operation(text: &str) -> String {
    let names: Vec<_> = Operation::ALL.iter().map(|operation| operation.name()).collect();
    format!("{text:?} is no operation; use one of {}, a prefix.* or *", names.join(", "))
}

fn read_window(field: Field<'_>) -> Result<Window, Fault> {
    Window::parse(field.text()?).map_err(|message| field.fault(message))
}

fn read_verdict(table: &Table<'_>, vocabulary: &Vocabulary<'_>) -> Result<Verdict, Fault> {
    #[derive(Clone, Copy, PartialEq)]
    enum Word {
        Allow,
        Approve,
        Deny,
    }
    let decide = table.required("decide", "decide = \"allow\", \"approve\" or \"deny\"")?;
    let word = decide.choice(&[
        ("allow", Word::Allow),
        ("approve", Word::Approve),
        ("deny", Word::Deny),
    ])?;
    if word != Word::Approve {
        for key in ["approve", "scope"] {
            if let Some(field) = table.field(key) {
                return Err(field.key_fault(format!(
                    "`{key}` belongs to decide = \"approve\"; remove it or change `decide`"
                )));
            }
        }
    }
    if word == Word::Deny {
        for key in HandleTerms::KEYS {
            if let Some(field) = table.field(key) {
                return Err(field.key_fault(format!(
                    "`{key}` is about files that are opened, and this rule opens none; remove it"
                )));
            }
        }
    }
    match word {
        Word::Allow => Ok(Verdict::Allow),
        Word::Deny => Ok(Verdict::Deny),
        Word::Approve => {
            let approve = table.required(
                "approve",
                "approve = { require = \"first_use\", factors = { any = [\"local\"] } }",
            )?;
            let scope = table.field("scope").map_or(Ok(ScopeKind::Session), |scope| {
                scope.choice(&[
                    ("process", ScopeKind::Process),
                    ("session", ScopeKind::Session),
                    ("program", ScopeKind::Program),
                ])
            })?;
            let Vocabulary { clients, defaults, same_user, .. } = vocabulary;
            Terms::read(approve, scope, defaults, clients, *same_user).map(Verdict::Approve)
        }
    }
}
