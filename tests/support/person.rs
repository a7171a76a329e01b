//! A person: a process of some user that does one step after another as a test tells it.
//!
//! A step is a line of Python, so it is as close to the system call as the test wants.

use super::users;
use super::wait::DEADLINE;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// The interpreter: in a place that every user can reach.
pub(crate) const PYTHON: &str = "/usr/bin/python3";
/// What it does.
const SCRIPT: &str = include_str!("person.py");

/// A process that does steps.
pub(crate) struct Person {
    process: Child,
    steps: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Person {
    /// A process of `user` in a session of its own.
    pub(crate) fn of(user: &str) -> Self {
        Self::started_by(&[], Some(user))
    }

    /// A process that `wrapper` (such as `unshare`) starts, of `user` or of ours.
    pub(crate) fn started_by(wrapper: &[&str], user: Option<&str>) -> Self {
        let words = [wrapper, &[PYTHON, "-c", SCRIPT, "own-session"]].concat();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).env_clear().env("PATH", "/usr/bin:/bin").current_dir("/");
        if let Some(name) = user {
            let user = users::user(name);
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut process = piped.spawn().unwrap();
        let steps = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        Self { process, steps, answers }
    }

    /// Its process number.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Has it begin a step, and does not wait for the answer.
    pub(crate) fn begin(&mut self, step: &str) {
        let line = serde_json::to_string(step).unwrap() + "\n";
        self.steps.write_all(line.as_bytes()).unwrap();
    }

    /// The answer to a step that was begun: its value, or the name of its errno.
    pub(crate) fn end(&mut self) -> Result<Value, String> {
        let mut sources = [PollFd::new(self.answers.get_ref().as_fd(), PollFlags::POLLIN)];
        let patience = PollTimeout::try_from(DEADLINE * 2).unwrap();
        let is_there = poll(&mut sources, patience).unwrap() == 1;
        assert!(is_there, "a step had no answer in time");
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).map_err(|_| "gone".to_owned())?;
        match (answer.get("value"), answer.get("errno")) {
            (Some(value), _) => Ok(value.clone()),
            (_, Some(errno)) => Err(errno.as_str().unwrap().to_owned()),
            _ => panic!("{answer}"),
        }
    }

    /// Has it do a step: its value, or the name of its errno.
    pub(crate) fn does(&mut self, step: &str) -> Result<Value, String> {
        self.begin(step);
        self.end()
    }

    /// Has it do a step that must succeed.
    pub(crate) fn must(&mut self, step: &str) -> Value {
        self.does(step).unwrap_or_else(|errno| panic!("{step}: {errno}"))
    }

    /// Has it do a step that must fail: the name of its errno.
    pub(crate) fn fails(&mut self, step: &str) -> String {
        match self.does(step) {
            Ok(value) => panic!("{step}: succeeded with {value}"),
            Err(errno) => errno,
        }
    }

    /// Reads a whole file by open, read, close.
    pub(crate) fn reads(&mut self, path: &str) -> Result<String, String> {
        self.does(&format!("read({path:?})")).map(|text| text.as_str().unwrap().to_owned())
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.pid()).unwrap()), signal).unwrap();
    }

    /// Whether it is still there, or has ended when it closed its output.
    pub(crate) fn wait_for_its_end(&mut self) -> std::process::ExitStatus {
        self.process.wait().unwrap()
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.process.kill();
        let _status = self.process.wait();
    }
}
