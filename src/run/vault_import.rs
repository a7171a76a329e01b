//! `ward vault import`: copies a directory, or what is in a gocryptfs volume, into a vault.

use crate::client::Client;
use crate::command::{ImportArguments, UnlockArguments};
use crate::output::Report;
use crate::passphrase;
use crate::private_mount::{GocryptfsMount, PatientSignals, VaultMount};
use crate::progress::Progress;
use crate::run::vault_export::told;
use crate::secret_reference::vault_name;
use crate::settings::Settings;
use crate::tree_copy::{CopyReport, Extent, Fidelity, TreeCopy, open_directory};
use crate::trouble::Trouble;
use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use ward_mountd::control::message::{Command, Purpose, VaultState};

/// Copies it.
pub(crate) fn run(
    arguments: &ImportArguments,
    settings: &Settings,
) -> Result<Report<CopyReport>, Trouble> {
    let vault = vault_name(&arguments.vault)?;
    let fidelity = fidelity_of(&state_of(&vault, settings)?);
    match (&arguments.directory, &arguments.gocryptfs) {
        (Some(directory), _) => {
            let source = open(directory)?;
            import(&vault, &source, fidelity, (&arguments.unlock, settings))
        }
        (None, Some(volume)) => {
            let file = arguments.gocryptfs_passphrase_file.as_deref();
            let passphrase = passphrase::for_volume(volume, file)?;
            let mount = GocryptfsMount::begin(volume, passphrase.as_bytes())?;
            let source = mount.open()?;
            import(&vault, &source, fidelity, (&arguments.unlock, settings))
        }
        (None, None) => Err(Trouble::bad_input("nothing to import was named")
            .next("name a directory, or a volume with --gocryptfs")),
    }
    .map(|copied| told(copied, "imported"))
}

/// Copies all below a directory into a vault.
pub(crate) fn import(
    vault: &str,
    source: &OwnedFd,
    fidelity: Fidelity,
    (unlock, settings): (&UnlockArguments, &Settings),
) -> Result<CopyReport, Trouble> {
    let signals = PatientSignals::begin()?;
    let mount = VaultMount::begin(vault, Purpose::Import, unlock, settings)?;
    let target = mount.open()?;
    let progress = Progress::counting(settings.form, &format!("importing into {vault}"));
    let is_interrupted = || {
        progress.step();
        signals.came()
    };
    let extent = Extent { fidelity, elsewhere: BTreeSet::new() };
    let copied = TreeCopy::run((source.as_fd(), target.as_fd()), &extent, &is_interrupted);
    drop(progress);
    drop(target);
    mount.end()?;
    Ok(CopyReport { vault: vault.to_owned(), ..copied? })
}

/// What the vault can hold.
pub(crate) fn fidelity_of(state: &VaultState) -> Fidelity {
    if state.kind == "workspace" { Fidelity::Everything } else { Fidelity::Values }
}

/// What is known of the vault.
pub(crate) fn state_of(vault: &str, settings: &Settings) -> Result<VaultState, Trouble> {
    let command = Command::VaultStatus { vault: vault.to_owned() };
    Client::connect(settings)?.ask(command)
}

fn open(directory: &Path) -> Result<OwnedFd, Trouble> {
    open_directory(directory).map_err(|errno| {
        Trouble::bad_input(format!("cannot import {}: {errno}", directory.display()))
            .next("name a directory that you may read")
    })
}
