//! `source`: shows a password store of `pass`, and has one entry of it decrypted by `gpg`.
//!
//! One helper answers one question. The value goes from `gpg` into the core through a pipe that the
//! core made, so that not even this process has it.

use super::is_ready;
use crate::monitor::message::{receive, send};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::fs::{Dir, FileType, Mode, OFlags, ResolveFlags, fstat, open, openat, openat2};
use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::{ChildStderr, Command, Stdio};
use std::time::Duration;

/// What decrypts: named whole, since there is no PATH.
const GPG: &str = "/usr/bin/gpg";
/// How files of entries end.
const ENDING: &[u8] = b".gpg";
/// The largest file of an entry that is opened, in bytes.
const LARGEST_FILE: u64 = 4 << 20;
/// How many entries are shown, and how deep.
const MOST_ENTRIES: usize = 10_000;
const DEEPEST: usize = 32;
/// How much is heeded of what `gpg` says, in bytes.
const LONGEST_STATUS: u64 = 64 << 10;

/// The store, as the monitor was told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PassStore {
    /// Its folder.
    pub(crate) store: PathBuf,
    /// How long `gpg` may take.
    pub(crate) patience: Duration,
}

/// What the core wants; the pipe that it goes into comes along.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Wish {
    /// The names of all entries, each with a NUL byte behind it.
    List,
    /// The value of the entry of that name.
    Reveal(Vec<u8>),
}

/// What came of it, once the pipe is closed.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Told {
    /// All of it is in the pipe; so many entries were left out of a list.
    Done { left_out: u64 },
    /// `gpg` or its user refuses it.
    Refused(String),
    /// It could not be tried, or did not come to an end.
    Failed(String),
}

/// The helper: answers one wish.
pub(super) fn serve(socket: &OwnedFd, pass: &PassStore) -> io::Result<()> {
    let Some((wish, mut descriptors)) = receive::<Wish>(socket.as_fd())? else { return Ok(()) };
    let told = match (wish, descriptors.pop()) {
        (_, None) => Err(Told::Failed("no pipe came along".to_owned())),
        (Wish::List, Some(pipe)) => list(pass, pipe),
        (Wish::Reveal(entry), Some(pipe)) => reveal(socket, pass, &entry, pipe),
    };
    let told = told.map_or_else(|told| told, |left_out| Told::Done { left_out });
    send(socket.as_fd(), &told, &[])
}

/// Writes the names of all entries; gives how many were left out.
fn list(pass: &PassStore, pipe: OwnedFd) -> Result<u64, Told> {
    let top = top(pass)?;
    let mut found = Found::default();
    found
        .walk(&top, &top, &mut Vec::new(), 0)
        .map_err(|error| failed("reads the store", &error))?;
    let written = File::from(pipe).write_all(&found.names);
    written.map_err(|error| failed("writes the list", &error))?;
    Ok(found.left_out)
}

/// What a walk through the store has found.
#[derive(Default)]
struct Found {
    names: Vec<u8>,
    count: usize,
    left_out: u64,
}

impl Found {
    /// Walks through a folder. No symbolic link leads to another folder, and one to a file must stay
    /// within the store.
    fn walk(
        &mut self,
        top: &OwnedFd,
        folder: &OwnedFd,
        path: &mut Vec<u8>,
        depth: usize,
    ) -> io::Result<()> {
        for entry in Dir::read_from(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name.starts_with(b".") {
                continue;
            }
            let before = path.len();
            if before > 0 {
                path.push(b'/');
            }
            path.extend_from_slice(name);
            match entry.file_type() {
                FileType::Directory if depth == DEEPEST => self.left_out += 1,
                FileType::Directory => {
                    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                    match openat(folder, entry.file_name(), flags, Mode::empty()) {
                        Ok(below) => self.walk(top, &below, path, depth + 1)?,
                        Err(_) => self.left_out += 1,
                    }
                }
                FileType::RegularFile | FileType::Unknown | FileType::Symlink => {
                    self.take(top, path, entry.file_type());
                }
                FileType::Fifo
                | FileType::Socket
                | FileType::CharacterDevice
                | FileType::BlockDevice => {}
            }
            path.truncate(before);
        }
        Ok(())
    }

    fn take(&mut self, top: &OwnedFd, path: &[u8], kind: FileType) {
        let Some(name) = path.strip_suffix(ENDING) else {
            // A link to a folder, which is not followed.
            self.left_out += u64::from(kind == FileType::Symlink);
            return;
        };
        let is_file = kind == FileType::RegularFile || entry_file(top, name).is_ok();
        if !is_file || self.count == MOST_ENTRIES {
            self.left_out += 1;
            return;
        }
        self.count += 1;
        self.names.extend_from_slice(name);
        self.names.push(0);
    }
}

fn top(pass: &PassStore) -> Result<OwnedFd, Told> {
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
    let top = open(&pass.store, flags, Mode::empty());
    top.map_err(|errno| failed("opens the store", &errno.into()))
}

/// The file of an entry, which lies within the store wherever links lead.
fn entry_file(top: &OwnedFd, entry: &[u8]) -> io::Result<OwnedFd> {
    let path = [entry, ENDING].concat();
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    let within = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let file = openat2(top, OsStr::from_bytes(&path), flags, Mode::empty(), within)?;
    let about = fstat(&file)?;
    let is_file = FileType::from_raw_mode(about.st_mode) == FileType::RegularFile;
    if is_file { Ok(file) } else { Err(io::Error::other("it is no file")) }
}

