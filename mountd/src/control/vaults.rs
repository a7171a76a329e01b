//! Commands about vaults: make, unlock, list.

use super::failure::{of_create, of_reach};
use super::message::{Done, Failure, NewSlot, Owner, Passphrase, VaultKind, VaultState, Vaults};
use super::mounts::mount_end;
use super::requests::vault_name;
use super::session::{About, Control};
use crate::initialise::{InitError, WantedVault};
use crate::vault_table::ReachError;
use ward_audit::EventType;
use ward_policy::{Operation, VaultName};
use zeroize::Zeroizing;

impl Control<'_> {
    pub(super) fn vault_init(
        &self,
        vault: &str,
        (kind, owner): (VaultKind, Owner),
        slot: &NewSlot,
    ) -> Result<VaultState, Failure> {
        let vault = vault_name(vault)?;
        let about = About { vault: Some(&vault), ..About::default() };
        self.permit(Operation::VaultInit, EventType::VaultCreated, about)?;
        let passphrase = match slot {
            NewSlot::Keyfile => None,
            NewSlot::Passphrase(text) if text.0.is_empty() => {
                return Err(of_create(&InitError::EmptyPassphrase));
            }
            NewSlot::Passphrase(text) => Some(Zeroizing::new(text.0.clone().into_bytes())),
        };
        let kind = match kind {
            VaultKind::Secrets => ward_store::VaultKind::Secrets,
            VaultKind::Workspace => ward_store::VaultKind::Workspace,
        };
        let wanted = WantedVault { kind, owner, passphrase: passphrase.as_ref() };
        let made = self.daemon.vaults.create(&vault, &wanted);
        made.map_err(|error| of_create(&error))?;
        self.vault_state(&vault)
    }

    /// Unlocks for the commands that follow. Whoever may mount it, or read in it, may try.
    pub(super) fn vault_unlock(
        &self,
        vault: &str,
        passphrase: &Passphrase,
    ) -> Result<Done, Failure> {
        let vault = vault_name(vault)?;
        let about = About { vault: Some(&vault), ..About::default() };
        self.permit(Operation::VaultMount, EventType::VaultUnlocked, about)?;
        self.daemon.vaults.unlock(&vault, typed(passphrase)).map_err(|error| of_reach(&error))?;
        Ok(Done {})
    }

    pub(super) fn vault_list(&self) -> Result<Vaults, Failure> {
        self.permit(Operation::VaultList, EventType::Command, About::default())?;
        let names = self.daemon.vaults.names();
        let names = names.map_err(|error| of_reach(&ReachError::Folder(error)))?;
        let vaults = names.iter().map(|name| self.vault_state(name)).collect::<Result<_, _>>()?;
        Ok(Vaults { vaults })
    }

    pub(super) fn vault_status(&self, vault: &str) -> Result<VaultState, Failure> {
        let vault = vault_name(vault)?;
        let about = About { vault: Some(&vault), ..About::default() };
        self.permit(Operation::VaultStatus, EventType::Command, about)?;
        self.vault_state(&vault)
    }

    fn vault_state(&self, vault: &VaultName) -> Result<VaultState, Failure> {
        self.daemon.vaults.exists(vault).map_err(|error| of_reach(&error))?;
        let claim = self.daemon.vaults.claim(vault);
        let kind = claim.map_or("unknown", |claim| claim.kind.name());
        let has_keyfile = self.daemon.vaults.has_keyfile(vault);
        let mount = self.daemon.mounts.view(vault).map(|view| self.mount_state(&view));
        let state = match (&mount, self.daemon.vaults.unlocked(vault)) {
            (Some(_), _) => "mounted",
            (None, Some(_)) => "unlocked",
            (None, None) => "locked",
        };
        let mut sources = self.daemon.pipeline.sources.views().into_iter();
        Ok(VaultState {
            source: sources.find(|it| it.vault == *vault).map(|it| it.at.to_string()),
            vault: vault.to_string(),
            kind: kind.to_owned(),
            owner: self.daemon.vaults.owner(vault).name().to_owned(),
            state: state.to_owned(),
            unlocked_by: if has_keyfile { "keyfile" } else { "passphrase" }.to_owned(),
            last_end: self.daemon.mounts.last_end(vault).map(mount_end),
            damaged_places: self.daemon.vaults.damage().get(vault).map_or(0, |it| number(*it)),
            mount,
        })
    }
}

/// A count, for the protocol.
pub(super) fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// What somebody typed to unlock a vault, as bytes.
pub(super) fn typed(passphrase: &Passphrase) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(passphrase.0.clone().into_bytes())
}
