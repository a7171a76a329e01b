//! A rule: for whom, for what, when, and what it says.

use crate::ScopeKind;
use crate::client::{Client, Clients, UnknownHash, read_grade};
use crate::condition::{Conditions, Manner};
use crate::handle_terms::HandleTerms;
use crate::index::{Demand, Key, Kind};
use crate::pattern::Patterns;
use crate::rule_text::{Fault, Field, Table};
use crate::subject::Subject;
use crate::suggestion::nearest;
use crate::target::{Target, read_patterns};
use crate::terms::{Defaults, Terms};
use crate::{Caller, Grade, LocalTime, Operation, OperationSet, Question, SameUser};
use smallvec::{SmallVec, smallvec};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The keys of a rule, beside those of its conditions.
const KEYS: &[&str] = &[
    "name", "clients", "ops", "path", "targets", "priority", "decide", "reason", "scope",
    "approve", "mapped", "share", "grade", "when", "ticket", "where", "secrets", "risk", "sandbox",
];
/// Conditions of the design that nobody enforces yet.
const LATER: &[&str] = &["rate", "hold"];

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
    pub(crate) conditions: Conditions,
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
    pub(crate) clients: BTreeMap<&'policy str, &'policy Arc<Client>>,
    pub(crate) targets: BTreeMap<&'policy str, &'policy Arc<Target>>,
    pub(crate) sandboxes: BTreeSet<&'policy str>,
    pub(crate) defaults: &'policy Defaults,
    pub(crate) same_user: SameUser,
    pub(crate) has_approver: bool,
}

impl Vocabulary<'_> {
    /// The client that a text names.
    pub(crate) fn client_of(&self, field: Field<'_>) -> Result<Arc<Client>, Fault> {
        let found = self.clients.get(field.text()?).map(|client| Arc::clone(client));
        found.ok_or_else(|| field.unknown("client", self.clients.keys().copied()))
    }

    fn target_of(&self, field: Field<'_>) -> Result<Arc<Target>, Fault> {
        let found = self.targets.get(field.text()?).map(|target| Arc::clone(target));
        found.ok_or_else(|| field.unknown("target", self.targets.keys().copied()))
    }

    /// The profiles that a text or a list names.
    pub(crate) fn sandboxes_of(&self, field: Field<'_>) -> Result<Vec<Arc<str>>, Fault> {
        let find = |item: Field<'_>| {
            let found = self.sandboxes.get(item.text()?).map(|name| Arc::from(*name));
            found.ok_or_else(|| item.unknown("sandbox", self.sandboxes.iter().copied()))
        };
        field.one_or_more()?.into_iter().map(find).collect()
    }
}

/// What counts first among rules that match: priority, then strictness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    priority: i64,
    strictness: Strictness,
}

impl Rank {
    /// Whether it is that of a deny rule.
    pub(crate) fn is_deny(self) -> bool {
        self.strictness == Strictness::Deny
    }
}

