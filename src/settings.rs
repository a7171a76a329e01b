//! Settings: where the root is and how to answer. The only file that reads the environment.

use crate::command::Arguments;
use crate::config_file::ConfigFile;
use crate::output::Form;
use crate::pipe_variables::PipeVariables;
use crate::trouble::Trouble;
use nix::unistd::{Uid, User};
use serde::Serialize;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Where the root of a system is.
const SYSTEM_ROOT: &str = "/var/lib/ward";
/// Where the mounts of root are.
const SYSTEM_RUNTIME: &str = "/run";

/// What a command needs to know besides its own arguments.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The file of `--config`.
    pub(crate) config: Option<ConfigFile>,
    /// The root, absolute.
    pub(crate) root: PathBuf,
    /// Where that was said.
    pub(crate) root_from: From,
    /// The name that commands are asked under (`WARD_AGENT`).
    pub(crate) agent: Option<String>,
    /// How long a mount lasts without `--ttl` (`WARD_TTL`).
    pub(crate) ttl: Option<OsString>,
    /// How long a secret is served without `--ttl` (`WARD_SECRET_TTL`).
    pub(crate) secret_ttl: Option<String>,
    /// When a mount that nobody uses ends without `--idle` (`WARD_IDLE`).
    pub(crate) idle: Option<OsString>,
    /// The directory for mounts without a path; absent when the session has none.
    pub(crate) runtime: Option<PathBuf>,
    /// What may get a secret (`WARD_GET_PIPE_ALLOWLIST` and others).
    pub(crate) pipe: PipeVariables,
    /// Where programs are (`PATH`).
    pub(crate) path: Option<OsString>,
    /// How to answer.
    pub(crate) form: Form,
    /// How to call `ward` for the same root, for hints.
    pub(crate) program: String,
    /// What shows long texts on a terminal (`PAGER`); absent where that can do nothing but scroll.
    pub(crate) pager: Option<OsString>,
    /// The shell that the caller works with (`SHELL`).
    pub(crate) shell: Option<PathBuf>,
    /// Where the caller's passwords are, as `pass` finds them (`PASSWORD_STORE_DIR`).
    pub(crate) password_store: Option<PathBuf>,
    /// Where the caller lives.
    pub(crate) home: Option<PathBuf>,
    /// Whether somebody wants no colours (`NO_COLOR`, no-color.org).
    pub(crate) is_plain: bool,
}

/// Where a setting was said: what comes first counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum From {
    /// A flag.
    #[serde(rename = "flag")]
    Flag,
    /// A variable.
    #[serde(rename = "environment")]
    Environment,
    /// `ward.toml` of the root.
    #[serde(rename = "file")]
    File,
    /// Nobody said it.
    #[serde(rename = "default")]
    Default,
}

impl Settings {
    /// From the arguments, then the environment, then who we are.
    pub(crate) fn read(arguments: &Arguments) -> Result<Self, Trouble> {
        let config = arguments.config.as_deref().map(ConfigFile::read).transpose()?;
        let named = arguments.root.clone().or_else(|| Some(config.as_ref()?.root.clone()));
        let (root, root_from) = match (named.clone(), variable("WARD_ROOT")) {
            (Some(root), _) => (root, From::Flag),
            (None, Some(root)) => (root, From::Environment),
            (None, None) => (default_root()?, From::Default),
        };
        let absolute = std::path::absolute(&root).map_err(|error| {
            Trouble::bad_input(format!("{} is no path of a root: {error}", root.display()))
        })?;
        let program = named
            .map_or_else(|| "ward".to_owned(), |_| format!("ward --root {}", quoted(&absolute)));
        Ok(Self {
            config,
            root: absolute,
            root_from,
            agent: arguments.agent.clone().or_else(|| word("WARD_AGENT")),
            ttl: variable("WARD_TTL").map(PathBuf::into_os_string),
            secret_ttl: word("WARD_SECRET_TTL"),
            idle: variable("WARD_IDLE").map(PathBuf::into_os_string),
            runtime: runtime(),
            // One that is set and empty says something, too: a mistake.
            pipe: PipeVariables::read(|name| std::env::var_os(name)),
            path: variable("PATH").map(PathBuf::into_os_string),
            form: Form::of(arguments),
            program,
            pager: pager(),
            shell: variable("SHELL"),
            password_store: variable("PASSWORD_STORE_DIR")
                .or_else(|| home().map(|home| home.join(".password-store"))),
            home: home(),
            is_plain: variable("NO_COLOR").is_some(),
        })
    }
}

fn default_root() -> Result<PathBuf, Trouble> {
    if Uid::effective().is_root() {
        return Ok(SYSTEM_ROOT.into());
    }
    let state = directory("XDG_STATE_HOME")
        .or_else(|| home().map(|home| home.join(".local/state")))
        .ok_or_else(|| {
            Trouble::bad_input("no root: there is no home directory to look in")
                .next("give one with --root PATH or WARD_ROOT")
        })?;
    Ok(state.join("ward"))
}

/// A variable that is text.
fn word(name: &str) -> Option<String> {
    Some(variable(name)?.to_string_lossy().into_owned())
}

fn pager() -> Option<OsString> {
    let can_move = variable("TERM").is_some_and(|terminal| terminal != Path::new("dumb"));
    let less = || can_move.then(|| "less -R".into());
    variable("PAGER").map(PathBuf::into_os_string).or_else(less)
}

fn runtime() -> Option<PathBuf> {
    if Uid::effective().is_root() {
        Some(SYSTEM_RUNTIME.into())
    } else {
        directory("XDG_RUNTIME_DIR")
    }
}

fn home() -> Option<PathBuf> {
    let of_user = || User::from_uid(Uid::effective()).ok().flatten().map(|user| user.dir);
    directory("HOME").or_else(of_user)
}

/// An absolute directory; others are no answer (XDG Base Directory Specification).
fn directory(name: &str) -> Option<PathBuf> {
    variable(name).filter(|path| path.is_absolute())
}

fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    shell_word(&path.display().to_string())
}

/// A text as one word of a shell.
pub(crate) fn shell_word(text: &str) -> String {
    let is_plain =
        |character: char| character.is_ascii_alphanumeric() || "/._-+".contains(character);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_in_a_hint_can_be_pasted_into_a_shell() {
        assert_eq!(quoted(Path::new("/var/lib/ward")), "/var/lib/ward");
        assert_eq!(quoted(Path::new("/my root/it's")), r"'/my root/it'\''s'");
    }
}
