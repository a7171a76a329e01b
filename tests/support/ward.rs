//! Running `ward` as a user would.

use super::users;
use std::ffi::OsString;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The program under test.
pub(crate) const WARD: &str = env!("CARGO_BIN_EXE_ward");
/// The daemon beside it.
pub(crate) const DAEMON: &str = env!("CARGO_BIN_EXE_ward-mountd");

/// One run of `ward`.
pub(crate) struct Ward {
    command: Command,
    stdin: Vec<u8>,
    root: Option<PathBuf>,
}

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// The exit code; absent when a signal ended it.
    pub(crate) status: Option<i32>,
    /// What it wrote to stdout.
    pub(crate) stdout: String,
    /// What it wrote to stderr.
    pub(crate) stderr: String,
}

impl Ward {
    /// `ward` with nothing in its environment, in a session without a terminal.
    pub(crate) fn new(arguments: &[impl AsRef<std::ffi::OsStr>]) -> Self {
        // setsid(1): the tests may run in a terminal, and `ward` would ask there.
        let mut command = Command::new("/usr/bin/setsid");
        command.args(["--wait", WARD]).args(arguments).env_clear();
        Self { command, stdin: Vec::new(), root: None }
    }

    /// The same for `root`.
    pub(crate) fn of(root: &Path, arguments: &[impl AsRef<std::ffi::OsStr>]) -> Self {
        let mut ward = Self::new(arguments);
        ward.command.env("WARD_ROOT", root);
        ward.root = Some(root.to_owned());
        ward
    }

    /// In this directory.
    pub(crate) fn within(mut self, directory: &Path) -> Self {
        self.command.current_dir(directory);
        self
    }

    /// With this variable.
    pub(crate) fn with(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.command.env(name, value.into());
        self
    }

    /// With this on stdin.
    pub(crate) fn given(mut self, stdin: &[u8]) -> Self {
        self.stdin = stdin.to_vec();
        self
    }

    /// As this user of the tests.
    pub(crate) fn by(mut self, user: &str) -> Self {
        let user = users::user(user);
        self.command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        self
    }

    /// Runs it to its end.
    pub(crate) fn run(mut self) -> Ended {
        let piped = self.command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = piped.stderr(Stdio::piped()).spawn().unwrap();
        // A command that does not read its stdin closes it: that is no fault.
        let _ignored = child.stdin.take().unwrap().write_all(&self.stdin);
        let output = child.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ended {
            status: output.status.code(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    /// Runs it; it must succeed. Gives what it wrote to stdout.
    pub(crate) fn succeed(self) -> String {
        let root = self.root.clone();
        let ended = self.run();
        assert_eq!(ended.status, Some(0), "{ended:?}\n{:?}", root.map(|root| refusals(&root)));
        ended.stdout
    }
}

/// The newest refusals in the log of a root: the caller of a command is not told why.
fn refusals(root: &Path) -> String {
    Ward::of(root, &["--json", "audit", "show", "--event", "refused", "--limit", "2"]).run().stdout
}

impl Ended {
    /// The JSON on stdout.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}
