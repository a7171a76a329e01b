//! Signing: the installed `ssh-keygen` signs, so that a key can be in a file, in an agent or in a
//! FIDO token, and asks for a passphrase or a touch as its owner is used to.

use crate::trouble::Trouble;
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::process::{Command, Stdio};
use ward_mountd::control::message::{Binding, FailureCode};
use ward_mountd::factor::NAMESPACE;

/// The program, from OpenSSH 8.2 or later.
const SSH_KEYGEN: &str = "ssh-keygen";
/// No signature is longer.
const LONGEST: u64 = 16 << 10;

/// Signs `wanted` with the key in `file`, else with the first that an agent has.
pub(crate) fn sign(wanted: &Binding, file: Option<&Path>) -> Result<String, Trouble> {
    match file {
        Some(file) => run(&wanted.binding, file.as_os_str().as_ref(), Words::Told),
        None => sign_by_agent(wanted),
    }
}

/// The same where ssh-keygen must leave the terminal alone: it asks for nothing and says nothing.
pub(crate) fn sign_silently(wanted: &Binding, file: Option<&Path>) -> Result<String, Trouble> {
    match file {
        Some(file) => run(&wanted.binding, file.as_os_str().as_ref(), Words::Untold),
        None => sign_by_agent(wanted),
    }
}

fn sign_by_agent(wanted: &Binding) -> Result<String, Trouble> {
    for key in &wanted.keys {
        let public = in_memory(key).map_err(|error| Trouble::new(FailureCode::Failed, error))?;
        let path = format!("/proc/{}/fd/{}", std::process::id(), public.as_raw_fd());
        if let Ok(signature) = run(&wanted.binding, path.as_ref(), Words::Untold) {
            return Ok(signature);
        }
    }
    Err(Trouble::new(FailureCode::Denied, "no agent signs with a key that would count")
        .next("name the file of your key: --key FILE; allowed_signers of the root must have it"))
}

/// A public key where ssh-keygen can read it by a path.
fn in_memory(key: &str) -> io::Result<OwnedFd> {
    let file = memfd_create("key", MFdFlags::MFD_CLOEXEC)?;
    let mut file = File::from(file);
    writeln!(file, "{key}")?;
    Ok(file.into())
}

/// Whether ssh-keygen may speak to the person at the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Words {
    Told,
    Untold,
}

/// `ssh-keygen -Y sign`: the text on its stdin, the signature on its stdout.
fn run(text: &str, key: &Path, words: Words) -> Result<String, Trouble> {
    let trouble = |error: io::Error| {
        Trouble::new(FailureCode::Unsupported, format!("cannot run {SSH_KEYGEN}: {error}"))
            .next("install OpenSSH's client programs")
    };
    let mut command = Command::new(SSH_KEYGEN);
    command.args(["-Y", "sign", "-n", NAMESPACE, "-f"]).arg(key);
    let told = match words {
        Words::Told => Stdio::inherit(),
        Words::Untold => {
            // Else it asks on the terminal, whoever reads that.
            command.env("SSH_ASKPASS_REQUIRE", "force").env("SSH_ASKPASS", "/bin/false");
            Stdio::null()
        }
    };
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(told);
    let mut child = piped.spawn().map_err(trouble)?;
    if let Some(mut stdin) = child.stdin.take() {
        // It may end before it reads: its exit code says why.
        let _ended = stdin.write_all(text.as_bytes());
    }
    let mut signature = String::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(LONGEST).read_to_string(&mut signature).map_err(trouble)?;
    }
    if child.wait().map_err(trouble)?.success() {
        Ok(signature)
    } else {
        Err(Trouble::new(FailureCode::Denied, format!("{SSH_KEYGEN} did not sign")).next(
            match words {
                Words::Told => "see what it says above",
                Words::Untold => "answer with ward approve ID --sign --key FILE",
            },
        ))
    }
}
