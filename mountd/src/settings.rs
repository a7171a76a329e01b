//! `ward.toml` of a root: what the root is, and its settings. Strict, with line and column.
//!
//! Each table is a struct of the module that owns the thing; here they are read and listed together.

mod audit;
mod check;

pub(crate) use audit::AuditSettings;
pub(crate) use check::TableName;

use crate::calendar::SecretsSettings;
use crate::control::SidecarSettings;
use crate::handle_table::Limits;
use crate::helper::{Helpers, Notify};
use crate::lifecycle::MountSettings;
use crate::metrics::MetricsSettings;
use crate::pipe::PipeSettings;
use crate::root::{Layout, MARK, Root};
use crate::shipping::SinkError;
use crate::source::SourcesSettings;
use crate::start::SocketSettings;
use jiff::SignedDuration;
use rustix::fs::{Mode, OFlags, openat};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;
use toml::de::{DeTable, DeValue};
use toml::{Table, Value};
use ward_policy::{RuleFileError, nearest_word, parse_duration};

/// The longest `ward.toml`, in bytes.
const LONGEST: u64 = 64 << 10;

/// The longest that `[mount]` may let a mount last.
const LONGEST_MOUNT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Tables that a running daemon takes; the others take a restart.
const TAKEN_WHILE_RUNNING: [&str; 4] = ["mount", "secrets", "limits", "pipe"];

/// Every setting with its default, commented.
pub const TEMPLATE: &str = include_str!("settings/template.toml");

/// The content of `ward.toml`: what a root is, told apart from all others, and its settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// The version of the root's form: 1.
    pub(crate) version: u32,
    pub(crate) layout: Layout,
    /// A ULID; mounts carry it, so that a daemon knows its own.
    pub(crate) instance: String,
    #[serde(default)]
    pub(crate) mount: MountSettings,
    #[serde(default)]
    pub(crate) secrets: SecretsSettings,
    #[serde(default)]
    pub(crate) limits: Limits,
    /// Where bytes of a secret may go.
    #[serde(default)]
    pub(crate) pipe: PipeSettings,
    #[serde(default)]
    pub(crate) socket: SocketSettings,
    #[serde(default)]
    pub(crate) metrics: MetricsSettings,
    #[serde(default)]
    pub(crate) sidecar: SidecarSettings,
    #[serde(default)]
    pub(crate) audit: AuditSettings,
    /// Who is told of new requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) notify: Option<Notify>,
    #[serde(default)]
    pub(crate) sources: SourcesSettings,
}

/// One setting as it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its table and key, such as `mount.ttl`.
    pub key: String,
    /// Its value, as TOML.
    pub value: String,
    /// Whether `ward.toml` says it; otherwise it is the default.
    pub is_given: bool,
}

/// Reads a time such as `45m`, `1h 30m` or `7d`: whole seconds, one at least.
pub fn parse_period(text: &str) -> Option<Duration> {
    let time = || text.parse::<SignedDuration>().ok()?.try_into().ok();
    let read = parse_duration(text).or_else(time);
    read.filter(|it: &Duration| it.subsec_nanos() == 0 && !it.is_zero())
}

/// A time in `ward.toml`, such as `45m`, `1h 30m` or `7d`: whole seconds, one at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Period(Duration);

/// A text is no time.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no time of at least a second; write it such as \"45m\", \"1h 30m\" or \"7d\"")]
pub(crate) struct PeriodError(String);

/// Settings that differ from those before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SettingsChange {
    /// In force from now on.
    pub(crate) taken: Vec<String>,
    /// In force when the daemon starts again.
    pub(crate) waiting: Vec<String>,
}

/// Why a directory is not known as a root, or its settings are not taken.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// There is none, or none that can be read.
    #[error("{0} is no root of wardfs ({1}); make one: ward init")]
    Missing(PathBuf, #[source] io::Error),
    /// Another version wrote it.
    #[error("{0}/ward.toml is of a newer version; update wardfs")]
    Newer(PathBuf),
    /// It is no TOML, or says what we do not know.
    #[error("{path}/ward.toml, {fault}")]
    Fault {
        /// The root.
        path: PathBuf,
        /// What and where.
        fault: RuleFileError,
    },
}

impl Settings {
    /// Those of a new root.
    pub(crate) fn new(layout: Layout, instance: &str) -> Self {
        Self {
            version: 1,
            layout,
            instance: instance.to_owned(),
            mount: MountSettings::default(),
            secrets: SecretsSettings::default(),
            limits: Limits::default(),
            pipe: PipeSettings::default(),
            socket: SocketSettings::default(),
            metrics: MetricsSettings::default(),
            sidecar: SidecarSettings::default(),
            audit: AuditSettings::default(),
            notify: None,
            sources: SourcesSettings::default(),
        }
    }

    pub(crate) fn read(root: &Root) -> Result<Self, SettingsError> {
        let text = text_of(root)?;
        let path = || root.path().to_owned();
        let settings =
            Self::parse(&text).map_err(|fault| SettingsError::Fault { path: path(), fault })?;
        if settings.version == 1 { Ok(settings) } else { Err(SettingsError::Newer(path())) }
    }

