//! What the environment says of pipes: which commands may get a secret, and how they may be run.
//!
//! It narrows what `[pipe]` of `ward.toml` allows, and counts alone only where that says nothing.

use crate::trouble::Trouble;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Display;
use ward_mountd::control::message::PipeSaid;
use ward_mountd::pipe::{CommandName, Template, UrlPrefix};

/// The variables that are set, each with its name.
#[derive(Debug, Default)]
pub(crate) struct PipeVariables {
    allow: Option<Variable>,
    templates: Option<Variable>,
    addresses: Option<Variable>,
}

type Variable = (String, OsString);

impl PipeVariables {
    /// Takes those that are set; `look` looks one up. Of two spellings the first counts.
    pub(crate) fn read(look: impl Fn(&str) -> Option<OsString>) -> Self {
        let find = |end: &str| {
            let spellings = ["WARD", "GLOVES"].map(|begin| format!("{begin}_GET_PIPE_{end}"));
            spellings.into_iter().find_map(|name| look(&name).map(|value| (name, value)))
        };
        Self {
            allow: find("ALLOWLIST"),
            templates: find("ARG_POLICY"),
            addresses: find("URL_POLICY"),
        }
    }

    /// What they say of a command; every one must be in order.
    pub(crate) fn said(&self, command: &CommandName) -> Result<PipeSaid, Trouble> {
        let mut said = PipeSaid::default();
        if let Some(variable) = &self.allow {
            said.allowed = Some(listed(variable)?.contains(command));
        }
        if let Some(variable) = &self.templates {
            let mut policy = table(variable, |text| Template::try_from(text).map(String::from))?;
            // A command that is not in it has no template at all.
            said.templates = Some(policy.remove(command).unwrap_or_default());
        }
        if let Some(variable) = &self.addresses {
            let mut policy = table(variable, |text| UrlPrefix::try_from(text).map(String::from))?;
            said.url_prefixes = policy.remove(command);
        }
        Ok(said)
    }
}

/// A list of names, parted by commas.
fn listed((name, value): &Variable) -> Result<Vec<CommandName>, Trouble> {
    let text = value.to_str().ok_or_else(|| malformed(name, "it is no UTF-8"))?;
    let names = text.split(',').map(|word| CommandName::try_from(word.trim().to_owned()));
    names.collect::<Result<_, _>>().map_err(|error| {
        malformed(name, error).next(format!("write it such as {name}=psql-login,curl"))
    })
}

/// A JSON object with a list of texts for each command; `read` looks at each text.
fn table<Fault: Display>(
    (name, value): &Variable,
    read: impl Fn(String) -> Result<String, Fault>,
) -> Result<BTreeMap<CommandName, Vec<String>>, Trouble> {
    let text = value.to_str().ok_or_else(|| malformed(name, "it is no UTF-8"))?;
    let table: BTreeMap<CommandName, Vec<String>> = serde_json::from_str(text)
        .map_err(|error| malformed(name, format!("it is no object of lists: {error}")))?;
    if table.is_empty() || table.values().any(Vec::is_empty) {
        return Err(malformed(name, "it is empty, or has an empty list"));
    }
    let lists = table.into_iter().map(|(command, texts)| {
        let texts = texts.into_iter().map(&read).collect::<Result<_, _>>();
        let texts = texts.map_err(|fault| malformed(name, format!("of {command}: {fault}")))?;
        Ok((command, texts))
    });
    lists.collect()
}

fn malformed(name: &str, why: impl Display) -> Trouble {
    Trouble::bad_input(format!("the variable {name} cannot be used: {why}"))
        .next(format!("mend {name}, or unset it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(variables: &[(&str, &str)]) -> Result<PipeSaid, String> {
        let look =
            |name: &str| variables.iter().find(|it| it.0 == name).map(|it| OsString::from(it.1));
        let command = CommandName::try_from("curl".to_owned()).unwrap();
        PipeVariables::read(look).said(&command).map_err(|trouble| trouble.failure.message)
    }

    #[test]
    fn variables_say_what_may_get_a_secret_in_either_spelling() {
        assert_eq!(said(&[]).unwrap(), PipeSaid::default());
        for name in ["WARD_GET_PIPE_ALLOWLIST", "GLOVES_GET_PIPE_ALLOWLIST"] {
            assert_eq!(said(&[(name, "cat, curl")]).unwrap().allowed, Some(true));
            assert_eq!(said(&[(name, "cat")]).unwrap().allowed, Some(false));
        }
        let both = [("WARD_GET_PIPE_ALLOWLIST", "cat"), ("GLOVES_GET_PIPE_ALLOWLIST", "curl")];
        assert_eq!(said(&both).unwrap().allowed, Some(false));
        let of_another = r#"{"wget": ["wget {secret}"]}"#;
        let told = said(&[("GLOVES_GET_PIPE_ARG_POLICY", of_another)]).unwrap();
        assert_eq!(told.templates, Some(Vec::new()));
        let told = said(&[("WARD_GET_PIPE_URL_POLICY", r#"{"curl": ["https://a/"]}"#)]).unwrap();
        assert_eq!(told.url_prefixes, Some(vec!["https://a/".to_owned()]));
    }

    #[test]
    fn a_variable_that_is_empty_or_malformed_is_named() {
        for (name, value) in [
            ("WARD_GET_PIPE_ALLOWLIST", ""),
            ("WARD_GET_PIPE_ALLOWLIST", "curl,,cat"),
            ("GLOVES_GET_PIPE_ALLOWLIST", "/usr/bin/curl"),
            ("WARD_GET_PIPE_ARG_POLICY", ""),
            ("WARD_GET_PIPE_ARG_POLICY", "{}"),
            ("WARD_GET_PIPE_ARG_POLICY", "[]"),
            ("WARD_GET_PIPE_ARG_POLICY", r#"{"curl": "curl {secret}"}"#),
            ("WARD_GET_PIPE_ARG_POLICY", r#"{"curl": ["curl"]}"#),
            ("GLOVES_GET_PIPE_URL_POLICY", "{}"),
            ("WARD_GET_PIPE_URL_POLICY", r#"{"curl": []}"#),
            ("WARD_GET_PIPE_URL_POLICY", r#"{"wget": ["https://u@a/"]}"#),
        ] {
            let message = said(&[(name, value)]).unwrap_err();
            assert!(message.contains(name), "{value}: {message}");
        }
    }
}