/// deny > approve > allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Strictness {
    Allow,
    Approve,
    Deny,
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
        if ["path", "targets", "where"].iter().all(|key| table.field(key).is_none()) {
            return Err(table.fault(format!(
                "rule `{name}` has no `path`, `targets` or `where`; add path = [\"*\"] for anything"
            )));
        }
        Ok(Self {
            name: name.into(),
            reason: table.field("reason").map(Field::text).transpose()?.map(Arc::from),
            clients: read_clients(clients, vocabulary)?,
            operations,
            spelled_out,
            paths: table.field("path").map(read_patterns).transpose()?,
            targets: match table.field("targets") {
                Some(targets) => {
                    let find = |item| vocabulary.target_of(item);
                    targets.list()?.into_iter().map(find).collect::<Result<_, _>>()?
                }
                None => Vec::new(),
            },
            conditions: Conditions::read(&table, vocabulary)?,
            grade: read_rule_grade(&table)?,
            priority: table.field("priority").map_or(Ok(0), Field::number)?,
            verdict: read_verdict(&table, vocabulary)?,
            handle: HandleTerms::read(&table)?,
        })
    }

    /// By what a question that it speaks of is found.
    pub(crate) fn demands(&self) -> SmallVec<[Demand; 3]> {
        self.demands_with(Patterns::demand_of_name)
    }

    /// By what a folder is found below which it may speak of a name.
    pub(crate) fn demands_of_folders(&self) -> SmallVec<[Demand; 3]> {
        self.demands_with(Patterns::demand_of_folder)
    }

    fn demands_with(
        &self,
        demand_of: impl Fn(&Patterns) -> Option<Demand>,
    ) -> SmallVec<[Demand; 3]> {
        let targets = self.targets.iter().map(|target| demand_of(&target.paths));
        let targets: Option<Vec<Demand>> = targets.collect();
        let targets = targets.filter(|targets| !targets.is_empty());
        let targets = targets.map(|targets| targets.into_iter().flatten().collect());
        let demands = [self.clients.demand(), self.paths.as_ref().and_then(&demand_of), targets];
        let mut demands: SmallVec<_> = demands.into_iter().flatten().collect();
        // Operations are few: they are the last thing to be told apart by.
        if demands.is_empty() {
            let key =
                |operation: Operation| Key::bytes(Kind::Operation, operation.name().as_bytes());
            demands.push(self.operations.iter().map(|it| smallvec![smallvec![key(it)]]).collect());
        }
        demands
    }

    /// What counts first.
    pub(crate) const fn rank(&self) -> Rank {
        let strictness = match self.verdict {
            Verdict::Allow => Strictness::Allow,
            Verdict::Approve(_) => Strictness::Approve,
            Verdict::Deny => Strictness::Deny,
        };
        Rank { priority: self.priority, strictness }
    }

    /// What it demands of a human's yes; `None` when it asks nobody.
    pub(crate) const fn terms(&self) -> Option<&Terms> {
        match &self.verdict {
            Verdict::Approve(terms) => Some(terms),
            Verdict::Allow | Verdict::Deny => None,
        }
    }

    /// Whether it speaks of what lies there.
    pub(crate) fn lies_at(&self, question: &Question<'_>) -> bool {
        let matches = |paths: &Patterns| paths.matches(question.vault, question.path);
        self.paths.as_ref().is_none_or(matches)
            && (self.targets.is_empty() || self.targets.iter().any(|target| matches(&target.paths)))
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

    /// How sure a condition must be to hold.
    pub(crate) const fn manner(&self) -> Manner {
        match self.verdict {
            Verdict::Deny => Manner::Wary,
            Verdict::Allow | Verdict::Approve(_) => Manner::Sure,
        }
    }

    /// Whether it speaks of `operation` to `caller` at `time`.
    pub(crate) fn matches(
        &self,
        caller: &Caller,
        subject: &Subject<'_>,
        operation: Operation,
        time: LocalTime,
    ) -> bool {
        self.operations.contains(operation)
            && self.lies_at(subject.question())
            && self.speaks_to(caller, UnknownHash::Differs)
            && self.conditions.hold(caller, subject, operation, time, self.manner())
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

fn read_clients(field: Field<'_>, vocabulary: &Vocabulary<'_>) -> Result<Clients, Fault> {
    let items = field.list()?;
    if let [only] = items.as_slice()
        && only.text()? == "*"
    {
        return Ok(Clients::Everybody);
    }
    let find = |item: Field<'_>| {
        if item.text()? == "*" {
            return Err(item.fault("\"*\" is everybody and stands alone; remove the others"));
        }
        vocabulary.client_of(item)
    };
    items.into_iter().map(find).collect::<Result<_, _>>().map(Clients::AnyOf)
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
        if let Some(operation) = Operation::from_name(text) {
            spelled_out = spelled_out.with(operation);
            continue;
        }
        let found = operations_of(text).ok_or_else(|| item.fault(unknown_operation(text)))?;
        all = found.iter().fold(all, OperationSet::with);
    }
    all = spelled_out.iter().fold(all, OperationSet::with);
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
    let names = || Operation::ALL.iter().map(|operation| operation.name());
    match nearest(text, names()) {
        Some(near) => format!("{text:?} is no operation; did you mean {near:?}?"),
        None => {
            let names = names().collect::<Vec<_>>().join(", ");
            format!("{text:?} is no operation; use one of {names}, a prefix.* or *")
        }
    }
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
                let scopes = [ScopeKind::Process, ScopeKind::Session, ScopeKind::Program];
                scope.choice(&scopes.map(|scope| (scope.name(), scope)))
            })?;
            Terms::read(approve, scope, vocabulary).map(Verdict::Approve)
        }
    }
}