    /// The helpers that it names.
    pub(crate) fn helpers(&self) -> Result<Helpers, SinkError> {
        let mut helpers = Helpers::default();
        if let Some(notify) = &self.notify {
            for (name, helper) in notify.resolve()? {
                helpers.add(name, helper);
            }
        }
        for (name, helper) in self.sources.helpers()? {
            helpers.add(name, helper);
        }
        for (name, helper) in self.audit.helpers()? {
            helpers.add(&name, helper);
        }
        Ok(helpers)
    }

    /// The text of `ward.toml` for a new root.
    pub(crate) fn text(&self) -> String {
        let Self { version, layout, instance, .. } = self;
        let layout = layout.name();
        format!(
            "# Made by ward init; these three are not for editing. What may follow: ward config show --template\nversion = {version}\nlayout = \"{layout}\"\ninstance = \"{instance}\"\n"
        )
    }

    /// What is otherwise in `new`.
    pub(crate) fn change_to(&self, new: &Self) -> SettingsChange {
        let (old, new) = (self.list(&Table::new()), new.list(&Table::new()));
        let both = old.iter().map(|it| (it, &new)).chain(new.iter().map(|it| (it, &old)));
        let mut changed: Vec<String> = both
            .filter(|(setting, others)| !others.contains(setting))
            .map(|(setting, _)| setting.key.clone())
            .collect();
        changed.sort();
        changed.dedup();
        let is_taken = |key: &String| {
            key.split_once('.').is_some_and(|(table, _)| TAKEN_WHILE_RUNNING.contains(&table))
        };
        let (taken, waiting) = changed.into_iter().partition(is_taken);
        SettingsChange { taken, waiting }
    }

    fn parse(text: &str) -> Result<Self, RuleFileError> {
        let settings: Self = toml::from_str(text).map_err(|error| {
            let span = error.span().unwrap_or_default();
            RuleFileError::at(text, span, with_nearest(error.message()))
        })?;
        let MountSettings { ttl, longest, .. } = settings.mount;
        if longest.duration() > LONGEST_MOUNT {
            let span = span_of(text, "mount", "longest").unwrap_or_default();
            let message = "`longest` is over 30 days; make it shorter".to_owned();
            return Err(RuleFileError::at(text, span, message));
        }
        if ttl > longest {
            let message = "`ttl` is over `longest`; make it shorter, or `longest` longer";
            let span = span_of(text, "mount", "ttl").or_else(|| span_of(text, "mount", "longest"));
            return Err(RuleFileError::at(text, span.unwrap_or_default(), message.to_owned()));
        }
        Ok(settings)
    }

    /// Every setting, in the order of their keys; `given` is what the file says.
    fn list(&self, given: &Table) -> Vec<Setting> {
        let table = Table::try_from(self).unwrap_or_default();
        let mut settings = Vec::new();
        flatten("", &table, &mut |key, value| {
            let said = key.split('.').try_fold(None::<&Value>, |within, part| {
                let table = within.map_or(Some(given), Value::as_table)?;
                table.get(part).map(Some)
            });
            let is_given = said.is_some();
            settings.push(Setting { key: key.to_owned(), value: value.to_string(), is_given });
        });
        settings
    }
}

/// Every setting of a root as it counts for a daemon that starts now, but for what the root is.
///
/// # Errors
/// There is no `ward.toml`, or it is not taken.
pub fn settings_of(root: &Root) -> Result<Vec<Setting>, SettingsError> {
    let settings = Settings::read(root)?;
    let given = text_of(root)?.parse().unwrap_or_default();
    let mut list = settings.list(&given);
    list.retain(|setting| setting.key.contains('.'));
    Ok(list)
}

/// Checks the text of a `ward.toml`, and what it says of users, groups and signers of this machine.
///
/// # Errors
/// The first fault, with its place.
pub fn check_settings(text: &str) -> Result<(), RuleFileError> {
    let settings = Settings::parse(text)?;
    if settings.version == 1 {
        return settings.check(text);
    }
    let message = "this program knows version 1; update wardfs".to_owned();
    Err(RuleFileError::at(text, 0..0, message))
}

impl Period {
    pub(crate) const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    pub(crate) const fn duration(self) -> Duration {
        self.0
    }
}

impl TryFrom<String> for Period {
    type Error = PeriodError;

    fn try_from(text: String) -> Result<Self, PeriodError> {
        parse_period(&text).map(Self).ok_or(PeriodError(text))
    }
}

impl From<Period> for String {
    fn from(period: Period) -> Self {
        let whole = SignedDuration::try_from(period.0).unwrap_or(SignedDuration::MAX);
        format!("{whole:#}")
    }
}

fn text_of(root: &Root) -> Result<String, SettingsError> {
    let missing = |error: io::Error| SettingsError::Missing(root.path().to_owned(), error);
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(root.as_fd(), MARK, flags, Mode::empty());
    let file = file.map_err(|errno| missing(errno.into()))?;
    let mut text = String::new();
    File::from(file).take(LONGEST).read_to_string(&mut text).map_err(missing)?;
    Ok(text)
}

