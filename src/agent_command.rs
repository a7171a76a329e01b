//! The command of `ward run`. An interpreter is started so that it stands still before its first
//! instruction, when the daemon can see which script it is about to run.

use crate::agent_tree::failed;
use crate::exit_code::ExitCode;
use crate::trouble::Trouble;
use nix::errno::Errno;
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use ward_mountd::control::message::FailureCode;

/// What a command ends with that cannot be held; it has not begun then.
const NOT_HELD: u8 = 125;

/// A command that was started.
#[derive(Debug)]
pub(crate) enum AgentCommand {
    /// An interpreter, of which nothing has run yet.
    Held(Held),
    /// It runs.
    Running(Pid),
    /// It could not be run, and said so itself.
    Ended(u8),
}

/// A process that stands still before its first instruction. It goes on when it is let go, or when
/// this process ends.
#[derive(Debug)]
pub(crate) struct Held(Pid);

impl AgentCommand {
    /// Starts it, and has it stand still when it is an interpreter whose script can be known;
    /// with `must_be_held` it is not started otherwise.
    pub(crate) fn start(words: &[OsString], must_be_held: bool) -> Result<Self, Trouble> {
        let (program, arguments) = words.split_first().ok_or_else(|| failed(Errno::EINVAL))?;
        if find(program).is_some_and(|program| is_interpreted(&program)) {
            // The daemon looks only at what the kernel has in its cache.
            for word in arguments {
                drop(std::fs::metadata(word));
            }
            let started = Self::start_held(words)?;
            if !matches!(started, Self::Ended(NOT_HELD)) {
                return Ok(started);
            }
        }
        if must_be_held {
            let message = "the command is no interpreter whose script can be known";
            return Err(Trouble::new(FailureCode::Conflict, message)
                .next("run the script by python3 -I, perl, sh or bash"));
        }
        match Command::new(program).args(arguments).spawn() {
            Ok(child) => Ok(Self::Running(number_of(child.id())?)),
            Err(error) => Err(not_started(program, &error)),
        }
    }

    fn start_held(words: &[OsString]) -> Result<Self, Trouble> {
        let command = Command::new("/proc/self/exe").args(["held", "--"]).args(words).spawn();
        let child = command.map_err(|error| not_started(OsStr::new("ward held"), &error))?;
        let process = number_of(child.id())?;
        loop {
            match waitpid(process, None) {
                Ok(WaitStatus::Stopped(_, Signal::SIGTRAP)) if runs_env(process) => {
                    // It becomes the interpreter next.
                    ptrace::cont(process, None).map_err(failed)?;
                }
                Ok(WaitStatus::Stopped(_, Signal::SIGTRAP)) => {
                    return Ok(Self::Held(Held(process)));
                }
                Ok(WaitStatus::Stopped(_, signal)) => {
                    ptrace::cont(process, signal).map_err(failed)?;
                }
                Ok(WaitStatus::Exited(_, code)) => {
                    return Ok(Self::Ended(u8::try_from(code & 0xff).unwrap_or(NOT_HELD)));
                }
                Ok(WaitStatus::Signaled(_, signal, _)) => {
                    return Ok(Self::Ended(u8::try_from(128 + signal as i32).unwrap_or(1)));
                }
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(failed(errno)),
            }
        }
    }
}

impl Held {
    /// Its number.
    pub(crate) fn process(&self) -> u32 {
        self.0.as_raw().unsigned_abs()
    }

    /// Lets it run.
    pub(crate) fn let_go(self) -> Result<Pid, Trouble> {
        ptrace::detach(self.0, None).map_err(failed)?;
        Ok(self.0)
    }

    /// Ends it before it has begun.
    pub(crate) fn end(self) {
        // It is our own child, and nobody has waited for it.
        let _it_is_gone_already = ptrace::kill(self.0);
        let _it_is_gone_already = waitpid(self.0, None);
    }
}

