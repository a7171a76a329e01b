//! A shell session of a user: several commands that share a session, told when to go on.

use super::root::Root;
use super::users;
use super::ward::WARD;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A running session. Its script calls `ward` as `$0` and waits with `read go`.
pub(crate) struct Session {
    shell: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Session {
    /// Starts `script` as `user` in a session of its own.
    pub(crate) fn begin(root: &Root, user: &str, script: &str) -> Self {
        let user = users::user(user);
        let mut command = Self::shell(root, script);
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        Self::start(command)
    }

    /// The same as whoever runs the tests.
    pub(crate) fn begin_as_us(root: &Root, script: &str) -> Self {
        Self::start(Self::shell(root, script))
    }

    fn shell(root: &Root, script: &str) -> Command {
        let mut command = Command::new("/usr/bin/setsid");
        command.args(["--wait", "/bin/sh", "-c", script, WARD]).env_clear();
        command.env("WARD_ROOT", root.path()).current_dir(root.directory());
        command
    }

    fn start(mut command: Command) -> Self {
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut shell = piped.stderr(Stdio::inherit()).spawn().unwrap();
        let stdin = shell.stdin.take().unwrap();
        let stdout = BufReader::new(shell.stdout.take().unwrap());
        Self { shell, stdin, stdout }
    }

    /// The next line it says, without its newline.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Lets it go on.
    pub(crate) fn go(&mut self) {
        self.stdin.write_all(b"go\n").unwrap();
    }

    /// The rest of what it says, and its exit code.
    pub(crate) fn end(mut self) -> (String, Option<i32>) {
        drop(self.stdin);
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        (rest, self.shell.wait().unwrap().code())
    }
}
