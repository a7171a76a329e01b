//! `ward vault header`: a copy of the key slots, for the day both headers are lost.

use crate::client::Client;
use crate::command::{HeaderArguments, HeaderRestoreArguments};
use crate::output::{Report, escaped};
use crate::secret_reference::vault_name;
use crate::settings::Settings;
use crate::trouble::Trouble;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use ward_mountd::control::message::{Command, Done, FailureCode, Header};

/// No header is longer.
const LONGEST: u64 = 128 << 10;

/// Writes a copy of it to a new file.
pub(crate) fn backup(
    arguments: &HeaderArguments,
    settings: &Settings,
) -> Result<Report<Header>, Trouble> {
    let vault = vault_name(&arguments.vault)?;
    let file = &arguments.file;
    let command = Command::VaultHeaderBackup { vault: vault.clone() };
    let header: Header = Client::connect(settings)?.ask(command)?;
    let bytes = STANDARD.decode(&header.header).map_err(|error| {
        Trouble::new(FailureCode::Failed, format!("the daemon sent no header: {error}"))
    })?;
    write_new(file, &bytes).map_err(|error| {
        let is_there = error.kind() == io::ErrorKind::AlreadyExists;
        let code = if is_there { FailureCode::Conflict } else { FailureCode::Failed };
        Trouble::new(code, format!("cannot write {}: {error}", file.display()))
            .next("name a new file in a directory of yours")
    })?;
    let text = format!(
        "wrote the header of {vault} to {}\n\
         Whatever opens the vault today opens it with this copy, also after it was removed.\n",
        escaped(&file.display().to_string())
    );
    Ok(Report::new(header, text))
}

/// Puts a copy back.
pub(crate) fn restore(
    arguments: &HeaderRestoreArguments,
    settings: &Settings,
) -> Result<Report<Done>, Trouble> {
    let vault = vault_name(&arguments.header.vault)?;
    let file = &arguments.header.file;
    let bytes = read(file).map_err(|error| {
        Trouble::bad_input(format!("cannot read {}: {error}", file.display()))
            .next("name the file that ward vault header backup wrote")
    })?;
    let header = STANDARD.encode(bytes);
    let done: Done = Client::connect(settings)?.ask_with_passphrase(
        &vault,
        &arguments.unlock,
        |passphrase| {
            let (vault, header) = (vault.clone(), header.clone());
            Command::VaultHeaderRestore { vault, header, passphrase }
        },
    )?;
    Ok(Report::new(done, format!("put the header of {vault} back\n")))
}

/// Writes a file that must not be there yet, for its owner alone.
fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
    let mut file = File::from(open(path, flags, Mode::S_IRUSR | Mode::S_IWUSR)?);
    file.write_all(bytes)?;
    file.sync_all()
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LONGEST).read_to_end(&mut bytes)?;
    Ok(bytes)
}
