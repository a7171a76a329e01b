//! The client's end of the control socket: connect, ask, take the answer (docs/protocol.md).

use crate::command::UnlockArguments;
use crate::daemon_start;
use crate::passphrase;
use crate::settings::Settings;
use crate::trouble::Trouble;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials, sockopt::PeerPidfd};
use serde::{Deserialize, de::DeserializeOwned};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use ward_mountd::Root;
use ward_mountd::control::Connection;
use ward_mountd::control::message::{
    Answer, Command, Done, FailureCode, LONGEST_LINE, Outcome, Passphrase, Request, VERSION,
};
use ward_mountd::root::{MARK, SOCKET};
use zeroize::Zeroizing;

/// How long a daemon may take for what waits for nobody, in milliseconds.
const PATIENCE: u16 = 10_000;

/// A connection to the daemon of a root.
#[derive(Debug)]
pub(crate) struct Client {
    connection: Connection,
    /// The name that commands are asked under.
    agent: Option<String>,
}

impl Client {
    /// Connects to the daemon of the root, and starts it when none runs and the caller may.
    pub(crate) fn connect(settings: &Settings) -> Result<Self, Trouble> {
        let agent = settings.agent.clone();
        match Self::running(settings)? {
            Some(client) => Ok(client),
            None => Ok(Self { agent, connection: daemon_start::start(&settings.root)? }),
        }
    }

    /// Connects to the daemon of the root; `None` when none runs.
    pub(crate) fn running(settings: &Settings) -> Result<Option<Self>, Trouble> {
        let agent = settings.agent.clone();
        Ok(connected(&settings.root)?.map(|connection| Self { connection, agent }))
    }

    /// Asks under no name from here on.
    pub(crate) fn act_as_ourselves(&mut self) {
        self.agent = None;
    }

    /// The process number of the daemon.
    pub(crate) fn daemon(&self) -> Result<u32, Trouble> {
        let credentials = getsockopt(&self.connection, PeerCredentials)
            .map_err(|errno| lost(io::Error::from(errno)))?;
        Ok(u32::try_from(credentials.pid()).unwrap_or_default())
    }

    /// Asks for `command` and waits for what comes of it.
    pub(crate) fn ask<T: DeserializeOwned>(&mut self, command: Command) -> Result<T, Trouble> {
        self.ask_line(&self.line_of(command)?, None)
    }

    /// The same for a command that waits for nobody: a daemon that does not answer is told as one.
    pub(crate) fn ask_promptly<T: DeserializeOwned>(
        &mut self,
        command: Command,
    ) -> Result<T, Trouble> {
        let line = self.line_of(command)?;
        self.connection.send(&line, None).map_err(lost)?;
        let mut sources = [PollFd::new(self.connection.as_fd(), PollFlags::POLLIN)];
        if poll(&mut sources, PATIENCE) == Ok(0) {
            let daemon = self.daemon()?;
            let seconds = PATIENCE / 1000;
            let message = format!("the daemon, pid {daemon}, has not answered for {seconds} s");
            return Err(Trouble::unreachable(message).next(format!(
                "look at it and at its child: ps -o pid,stat,args -p {daemon} --ppid {daemon} (T is \
                 stopped: kill -CONT PID); or end it with its mounts: kill -KILL {daemon}"
            )));
        }
        self.receive()
    }

    /// The same, with a descriptor.
    pub(crate) fn ask_with<T: DeserializeOwned>(
        &mut self,
        command: Command,
        descriptor: BorrowedFd<'_>,
    ) -> Result<T, Trouble> {
        self.ask_line(&self.line_of(command)?, Some(descriptor))
    }

    /// The same for a command that needs `vault` unlocked: if it is locked, unlocks it and asks
    /// once more. `directory` goes with the line.
    pub(crate) fn ask_unlocked<T: DeserializeOwned>(
        &mut self,
        command: Command,
        directory: Option<BorrowedFd<'_>>,
        vault: &str,
        unlock: &UnlockArguments,
    ) -> Result<T, Trouble> {
        let line = self.line_of(command)?;
        match self.ask_line(&line, directory) {
            Err(trouble) if trouble.failure.code == FailureCode::Locked => {
                let passphrase = passphrase::for_locked_vault(vault, unlock)?;
                let passphrase = Passphrase(passphrase.to_string());
                let Done {} =
                    self.ask(Command::VaultUnlock { vault: vault.to_owned(), passphrase })?;
                self.ask_line(&line, directory)
            }
            answered => answered,
        }
    }

    /// Asks for a command that carries the passphrase itself, when the vault has no key file:
    /// `command` makes it.
    pub(crate) fn ask_with_passphrase<T: DeserializeOwned>(
        &mut self,
        vault: &str,
        unlock: &UnlockArguments,
        command: impl Fn(Option<Passphrase>) -> Command,
    ) -> Result<T, Trouble> {
        match self.ask(command(None)) {
            Err(trouble) if trouble.failure.code == FailureCode::Locked => {
                let passphrase = passphrase::for_locked_vault(vault, unlock)?;
                self.ask(command(Some(Passphrase(passphrase.to_string()))))
            }
            answered => answered,
        }
    }

