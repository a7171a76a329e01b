//! Text to rules. Strict: whatever is not understood whole is refused, with line and column.

use crate::client::Client;
use crate::index::Index;
use crate::rule::{Rule, Vocabulary, operations_of, unknown_operation};
use crate::rule_text::{Fault, Field, Table};
use crate::target::Target;
use crate::terms::Defaults;
use crate::{Digest, HumanOwned, OpenRecords, Operation, RecordNames, Risk, Rules, SameUser};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use toml::de::DeTable;

/// The tables of a policy.
const KEYS: &[&str] =
    &["version", "defaults", "approval", "ops", "audit", "clients", "targets", "sandbox", "rule"];
/// What a profile will say, once something can confine a session to it.
const SANDBOX_LATER: &[&str] = &["commands", "env", "net", "fs_read", "fs_write"];

/// Why a text is no policy, where, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct RuleFileError {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The bytes it is about; none when it is about the text as a whole.
    pub span: Range<usize>,
    /// What is wrong and what to do.
    pub message: String,
}

impl RuleFileError {
    /// A fault at the bytes `span` of `text`.
    pub fn at(text: &str, span: Range<usize>, message: String) -> Self {
        let boundary = |mut offset: usize| {
            offset = offset.min(text.len());
            while !text.is_char_boundary(offset) {
                offset -= 1;
            }
            offset
        };
        let start = boundary(span.start);
        let before = text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
            span: start..boundary(span.end).max(start),
            message,
        }
    }
}

impl Rules {
    /// Loads a policy from its text, whose SHA-256 is `digest`.
    ///
    /// # Errors
    /// Names the first fault, with its line and column. A key that this version cannot enforce is
    /// a fault: a condition is never ignored.
    pub fn load(text: &str, digest: Digest) -> Result<Self, RuleFileError> {
        read(text, digest).map_err(|fault| RuleFileError::at(text, fault.span, fault.message))
    }
}

fn read(text: &str, digest: Digest) -> Result<Rules, Fault> {
    let document = DeTable::parse(text).map_err(|error| Fault {
        span: error.span().unwrap_or_default(),
        message: format!("this is not TOML: {}; mend it there", error.message()),
    })?;
    let table = Table::of_text(document.get_ref());
    table.allow_only(KEYS, &[])?;
    let version = table.required("version", "version = 1")?;
    if version.number()? != 1 {
        return Err(version.fault("this program reads policies of version 1; write version = 1"));
    }
    let defaults = Defaults::read(table.field("defaults"))?;
    let same_user = read_approval(table.table("approval")?)?;
    let risks = read_risks(table.table("ops")?)?;
    let (open_records, record_names, keep_records) = read_audit(table.table("audit")?)?;
    let clients = Client::read_all(table.table("clients")?)?;
    let targets = read_all(table.table("targets")?, Target::read)?;
    let sandboxes = read_sandboxes(table.table("sandbox")?)?;
    let has_approver = clients.iter().any(|client| client.is_approver());
    let vocabulary = Vocabulary {
        clients: clients.iter().map(|client| (&**client.name(), client)).collect(),
        targets: targets.iter().map(|target| (&*target.name, target)).collect(),
        sandboxes,
        defaults: &defaults,
        same_user,
        has_approver,
    };
    let rules = read_rules(table.field("rule"), &vocabulary)?;
    let writes = |rule: &Rule| rule.operations.contains(Operation::FileWrite);
    let numbered = || rules.iter().enumerate();
    let index = numbered().map(|(number, rule)| (number, rule.demands()));
    let index = Index::of(&index.collect::<Vec<_>>());
    let folders = numbered().filter(|(_, rule)| writes(rule));
    let folders = folders.map(|(number, rule)| (number, rule.demands_of_folders()));
    let folders = Index::of(&folders.collect::<Vec<_>>());
    let target_index = targets.iter().enumerate();
    let target_index = target_index
        .map(|(number, target)| (number, target.paths.demand_of_name().into_iter().collect()));
    let target_index = Index::of(&target_index.collect::<Vec<_>>());
    Ok(Rules {
        digest,
        text: text.into(),
        index,
        folders,
        rules,
        clients,
        target_index,
        targets,
        risks,
        defaults,
        has_approver,
        same_user,
        open_records,
        record_names,
        keep_records,
        human_owned: HumanOwned::default(),
    })
}

