//! What a foreign program decrypts, as the user who imports: into memory, never into a file.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use ward_mountd::control::message::LONGEST_VALUE;
use zeroize::Zeroizing;

/// Has `gpg` decrypt a file, as the caller.
pub(crate) fn by_gpg(file: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let sealed = std::fs::File::open(file).map_err(|error| format!("cannot be read: {error}"))?;
    let mut command = Command::new("gpg");
    command.args(["--quiet", "--batch", "--decrypt"]).stdin(Stdio::from(sealed));
    let value = run(command, &[], "gpg")?;
    // As a source of `pass` shows it.
    let line = value.strip_suffix(b"\n").filter(|line| !line.contains(&b'\n'));
    Ok(line.map_or_else(|| value.clone(), |line| Zeroizing::new(line.to_vec())))
}

/// Has `age` decrypt a file with these identities, which reach it over a pipe.
pub(crate) fn by_age(file: &Path, identities: &str) -> Result<Zeroizing<Vec<u8>>, String> {
    let mut command = Command::new("age");
    // The path is absolute or below a folder that was named: it begins with no hyphen.
    command.args(["--decrypt", "--identity", "-"]).arg(file).stdin(Stdio::piped());
    run(command, identities.as_bytes(), "age")
}

fn run(mut command: Command, given: &[u8], name: &str) -> Result<Zeroizing<Vec<u8>>, String> {
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| format!("cannot run {name}: {error}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that wants nothing of it says so by its exit.
        let _read_or_not = stdin.write_all(given);
    }
    // Room for all of it at once: a grown buffer leaves copies behind.
    let mut value = Zeroizing::new(Vec::with_capacity(LONGEST_VALUE + 64));
    let read = child.stdout.take().map(|stdout| {
        let most = u64::try_from(LONGEST_VALUE + 1).unwrap_or(u64::MAX);
        stdout.take(most).read_to_end(&mut value)
    });
    let status = child.wait().map_err(|error| format!("{name} is lost: {error}"))?;
    if value.len() > LONGEST_VALUE {
        return Err(format!("its value is over {LONGEST_VALUE} bytes long"));
    }
    match read {
        Some(Ok(_)) if status.success() => Ok(value),
        Some(_) | None => Err(format!("{name} does not decrypt it ({status})")),
    }
}
