//! A target: a name and a sensitivity for some secrets.

use crate::pattern::{Pattern, Patterns};
use crate::rule_text::{Fault, Field};
use std::sync::Arc;

/// How bad it is when somebody else sees it, from least to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sensitivity {
    Public,
    Internal,
    Restricted,
    Critical,
}

/// Named secrets.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) name: Arc<str>,
    pub(crate) paths: Patterns,
    pub(crate) sensitivity: Sensitivity,
}

impl Target {
    /// Reads `[targets.NAME]`.
    pub(crate) fn read(field: Field<'_>) -> Result<Self, Fault> {
        let name = field.key_as_name()?;
        let table = field.table()?;
        table.allow_only(&["path", "sensitivity", "labels"], &["secrets", "where"])?;
        // Labels only describe: no rule of this version can ask for them.
        if let Some(labels) = table.table("labels")? {
            labels.fields().into_iter().try_for_each(|label| label.text().map(drop))?;
        }
        Ok(Self {
            name: name.into(),
            paths: read_patterns(table.required("path", "path = [\"prod/**\"]")?)?,
            sensitivity: match table.field("sensitivity") {
                None => Sensitivity::Internal,
                Some(field) => field.choice(&[
                    ("public", Sensitivity::Public),
                    ("internal", Sensitivity::Internal),
                    ("restricted", Sensitivity::Restricted),
                    ("critical", Sensitivity::Critical),
                ])?,
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