/// The names of profiles. A session cannot be confined to one yet, so none says anything.
fn read_sandboxes<'text>(table: Option<Table<'text>>) -> Result<BTreeSet<&'text str>, Fault> {
    let fields = table.map(|table| table.fields()).unwrap_or_default();
    let read = |field: Field<'text>| {
        field.table()?.allow_only(&["reason"], SANDBOX_LATER)?;
        field.key_as_name()
    };
    fields.into_iter().map(read).collect()
}

fn read_all<'text, T>(
    table: Option<Table<'text>>,
    read: impl Fn(Field<'text>) -> Result<T, Fault>,
) -> Result<Vec<Arc<T>>, Fault> {
    let fields = table.map(|table| table.fields()).unwrap_or_default();
    fields.into_iter().map(|field| read(field).map(Arc::new)).collect()
}

fn read_rules(field: Option<Field<'_>>, vocabulary: &Vocabulary<'_>) -> Result<Vec<Rule>, Fault> {
    let Some(field) = field else {
        return Ok(Vec::new());
    };
    let mut rules = Vec::new();
    let mut names = BTreeSet::new();
    for item in field.list()? {
        let rule = Rule::read(item, vocabulary)?;
        if !names.insert(Arc::clone(&rule.name)) {
            let place = item.table()?.required("name", "name")?;
            return Err(place.fault(format!(
                "a rule before this is named `{}` too; give each its own name",
                rule.name
            )));
        }
        rules.push(rule);
    }
    Ok(rules)
}

fn read_approval(table: Option<Table<'_>>) -> Result<SameUser, Fault> {
    let Some(table) = table else {
        return Ok(SameUser::Deny);
    };
    table.allow_only(&["same_user"], &["expiry", "silence"])?;
    table.field("same_user").map_or(Ok(SameUser::Deny), |field| {
        field.choice(&[("allow", SameUser::Allow), ("deny", SameUser::Deny)])
    })
}

/// Longer than any lease, so that what a live one came from is always kept.
const SHORTEST_KEPT: Duration = Duration::from_secs(24 * 60 * 60);
const LONGEST_KEPT: Duration = Duration::from_secs(100 * 366 * 24 * 60 * 60);

fn read_audit(
    table: Option<Table<'_>>,
) -> Result<(OpenRecords, RecordNames, Option<Duration>), Fault> {
    let (mut opens, mut names, mut keep) = (OpenRecords::Durable, RecordNames::Sealed, None);
    let Some(table) = table else {
        return Ok((opens, names, keep));
    };
    table.allow_only(&["opens", "names", "keep"], &[])?;
    if let Some(field) = table.field("opens") {
        opens = field
            .choice(&[("durable", OpenRecords::Durable), ("written", OpenRecords::Written)])?;
    }
    if let Some(field) = table.field("names") {
        names = field.choice(&[("sealed", RecordNames::Sealed), ("clear", RecordNames::Clear)])?;
    }
    if let Some(field) = table.field("keep") {
        let kept = field.duration(LONGEST_KEPT)?;
        if kept < SHORTEST_KEPT {
            return Err(field.fault("`keep` is under its least; use at least 1d"));
        }
        keep = Some(kept);
    }
    Ok((opens, names, keep))
}

/// Reads `[ops]`: a name counts more than its prefix, a prefix more than `*`.
fn read_risks(table: Option<Table<'_>>) -> Result<BTreeMap<Operation, Risk>, Fault> {
    let mut risks = BTreeMap::new();
    let mut fields = table.map(|table| table.fields()).unwrap_or_default();
    // No prefix lies within another, so the order "*", prefixes, names is by what is wider.
    fields.sort_by_key(|field| match field.key() {
        "*" => 0,
        key if key.ends_with('*') => 1,
        _ => 2,
    });
    for field in fields {
        let risk = field.choice(&Risk::ALL.map(|risk| (risk.name(), risk)))?;
        let operations = operations_of(field.key())
            .ok_or_else(|| field.key_fault(unknown_operation(field.key())))?;
        risks.extend(operations.iter().map(|operation| (operation, risk)));
    }
    Ok(risks)
}
