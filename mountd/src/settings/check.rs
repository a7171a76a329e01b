//! What a daemon would find wrong with settings when it starts, and where in the text that stands.

use super::Settings;
use crate::helper::ResolveError;
use crate::root::Layout;
use crate::shipping::SinkError;
use crate::signer::{SignerSettingsError, SignerVariables};
use nix::unistd::Group;
use std::fmt;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use ward_policy::RuleFileError;

/// A table of `ward.toml`, as messages name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TableName {
    /// The one of that name.
    Plain(&'static str),
    /// The `[[audit.ship]]` of that name.
    Sink(String),
}

/// Where something is wrong: a value of a table, or the table.
type Place<'a> = (TableName, Option<&'a str>);

impl Settings {
    /// Looks for what a daemon could not start with, as far as the text and the users of this machine
    /// decide that: not the environment of a daemon, files, and ports.
    pub(super) fn check(&self, text: &str) -> Result<(), RuleFileError> {
        let fault = |(table, value): Place<'_>, why: &dyn fmt::Display| {
            RuleFileError::at(text, span(text, &table, value).unwrap_or_default(), why.to_string())
        };
        if let Err(error) = self.helpers()
            && !self.is_for_another_daemon(&error)
        {
            return Err(fault(error.place(), &error));
        }
        let mut audit = self.audit.clone();
        if let Some(signer) = &mut audit.signer {
            // The environment of the daemon may say all this.
            signer.kid.get_or_insert_default();
            signer.url.get_or_insert_with(|| "https://".to_owned());
            signer.required = false;
        }
        if let Err(error) = audit.resolve(&SignerVariables::default())
            && let Some(place) = error.place()
            && !matches!(&error, SignerSettingsError::Helper(error) if self.is_for_root(error))
        {
            return Err(fault(place, &error));
        }
        let group = self.socket.group.as_deref();
        match group.filter(|name| !matches!(Group::from_name(name), Ok(Some(_)))) {
            Some(name) => {
                let why = format!("this machine knows no group {name:?}");
                Err(fault((TableName::Plain("socket"), Some(name)), &why))
            }
            None => Ok(()),
        }
    }

    /// Whether only we, who look, cannot run the helper: the daemon of a system root is root's.
    fn is_for_another_daemon(&self, error: &SinkError) -> bool {
        matches!(error, SinkError::User(error) if self.is_for_root(error))
    }

    fn is_for_root(&self, error: &ResolveError) -> bool {
        self.layout == Layout::System && matches!(error, ResolveError::AnotherUser(..))
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(name) => write!(formatter, "[{name}]"),
            Self::Sink(name) => write!(formatter, "[[audit.ship]] {name:?}"),
        }
    }
}

impl SinkError {
    fn place(&self) -> Place<'_> {
        let of = |sink: &String| TableName::Sink(sink.clone());
        match self {
            Self::Name(name) | Self::Twice(name) => (of(name), Some(name)),
            Self::Destinations(name) => (of(name), None),
            Self::Address(name, value) | Self::Key(name, value) => (of(name), Some(value)),
            Self::User(error) => error.place(),
        }
    }
}

impl ResolveError {
    fn place(&self) -> Place<'_> {
        match self {
            Self::NoUser(table, user) | Self::AnotherUser(table, user) => {
                (table.clone(), Some(user))
            }
            Self::Root(table) => (table.clone(), Some("root")),
            Self::Relative(table, path) => (table.clone(), path.to_str()),
            Self::Half(table) | Self::Address(table) => (table.clone(), None),
        }
    }
}

impl SignerSettingsError {
    /// `None` for what the environment says.
    fn place(&self) -> Option<Place<'_>> {
        match self {
            Self::Missing(table, _) => Some((TableName::Plain(table), None)),
            Self::Relative(table, path) => Some((TableName::Plain(table), path.to_str())),
            Self::PublicKey(table, value) | Self::Url(table, value) => {
                Some((TableName::Plain(table), Some(value)))
            }
            Self::Source(_) | Self::Required(_) | Self::Software => None,
            Self::Helper(error) => Some(error.place()),
        }
    }
}

/// Where that value of a table is, else where the table is.
fn span(text: &str, table: &TableName, value: Option<&str>) -> Option<Range<usize>> {
    let document = DeTable::parse(text).ok()?;
    let table = match table {
        TableName::Plain(name) => {
            let mut parts = name.split('.');
            let first = document.get_ref().get(parts.next()?)?;
            parts.try_fold(first, entry)?
        }
        TableName::Sink(name) => {
            let sinks = entry(document.get_ref().get("audit")?, "ship")?;
            let DeValue::Array(sinks) = sinks.get_ref() else { return None };
            let is_it = |sink: &&Spanned<DeValue<'_>>| {
                entry(sink, "name").is_some_and(|it| it.get_ref().as_str() == Some(name))
            };
            sinks.iter().rfind(is_it)?
        }
    };
    Some(value.and_then(|value| within(table, value)).unwrap_or_else(|| table.span()))
}