/// Has `gpg` write the value of an entry into `pipe`.
fn reveal(socket: &OwnedFd, pass: &PassStore, entry: &[u8], pipe: OwnedFd) -> Result<u64, Told> {
    let file = entry_file(&top(pass)?, entry).map_err(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            Told::Refused("the store has it no more".to_owned())
        } else {
            failed("opens the entry", &error)
        }
    })?;
    let size = fstat(&file).map(|about| u64::try_from(about.st_size).unwrap_or(u64::MAX));
    if size.is_ok_and(|size| size > LARGEST_FILE) {
        return Err(Told::Failed("the file of the entry is over 4 MiB long".to_owned()));
    }
    let mut command = Command::new(GPG);
    command
        .args(["--quiet", "--batch", "--no-tty", "--status-fd", "2", "--decrypt"])
        .stdin(Stdio::from(file))
        .stdout(Stdio::from(pipe))
        .stderr(Stdio::piped());
    let child = command.spawn();
    // The pipe ends with `gpg`, not with this process.
    drop(command);
    let mut child = child.map_err(|error| failed("runs gpg", &error))?;
    let said = child.stderr.take();
    let said = said.map(|said| std::thread::spawn(move || read(said)));
    let number = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    let process = number.and_then(|number| pidfd_open(number, PidfdFlags::empty()).ok());
    let is_over = process.as_ref().is_some_and(|it| waited(it, socket, pass.patience));
    if !is_over {
        match &process {
            Some(process) => drop(pidfd_send_signal(process, Signal::KILL)),
            None => drop(child.kill()),
        }
    }
    let status = child.wait().map_err(|error| failed("waits for gpg", &error))?;
    if !is_over {
        let seconds = pass.patience.as_secs();
        return Err(Told::Failed(format!("gpg took longer than {seconds} s and was ended")));
    }
    let said = said.and_then(|said| said.join().ok()).unwrap_or_default();
    match (status.success(), is_told(&said, "DECRYPTION_OKAY")) {
        (true, true) => Ok(0),
        (_, _) => Err(Told::Refused(why(&said, status.code()))),
    }
}

/// Waits for `process` to end; false when it takes too long, or nobody waits for it any more.
fn waited(process: &OwnedFd, socket: &OwnedFd, patience: Duration) -> bool {
    let mut sources = [
        PollFd::new(process.as_fd(), PollFlags::POLLIN),
        PollFd::new(socket.as_fd(), PollFlags::POLLIN),
    ];
    let most = PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX);
    let _looked_at_below = poll(&mut sources, most);
    is_ready(process, 0)
}

fn read(said: ChildStderr) -> String {
    let mut bytes = Vec::new();
    let mut said = said.take(LONGEST_STATUS);
    // What cannot be read says nothing.
    let _as_far_as_it_goes = said.read_to_end(&mut bytes);
    let _nobody_heeds_the_rest = io::copy(&mut said.into_inner(), &mut io::sink());
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Whether `gpg` said a word on its status channel (`doc/DETAILS` of `GnuPG`).
fn is_told(said: &str, word: &str) -> bool {
    let words = said.lines().filter_map(|line| line.strip_prefix("[GNUPG:] "));
    words.filter_map(|line| line.split(' ').next()).any(|first| first == word)
}

/// Why there is no value, without a word of what `gpg` says of keys and people.
fn why(said: &str, code: Option<i32>) -> String {
    let has = |word| is_told(said, word);
    // Pinentry's ways to say no: GPG_ERR_CANCELED, GPG_ERR_FULLY_CANCELED.
    let is_cancelled = has("CANCELED_BY_USER")
        || said.lines().any(|line| {
            line.starts_with("[GNUPG:] ERROR ")
                && (line.contains("83886179") || line.contains("83886278"))
        });
    if is_cancelled {
        "who was asked for the passphrase did not give it".to_owned()
    } else if has("BAD_PASSPHRASE") {
        "the passphrase was wrong".to_owned()
    } else if has("NO_SECKEY") && !has("DECRYPTION_KEY") {
        "gpg has no key of this user that opens it, or may not use it".to_owned()
    } else if has("NODATA") || has("UNEXPECTED") {
        "the entry is no encrypted file".to_owned()
    } else {
        match code {
            Some(code) => format!("gpg does not decrypt it (exit code {code})"),
            None => "gpg was ended by a signal".to_owned(),
        }
    }
}

fn failed(does: &str, error: &io::Error) -> Told {
    // The kind alone: a path of the store may be in the rest.
    Told::Failed(format!("what {does} has failed: {}", error.kind()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_gpg_says_is_told_by_kind_and_names_neither_keys_nor_people() {
        let said = "[GNUPG:] ENC_TO 1234 1 0\n[GNUPG:] NO_SECKEY 1234\ngpg: Ann <ann@x>\n";
        assert!(why(said, Some(2)).starts_with("gpg has no key"));
        assert!(why("[GNUPG:] NODATA 1\n", Some(2)).starts_with("the entry is no"));
        assert!(why("gpg: Ann\n", Some(2)).ends_with("(exit code 2)"));
        assert!(is_told("x\n[GNUPG:] DECRYPTION_OKAY\n", "DECRYPTION_OKAY"));
        assert!(!is_told("[GNUPG:] DECRYPTION_OKAYED\nDECRYPTION_OKAY\n", "DECRYPTION_OKAY"));
    }
}
