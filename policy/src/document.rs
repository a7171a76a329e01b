//! The text of a policy that loads, as it is written: for those who tell people about it.

use crate::Rules;
use toml::{Table, Value};

/// A policy's text by its keys. Comments and form are gone.
#[derive(Debug)]
pub(crate) struct Document(Table);

impl Document {
    /// That of `rules`, whose text has been read before.
    pub(crate) fn of(rules: &Rules) -> Self {
        Self(toml::from_str(&rules.text).unwrap_or_default())
    }

    /// The entries of a table at the top.
    pub(crate) fn entries(&self, table: &str) -> impl Iterator<Item = (&str, &Value)> {
        let table = self.0.get(table).and_then(Value::as_table);
        table.into_iter().flatten().map(|(key, value)| (key.as_str(), value))
    }

    /// The rules with their names, in the order of the text.
    pub(crate) fn rules(&self) -> impl Iterator<Item = (&str, &Value)> {
        let rules = self.0.get("rule").and_then(Value::as_array);
        rules.into_iter().flatten().filter_map(|rule| Some((rule.get("name")?.as_str()?, rule)))
    }

    /// What a client says of a key.
    pub(crate) fn of_client(&self, client: &str, key: &str) -> Option<String> {
        let (_, table) = self.entries("clients").find(|(name, _)| *name == client)?;
        table.get(key).map(Value::to_string)
    }

    /// What a rule says of a key.
    pub(crate) fn of_rule(&self, rule: &str, key: &str) -> Option<String> {
        let (_, table) = self.rules().find(|(name, _)| *name == rule)?;
        table.get(key).map(Value::to_string)
    }

    /// The patterns of a rule and of its targets.
    pub(crate) fn paths_of(&self, rule: &str) -> Vec<String> {
        let texts = |value: Option<&Value>| -> Vec<String> {
            let items = value.and_then(Value::as_array).into_iter().flatten();
            items.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let Some((_, table)) = self.rules().find(|(name, _)| *name == rule) else {
            return Vec::new();
        };
        let mut paths = texts(table.get("path"));
        for target in texts(table.get("targets")) {
            let found = self.entries("targets").find(|(name, _)| **name == target);
            paths.extend(texts(found.and_then(|(_, target)| target.get("path"))));
        }
        paths
    }
}
