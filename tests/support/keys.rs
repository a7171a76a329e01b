//! Keys of a user, as OpenSSH makes them: plain ones, and of a FIDO token in software.

use super::program::compiled;
use super::users;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use tempfile::TempDir;

/// A folder of keys.
pub(crate) struct Keys {
    user: &'static str,
    folder: TempDir,
    token: OnceLock<PathBuf>,
}

impl Keys {
    /// None yet.
    pub(crate) fn of(user: &'static str) -> Self {
        Self { user, folder: users::folder(user), token: OnceLock::new() }
    }

    /// Makes a key of that type; gives the path of its private half.
    pub(crate) fn make(&self, name: &str, kind: &str) -> String {
        self.keygen(name, &["-t", kind])
    }

    /// Makes a key of the token, which wants a touch each time.
    pub(crate) fn fido(&self, name: &str) -> String {
        self.keygen(name, &["-t", "ed25519-sk", "-w", &self.token()])
    }

    /// Makes a key of the token that signs without a touch.
    pub(crate) fn silent_fido(&self, name: &str) -> String {
        let token = self.token();
        self.keygen(name, &["-t", "ed25519-sk", "-O", "no-touch-required", "-w", &token])
    }

    /// The library by which OpenSSH reaches the token.
    pub(crate) fn token(&self) -> String {
        let build = || {
            let source = include_str!("software_fido.c");
            // Named before the source that needs it, so it must be told to stay.
            let options = ["-shared", "-fPIC", "-Wl,--no-as-needed", "-l:libcrypto.so.3"];
            compiled(self.folder.path(), "token.so", source, &options)
        };
        self.token.get_or_init(build).to_str().unwrap().to_owned()
    }

    /// A line of `allowed_signers`.
    pub(crate) fn line(&self, principal: &str, name: &str) -> String {
        let public = std::fs::read_to_string(self.folder.path().join(format!("{name}.pub")));
        format!("{principal} {}", public.unwrap())
    }

    /// What ssh-keygen makes of a text.
    pub(crate) fn sign(&self, name: &str, namespace: &str, text: &str) -> String {
        let file = self.folder.path().join("text");
        super::stage::replace(&file, text);
        let stdin = std::fs::File::open(&file).unwrap();
        let mut command = self.command();
        command.args(["-Y", "sign", "-n", namespace, "-f"]).arg(self.folder.path().join(name));
        let output = command.stdin(stdin).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn keygen(&self, name: &str, options: &[&str]) -> String {
        let path = self.folder.path().join(name);
        let mut command = self.command();
        command.args(["-q", "-N", ""]).args(options).arg("-f").arg(&path);
        let output = command.stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        path.to_str().unwrap().to_owned()
    }

    fn command(&self) -> Command {
        let user = users::user(self.user);
        let mut command = Command::new("/usr/bin/ssh-keygen");
        command.env_clear().env("PATH", "/usr/bin:/bin").env("SSH_SK_PROVIDER", self.token());
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        command
    }
}
