//! A target: a name, a sensitivity and labels for some secrets.

use crate::Sensitivity;
use crate::pattern::{Pattern, Patterns};
use crate::rule_text::{Fault, Field};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Named secrets.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) name: Arc<str>,
    pub(crate) paths: Patterns,
    pub(crate) sensitivity: Sensitivity,
    /// What `where` of a rule can ask for.
    pub(crate) labels: BTreeMap<Arc<str>, Arc<str>>,
}

impl Target {
    /// Reads `[targets.NAME]`.
    pub(crate) fn read(field: Field<'_>) -> Result<Self, Fault> {
        let name = field.key_as_name()?;
        let table = field.table()?;
        table.allow_only(&["path", "sensitivity", "labels"], &["secrets", "where"])?;
        let labels = table.table("labels")?.map(|labels| labels.fields()).unwrap_or_default();
        let label = |label: Field<'_>| Ok((label.key_as_name()?.into(), label.text()?.into()));
        Ok(Self {
            name: name.into(),
            paths: read_patterns(table.required("path", "path = [\"prod/**\"]")?)?,
            labels: labels.into_iter().map(label).collect::<Result<_, _>>()?,
            sensitivity: match table.field("sensitivity") {
                None => Sensitivity::Internal,
                Some(field) => {
                    field.choice(&Sensitivity::ALL.map(|grade| (grade.name(), grade)))?
                }
            },
        })
    }
}

/// Reads a list of patterns; `["*"]` alone is anything at all.
pub(crate) fn read_patterns(field: Field<'_>) -> Result<Patterns, Fault> {
    let items = field.list()?;
    if let [only] = items.as_slice()
        && only.text()? == "*"
    {
        return Ok(Patterns::Anything);
    }
    let read =
        |item: Field<'_>| Pattern::parse(item.text()?).map_err(|message| item.fault(message));
    items.into_iter().map(read).collect::<Result<_, _>>().map(Patterns::AnyOf)
}
