//! Output: what reaches stdout and stderr. The only file that writes there.
//!
//! Data goes to stdout, words about trouble to stderr. With `--json` stdout gets the answer of the
//! protocol, and nothing else is said.

use crate::command::{Arguments, ErrorFormat};
use crate::error_code::ErrorCode;
use crate::exit_code::ExitCode;
use crate::trouble::Trouble;
use nix::unistd::{Uid, User};
use serde::Serialize;
use std::ffi::{OsStr, OsString};
use std::fmt::{self, Write as _};
use std::io::{self, BufRead, IsTerminal, Write};
use std::process;
use ward_mountd::control::message::{Answer, FailureCode, Outcome, VERSION};
use zeroize::Zeroizing;

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// For people.
    Text,
    /// One JSON object.
    Json,
}

/// What a command has to say when it is done.
#[derive(Debug)]
pub(crate) struct Report<T> {
    answer: T,
    text: Zeroizing<Vec<u8>>,
    exit: ExitCode,
    pager: Option<OsString>,
}

impl Form {
    /// The form that was asked for.
    pub(crate) const fn of(arguments: &Arguments) -> Self {
        let is_json = arguments.json || matches!(arguments.error_format, Some(ErrorFormat::Json));
        if is_json { Self::Json } else { Self::Text }
    }
}

impl<T> Report<T> {
    /// `answer` for programs, and the same as `text` for people, foreign parts [`escaped`].
    pub(crate) fn new(answer: T, text: impl Into<Vec<u8>>) -> Self {
        Self { answer, text: Zeroizing::new(text.into()), exit: ExitCode::Done, pager: None }
    }

    /// The same, through `pager` when it is text for a terminal.
    #[must_use]
    pub(crate) fn paged(mut self, pager: Option<OsString>) -> Self {
        self.pager = pager;
        self
    }

    /// The same, ending with `exit`.
    #[must_use]
    pub(crate) fn ending(mut self, exit: ExitCode) -> Self {
        self.exit = exit;
        self
    }
}

/// Writes the report to stdout. Nobody reading it any more is no trouble.
pub(crate) fn print<T: Serialize>(form: Form, report: Report<T>) -> Result<ExitCode, Trouble> {
    let Report { answer, text, exit, pager } = report;
    let pager = pager.filter(|_| form == Form::Text && is_terminal());
    if pager.is_some_and(|pager| page(&pager, &text)) {
        return Ok(exit);
    }
    let bytes = match form {
        Form::Text => text,
        Form::Json => json(Outcome::Result(answer)).map_err(|error| {
            Trouble::new(FailureCode::Failed, format!("cannot write the answer: {error}"))
        })?,
    };
    write_to(&mut io::stdout().lock(), &bytes)?;
    Ok(exit)
}

/// Shows `text` in a pager; whether there is one.
fn page(pager: &OsStr, text: &[u8]) -> bool {
    let mut command = process::Command::new("/bin/sh");
    // Colours, nothing but the text on one screen, and the text stays when it ends.
    command.arg("-c").arg(pager).env("LESS", "FRX").stdin(process::Stdio::piped());
    let Ok(mut process) = command.spawn() else { return false };
    if let Some(mut stdin) = process.stdin.take() {
        // It may end before it has seen everything.
        let _they_have_seen_enough = stdin.write_all(text);
    }
    // A shell that finds no such program says so with these numbers.
    process.wait().is_ok_and(|status| !matches!(status.code(), Some(126 | 127)))
}

/// Writes `text` now, in the middle of a command that talks with somebody.
pub(crate) fn say(text: &str) -> Result<(), Trouble> {
    write_to(&mut io::stdout().lock(), text.as_bytes())
}

/// Writes what a person is asked or told meanwhile, beside the answer on stdout.
pub(crate) fn tell(text: &str) -> Result<(), Trouble> {
    write_to(&mut io::stderr().lock(), text.as_bytes())
}

/// Writes `question` and reads a line from stdin; `None` at its end.
pub(crate) fn ask(question: &str) -> Result<Option<String>, Trouble> {
    tell(question)?;
    let mut line = String::new();
    let read = io::stdin().lock().read_line(&mut line);
    let read = read.map_err(|error| {
        Trouble::new(FailureCode::Failed, format!("cannot read from stdin: {error}"))
    })?;
    Ok((read > 0).then_some(line))
}

/// Says what somebody should know before it happens.
pub(crate) fn warn(text: &str) {
    // A closed stderr changes nothing about what happens.
    drop(writeln!(io::stderr().lock(), "ward: warning: {}", escaped(text)));
}

/// Tells about the trouble; gives back its exit code.
pub(crate) fn complain(form: Form, trouble: &Trouble) -> ExitCode {
    let failure = &trouble.failure;
    let said = match form {
        Form::Json => json::<()>(Outcome::Error(failure.clone()))
            .map_err(io::Error::from)
            .and_then(|bytes| io::stdout().lock().write_all(&bytes)),
        Form::Text => {
            let code = ErrorCode::of(failure.code).name;
            let mut text = format!("ward: {} [{code}]\n", escaped(&failure.message));
            if let Some(picture) = &trouble.picture {
                text.push_str(picture);
            }
            if let Some(next) = &failure.next {
                let _written = writeln!(text, "  next: {}", escaped(next));
            }
            if let Some(request) = &failure.request {
                let _written = writeln!(text, "  request: {}", escaped(request));
            }
            io::stderr().lock().write_all(text.as_bytes())
        }
    };
    // A closed stderr changes nothing about what happened.
    drop(said);
    trouble.exit
}

