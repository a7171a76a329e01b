//! `ward gpg`: the key that `pass init` takes, made by the `gpg` of the machine.

use crate::command::{GpgCreateArguments, GpgKeyArguments};
use crate::output::{Report, escaped};
use crate::passphrase;
use crate::settings::Settings;
use crate::trouble::Trouble;
use nix::unistd::{Uid, User};
use serde::Serialize;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use ward_mountd::control::message::FailureCode;

/// The longest path of a home below which sockets can be made: 107 bytes less their names.
const LONGEST_HOME: usize = 80;

/// A key.
#[derive(Debug, Serialize)]
pub(crate) struct Key {
    /// Whose.
    agent: String,
    fingerprint: String,
    /// Whether it was made now.
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<bool>,
}

/// A home of `GnuPG`, held open: the agent that was started for it ends with this.
struct Home {
    path: Option<PathBuf>,
    /// Keeps the short path alive.
    _folder: Option<File>,
    had_agent: bool,
}

/// Makes a key, or finds the one that was made.
pub(crate) fn create(
    arguments: &GpgCreateArguments,
    settings: &Settings,
) -> Result<Report<Key>, Trouble> {
    let (name, home) = opened(&arguments.key, settings)?;
    if let Some(fingerprint) = home.find(&name)? {
        return Ok(report(name, fingerprint, Some(false)));
    }
    if !arguments.no_passphrase && !passphrase::can_ask() {
        return Err(Trouble::bad_input("no terminal is there to ask for a passphrase of the key")
            .next("run it on a terminal, or say --no-passphrase"));
    }
    let mut command = home.gpg();
    if arguments.no_passphrase {
        command.args(["--batch", "--pinentry-mode", "loopback", "--passphrase", ""]);
    }
    command.args(["--quick-generate-key", &identity(&name), "future-default", "default", "never"]);
    let made = command.status().map_err(|error| missing(&error))?;
    match home.find(&name)? {
        Some(fingerprint) if made.success() => Ok(report(name, fingerprint, Some(true))),
        Some(_) | None => {
            let message = format!("gpg made no key ({made})");
            Err(Trouble::new(FailureCode::SourceRefused, message).next("see what gpg says above"))
        }
    }
}

/// Shows a key that was made.
pub(crate) fn fingerprint(
    arguments: &GpgKeyArguments,
    settings: &Settings,
) -> Result<Report<Key>, Trouble> {
    let (name, home) = opened(arguments, settings)?;
    match home.find(&name)? {
        Some(fingerprint) => Ok(report(name, fingerprint, None)),
        None => Err(Trouble::new(FailureCode::NotFound, format!("there is no key of {name}"))
            .next("make it: ward gpg create")),
    }
}

fn report(agent: String, fingerprint: String, created: Option<bool>) -> Report<Key> {
    let word = match created {
        Some(true) => "made ",
        Some(false) | None => "",
    };
    let text = format!("{word}{} {}\n", escaped(&agent), escaped(&fingerprint));
    Report::new(Key { agent, fingerprint, created }, text)
}

fn opened(arguments: &GpgKeyArguments, settings: &Settings) -> Result<(String, Home), Trouble> {
    let name = match arguments.name.as_ref().or(settings.agent.as_ref()) {
        Some(name) => name.clone(),
        None => {
            let user = User::from_uid(Uid::effective()).ok().flatten();
            user.map_or_else(|| Uid::effective().to_string(), |user| user.name)
        }
    };
    let is_plain = |it: char| it.is_ascii_alphanumeric() || "._-".contains(it);
    if name.is_empty() || name.len() > 64 || !name.chars().all(is_plain) {
        return Err(Trouble::bad_input(format!("{name:?} cannot name a key"))
            .next("use 1 to 64 of a-z A-Z 0-9 . _ -"));
    }
    Ok((name, Home::open(arguments.home.as_deref())?))
}

/// By which it is known again.
fn identity(name: &str) -> String {
    format!("{name} (wardfs)")
}

fn missing(error: &std::io::Error) -> Trouble {
    Trouble::new(FailureCode::Unsupported, format!("cannot run gpg: {error}"))
        .next("install GnuPG: apt-get install gnupg")
}

impl Home {
    fn open(path: Option<&Path>) -> Result<Self, Trouble> {
        let fault = |path: &Path, error: &std::io::Error| {
            Trouble::bad_input(format!("{} cannot be a GnuPG home: {error}", path.display()))
                .next("name a folder of yours with --home")
        };
        let (path, folder) = match path {
            None => (None, None),
            Some(path) => {
                let mut builder = std::fs::DirBuilder::new();
                builder.recursive(true).mode(0o700);
                builder.create(path).map_err(|error| fault(path, &error))?;
                let folder = File::open(path).map_err(|error| fault(path, &error))?;
                let whole = path.canonicalize().map_err(|error| fault(path, &error))?;
                let mode = folder.metadata().map_or(0o777, |about| about.permissions().mode());
                if mode & 0o077 != 0 {
                    let error = std::io::Error::other("others can enter it");
                    return Err(fault(path, &error));
                }
                // Sockets have short paths: this one is, wherever the folder lies.
                let short = PathBuf::from(format!(
                    "/proc/{}/fd/{}",
                    std::process::id(),
                    folder.as_raw_fd()
                ));
                let is_long = whole.as_os_str().len() > LONGEST_HOME;
                (Some(if is_long { short } else { whole }), Some(folder))
            }
        };
        let mut home = Self { path, _folder: folder, had_agent: true };
        // It ends with 0 also when it finds none.
        let mut ask = home.command("gpg-connect-agent");
        ask.args(["--no-autostart", "GETINFO pid", "/bye"]).stderr(Stdio::null());
        home.had_agent = ask.output().is_ok_and(|asked| asked.stdout.starts_with(b"D "));
        Ok(home)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        if let Some(path) = &self.path {
            command.arg("--homedir").arg(path);
        }
        command
    }

    fn gpg(&self) -> Command {
        let mut command = self.command("gpg");
        command.arg("--quiet");
        command
    }

    /// The fingerprint of the key of that name.
    fn find(&self, name: &str) -> Result<Option<String>, Trouble> {
        let exactly = format!("={}", identity(name));
        let listed = self
            .gpg()
            .args(["--batch", "--with-colons", "--list-secret-keys", &exactly])
            .stderr(Stdio::null())
            .output()
            .map_err(|error| missing(&error))?;
        let text = String::from_utf8_lossy(&listed.stdout).into_owned();
        let line = text.lines().find_map(|line| line.strip_prefix("fpr:"));
        Ok(line.map(|line| line.trim_matches(':').to_owned()))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if !self.had_agent {
            let mut kill = self.command("gpgconf");
            kill.args(["--kill", "gpg-agent"]).stdout(Stdio::null()).stderr(Stdio::null());
            // One that does not end now ends when it finds its home gone.
            let _ends_or_not = kill.status();
        }
    }
}
