//! A folder of agent-safe: `actions/`, `policies/` and `inventory.yaml`, strictly read. It ignores
//! what it does not know, which can turn a rule into one about everything; here that is refused.

use super::super::ImportError;
use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Folder {
    /// Risk classes by the names of actions.
    pub(super) actions: BTreeMap<String, RiskClass>,
    /// Files and rules, in the order in which they are read.
    pub(super) rules: Vec<(String, Rule)>,
    pub(super) targets: Vec<Target>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Action {
    name: String,
    risk_class: RiskClass,
    #[serde(rename = "version")]
    _version: IgnoredAny,
    #[serde(default, rename = "description")]
    _description: IgnoredAny,
    #[serde(default, rename = "target_types")]
    _target_types: IgnoredAny,
    #[serde(default, rename = "parameters")]
    _parameters: IgnoredAny,
    #[serde(default, rename = "prechecks")]
    _prechecks: IgnoredAny,
    #[serde(default, rename = "required_privileges")]
    _required_privileges: IgnoredAny,
    #[serde(default, rename = "tags")]
    _tags: IgnoredAny,
    #[serde(default, rename = "reversible")]
    _reversible: IgnoredAny,
    #[serde(default, rename = "rollback_action")]
    _rollback_action: IgnoredAny,
    #[serde(default, rename = "rollback_params")]
    _rollback_params: IgnoredAny,
    #[serde(default, rename = "state_fields")]
    _state_fields: IgnoredAny,
    #[serde(default, rename = "credentials")]
    _credentials: IgnoredAny,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RiskClass {
    Low,
    Medium,
    High,
    Critical,
}

impl RiskClass {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    rules: Vec<Rule>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    pub(super) name: String,
    #[serde(default, rename = "description")]
    _description: IgnoredAny,
    #[serde(default)]
    pub(super) priority: i64,
    #[serde(rename = "match")]
    pub(super) matching: Matching,
    pub(super) decision: Decision,
    pub(super) reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Decision {
    Allow,
    Deny,
    RequireApproval,
}

impl Decision {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::RequireApproval => "approve",
        }
    }
}

/// What is absent matches anything; an empty list nothing.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Matching {
    pub(super) actions: Option<Vec<String>>,
    pub(super) targets: Option<Targets>,
    pub(super) callers: Option<Callers>,
    pub(super) risk_classes: Option<Vec<RiskClass>>,
    pub(super) time_windows: Option<Vec<TimeWindow>>,
    pub(super) require_ticket: Option<bool>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Targets {
    environments: Option<Vec<String>>,
    sensitivities: Option<Vec<String>>,
    types: Option<Vec<String>>,
    labels: Option<BTreeMap<String, String>>,
}

impl Targets {
    pub(super) fn holds(&self, target: &Target) -> bool {
        let has = |list: &Option<Vec<String>>, value: &String| {
            list.as_ref().is_none_or(|list| list.contains(value))
        };
        has(&self.environments, &target.environment)
            && has(&self.sensitivities, &target.sensitivity)
            && has(&self.types, &target.kind)
            && self
                .labels
                .iter()
                .flatten()
                .all(|(name, value)| target.labels.get(name) == Some(value))
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Callers {
    pub(super) agent_ids: Option<Vec<String>>,
    pub(super) roles: Option<Vec<String>>,
    pub(super) groups: Option<Vec<String>>,
    pub(super) delegated_from: Option<Vec<String>>,
    /// Who acts for itself is within any depth.
    #[serde(default, rename = "max_delegation_depth")]
    _max_delegation_depth: IgnoredAny,
    pub(super) require_delegation: Option<bool>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TimeWindow {
    #[serde(default = "every_day")]
    pub(super) days: Vec<u8>,
    #[serde(default)]
    pub(super) start_hour: u8,
    #[serde(default = "last_hour")]
    pub(super) end_hour: u8,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Inventory {
    targets: Vec<Target>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Target {
    pub(super) id: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) environment: String,
    pub(super) sensitivity: String,
    #[serde(default, rename = "owner")]
    _owner: IgnoredAny,
    #[serde(default)]
    pub(super) labels: BTreeMap<String, String>,
}

fn every_day() -> Vec<u8> {
    (0..7).collect()
}

const fn last_hour() -> u8 {
    23
}

impl Folder {
    /// Reads `folder`.
    pub(crate) fn read(folder: &Path) -> Result<Self, ImportError> {
        let mut all = Self::default();
        for file in yaml_files(&folder.join("actions"))? {
            all.take_action(&shown(&file), &text(&file)?)?;
        }
        for file in yaml_files(&folder.join("policies"))? {
            all.take_rules(&shown(&file), &text(&file)?)?;
        }
        let inventory = folder.join("inventory.yaml");
        all.take_inventory(&shown(&inventory), &text(&inventory)?)?;
        Ok(all)
    }

    pub(super) fn take_action(&mut self, file: &str, text: &str) -> Result<(), ImportError> {
        let action: Action = parse(file, text)?;
        match self.actions.insert(action.name.clone(), action.risk_class) {
            None => Ok(()),
            Some(_) => Err(ImportError(format!("{file}: two actions are named {:?}", action.name))),
        }
    }

    pub(super) fn take_rules(&mut self, file: &str, text: &str) -> Result<(), ImportError> {
        let Rules { rules } = parse(file, text)?;
        for rule in &rules {
            let hours = rule.matching.time_windows.iter().flatten();
            let is_odd = |it: &TimeWindow| {
                it.start_hour > 23 || it.end_hour > 23 || it.days.iter().any(|day| *day > 6)
            };
            if hours.into_iter().any(is_odd) {
                let message =
                    format!("{file}: rule {:?} has a time window that is none", rule.name);
                return Err(ImportError(message));
            }
        }
        self.rules.extend(rules.into_iter().map(|rule| (file.to_owned(), rule)));
        Ok(())
    }

    pub(super) fn take_inventory(&mut self, file: &str, text: &str) -> Result<(), ImportError> {
        let Inventory { targets } = parse(file, text)?;
        self.targets.extend(targets);
        Ok(())
    }
}

fn shown(file: &Path) -> String {
    let parts: Vec<_> = file.iter().rev().take(2).map(|part| part.to_string_lossy()).collect();
    parts.into_iter().rev().collect::<Vec<_>>().join("/")
}

fn text(file: &Path) -> Result<String, ImportError> {
    std::fs::read_to_string(file)
        .map_err(|error| ImportError(format!("cannot read {}: {error}", file.display())))
}

/// Its YAML files, by their names.
fn yaml_files(folder: &Path) -> Result<Vec<PathBuf>, ImportError> {
    let cannot = |error| ImportError(format!("cannot read {}: {error}", folder.display()));
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(cannot)? {
        let path = entry.map_err(cannot)?.path();
        if path.extension().is_some_and(|it| it == "yaml" || it == "yml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn parse<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, ImportError> {
    let fault = |error: &dyn std::fmt::Display| ImportError(format!("{file}: {error}"));
    let documents = Yaml::load_from_str(text).map_err(|error| fault(&error))?;
    let [document] = documents.as_slice() else {
        return Err(fault(&"it must be one document of YAML"));
    };
    let value = value(document).ok_or_else(|| fault(&"a key of it is no text, or it has a tag"))?;
    serde_json::from_value(value).map_err(|error| fault(&error))
}

/// The same as JSON, which every file of agent-safe can be.
fn value(yaml: &Yaml<'_>) -> Option<Value> {
    Some(match yaml {
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(flag)) => Value::from(*flag),
        Yaml::Value(Scalar::Integer(number)) => Value::from(*number),
        Yaml::Value(Scalar::FloatingPoint(number)) => Value::from(number.into_inner()),
        Yaml::Value(Scalar::String(text)) => Value::from(&**text),
        Yaml::Sequence(items) => Value::Array(items.iter().map(value).collect::<Option<_>>()?),
        Yaml::Mapping(entries) => {
            let entry = |(key, item): (&Yaml<'_>, &Yaml<'_>)| {
                Some((key.as_str()?.to_owned(), value(item)?))
            };
            Value::Object(entries.iter().map(entry).collect::<Option<_>>()?)
        }
        Yaml::Representation(..) | Yaml::Tagged(..) | Yaml::Alias(_) | Yaml::BadValue => {
            return None;
        }
    })
}
