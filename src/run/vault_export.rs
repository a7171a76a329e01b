//! `ward vault export`: copies everything in a vault that the caller may read into a directory.

use crate::client::Client;
use crate::command::ExportArguments;
use crate::exit_code::ExitCode;
use crate::output::Report;
use crate::private_mount::{PatientSignals, VaultMount};
use crate::progress::Progress;
use crate::run::vault_import::{fidelity_of, state_of};
use crate::secret_reference::vault_name;
use crate::settings::Settings;
use crate::tree_copy::{CopyReport, Extent, TreeCopy, open_directory};
use crate::trouble::Trouble;
use std::collections::BTreeSet;
use std::fs::DirBuilder;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use ward_mountd::control::message::{Command, FailureCode, Names, Purpose};

/// Copies it.
pub(crate) fn run(
    arguments: &ExportArguments,
    settings: &Settings,
) -> Result<Report<CopyReport>, Trouble> {
    let vault = vault_name(&arguments.vault)?;
    let state = state_of(&vault, settings)?;
    let target = empty_directory(&arguments.directory)?;
    let signals = PatientSignals::begin()?;
    let mount = VaultMount::begin(&vault, Purpose::Export, &arguments.unlock, settings)?;
    let source = mount.open()?;
    let elsewhere =
        if state.source.is_some() { kept_elsewhere(&vault, settings) } else { BTreeSet::new() };
    let extent = Extent { fidelity: fidelity_of(&state), elsewhere };
    let progress = Progress::counting(settings.form, &format!("exporting {vault}"));
    let is_interrupted = || {
        progress.step();
        signals.came()
    };
    let copied = TreeCopy::run((source.as_fd(), target.as_fd()), &extent, &is_interrupted);
    drop(progress);
    drop(source);
    mount.end()?;
    Ok(told(CopyReport { vault, ..copied? }, "exported"))
}

/// The report; something left out makes the command fail.
pub(crate) fn told(report: CopyReport, done: &str) -> Report<CopyReport> {
    let text = report.words(done);
    let exit = if report.left_out.is_empty() { ExitCode::Done } else { ExitCode::Failed };
    Report::new(report, text).ending(exit)
}

/// Files of the vault that a source keeps. A vault that lists nothing, since it was rolled back, shows
/// none.
fn kept_elsewhere(vault: &str, settings: &Settings) -> BTreeSet<PathBuf> {
    let list = Command::List { vault: vault.to_owned() };
    let names: Result<Names, Trouble> = Client::connect(settings).and_then(|mut it| it.ask(list));
    let names = names.map_or_else(|_| Vec::new(), |names| names.names);
    names.into_iter().filter(|name| name.is_elsewhere).map(|name| name.path.into()).collect()
}

/// The directory to copy to, made for its owner alone if it is not there; nothing is in it.
fn empty_directory(path: &Path) -> Result<OwnedFd, Trouble> {
    let refuse = |error: &dyn std::fmt::Display| {
        Trouble::bad_input(format!("cannot export to {}: {error}", path.display()))
            .next("name an empty directory of yours, or a new one")
    };
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(refuse(&error)),
        Ok(()) | Err(_) => {}
    }
    let directory = open_directory(path).map_err(|errno| refuse(&errno))?;
    let mut entries = rustix::fs::Dir::read_from(&directory).map_err(|errno| refuse(&errno))?;
    let is_empty = entries
        .all(|entry| entry.is_ok_and(|entry| matches!(entry.file_name().to_bytes(), b"." | b"..")));
    if is_empty {
        return Ok(directory);
    }
    let message = format!("{} is not empty", path.display());
    Err(Trouble::new(FailureCode::Conflict, message).next("name an empty directory, or a new one"))
}
