//! The table `[pipe]` of `ward.toml`: where bytes of a secret may go besides a terminal.

use super::address::UrlPrefix;
use super::template::Template;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

/// What the owner of a root says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PipeSettings {
    /// Where `ward get` writes bytes as they are.
    pub(crate) raw: RawOutput,
    /// The commands that may get a secret; the environment of `ward` says so when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) allow: Option<Vec<CommandName>>,
    /// How commands may be run.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) commands: BTreeMap<CommandName, CommandPolicy>,
}

/// Where bytes are written as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RawOutput {
    /// To a terminal.
    #[default]
    Terminal,
    /// Into files and pipes, too.
    Anywhere,
}

/// How one command may be run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "CommandTable")]
pub(crate) struct CommandPolicy {
    /// These templates and no others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) templates: Option<Vec<Template>>,
    /// At least one address must be among its words.
    pub(crate) require_url: bool,
    /// Every address must be one of these, or below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) url_prefixes: Option<Vec<UrlPrefix>>,
    /// Options that it is not run with; known ones of curl and wget when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) deny_options: Option<Vec<String>>,
}

/// The same as it is written.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct CommandTable {
    templates: Option<Vec<Template>>,
    require_url: bool,
    url_prefixes: Option<Vec<UrlPrefix>>,
    deny_options: Option<Vec<String>>,
}

/// The name of a program on the PATH.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CommandName(String);

/// A text is no such name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("pipe command {0:?} must be a bare executable name of A-Za-z0-9._+-")]
pub struct CommandNameError(String);

impl CommandName {
    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<CommandTable> for CommandPolicy {
    type Error = &'static str;

    fn try_from(table: CommandTable) -> Result<Self, &'static str> {
        let CommandTable { templates, require_url, url_prefixes, deny_options } = table;
        if url_prefixes.as_ref().is_some_and(Vec::is_empty) {
            return Err("`url_prefixes` is empty; name a prefix, or leave it out");
        }
        if require_url && url_prefixes.is_none() {
            return Err("`require_url` takes `url_prefixes`");
        }
        if deny_options.iter().flatten().any(|word| !word.starts_with('-') && word != "@") {
            return Err("`deny_options` are words that begin with -, or \"@\"");
        }
        Ok(Self { templates, require_url, url_prefixes, deny_options })
    }
}

impl TryFrom<String> for CommandName {
    type Error = CommandNameError;

    fn try_from(text: String) -> Result<Self, CommandNameError> {
        let is_plain = |it: char| it.is_ascii_alphanumeric() || "._+-".contains(it);
        let is_name = !text.is_empty() && text.chars().all(is_plain);
        let is_folder = matches!(text.as_str(), "." | "..");
        if is_name && !is_folder && !text.starts_with('-') {
            return Ok(Self(text));
        }
        Err(CommandNameError(text))
    }
}

impl From<CommandName> for String {
    fn from(CommandName(text): CommandName) -> Self {
        text
    }
}

impl Display for CommandName {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<PipeSettings, String> {
        toml::from_str(text).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn a_policy_that_says_nothing_or_asks_for_the_impossible_is_refused() {
        for (text, why) in [
            ("allow = [\"/bin/cat\"]", "bare executable name"),
            ("allow = [\"..\"]", "bare executable name"),
            ("[commands.curl]\nrequire_url = true", "takes `url_prefixes`"),
            ("[commands.curl]\nurl_prefixes = []", "is empty"),
            ("[commands.curl]\nurl_prefixes = [\"api.example.com\"]", "http:// or https://"),
            ("[commands.curl]\nurl_prefixes = [\"https://a/?x\"]", "? or #"),
            ("[commands.curl]\ntemplates = [\"curl x\"]", "{secret}"),
            ("[commands.curl]\ndeny_options = [\"K\"]", "begin with -"),
            ("[commands.curl]\nurls = []", "unknown field"),
            ("raw = \"pipe\"", "unknown variant"),
        ] {
            let said = read(text).unwrap_err();
            assert!(said.contains(why), "{text}: {said}");
        }
    }
}
