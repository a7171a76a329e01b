//! `ward vault list`: the vaults that the caller may know of.

use crate::client::Client;
use crate::output::{Report, count, escaped, table, time};
use crate::settings::Settings;
use crate::trouble::Trouble;
use ward_mountd::control::message::{Command, VaultState, Vaults};

/// Lists them.
pub(crate) fn run(settings: &Settings) -> Result<Report<Vaults>, Trouble> {
    let vaults: Vaults = Client::connect(settings)?.ask(Command::VaultList {})?;
    let text = table(&vaults.vaults.iter().map(row).collect::<Vec<_>>());
    Ok(Report::new(vaults, text))
}

/// One vault in a row.
pub(crate) fn row(vault: &VaultState) -> Vec<String> {
    let mount = vault
        .mount
        .as_ref()
        .map(|mount| format!("{}, {} left", escaped(&mount.path), time(mount.ends_in)));
    let damage = vault.damaged_places;
    let damage = (damage > 0).then(|| count(damage, "damaged place"));
    let ended = vault
        .last_end
        .as_ref()
        .map(|end| format!("its mount ended at {}: {}", escaped(&end.at), escaped(&end.why)));
    let more: Vec<String> = mount.into_iter().chain(ended).chain(damage).collect();
    vec![
        escaped(&vault.vault).to_string(),
        escaped(&vault.kind).to_string(),
        escaped(&vault.owner).to_string(),
        escaped(&vault.state).to_string(),
        escaped(&vault.unlocked_by).to_string(),
        more.join(", "),
    ]
}
