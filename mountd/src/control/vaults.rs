//! Commands about vaults: make, unlock, mount, unmount, list.

use super::failure::{bad_input, failure, of_create, of_mount, of_reach};
use super::message::{
    Done, Failure, FailureCode, MountState, NewSlot, Owner, Passphrase, Purpose, VaultKind,
    VaultState, Vaults,
};
use super::requests::vault_name;
use super::session::{About, Control};
use crate::clock;
use crate::initialise::{InitError, WantedVault};
use crate::lifecycle::{MountError, MountView, Wanted, Why};
use crate::place::Access;
use crate::vault_table::ReachError;
use std::os::fd::AsFd;
use std::time::Duration;
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

    pub(super) fn vault_mount(
        &self,
        vault: &str,
        (ttl, read_only, made_directory): (Option<u64>, bool, bool),
        purpose: Purpose,
    ) -> Result<MountState, Failure> {
        let vault = vault_name(vault)?;
        let operation = match purpose {
            Purpose::Use => Operation::VaultMount,
            Purpose::Export => Operation::VaultExport,
            Purpose::Import => Operation::VaultImport,
        };
        let lifetime = self.lifetime(ttl, purpose)?;
        let Some(directory) = self.descriptor.as_ref() else {
            return Err(bad_input("no directory came with the line", "see docs/protocol.md"));
        };
        let about = About { vault: Some(&vault), ..About::default() };
        match self.daemon.vaults.owner(&vault) {
            Owner::Human if !self.is_approver() => {
                let words = "the vault belongs to a human, so a mount takes an approver's yes";
                self.permit_with_a_human(operation, about, words)?;
            }
            Owner::Agent | Owner::Human => {
                self.permit(operation, EventType::Command, about)?;
            }
        }
        if purpose != Purpose::Use
            && let Some(view) = self.daemon.mounts.view(&vault)
        {
            return self.copy_through(&view, purpose);
        }
        let (open, read_only) = match purpose {
            Purpose::Use | Purpose::Import => {
                let open = self.reach(&vault)?;
                let is_read_only = open.vault.read_only().is_some();
                (open, read_only || is_read_only)
            }
            Purpose::Export => {
                let open = self.daemon.vaults.reach_to_export(&vault);
                (open.map_err(|error| of_reach(&error))?, true)
            }
        };
        let copier = match purpose {
            Purpose::Use => None,
            Purpose::Export | Purpose::Import => Some(self.connection.try_clone_to_owned()),
        };
        let copier = copier.transpose().map_err(|error| of_mount(&MountError::Session(error)))?;
        let wanted = Wanted {
            instance: &self.daemon.instance,
            vault: open,
            directory: directory.as_fd(),
            made_directory,
            access: if read_only { Access::ReadOnly } else { Access::ReadWrite },
            lifetime,
            copier,
        };
        let mounted = self.daemon.mounts.mount(&wanted, &self.caller);
        mounted.map(|view| self.mount_state(&view)).map_err(|error| of_mount(&error))
    }

    /// How long a mount lasts: as asked for, or as the settings say.
    fn lifetime(&self, ttl: Option<u64>, purpose: Purpose) -> Result<Duration, Failure> {
        let settings = self.daemon.settings();
        let longest = settings.mount.longest.duration();
        let asked = ttl.map_or_else(|| settings.mount.ttl.duration(), Duration::from_secs);
        match purpose {
            // A copy ends with its command.
            Purpose::Export | Purpose::Import => Ok(asked.min(longest)),
            Purpose::Use if asked.is_zero() || asked > longest => {
                let longest = String::from(settings.mount.longest);
                let message = format!("a mount lasts 1 second to {longest}");
                Err(bad_input(message, "give a --ttl such as 45m"))
            }
            Purpose::Use => Ok(asked),
        }
    }

    /// A copy goes through the mount that is there: two of one vault would not agree on what is in it.
    fn copy_through(&self, view: &MountView, purpose: Purpose) -> Result<MountState, Failure> {
        let MountView { vault, path, access, is_for_copy, .. } = view;
        if *is_for_copy {
            let message = format!("another command exports or imports the vault {vault}");
            return Err(failure(FailureCode::Conflict, message, "try again when it has ended"));
        }
        if (purpose, *access) == (Purpose::Import, Access::ReadOnly) {
            let message = format!("the vault {vault} is mounted read-only, at {path}");
            let next = format!("end that mount: ward vault unmount {vault}; then try again");
            return Err(failure(FailureCode::Conflict, message, &next));
        }
        Ok(self.mount_state(view))
    }

    pub(super) fn vault_unmount(&self, vault: &str) -> Result<Done, Failure> {
        let vault = vault_name(vault)?;
        let about = About { vault: Some(&vault), ..About::default() };
        self.permit(Operation::VaultUnmount, EventType::Command, about)?;
        if self.daemon.mounts.end(&vault, Why::Asked) {
            return Ok(Done {});
        }
        let message = format!("the vault {vault} is not mounted");
        Err(failure(FailureCode::NotFound, message, "see ward vault list"))
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
        Ok(VaultState {
            vault: vault.to_string(),
            kind: kind.to_owned(),
            owner: self.daemon.vaults.owner(vault).name().to_owned(),
            state: state.to_owned(),
            unlocked_by: if has_keyfile { "keyfile" } else { "passphrase" }.to_owned(),
            damaged_places: self.daemon.vaults.damage().get(vault).map_or(0, |it| number(*it)),
            mount,
        })
    }

    pub(super) fn mount_state(&self, view: &MountView) -> MountState {
        let handles = self.daemon.pipeline.handles.count(&view.vault);
        MountState {
            vault: view.vault.to_string(),
            path: view.path.clone(),
            owner: view.owner.0,
            read_only: view.access == Access::ReadOnly,
            ends: clock::wall_text(view.ends),
            ends_in: seconds(view.ends.remaining(clock::now())),
            handles: number(handles),
            for_copy: view.is_for_copy,
        }
    }
}

/// A count, for the protocol.
pub(super) fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// A time for people, in seconds: what has begun counts.
pub(super) fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

/// What somebody typed to unlock a vault, as bytes.
pub(super) fn typed(passphrase: &Passphrase) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(passphrase.0.clone().into_bytes())
}
