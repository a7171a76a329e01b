//! Passphrases: from a file, or from the terminal without echo.

use crate::command::{SlotArguments, SlotWord, UnlockArguments};
use crate::output::escaped;
use crate::trouble::Trouble;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use ward_mountd::control::message::FailureCode;
use zeroize::Zeroizing;

/// The longest passphrase, in bytes.
const LONGEST: usize = 64 << 10;
/// What a new one is asked for with.
const NEW: &str = "New passphrase: ";

/// The passphrase for a new vault; `None` when it gets a key file.
pub(crate) fn for_new_vault(slot: &SlotArguments) -> Result<Option<Zeroizing<String>>, Trouble> {
    let word = if slot.passphrase { Some(SlotWord::Passphrase) } else { slot.slot };
    match (&slot.passphrase_file, word) {
        (Some(file), _) => from_file(file).map(Some),
        (None, Some(SlotWord::Passphrase)) => new_passphrase(NEW).map(Some),
        (None, Some(SlotWord::Keyfile) | None) => Ok(None),
    }
}

/// The passphrase of a gocryptfs volume.
pub(crate) fn for_volume(volume: &Path, file: Option<&Path>) -> Result<Zeroizing<String>, Trouble> {
    if let Some(file) = file {
        return from_file(file);
    }
    let name = escaped(&volume.display().to_string()).to_string();
    checked(Terminal::open()?.ask(&format!("Passphrase of the gocryptfs volume {name}: "))?)
}

/// Whether there is a terminal to ask.
pub(crate) fn can_ask() -> bool {
    Terminal::open().is_ok()
}

/// The approval passphrase of a root, as its owner gives it with an answer.
pub(crate) fn for_approval(file: Option<&Path>) -> Result<Zeroizing<String>, Trouble> {
    match file {
        Some(file) => from_file(file),
        None => checked(Terminal::open()?.ask("Approval passphrase: ")?),
    }
}

/// The approval passphrase of a new root; `None` when it gets none.
pub(crate) fn for_new_root(
    is_wanted: bool,
    file: Option<&Path>,
) -> Result<Option<Zeroizing<String>>, Trouble> {
    match file {
        Some(file) => from_file(file).map(Some),
        None if is_wanted => new_passphrase("New approval passphrase: ").map(Some),
        None => Ok(None),
    }
}

/// The passphrase of a new key slot.
pub(crate) fn for_new_slot(file: Option<&Path>) -> Result<Zeroizing<String>, Trouble> {
    file.map_or_else(|| new_passphrase(NEW), from_file)
}

/// A new passphrase from the terminal, typed twice.
fn new_passphrase(question: &str) -> Result<Zeroizing<String>, Trouble> {
    let mut terminal = Terminal::open()?;
    let first = terminal.ask(question)?;
    if first != terminal.ask("The same again: ")? {
        return Err(Trouble::bad_input("the two passphrases differ; nothing was changed"));
    }
    checked(first)
}

/// The passphrase that unlocks `vault`.
pub(crate) fn for_locked_vault(
    vault: &str,
    unlock: &UnlockArguments,
) -> Result<Zeroizing<String>, Trouble> {
    if let Some(file) = &unlock.passphrase_file {
        return from_file(file);
    }
    let question = format!("Passphrase of the vault {vault}: ");
    checked(Terminal::open()?.ask(&question)?)
}

/// All of the file but one final newline: a passphrase may hold newlines.
pub(crate) fn from_file(path: &Path) -> Result<Zeroizing<String>, Trouble> {
    let refuse = |what: String| {
        Trouble::bad_input(format!("cannot take a passphrase from {}: {what}", path.display()))
    };
    let file = File::open(path).map_err(|error| refuse(error.to_string()))?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST + 2));
    let limit = u64::try_from(LONGEST + 2).unwrap_or(u64::MAX);
    file.take(limit).read_to_end(&mut bytes).map_err(|error| refuse(error.to_string()))?;
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    let text = str::from_utf8(&bytes).map_err(|_| refuse("it is no UTF-8 text".to_owned()))?;
    checked(Zeroizing::new(text.to_owned()))
}

fn checked(passphrase: Zeroizing<String>) -> Result<Zeroizing<String>, Trouble> {
    match passphrase.len() {
        0 => Err(Trouble::bad_input("the passphrase is empty").next("give at least one character")),
        1..=LONGEST => Ok(passphrase),
        _ => Err(Trouble::bad_input(format!("the passphrase is over {LONGEST} bytes"))),
    }
}