fn entry<'a, 'text>(
    table: &'a Spanned<DeValue<'text>>,
    key: &str,
) -> Option<&'a Spanned<DeValue<'text>>> {
    table.get_ref().as_table()?.get(key)
}

fn within(value: &Spanned<DeValue<'_>>, text: &str) -> Option<Range<usize>> {
    match value.get_ref() {
        DeValue::String(found) => (found == text).then(|| value.span()),
        DeValue::Array(items) => items.iter().find_map(|item| within(item, text)),
        DeValue::Table(entries) => entries.values().find_map(|entry| within(entry, text)),
        DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::settings::check_settings;

    const MARKED: &str = "version = 1\nlayout = \"system\"\ninstance = \"01J\"\n";

    /// What is said of more lines, from the fourth on.
    fn said(lines: &str) -> String {
        check_settings(&format!("{MARKED}{lines}"))
            .map_or_else(|fault| fault.to_string(), |()| String::new())
    }

    const TOKEN: &str = "source = \"pkcs11\"\nuser = \"nobody\"\nmodule = \"/m\"\ntoken = \"t\"\n\
                         pin_file = \"/p\"\n";
    const SINK: &str = "[[audit.ship]]\nname = \"a\"\nuser = \"nobody\"\n";

    #[test]
    fn a_signer_that_a_daemon_could_not_have_is_shown_where_it_stands() {
        let key = format!("{TOKEN}kid = \"a\"\npublic_key = \"11qY\"\n");
        let proxy = "[audit.signer]\nsource = \"proxy\"\nurl = \"http://a\"\n";
        for (lines, place, why) in [
            (
                format!("[audit.signer]\n{key}"),
                "line 11, column 14: `public_key`",
                "no Ed25519 key",
            ),
            (format!("[audit.next_signer]\n{key}"), "line 11, column 14", "no Ed25519 key"),
            (
                format!("[audit.signer]\n{}", TOKEN.replace("/m", "m")),
                "line 7, column 10",
                "absolute",
            ),
            (format!("[audit.signer]\n{TOKEN}"), "line 4, column", "takes public_key"),
            (proxy.to_owned(), "line 6, column 7", "https://"),
        ] {
            let said = said(&lines);
            assert!(said.starts_with(place) && said.contains(why), "{lines}{said}");
        }
    }

    #[test]
    fn a_sink_that_a_daemon_could_not_ship_to_is_shown_where_it_stands() {
        let witness = "witness = { address = \"http://w\", key = \"w\" }\n";
        let webhook = "webhook = { address = \"x\", secret = \"/s\" }\n";
        for (lines, place, why) in [
            (SINK.to_owned(), "line 4, column", "exactly one of file"),
            (format!("{SINK}file = \"x\"\n"), "line 7, column 8", "no absolute path"),
            (
                format!("{SINK}file = \"/x\"\n{SINK}file = \"/y\"\n"),
                "line 9, column 8",
                "two sinks",
            ),
            (format!("{SINK}{witness}"), "line 7, column 41", "key of a witness"),
            (format!("{SINK}{webhook}"), "line 7, column 23", "no address"),
            (SINK.replace("\"a\"", "\"A b\""), "line 5, column 8", "1 to 32"),
        ] {
            let said = said(&lines);
            assert!(said.starts_with(place) && said.contains(why), "{lines}{said}");
        }
    }

    #[test]
    fn users_groups_and_helpers_that_cannot_be_are_shown_where_they_stand() {
        let unknown = "user = \"nobody-has-this-name\"\n";
        let notify = "[notify]\nuser = \"nobody\"\n";
        for (lines, place, why) in [
            (format!("[notify]\n{unknown}"), "line 5, column 8", "does not know"),
            (format!("{notify}webhook_key = \"k\"\n"), "line 6, column 15", "no absolute path"),
            (
                format!("{notify}webhook = \"http://a\"\n"),
                "line 4, column",
                "without a webhook_key",
            ),
            (format!("[sources.pass]\nstore = \"/s\"\n{unknown}"), "line 6, column 8", "not know"),
            (
                "[sources.pass]\nstore = \"s\"\nuser = \"nobody\"\n".to_owned(),
                "line 5, column 9",
                "absolute",
            ),
            (
                "[socket]\ngroup = \"nobody-has-this-name\"\n".to_owned(),
                "line 5, column 9",
                "no group",
            ),
        ] {
            let said = said(&lines);
            assert!(said.starts_with(place) && said.contains(why), "{lines}{said}");
        }
    }

    #[test]
    fn what_the_environment_of_a_daemon_may_say_is_not_missing() {
        let key = "public_key = \"11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\"\n";
        let proxy = "[audit.signer]\nsource = \"proxy\"\nuser = \"nobody\"\nrequired = true\ncertificate = \"/c\"\nkey = \"/k\"\n";
        assert_eq!(said(&format!("{proxy}{key}")), "");
        assert_eq!(said("[audit.signer]\nrequired = true\n"), "");
    }
}