/// Whether stdout is a terminal.
pub(crate) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Foreign text, made harmless: what moves the cursor, reorders or hides text shows as `\u{..}`.
pub(crate) fn escaped(text: &str) -> impl fmt::Display {
    let mut harmless = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => harmless.push_str("\\n"),
            '\r' => harmless.push_str("\\r"),
            '\t' => harmless.push_str("\\t"),
            _ if is_deceptive(character) => harmless.extend(character.escape_unicode()),
            _ => harmless.push(character),
        }
    }
    harmless
}

/// Whether a terminal would obey, reorder or hide it (UAX 9, and code points without width).
pub(crate) const fn is_deceptive(character: char) -> bool {
    matches!(
        character,
        '\0'..='\x1f'
            | '\x7f'..='\u{9f}'
            | '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Rows with their cells under each other; nothing for no row.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    table_after(rows, &mut Vec::new())
}

/// The same, under rows before them whose columns were so wide; they are widened where need be.
pub(crate) fn table_after(rows: &[Vec<String>], widths: &mut Vec<usize>) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    widths.resize(columns.max(widths.len()), 0);
    for (column, widest) in widths.iter_mut().enumerate() {
        *widest = width(column).unwrap_or(0).max(*widest);
    }
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&*widths).map(|(cell, width)| format!("{cell:<width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A number of seconds as people say it: `44m 10s`.
pub(crate) fn time(seconds: u64) -> String {
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes, rest) {
        (0, 0, rest) => format!("{rest}s"),
        (0, minutes, 0) => format!("{minutes}m"),
        (0, minutes, rest) => format!("{minutes}m {rest}s"),
        (hours, 0, _) => format!("{hours}h"),
        (hours, minutes, _) => format!("{hours}h {minutes}m"),
    }
}

/// A count with its noun: `1 request`, `2 requests`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{ending}")
}

/// A size as people say it: `5 bytes`, `1.5 MiB`.
pub(crate) fn bytes(number: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let (mut whole, mut tenths, mut unit) = (number, 0, None);
    for larger in units {
        if whole < 1024 {
            break;
        }
        tenths = whole % 1024 * 10 / 1024;
        (whole, unit) = (whole / 1024, Some(larger));
    }
    unit.map_or_else(|| count(number, "byte"), |unit| format!("{whole}.{tenths} {unit}"))
}

/// A user by name, if it has one here.
pub(crate) fn user(uid: u32) -> String {
    let known = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    known.map_or_else(|| format!("uid {uid}"), |user| escaped(&user.name).to_string())
}

/// The first digits of a hash, enough to compare by eye.
pub(crate) fn short(hash: &str) -> String {
    escaped(&hash.chars().take(12).collect::<String>()).to_string()
}

fn json<T: Serialize>(outcome: Outcome<T>) -> serde_json::Result<Zeroizing<Vec<u8>>> {
    // Room for the longest answer, so that no copy of a secret stays behind when it grows.
    let mut bytes = Zeroizing::new(Vec::with_capacity(1 << 20));
    serde_json::to_writer(&mut *bytes, &Answer { version: VERSION, outcome })?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn write_to(stream: &mut dyn Write, bytes: &[u8]) -> Result<(), Trouble> {
    match stream.write_all(bytes).and_then(|()| stream.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Trouble::new(FailureCode::Failed, format!("cannot write: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_cannot_move_the_cursor_reorder_or_hide_anything() {
        let evil = "a\x1b[2Jb\u{202e}c\u{200b}d\ne\u{9b}f";
        assert_eq!(escaped(evil).to_string(), r"a\u{1b}[2Jb\u{202e}c\u{200b}d\ne\u{9b}f");
        assert_eq!(escaped("Gr\u{fc}n/\u{65e5}").to_string(), "Gr\u{fc}n/\u{65e5}");
    }

    #[test]
    fn cells_of_a_table_stand_under_each_other_without_trailing_spaces() {
        let rows = [["a", "bb", ""], ["ccc", "d", "e"]];
        let rows: Vec<Vec<String>> = rows.iter().map(|row| row.map(str::to_owned).into()).collect();
        assert_eq!(table(&rows), "a    bb\nccc  d   e\n");
    }

    #[test]
    fn time_is_said_in_its_two_largest_units() {
        let said = [0, 59, 60, 61, 3600, 3661, 86400].map(time);
        assert_eq!(said, ["0s", "59s", "1m", "1m 1s", "1h", "1h 1m", "24h"]);
    }

    #[test]
    fn a_size_is_said_in_the_largest_unit_it_fills() {
        let said = [0, 1, 1023, 1024, 1536, 5 << 30].map(bytes);
        assert_eq!(said, ["0 bytes", "1 byte", "1023 bytes", "1.0 KiB", "1.5 KiB", "5.0 GiB"]);
    }

    #[test]
    fn a_closed_pipe_is_no_trouble_and_a_full_disk_is() {
        struct Failing(io::ErrorKind);
        impl Write for Failing {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(self.0.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        assert!(write_to(&mut Failing(io::ErrorKind::BrokenPipe), b"x").is_ok());
        assert!(write_to(&mut Failing(io::ErrorKind::StorageFull), b"x").is_err());
    }
}