    /// The daemon itself, to wait for its end.
    pub(crate) fn process(&self) -> Result<OwnedFd, Trouble> {
        getsockopt(&self.connection, PeerPidfd).map_err(|errno| lost(io::Error::from(errno)))
    }

    /// Waits for a further answer to a command that has many.
    pub(crate) fn receive<T: DeserializeOwned>(&mut self) -> Result<T, Trouble> {
        self.receive_if_any()?.ok_or_else(|| lost("it closed the connection"))
    }

    /// The same; `None` when the daemon ends, and with it the answers.
    pub(crate) fn receive_if_any<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Trouble> {
        let answered = self.connection.receive().map_err(lost)?;
        answered.map(|answer| read_answer(&answer.bytes)).transpose()
    }

    /// A command as a line. Room for the longest, so that no copy of a secret stays behind.
    fn line_of(&self, command: Command) -> Result<Zeroizing<Vec<u8>>, Trouble> {
        let mut line = Zeroizing::new(Vec::with_capacity(LONGEST_LINE));
        let request = Request { version: VERSION, agent: self.agent.clone(), command };
        serde_json::to_writer(&mut *line, &request).map_err(|error| {
            Trouble::new(FailureCode::Failed, format!("cannot write the command: {error}"))
        })?;
        if line.len() > LONGEST_LINE {
            let message = format!("the command is over {LONGEST_LINE} bytes long");
            return Err(Trouble::bad_input(message));
        }
        Ok(line)
    }

    fn ask_line<T: DeserializeOwned>(
        &mut self,
        line: &[u8],
        descriptor: Option<BorrowedFd<'_>>,
    ) -> Result<T, Trouble> {
        self.connection.send(line, descriptor).map_err(lost)?;
        self.receive()
    }
}

/// A connection to the daemon of the root; `None` when none runs.
pub(crate) fn connected(root: &Path) -> Result<Option<Connection>, Trouble> {
    match open_root(root).map(|root| Connection::connect(root.as_fd(), SOCKET))? {
        Ok(connection) => Ok(Some(connection)),
        Err(error) if is_nobody(&error) => Ok(None),
        Err(error) => Err(Trouble::unreachable(format!(
            "cannot reach the daemon of {}: {error}",
            root.display()
        ))),
    }
}

fn open_root(root: &Path) -> Result<Root, Trouble> {
    let marked = std::fs::symlink_metadata(root.join(MARK));
    match marked.and_then(|_| Root::open(root)) {
        Ok(opened) => Ok(opened),
        Err(error) => Err(no_root(root, &error)),
    }
}

/// Why nothing can be done with `root`.
pub(crate) fn no_root(root: &Path, error: &io::Error) -> Trouble {
    let shown = root.display();
    if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) {
        return Trouble::new(FailureCode::NotFound, format!("{shown} is no root of wardfs"))
            .next("make it with ward init, or name another with --root PATH or WARD_ROOT");
    }
    Trouble::unreachable(format!("cannot enter the root {shown}: {error}"))
        .next("run the command as the owner of the root")
}

/// Whether the error says that no daemon listens.
fn is_nobody(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

fn lost(reason: impl std::fmt::Display) -> Trouble {
    Trouble::unreachable(format!("the daemon did not answer: {reason}"))
        .next("see whether it runs with ward daemon status, then try again")
}

/// The version is read first: an answer of another version may have any form.
fn read_answer<T: DeserializeOwned>(line: &[u8]) -> Result<T, Trouble> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let unreadable = |error| lost(format!("its answer is no answer of the protocol: {error}"));
    let Versioned { version } = serde_json::from_slice(line).map_err(unreadable)?;
    if version != VERSION {
        return Err(Trouble::new(
            FailureCode::Version,
            format!("the daemon speaks version {version} of the protocol, this ward {VERSION}"),
        )
        .next("stop the daemon with the ward that started it, then try again"));
    }
    let answer: Answer<T> = serde_json::from_slice(line).map_err(unreadable)?;
    match answer.outcome {
        Outcome::Result(result) => Ok(result),
        Outcome::Error(failure) => Err(failure.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit_code::ExitCode;

    fn read(line: &str) -> Result<Done, ExitCode> {
        read_answer(line.as_bytes()).map_err(|trouble| trouble.exit)
    }

    #[test]
    fn an_answer_is_a_result_or_a_failure_with_its_exit_code() {
        assert_eq!(read(r#"{"version":1,"result":{}}"#), Ok(Done {}));
        let denied = r#"{"version":1,"error":{"code":"denied","message":"no"}}"#;
        assert_eq!(read(denied), Err(ExitCode::Denied));
    }

    #[test]
    fn an_answer_of_another_version_or_none_at_all_is_refused() {
        assert_eq!(read(r#"{"version":2,"other":[]}"#), Err(ExitCode::Damaged));
        assert_eq!(read("hello"), Err(ExitCode::Unreachable));
        assert_eq!(read(r#"{"version":1}"#), Err(ExitCode::Unreachable));
    }
}
