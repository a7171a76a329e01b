//! A password store as its owner has it: real `pass`, real `GnuPG`, a home of its own.

use super::users::{self, user};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// Programs that it takes.
const PROGRAMS: [&str; 2] = ["/usr/bin/pass", "/usr/bin/gpg"];

/// A store, with the key that opens it. Dropping it ends the `GnuPG` agent of that home.
pub(crate) struct PassStore {
    folder: TempDir,
    owner: &'static str,
}

impl PassStore {
    /// The empty store of that user, whose key has this passphrase; `None`, with a word why, where
    /// there can be none.
    pub(crate) fn of(owner: &'static str, passphrase: &str) -> Option<Self> {
        if let Some(missing) = PROGRAMS.into_iter().find(|it| !Path::new(it).exists()) {
            eprintln!("skipped: {missing} is not there: apt-get install pass gnupg");
            return None;
        }
        let store = Self { folder: users::folder(owner), owner };
        store.run("mkdir", &["-m", "0700", store.at("gnupg").to_str().unwrap()], "");
        let key = ["--batch", "--pinentry-mode", "loopback", "--passphrase", passphrase];
        let kind =
            ["--quick-generate-key", "ann@example.org", "future-default", "default", "never"];
        store.run("gpg", &[&key[..], &kind].concat(), "");
        store.run("pass", &["init", "ann@example.org"], "");
        Some(store)
    }

    /// What `[sources.pass]` says of it, with more lines.
    pub(crate) fn table(&self, more: &str) -> String {
        let (store, home, owner) = (self.store(), self.at("gnupg"), self.owner);
        format!(
            "[sources.pass]\nstore = {store:?}\nuser = {owner:?}\ngnupg_home = {home:?}\n{more}"
        )
    }

    /// Where the store is.
    pub(crate) fn store(&self) -> PathBuf {
        self.at("store")
    }

    /// A path beside it.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Keeps a value, as `pass insert` does when it is typed.
    pub(crate) fn insert(&self, name: &str, value: &str) {
        self.pass(&["insert", "--echo", "--force", name], &format!("{value}\n"));
    }

    /// Runs `pass`, which must succeed.
    pub(crate) fn pass(&self, words: &[&str], input: &str) -> String {
        self.run("pass", words, input)
    }

    /// Forgets passphrases that were given.
    pub(crate) fn end_agent(&self) {
        let _none_may_run = self.output("gpgconf", &["--kill", "gpg-agent"], "");
    }

    /// Runs a program as its owner, which must succeed; gives what it wrote.
    pub(crate) fn run(&self, program: &str, words: &[&str], input: &str) -> String {
        let output = self.output(program, words, input);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let said = text(&output.stderr);
        assert!(output.status.success(), "{program} {words:?}: {said}");
        text(&output.stdout)
    }

    fn output(&self, program: &str, words: &[&str], input: &str) -> Output {
        let owner = user(self.owner);
        let mut command = Command::new(program);
        command.args(words).env_clear().current_dir(self.folder.path());
        command.env("PATH", "/usr/bin:/bin").env("HOME", self.folder.path());
        command.env("GNUPGHOME", self.at("gnupg")).env("PASSWORD_STORE_DIR", self.store());
        command.uid(owner.uid.as_raw()).gid(owner.gid.as_raw());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let given = std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes());
        given.unwrap();
        child.wait_with_output().unwrap()
    }
}

impl Drop for PassStore {
    fn drop(&mut self) {
        self.end_agent();
    }
}
