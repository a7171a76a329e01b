//! A terminal: `ward` with a person before it.

use super::root::Root;
use super::ward::WARD;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{OpenptyResult, openpty};
use nix::sys::termios::{LocalFlags, tcgetattr};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command};

/// A terminal that a command runs in.
pub(crate) struct Terminal {
    person: File,
    /// Kept open, so that the terminal's state can be read at any time.
    device: OwnedFd,
    command: Child,
    shown: String,
}

impl Terminal {
    /// Runs `ward` for `root` with a terminal as stdin, stdout and stderr.
    pub(crate) fn begin(root: &Root, arguments: &[&str]) -> Self {
        Self::begin_program(root, &[&[WARD], arguments].concat())
    }

    /// Runs a script that calls `ward` as `$0`, likewise.
    pub(crate) fn begin_shell(root: &Root, script: &str) -> Self {
        Self::begin_program(root, &["/bin/sh", "-c", script, WARD])
    }

    fn begin_program(root: &Root, words: &[&str]) -> Self {
        let OpenptyResult { master, slave } = openpty(None, None).unwrap();
        let mut command = Command::new("/usr/bin/setsid");
        command.args(["--ctty", "--wait"]).args(words).env_clear();
        command.env("WARD_ROOT", root.path()).current_dir(root.directory());
        command.stdin(slave.try_clone().unwrap()).stdout(slave.try_clone().unwrap());
        let command = command.stderr(slave.try_clone().unwrap()).spawn().unwrap();
        Self { person: File::from(master), device: slave, command, shown: String::new() }
    }

    /// Reads until `text` was shown; panics when it is not shown in time.
    pub(crate) fn expect(&mut self, text: &str) {
        while !self.shown.contains(text) {
            let mut sources = [PollFd::new(self.person.as_fd(), PollFlags::POLLIN)];
            let patience = PollTimeout::try_from(super::wait::DEADLINE).unwrap();
            let is_there = poll(&mut sources, patience).unwrap() == 1;
            assert!(is_there, "{text:?} was not shown, but {:?}", self.shown);
            let mut chunk = [0; 1024];
            let count = self.person.read(&mut chunk).unwrap();
            self.shown.push_str(&String::from_utf8_lossy(&chunk[..count]));
        }
    }

    /// All that was shown so far.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    /// Types.
    pub(crate) fn type_in(&mut self, text: &str) {
        self.person.write_all(text.as_bytes()).unwrap();
    }

    /// Whether what is typed is shown.
    pub(crate) fn has_echo(&self) -> bool {
        tcgetattr(&self.device).unwrap().local_flags.contains(LocalFlags::ECHO)
    }

    /// Waits for the end: everything that was shown, and the exit code.
    pub(crate) fn end(&mut self) -> (String, Option<i32>) {
        let status = self.command.wait().unwrap();
        let mut sources = [PollFd::new(self.person.as_fd(), PollFlags::POLLIN)];
        while poll(&mut sources, PollTimeout::ZERO).unwrap() == 1 {
            let mut chunk = [0; 1024];
            let mut person = &self.person;
            let count = person.read(&mut chunk).unwrap();
            self.shown.push_str(&String::from_utf8_lossy(&chunk[..count]));
        }
        (self.shown.clone(), status.code())
    }
}
