//! What differs between two policies: by what the keys say, not by how they are written.

use crate::Rules;
use crate::document::Document;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use toml::Value;

/// Tables that are one part each.
const WHOLE: [&str; 4] = ["defaults", "approval", "ops", "audit"];
/// Tables of which each entry is a part.
const NAMED: [&str; 3] = ["clients", "targets", "sandbox"];

/// A part of a policy that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// `rule db-read`, `clients.claude`, `ops`.
    pub part: String,
    /// What became of it.
    pub what: Became,
    /// The keys that differ, of a part that both have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<KeyChange>,
}

/// What became of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Became {
    /// Only the newer policy has it.
    Added,
    /// Only the older one has it.
    Removed,
    /// Both have it, and it differs.
    Changed,
}

/// A key that differs, in the words of both policies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyChange {
    /// The key.
    pub key: String,
    /// What the older says; absent when it says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<String>,
    /// What the newer says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is: Option<String>,
}

impl fmt::Display for Became {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
        })
    }
}

impl fmt::Display for Change {
    /// The part and its keys, without what they say: that may name secrets.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.part, self.what)?;
        let keys: Vec<&str> = self.keys.iter().map(|key| &*key.key).collect();
        if keys.is_empty() { Ok(()) } else { write!(formatter, " ({})", keys.join(", ")) }
    }
}

impl Rules {
    /// What `newer` has that these have not, and the other way round, in the order of a policy's
    /// tables. Where rules stand among each other does not matter.
    pub fn changes_to(&self, newer: &Self) -> Vec<Change> {
        let (old, new) = (Document::of(self), Document::of(newer));
        let (old, new) = (parts(&old), parts(&new));
        let all: BTreeSet<&(usize, String)> = old.keys().chain(new.keys()).collect();
        let change = |key: &(usize, String)| {
            let part = key.1.clone();
            let (what, keys) = match (old.get(key), new.get(key)) {
                (None, _) => (Became::Added, Vec::new()),
                (_, None) => (Became::Removed, Vec::new()),
                (Some(old), Some(new)) => (Became::Changed, keys(old, new)),
            };
            (what != Became::Changed || !keys.is_empty()).then_some(Change { part, what, keys })
        };
        all.into_iter().filter_map(change).collect()
    }
}

/// What a part says, by its keys.
type Part<'a> = BTreeMap<&'a str, &'a Value>;

/// The parts of a policy by their names, each with the place of its table.
fn parts(document: &Document) -> BTreeMap<(usize, String), Part<'_>> {
    let mut parts = BTreeMap::new();
    for (place, table) in WHOLE.into_iter().enumerate() {
        parts.insert((place, table.to_owned()), document.entries(table).collect());
    }
    for (place, table) in NAMED.into_iter().enumerate() {
        for (name, entry) in document.entries(table) {
            parts.insert((WHOLE.len() + place, format!("{table}.{name}")), entries(entry));
        }
    }
    for (name, rule) in document.rules() {
        parts.insert((WHOLE.len() + NAMED.len(), format!("rule {name}")), entries(rule));
    }
    parts
}

fn entries(value: &Value) -> Part<'_> {
    let table = value.as_table().into_iter().flatten();
    table.map(|(key, value)| (key.as_str(), value)).collect()
}

fn keys(old: &Part<'_>, new: &Part<'_>) -> Vec<KeyChange> {
    let all: BTreeSet<&str> = old.keys().chain(new.keys()).copied().collect();
    let said = |part: &Part<'_>, key: &str| part.get(key).map(|value| value.to_string());
    let differs = |key: &&str| old.get(key) != new.get(key);
    let change =
        |key: &str| KeyChange { key: key.to_owned(), was: said(old, key), is: said(new, key) };
    all.into_iter().filter(differs).map(change).collect()
}
