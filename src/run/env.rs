//! `ward env`: a line for a shell that puts a secret into a variable, without the secret.

use crate::client::Client;
use crate::command::EnvArguments;
use crate::output::Report;
use crate::secret_reference::SecretReference;
use crate::settings::{Settings, shell_word};
use crate::trouble::Trouble;
use serde::Serialize;
use std::path::Path;
use ward_mountd::control::message::{Command, Done, FailureCode, GoesTo, Names, VaultState};

/// Variables that say what runs, or what a program loads: a secret in one would be obeyed. A final `*` stands
/// for the rest of the name.
const OBEYED: [&str; 24] = [
    "PATH",
    "LD_*",
    "IFS",
    "ENV",
    "BASH_*",
    "SHELLOPTS",
    "PS4",
    "PROMPT_COMMAND",
    "CDPATH",
    "HOME",
    "SHELL",
    "EDITOR",
    "VISUAL",
    "PAGER",
    "PYTHON*",
    "PERL*",
    "RUBY*",
    "NODE_*",
    "JAVA_TOOL_OPTIONS",
    "GCONV_PATH",
    "GIT_*",
    "TMPDIR",
    "WARD_*",
    "GLOVES_*",
];

/// The line.
#[derive(Debug, Serialize)]
pub(crate) struct Line {
    /// What a shell evaluates.
    line: String,
}

/// Says it, of a secret that the caller may know of.
pub(crate) fn run(arguments: &EnvArguments, settings: &Settings) -> Result<Report<Line>, Trouble> {
    let variable = &arguments.variable;
    check(variable)?;
    let SecretReference { vault, path } = SecretReference::parse(&arguments.name)?;
    let mut client = Client::connect(settings)?;
    let list = Command::List { vault: vault.clone() };
    let names: Names = client.ask_unlocked(list, None, &vault, &arguments.unlock)?;
    if !names.names.iter().any(|name| name.path == path) {
        return Err(
            Trouble::new(FailureCode::NotFound, "there is no such secret").next("see ward list")
        );
    }
    // Who may not know of the mount, or acts under a name, which a file does not know, has the command.
    let status = Command::VaultStatus { vault: vault.clone() };
    let state: Option<VaultState> = match &settings.agent {
        Some(_) => None,
        None => client.ask(status).ok(),
    };
    let mounted =
        state.and_then(|state| state.mount).map(|mount| Path::new(&mount.path).join(&path));
    let read = match mounted {
        Some(file) => format!("cat -- {}", shell_word(&file.display().to_string())),
        None => {
            // A line that nothing answers would leave the variable empty, and say that all is well.
            let to = GoesTo::Output;
            let check = Command::PipeCheck { vault: vault.clone(), path: path.clone(), to };
            let Done {} = client.ask(check)?;
            let agent =
                settings.agent.as_deref().map(|name| format!(" --agent {}", shell_word(name)));
            let name = shell_word(&format!("{vault}:{path}"));
            format!("{}{} get --raw -- {name}", settings.program, agent.unwrap_or_default())
        }
    };
    let line = format!("export {variable}=\"$({read})\"");
    Ok(Report::new(Line { line: line.clone() }, line + "\n"))
}

fn check(variable: &str) -> Result<(), Trouble> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let begins_well = variable.bytes().next().is_some_and(|first| !first.is_ascii_digit());
    if !begins_well || !variable.bytes().all(is_word) {
        return Err(Trouble::bad_input(format!("{variable:?} is no name of a variable"))
            .next("use a letter or _, then letters, digits and _"));
    }
    let is_obeyed = |known: &&str| match known.strip_suffix('*') {
        Some(stem) => variable.starts_with(stem),
        None => variable == *known,
    };
    if OBEYED.iter().any(is_obeyed) {
        let message =
            format!("{variable} says what programs run or load; a secret does not belong there");
        return Err(Trouble::bad_input(message).next("choose a variable of the program's own"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_a_name_that_no_program_obeys() {
        for good in ["TOKEN", "_x1", "db_password", "ENVIRONMENT", "PATHS"] {
            assert!(check(good).is_ok(), "{good}");
        }
        let none = ["", "1A", "FOO; rm -rf x", "A B", "A=B", "A\n", "\u{c4}", "A-B", "$A"];
        let obeyed = ["PATH", "LD_PRELOAD", "BASH_ENV", "IFS", "PYTHONPATH", "GIT_SSH_COMMAND"];
        for bad in none.into_iter().chain(obeyed) {
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }
}