/// What serde says, with the word that was probably meant.
fn with_nearest(message: &str) -> String {
    let mut words = message.split('`').skip(1).step_by(2);
    let is_word = message.starts_with("unknown field") || message.starts_with("unknown variant");
    let near = words.next().filter(|_| is_word).and_then(|word| nearest_word(word, words));
    near.map_or_else(|| message.to_owned(), |near| format!("{message}; did you mean `{near}`?"))
}

/// Where the value of a key is.
fn span_of(text: &str, table: &str, key: &str) -> Option<Range<usize>> {
    let document = DeTable::parse(text).ok()?;
    let table = document.get_ref().get(table)?;
    let DeValue::Table(entries) = table.get_ref() else { return None };
    entries.get(key).map(toml::Spanned::span)
}

fn flatten(before: &str, table: &Table, each: &mut impl FnMut(&str, &Value)) {
    for (key, value) in table {
        let key = if before.is_empty() { key.clone() } else { format!("{before}.{key}") };
        match value {
            Value::Table(within) => flatten(&key, within, each),
            Value::String(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::Datetime(_)
            | Value::Array(_) => each(&key, value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKED: &str = "version = 1\nlayout = \"system\"\ninstance = \"01J\"\n";

    fn parse(rest: &str) -> Result<Settings, String> {
        Settings::parse(&format!("{MARKED}{rest}")).map_err(|fault| fault.to_string())
    }

    #[test]
    fn a_fault_has_line_and_column_and_the_word_that_was_meant() {
        let said = parse("[mount]\ntll = \"1h\"\n").unwrap_err();
        assert!(said.starts_with("line 5, column 1: unknown field `tll`"), "{said}");
        assert!(said.ends_with("did you mean `ttl`?"), "{said}");
        let said = parse("[mount]\nttl = \"soon\"\n").unwrap_err();
        assert!(said.starts_with("line 5, column 7: \"soon\" is no time"), "{said}");
        let said = parse("[mount]\nttl = \"2h\"\nlongest = \"1h\"\n").unwrap_err();
        assert!(said.starts_with("line 5, column 7: `ttl` is over `longest`"), "{said}");
        let said = parse("[secrets]\nttl = \"soon\"\n").unwrap_err();
        assert!(said.starts_with("line 5, column 7: \"soon\" is no time"), "{said}");
        let said = parse("[secrets]\nttl = \"36501d\"\n").unwrap_err();
        assert!(said.starts_with("line 5, column 7: \"36501d\" is no time up to"), "{said}");
        let said = parse("[mont]\n").unwrap_err();
        assert!(said.ends_with("did you mean `mount`?"), "{said}");
    }

    #[test]
    fn a_time_is_hours_minutes_and_seconds_or_whole_days() {
        let seconds = |text: &str| {
            Period::try_from(text.to_owned()).ok().map(|period| period.duration().as_secs())
        };
        for (text, wanted) in [("45m", 2700), ("1h 30m", 5400), ("7d", 604_800)] {
            assert_eq!(seconds(text), Some(wanted), "{text}");
            let told = String::from(Period::try_from(text.to_owned()).unwrap());
            assert_eq!(seconds(&told), Some(wanted), "{told}");
        }
        for bad in ["0d", "-1d", "1.5d", "30", "0s", "1500ms"] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }

    #[test]
    fn nothing_said_is_the_default_and_so_is_the_template_with_its_values() {
        let plain = parse("").unwrap();
        assert_eq!(plain, Settings::new(Layout::System, "01J"));
        let taken: String = TEMPLATE
            .lines()
            .filter_map(|line| line.strip_prefix("#: "))
            .map(|line| format!("{line}\n"))
            .collect();
        assert_eq!(parse(&taken).unwrap(), plain, "{taken}");
        for setting in plain.list(&Table::new()) {
            let (_, key) = setting.key.rsplit_once('.').unwrap_or(("", &setting.key));
            let is_of_the_root = !setting.key.contains('.');
            assert!(is_of_the_root || taken.contains(&format!("{key} = ")), "{key}");
        }
    }

    #[test]
    fn a_change_is_taken_at_once_or_waits_for_a_restart() {
        let old = parse("").unwrap();
        let more = "[mount]\nttl = \"2h\"\n[secrets]\nttl = \"30\"\n[socket]\ngroup = \"ward\"\n";
        let new = parse(more).unwrap();
        let change = old.change_to(&new);
        assert_eq!(change.taken, ["mount.ttl", "secrets.ttl"]);
        assert_eq!(change.waiting, ["socket.group"]);
        assert_eq!(new.change_to(&new), SettingsChange::default());
    }

    #[test]
    fn a_setting_is_listed_with_where_it_comes_from() {
        let given: Table = "[mount]\nttl = \"2h\"\n".parse().unwrap();
        let list = parse("[mount]\nttl = \"2h\"\n").unwrap().list(&given);
        let of = |key: &str| list.iter().find(|it| it.key == key).unwrap();
        assert_eq!((of("mount.ttl").value.as_str(), of("mount.ttl").is_given), ("\"2h\"", true));
        assert!(!of("mount.longest").is_given);
    }
}
