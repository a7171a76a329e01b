//! `ward vault fsck`: reads and opens all of a vault, and changes nothing. Needs no daemon, and that
//! none has the vault open.

use crate::client::no_root;
use crate::command::UnlockedVaultArguments;
use crate::exit_code::ExitCode;
use crate::output::{Report, count, escaped};
use crate::passphrase;
use crate::progress::Progress;
use crate::secret_reference::vault_name;
use crate::settings::Settings;
use crate::trouble::Trouble;
use serde::Serialize;
use std::path::Path;
use ward_mountd::control::message::FailureCode;
use ward_mountd::root::{KEYS, MARK, VAULTS};
use ward_store::{FsckReport, Keyfile, SlotSecret, fsck};
use zeroize::Zeroizing;

/// What the check found.
#[derive(Debug, Serialize)]
pub(crate) struct FsckVerdict {
    /// The vault.
    vault: String,
    /// Files that were read.
    files: u64,
    /// Their versions.
    versions: u64,
    /// Bytes that a crash left behind the last whole frame; the next unlock cuts them.
    torn_bytes: u64,
    /// Everything that is not what was written; empty when the vault is whole.
    findings: Vec<String>,
}

/// Checks it.
pub(crate) fn run(
    arguments: &UnlockedVaultArguments,
    settings: &Settings,
) -> Result<Report<FsckVerdict>, Trouble> {
    let root = &settings.root;
    std::fs::symlink_metadata(root.join(MARK)).map_err(|error| no_root(root, &error))?;
    let vault = vault_name(&arguments.vault)?;
    let directory = root.join(VAULTS).join(&vault);
    if !directory.is_dir() {
        let message = format!("there is no vault {vault}");
        return Err(Trouble::new(FailureCode::NotFound, message).next("see ward vault list"));
    }
    let secret = secret_of(&vault, &root.join(KEYS).join(&vault), arguments)?;
    let progress = Progress::of(settings.form, &format!("reading {vault}"));
    let report = fsck(&directory, &secret)
        .map_err(|error| Trouble::new(FailureCode::from(&error), error))?;
    drop(progress);
    let verdict = verdict_of(vault, &report);
    let text = words(&verdict);
    let exit = if verdict.findings.is_empty() { ExitCode::Done } else { ExitCode::Damaged };
    Ok(Report::new(verdict, text).ending(exit))
}

fn secret_of(
    vault: &str,
    keyfile: &Path,
    arguments: &UnlockedVaultArguments,
) -> Result<SlotSecret, Trouble> {
    if keyfile.exists() {
        let key = Keyfile::read(keyfile);
        return key
            .map(SlotSecret::Keyfile)
            .map_err(|error| Trouble::new(FailureCode::WrongKey, error));
    }
    let mut typed = passphrase::for_locked_vault(vault, &arguments.unlock)?;
    Ok(SlotSecret::typed(Zeroizing::new(std::mem::take(&mut *typed).into_bytes())))
}

fn verdict_of(vault: String, report: &FsckReport) -> FsckVerdict {
    FsckVerdict {
        vault,
        files: report.files,
        versions: report.versions,
        torn_bytes: report.torn.as_ref().map_or(0, |torn| torn.length),
        findings: report.findings.iter().map(ToString::to_string).collect(),
    }
}

fn words(verdict: &FsckVerdict) -> String {
    let FsckVerdict { vault, files, versions, torn_bytes, findings } = verdict;
    let mut text = String::new();
    for finding in findings {
        text.push_str(&format!("{}: {}\n", escaped(vault), escaped(finding)));
    }
    if *torn_bytes > 0 {
        text.push_str(&format!(
            "{}: a crash left {} behind the last frame; the next unlock cuts them\n",
            escaped(vault),
            count(*torn_bytes, "byte"),
        ));
    }
    let state = if findings.is_empty() { "whole" } else { "damaged" };
    text.push_str(&format!(
        "{} is {state}: {} and {} read\n",
        escaped(vault),
        count(*files, "file"),
        count(*versions, "version"),
    ));
    text
}
