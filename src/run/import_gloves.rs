//! `ward import gloves`: all that a root of gloves has, with what its `.gloves.toml` means here.

use crate::client::Client;
use crate::command::{ImportGlovesArguments, IntoArguments};
use crate::import::Here;
use crate::import::decrypted::by_age;
use crate::import::gloves::vaults::GlovesVault;
use crate::import::gloves::{acl, root, vaults};
use crate::import::secrets::Imported;
use crate::policy_text;
use crate::private_mount::GocryptfsMount;
use crate::run::vault_import;
use crate::secret_reference::vault_name;
use crate::settings::Settings;
use crate::tree_copy::{CopyReport, Fidelity};
use crate::trouble::Trouble;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command as Program, Stdio};
use ward_mountd::control::message::{Command, NewSlot, VaultKind, VaultState, Vaults};

/// Imports, or says what would come.
pub(crate) fn run(
    arguments: &ImportGlovesArguments,
    settings: &Settings,
) -> Result<Imported, Trouble> {
    let ImportGlovesArguments { source, acl, into } = arguments;
    let place = place(into);
    let (found, identities) = root::read(source, &place)
        .map_err(|error| Trouble::bad_input(error).next("name the folder with store and meta"))?;
    let mut imported = found.bring(into, settings, |file| by_age(file, &identities))?;
    let there = vaults_there(settings)?;
    for vault in vaults::find(source, settings.password_store.as_deref()) {
        let brought = if there.contains(&vault.name) {
            Err("there is a vault of that name".to_owned())
        } else {
            bring(&vault, &identities, (into, settings))
        };
        match brought {
            Ok(copied) => {
                for left in copied.into_iter().flat_map(|copied| copied.left_out) {
                    imported.leave_out(format!("{}, {}", vault.name, left.path), left.why);
                }
                imported.vaults.push(vault.name);
            }
            Err(why) => imported.leave_out(format!("vault {}", vault.name), why),
        }
    }
    match acl.clone().or_else(|| root::config_of(source)) {
        Some(file) => translate(&file, place, &mut imported)?,
        None => imported.note("no .gloves.toml was found: name it with --acl, or there was no ACL"),
    }
    Ok(imported)
}

/// The names of vaults that are here.
fn vaults_there(settings: &Settings) -> Result<BTreeSet<String>, Trouble> {
    let vaults: Vaults = Client::connect(settings)?.ask(Command::VaultList {})?;
    Ok(vaults.vaults.into_iter().map(|vault| vault.vault).collect())
}

/// Makes a vault of the same name, and copies into it what gocryptfs shows; or finds that it could.
fn bring(
    vault: &GlovesVault,
    identities: &str,
    (into, settings): (&IntoArguments, &Settings),
) -> Result<Option<CopyReport>, String> {
    let said = |trouble: Trouble| trouble.failure.message;
    vault_name(&vault.name).map_err(said)?;
    if !into.apply {
        return runs_gocryptfs().map(|()| None);
    }
    let passphrase = vault.passphrase(identities)?;
    let mount = GocryptfsMount::begin(&vault.volume, &passphrase).map_err(said)?;
    let source = mount.open().map_err(said)?;
    let made = Command::VaultInit {
        vault: vault.name.clone(),
        kind: VaultKind::Workspace,
        owner: vault.owner,
        slot: NewSlot::Keyfile,
    };
    let made: Result<VaultState, Trouble> =
        Client::connect(settings).and_then(|mut client| client.ask(made));
    made.map_err(said)?;
    let how = (&into.unlock, settings);
    vault_import::import(&vault.name, &source, Fidelity::Everything, how).map(Some).map_err(said)
}

fn runs_gocryptfs() -> Result<(), String> {
    let mut version = Program::new("gocryptfs");
    version.arg("-version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let ran = version.status().map_err(|error| format!("cannot run gocryptfs: {error}"))?;
    if ran.success() { Ok(()) } else { Err(format!("gocryptfs does not run: {ran}")) }
}

/// What the file of its configuration means here, for somebody to read before it counts.
fn translate(file: &Path, place: String, imported: &mut Imported) -> Result<(), Trouble> {
    let approver = nix::unistd::getuid().as_raw();
    let here = Here { place, users: BTreeMap::new(), approver };
    match acl::import(&policy_text::read(file, "ACL")?, &here) {
        Ok(translated) => {
            imported.policy = Some(translated.policy);
            imported.settings = Some(translated.settings).filter(|lines| !lines.is_empty());
        }
        Err(error) => imported.note(format!("{}: {error}", file.display())),
    }
    Ok(())
}

/// What names begin with here: the vault, and a folder if they go into one.
fn place(into: &IntoArguments) -> String {
    let folder = into.at.as_ref().map_or(String::new(), |at| format!("{at}/"));
    format!("{}:{folder}", into.vault)
}