/// Becomes the command, held by the parent; the trouble if that cannot be.
pub(crate) fn hold(words: &[OsString]) -> Trouble {
    let Some((program, arguments)) = words.split_first() else {
        return failed(Errno::EINVAL);
    };
    match ptrace::traceme() {
        Ok(()) => not_started(program, &Command::new(program).args(arguments).exec()),
        Err(errno) => Trouble { exit: ExitCode::OfCommand(NOT_HELD), ..failed(errno) },
    }
}

/// Puts a sealed copy of a script in its place among the words of a command. It is there for as long
/// as the descriptor.
pub(crate) fn seal(script: &OsStr, words: &mut [OsString]) -> Result<OwnedFd, Trouble> {
    let named = script.to_string_lossy();
    let unreadable = |error: io::Error| {
        Trouble::new(FailureCode::BadInput, format!("cannot copy the script {named}: {error}"))
            .next("give a script that you can read, of at most 1 MiB")
    };
    let mut content = Vec::new();
    let file = File::open(script).map_err(unreadable)?;
    file.take(LARGEST + 1).read_to_end(&mut content).map_err(unreadable)?;
    if content.len() as u64 > LARGEST {
        return Err(unreadable(io::Error::from(io::ErrorKind::FileTooLarge)));
    }
    // The command inherits it.
    let copy = memfd_create("script", MemfdFlags::ALLOW_SEALING);
    let mut copy = File::from(copy.map_err(|errno| unreadable(errno.into()))?);
    copy.write_all(&content).map_err(unreadable)?;
    let all = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    fcntl_add_seals(&copy, all).map_err(|errno| unreadable(errno.into()))?;
    let mut places = words.iter_mut().skip(1).filter(|word| *word == script).peekable();
    if places.peek().is_none() {
        return Err(Trouble::new(
            FailureCode::BadInput,
            format!("{named} is no word of the command"),
        )
        .next("name it as in: ward run --agent NAME --script a.py -- python3 -I a.py"));
    }
    for place in places {
        *place = format!("/proc/self/fd/{}", copy.as_raw_fd()).into();
    }
    Ok(copy.into())
}

/// The largest script, in bytes, that the daemon looks at.
const LARGEST: u64 = 1 << 20;

/// Where the program of a command lies, as execvp(3) finds it.
fn find(program: &OsStr) -> Option<PathBuf> {
    let found = if program.as_bytes().contains(&b'/') {
        PathBuf::from(program)
    } else {
        let folders = std::env::var_os("PATH")?;
        std::env::split_paths(&folders)
            .map(|folder| folder.join(program))
            .find(|it| it.is_file())?
    };
    found.canonicalize().ok()
}

/// Whether an interpreter runs it; a program with rights of its own never is: it would lose them.
fn is_interpreted(program: &Path) -> bool {
    let begins_so = || {
        let mut first = [0; 2];
        File::open(program)?.read_exact(&mut first)?;
        Ok::<_, io::Error>(&first == b"#!")
    };
    ward_mountd::takes_script(program) || begins_so().unwrap_or(false)
}

/// Whether a process is `env`, which a first line often names to find the interpreter.
fn runs_env(process: Pid) -> bool {
    let program = std::fs::read_link(format!("/proc/{process}/exe"));
    program.is_ok_and(|program| program.file_name() == Some(OsStr::new("env")))
}

fn number_of(process: u32) -> Result<Pid, Trouble> {
    i32::try_from(process).map(Pid::from_raw).map_err(|_| failed(Errno::ESRCH))
}

/// Why a program does not run, with the exit code of a shell.
pub(crate) fn not_started(program: &OsStr, error: &io::Error) -> Trouble {
    let program = program.to_string_lossy();
    let mut trouble = Trouble::new(FailureCode::Failed, format!("cannot run {program}: {error}"));
    // As shells do.
    let is_absent = error.kind() == io::ErrorKind::NotFound;
    trouble.exit = ExitCode::OfCommand(if is_absent { 127 } else { 126 });
    trouble.next("give a program that is on your PATH, or its whole path")
}