/// The terminal of the session, whatever stdin is.
struct Terminal(File);

impl Terminal {
    fn open() -> Result<Self, Trouble> {
        File::options().read(true).write(true).open("/dev/tty").map(Self).map_err(|_| {
            Trouble::new(
                FailureCode::Locked,
                "a passphrase is needed, and there is no terminal to ask",
            )
            .next("give one with --passphrase-file FILE, or run the command in a terminal")
        })
    }

    fn ask(&mut self, question: &str) -> Result<Zeroizing<String>, Trouble> {
        self.read_silently(question).map_err(|error| {
            Trouble::new(FailureCode::Failed, format!("cannot read from the terminal: {error}"))
        })
    }

    /// Signals wait while the echo is off, so that none can leave the terminal without it.
    fn read_silently(&mut self, question: &str) -> io::Result<Zeroizing<String>> {
        let ending = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT];
        let signals: SigSet = ending.into_iter().chain([Signal::SIGTSTP]).collect();
        let before = signals.thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_BLOCK)?;
        let arrived = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC)?;
        let silence = Silence::begin(self.0.try_clone()?)?;
        self.0.write_all(question.as_bytes())?;
        let line = read_line(&mut self.0, &arrived);
        self.0.write_all(b"\n")?;
        drop(silence);
        before.thread_set_mask()?;
        match line? {
            Reading::Line(line) => Ok(line),
            Reading::Signal(signal) => {
                raise(signal)?;
                Err(io::ErrorKind::Interrupted.into())
            }
        }
    }
}

/// A terminal without echo; dropping brings it back.
struct Silence {
    terminal: File,
    before: Termios,
}

impl Silence {
    fn begin(terminal: File) -> io::Result<Self> {
        let before = tcgetattr(&terminal)?;
        let mut silent = before.clone();
        silent.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(&terminal, SetArg::TCSAFLUSH, &silent)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        // Nothing can be done about a terminal that is gone.
        let _restored = tcsetattr(&self.terminal, SetArg::TCSAFLUSH, &self.before);
    }
}

/// What came first.
enum Reading {
    Line(Zeroizing<String>),
    Signal(Signal),
}

fn read_line(terminal: &mut File, signals: &SignalFd) -> io::Result<Reading> {
    let mut line = Zeroizing::new(Vec::with_capacity(LONGEST));
    loop {
        let mut sources = [
            PollFd::new(terminal.as_fd(), PollFlags::POLLIN),
            PollFd::new(signals.as_fd(), PollFlags::POLLIN),
        ];
        poll(&mut sources, PollTimeout::NONE)?;
        if sources.get(1).and_then(PollFd::any) == Some(true)
            && let Some(info) = signals.read_signal()?
        {
            let number = i32::try_from(info.ssi_signo).unwrap_or_default();
            let signal = Signal::try_from(number)?;
            if signal == Signal::SIGTSTP {
                continue;
            }
            return Ok(Reading::Signal(signal));
        }
        let mut chunk = Zeroizing::new([0; 256]);
        let count = terminal.read(&mut *chunk)?;
        let read = chunk.get(..count).unwrap_or_default();
        line.extend_from_slice(read);
        if count == 0 || read.ends_with(b"\n") || line.len() > LONGEST {
            break;
        }
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    let text = str::from_utf8(&line).map_err(|_| io::ErrorKind::InvalidData)?;
    Ok(Reading::Line(Zeroizing::new(text.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &[u8]) -> Option<String> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        from_file(file.path()).ok().map(|passphrase| passphrase.to_string())
    }

    #[test]
    fn a_passphrase_file_loses_one_final_newline_and_nothing_else() {
        assert_eq!(read(b"pass\n").as_deref(), Some("pass"));
        assert_eq!(read(b"pass").as_deref(), Some("pass"));
        assert_eq!(read(b"one\ntwo\n\n").as_deref(), Some("one\ntwo\n"));
        assert_eq!(read(b" pass \r\n").as_deref(), Some(" pass \r"));
    }

    #[test]
    fn an_empty_too_long_or_binary_passphrase_is_refused() {
        assert_eq!(read(b""), None);
        assert_eq!(read(b"\n"), None);
        assert_eq!(read(b"\xff"), None);
        assert_eq!(read(&vec![b'a'; LONGEST + 1]), None);
        assert!(read(&vec![b'a'; LONGEST]).is_some());
    }
}
