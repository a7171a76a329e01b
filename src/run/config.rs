//! `ward config`: the settings of a root as they count, and where each was said.

use crate::client::no_root;
use crate::command::{ConfigShowArguments, ConfigValidateArguments};
use crate::config_file::ConfigFile;
use crate::output::{Report, escaped, table};
use crate::picture;
use crate::settings::{From, Settings};
use crate::trouble::Trouble;
use serde::Serialize;
use std::ffi::OsStr;
use std::path::Path;
use ward_mountd::root::MARK;
use ward_mountd::{Root, Setting, SettingsError, TEMPLATE, check_settings, settings_of};

/// The settings.
#[derive(Debug, Serialize)]
pub(crate) struct Shown {
    settings: Vec<One>,
    #[serde(skip_serializing_if = "Option::is_none")]
    template: Option<&'static str>,
}

/// One setting.
#[derive(Debug, Serialize)]
struct One {
    key: String,
    value: String,
    from: From,
    /// What said it, for people.
    #[serde(skip)]
    by: &'static str,
}

/// That a file has no mistake.
#[derive(Debug, Serialize)]
pub(crate) struct Valid {
    file: String,
    /// What to do about an ACL that the policy of the root does not have.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<String>,
    /// Keys of a `.gloves.toml` that count for nothing here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    without_effect: Vec<String>,
}

/// Shows them.
pub(crate) fn show(
    arguments: &ConfigShowArguments,
    settings: &Settings,
) -> Result<Report<Shown>, Trouble> {
    if arguments.template {
        let shown = Shown { settings: Vec::new(), template: Some(TEMPLATE) };
        return Ok(Report::new(shown, TEMPLATE));
    }
    let root = Root::open(&settings.root).map_err(|error| no_root(&settings.root, &error))?;
    let listed = settings_of(&root).map_err(|error| trouble(&settings.root, &error))?;
    let by = match settings.root_from {
        From::Flag => "--root",
        From::Environment => "WARD_ROOT",
        From::File | From::Default => "default",
    };
    let value = settings.root.display().to_string();
    let mut all = vec![One { key: "root".to_owned(), value, from: settings.root_from, by }];
    all.extend(listed.into_iter().map(|setting| effective(setting, settings)));
    let row = |one: &One| [&one.key, &one.value, one.by].map(|it| escaped(it).to_string()).to_vec();
    let text = table(&all.iter().map(row).collect::<Vec<_>>());
    Ok(Report::new(Shown { settings: all, template: None }, text))
}

/// Looks for mistakes.
pub(crate) fn validate(
    arguments: &ConfigValidateArguments,
    settings: &Settings,
) -> Result<Report<Valid>, Trouble> {
    let is_foreign = |path: &Path| {
        path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(".gloves.toml"))
    };
    let foreign = match (&arguments.file, &settings.config) {
        (Some(file), _) if is_foreign(file) => Some(&ConfigFile::read(file)?),
        (None, Some(config)) if !config.path.ends_with(MARK) => Some(config),
        (_, _) => None,
    };
    if let Some(config) = foreign {
        return Ok(validated(config));
    }
    let path = arguments.file.clone().unwrap_or_else(|| settings.root.join(MARK));
    let name = path.display().to_string();
    let text = std::fs::read_to_string(&path)
        .map_err(|error| Trouble::bad_input(format!("cannot read {name}: {error}")))?;
    check_settings(&text).map_err(|fault| {
        let picture = picture::of(&fault, &name, &text);
        Trouble::bad_input(format!("{name}, {fault}"))
            .shown(picture)
            .next("see ward config show --template")
    })?;
    let said = format!("{} has no mistake\n", escaped(&name));
    Ok(Report::new(Valid { file: name, missing: None, without_effect: Vec::new() }, said))
}

/// A file of the other program has no mistake; what of it does not count is said.
fn validated(config: &ConfigFile) -> Report<Valid> {
    let file = config.path.display().to_string();
    let missing = config.missing_in(&config.root);
    let mut said = format!("{} has no mistake\n", escaped(&file));
    if let Some(missing) = &missing {
        said.push_str(&format!("  {}\n", escaped(missing)));
    }
    let without_effect = config.without_effect.clone();
    if !without_effect.is_empty() {
        let keys = without_effect.join(", ");
        said.push_str(&format!("  without effect here (docs/gloves.md): {}\n", escaped(&keys)));
    }
    Report::new(Valid { file, missing, without_effect }, said)
}

/// What the environment says counts more than the file.
fn effective(setting: Setting, settings: &Settings) -> One {
    let Setting { key, value, is_given } = setting;
    let variable: Option<(&OsStr, &'static str)> = match key.as_str() {
        "mount.ttl" => settings.ttl.as_deref().map(|value| (value, "WARD_TTL")),
        "mount.idle" => settings.idle.as_deref().map(|value| (value, "WARD_IDLE")),
        "secrets.ttl" => {
            settings.secret_ttl.as_ref().map(|value| (value.as_ref(), "WARD_SECRET_TTL"))
        }
        _ => None,
    };
    match variable {
        Some((said, by)) => {
            let value = format!("{:?}", said.to_string_lossy());
            One { key, value, from: From::Environment, by }
        }
        None if is_given => One { key, value, from: From::File, by: "ward.toml" },
        None => One { key, value, from: From::Default, by: "default" },
    }
}

fn trouble(root: &Path, error: &SettingsError) -> Trouble {
    match error {
        SettingsError::Missing(_, source) => no_root(root, source),
        SettingsError::Newer(_) | SettingsError::Fault { .. } => {
            Trouble::bad_input(error).next("see ward config validate")
        }
    }
}
