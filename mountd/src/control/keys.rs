//! Commands about what unlocks a vault: its key slots, and copies of its header.

use super::failure::{
    bad_input, failure, of_accept, of_create, of_header, of_open, of_reach, of_rekey, of_slot,
};
use super::message::{
    AddedSlot, Done, Failure, FailureCode, Header, KeyAdded, KeySlot, KeySlots, Passphrase,
    Rekeyed, SecretText,
};
use super::requests::vault_name;
use super::session::{About, Control};
use super::vaults::typed;
use crate::initialise::{InitError, passphrase_cost};
use crate::pipeline::OpenError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ward_audit::EventType;
use ward_policy::Operation;
use ward_store::{Keyfile, NewSlot, RecoveryCode, SlotId, SlotKind, SlotSecret};

impl Control<'_> {
    pub(super) fn key_list(&self, vault: &str) -> Result<KeySlots, Failure> {
        let vault = vault_name(vault)?;
        let about = About { vault: Some(&vault), ..About::default() };
        self.permit(Operation::VaultKeyList, EventType::Command, about)?;
        let open = self.reach(&vault)?;
        let slots = open.vault.slots().into_iter().map(|slot| KeySlot {
            slot: slot.id.0,
            kind: word(slot.kind).to_owned(),
            created: slot.created,
        });
        Ok(KeySlots { slots: slots.collect() })
    }

    pub(super) fn key_add(&self, vault: &str, slot: &AddedSlot) -> Result<KeyAdded, Failure> {
        let vault = vault_name(vault)?;
        let about = About { vault: Some(&vault), ..About::default() };
        self.permit(Operation::VaultKeyAdd, EventType::Command, about)?;
        let open = self.reach(&vault)?;
        let add = |new: &NewSlot<'_>| open.vault.add_slot(new).map_err(|error| of_slot(&error));
        let (slot, kind, recovery_code) = match slot {
            AddedSlot::Keyfile => {
                let path = self.daemon.vaults.keyfile(&vault);
                if path.exists() {
                    let message = format!("the vault {vault} has a key file already");
                    return Err(failure(FailureCode::Conflict, message, "see ward vault key list"));
                }
                let made = Keyfile::create(&path);
                let made = made.map_err(|error| of_create(&InitError::Keyfile(error)))?;
                let added = add(&NewSlot::Keyfile(&made)).inspect_err(|_| {
                    // A key file that opens nothing: the vault asks for a passphrase as before.
                    drop(std::fs::remove_file(&path));
                });
                (added?, SlotKind::Keyfile, None)
            }
            AddedSlot::Passphrase(text) if text.0.is_empty() => {
                return Err(of_create(&InitError::EmptyPassphrase));
            }
            AddedSlot::Passphrase(text) => {
                let passphrase = ward_store::Passphrase::new(typed(text));
                let slot = add(&NewSlot::Passphrase(&passphrase, passphrase_cost()))?;
                (slot, SlotKind::Passphrase, None)
            }
            AddedSlot::Recovery => {
                let code = RecoveryCode::generate();
                let code =
                    code.map_err(|error| failure(FailureCode::Failed, error, "try again"))?;
                let slot = add(&NewSlot::Recovery(&code))?;
                (slot, SlotKind::Recovery, Some(SecretText(code.show().to_string())))
            }
        };
        Ok(KeyAdded { slot: slot.0, kind: word(kind).to_owned(), recovery_code })
    }

    /// Takes a key slot away. Who kept an older header still opens the vault with it.
    pub(super) fn key_remove(&self, vault: &str, slot: u32) -> Result<Done, Failure> {
        let vault = vault_name(vault)?;
        let about = About { vault: Some(&vault), ..About::default() };
        self.permit(Operation::VaultKeyRemove, EventType::Command, about)?;
        let open = self.reach(&vault)?;
        open.vault.remove_slot(SlotId(slot)).map_err(|error| of_slot(&error))?;
        let forgotten = self.daemon.vaults.forget_keyfile_without_slot(&open);
        forgotten.map(|()| Done {}).map_err(|error| of_leftover_keyfile(&error))
    }

    /// Gives the vault a new key. Slots that nothing given opens must be among `remove`.
    pub(super) fn rekey(
        &self,
        vault: &str,
        passphrases: &[Passphrase],
        remove: &[u32],
    ) -> Result<Rekeyed, Failure> {
        let vault = vault_name(vault)?;
        let about = About { vault: Some(&vault), ..About::default() };
        self.permit(Operation::VaultRekey, EventType::Command, about)?;
        let vaults = &self.daemon.vaults;
        let open = self.reach(&vault)?;
        let mut secrets: Vec<SlotSecret> =
            passphrases.iter().map(|text| SlotSecret::typed(typed(text))).collect();
        if vaults.has_keyfile(&vault) {
            secrets.push(vaults.secret(&vault, None).map_err(|error| of_reach(&error))?);
        }
        let remove: Vec<SlotId> = remove.iter().copied().map(SlotId).collect();
        open.vault.rekey(&secrets, &remove).map_err(|error| of_rekey(&error))?;
        vaults.forget_keyfile_without_slot(&open).map_err(|error| of_leftover_keyfile(&error))?;
        // New entries are sealed under the new key from here on.
        let sealed = self.daemon.pipeline.log.seal_names(&vault, &open.vault.names_key());
        sealed.map_err(|error| of_open(&OpenError::from(error)))?;
        let segments = open.vault.segments_to_rekey();
        Ok(Rekeyed { segments_to_rekey: u64::try_from(segments).unwrap_or(u64::MAX) })
    }

    /// A copy of the header, to be kept elsewhere: with it every slot of today opens the vault.
    pub(super) fn header_backup(&self, vault: &str) -> Result<Header, Failure> {
        let vault = vault_name(vault)?;
        let about = About { vault: Some(&vault), ..About::default() };
        self.permit(Operation::VaultHeaderBackup, EventType::Command, about)?;
        self.daemon.vaults.exists(&vault).map_err(|error| of_reach(&error))?;
        let header = ward_store::backup_header(&self.daemon.vaults.folder(&vault));
        let header = header.map_err(|error| of_header(&error))?;
        Ok(Header { header: STANDARD.encode(header) })
    }

    pub(super) fn header_restore(
        &self,
        vault: &str,
        header: &str,
        passphrase: Option<&Passphrase>,
    ) -> Result<Done, Failure> {
        let vault = vault_name(vault)?;
        let about = About { vault: Some(&vault), ..About::default() };
        let header = STANDARD.decode(header);
        let header = header.map_err(|_| bad_input("the header is no base64", "see ward --help"))?;
        self.permit(Operation::VaultHeaderRestore, EventType::Command, about)?;
        let vaults = &self.daemon.vaults;
        let secret = vaults.secret(&vault, passphrase.map(typed));
        let secret = secret.map_err(|error| of_reach(&error))?;
        vaults.close_unused(&vault).map_err(|error| of_accept(&error))?;
        let restored = ward_store::restore_header(&vaults.folder(&vault), &header, &secret);
        restored.map(|()| Done {}).map_err(|error| of_header(&error))
    }
}

fn of_leftover_keyfile(error: &std::io::Error) -> Failure {
    let message = format!("the slot is gone, its key file is not: {error}");
    failure(FailureCode::Failed, message, "remove the file in the folder keys of the root")
}

/// The word of the protocol for a kind of slot.
const fn word(kind: SlotKind) -> &'static str {
    match kind {
        SlotKind::Passphrase => "passphrase",
        SlotKind::Keyfile => "keyfile",
        SlotKind::Recovery => "recovery",
    }
}
