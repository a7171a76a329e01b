//! `ward get --pipe-to`: passes a secret on to a command, which the daemon has agreed to.

use super::get::read;
use super::vault_exec::with_mount;
use crate::agent_command::not_started;
use crate::agent_tree::{failed, follow};
use crate::client::Client;
use crate::command::{MountArguments, PipeArgument, UnlockArguments};
use crate::exit_code::ExitCode;
use crate::private_mount::PrivateDirectory;
use crate::secret_reference::SecretReference;
use crate::settings::Settings;
use crate::trouble::Trouble;
use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow};
use nix::unistd::{AccessFlags, Pid, access};
use std::ffi::OsStr;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{self, Stdio};
use ward_mountd::control::message::{Command, Done, GoesTo, Pipe, PipeWay};
use ward_mountd::pipe::{CommandName, FILE, SECRET, fill, first_words, split};
use zeroize::Zeroizing;

/// Variables that would have curl or wget go elsewhere, read more settings, or write down the keys of what they send.
const STEERING: [&str; 12] = [
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
    "HTTP_PROXY",
    "CURL_HOME",
    "WGETRC",
    "SYSTEM_WGETRC",
    "SSLKEYLOGFILE",
];

/// Passes it on, and ends as the command does.
pub(super) fn run(
    argument: PipeArgument<'_>,
    secret: SecretReference,
    unlock: &UnlockArguments,
    settings: &Settings,
) -> Result<ExitCode, Trouble> {
    let way = match argument {
        PipeArgument::Stdin(_) => PipeWay::Stdin,
        PipeArgument::Arguments(template) => PipeWay::Arguments(words_of(template)?),
        PipeArgument::File(template) => PipeWay::File(words_of(template)?),
    };
    let name = match (&argument, &way) {
        (PipeArgument::Stdin(name), _) => (*name).to_owned(),
        (_, PipeWay::Arguments(words) | PipeWay::File(words)) => {
            words.first().cloned().unwrap_or_default()
        }
        (_, PipeWay::Stdin) => String::new(),
    };
    let name = CommandName::try_from(name).map_err(|error| {
        Trouble::bad_input(error).next("name a program that is on your PATH, without any folder")
    })?;
    let said = settings.pipe.said(&name)?;
    let program = find(&name, settings.path.as_deref())?;
    let pipe = Pipe { program: program.display().to_string(), way, said };
    match &pipe.way {
        PipeWay::Stdin => {
            let to = GoesTo::Command(pipe);
            let (_, value) = read(secret, to, unlock, settings)?;
            let mut command = command(&program, &name, &[]);
            command.stdin(Stdio::piped());
            start(command, &name, Some(value))
        }
        PipeWay::Arguments(words) => {
            let words = words.clone();
            let (_, value) = read(secret, GoesTo::Command(pipe), unlock, settings)?;
            // The daemon has looked: it is text.
            let text = Zeroizing::new(String::from_utf8_lossy(&value).into_owned());
            let words = fill(&words, SECRET, &text);
            let mut command = command(&program, &name, words.get(1..).unwrap_or_default());
            command.stdin(Stdio::null());
            start(command, &name, None)
        }
        PipeWay::File(words) => {
            let words = words.clone();
            let mounted = Mounted { secret, words: &words, program: &program, name: &name };
            mounted.run(GoesTo::Command(pipe), unlock, settings)
        }
    }
}

/// A command that reads the secret itself.
struct Mounted<'a> {
    secret: SecretReference,
    words: &'a [String],
    program: &'a Path,
    name: &'a CommandName,
}

impl Mounted<'_> {
    fn run(
        self,
        to: GoesTo,
        unlock: &UnlockArguments,
        settings: &Settings,
    ) -> Result<ExitCode, Trouble> {
        let Self { secret: SecretReference { vault, path }, words, program, name } = self;
        let check = Command::PipeCheck { vault: vault.clone(), path: path.clone(), to };
        let Done {} = Client::connect(settings)?.ask_unlocked(check, None, &vault, unlock)?;
        let directory = PrivateDirectory::make()?;
        let mount = MountArguments {
            vault,
            path: Some(directory.path().to_owned()),
            ttl: None,
            idle: None,
            read_only: true,
            unlock: unlock.clone(),
        };
        with_mount(&mount, settings, |state| {
            let file = Path::new(&state.path).join(&path).display().to_string();
            let words = fill(words, FILE, &file);
            let mut command = command(program, name, words.get(1..).unwrap_or_default());
            command.stdin(Stdio::null());
            start(command, name, None)
        })
    }
}

/// The program under its own name, without what would steer it elsewhere.
fn command(program: &Path, name: &CommandName, words: &[String]) -> process::Command {
    let mut command = process::Command::new(program);
    command.arg0(name.as_str());
    if !words.is_empty() && !first_words(name).is_empty() {
        command.args(first_words(name));
        for variable in STEERING {
            command.env_remove(variable);
        }
    }
    command.args(words);
    command
}

/// Starts it, and waits for its end; `value` goes to its standard input.
fn start(
    mut command: process::Command,
    name: &CommandName,
    value: Option<Zeroizing<Vec<u8>>>,
) -> Result<ExitCode, Trouble> {
    let started = command.spawn();
    let mut child = started.map_err(|error| not_started(OsStr::new(name.as_str()), &error))?;
    // The words are in the memory of the command alone from here on.
    drop(command);
    if let (Some(mut stdin), Some(value)) = (child.stdin.take(), value) {
        // It need not want all of it.
        let write = move || drop(stdin.write_all(&value));
        // Signals are for the thread that looks after the command: this one never takes any.
        let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_BLOCK).map_err(failed)?;
        let spawned = std::thread::Builder::new().name("pipe".to_owned()).spawn(write);
        before.thread_set_mask().map_err(failed)?;
        spawned.map_err(|_| failed(Errno::EAGAIN))?;
    }
    let number = i32::try_from(child.id()).map_err(|_| failed(Errno::ESRCH))?;
    follow(Pid::from_raw(number))
}

/// Where a program lies, in the folders of PATH that are not relative to anything.
fn find(name: &CommandName, path: Option<&OsStr>) -> Result<PathBuf, Trouble> {
    let folders = path.map(std::env::split_paths).into_iter().flatten();
    let programs = folders.filter(|it| it.is_absolute()).map(|it| it.join(name.as_str()));
    let is_program = |it: &PathBuf| it.is_file() && access(it, AccessFlags::X_OK).is_ok();
    let mut programs = programs.filter(is_program);
    programs.next().ok_or_else(|| {
        let message = format!("failed to start pipe command '{name}': it is nowhere on the PATH");
        Trouble::bad_input(message).next("name a program that is on your PATH")
    })
}

fn words_of(template: &str) -> Result<Vec<String>, Trouble> {
    split(template).map_err(|error| {
        Trouble::bad_input(error)
            .next("write it as in: --pipe-to-args 'curl -u me:{secret} https://api.example.com/'")
    })
}
