//! Commands about how a vault is kept: what it holds, and the room it takes.

use super::failure::{failure, of_store};
use super::message::{Compacted, Failure, FailureCode, Head, VaultInfo};
use super::requests::vault_name;
use super::session::{About, Control};
use crate::clock;
use ward_audit::EventType;
use ward_policy::Operation;
use ward_store::{ImageUse, Space, SyncedHead, Usage};

impl Control<'_> {
    pub(super) fn vault_info(&self, vault: &str) -> Result<VaultInfo, Failure> {
        let vault = vault_name(vault)?;
        let about = About { vault: Some(&vault), ..About::default() };
        self.permit(Operation::VaultInfo, EventType::Command, about)?;
        let open = self.reach(&vault)?;
        let store = &open.vault;
        let disk = |error: std::io::Error| failure(FailureCode::Failed, error, "check the disk");
        let Usage { files, directories, versions, current_bytes, segments, disk_bytes } =
            store.usage().map_err(disk)?;
        let Space { dead_bytes, memory_bytes, image_bytes } = store.space().map_err(disk)?;
        Ok(VaultInfo {
            vault: vault.to_string(),
            id: store.id().to_string(),
            kind: store.kind().name().to_owned(),
            owner: crate::owner::Owner::of_label(&store.label()).name().to_owned(),
            read_only: store.read_only().map(|reason| reason.to_string()),
            files,
            directories,
            versions,
            current_bytes,
            segments,
            disk_bytes,
            dead_bytes,
            segments_to_rekey: u64::try_from(store.segments_to_rekey()).unwrap_or(u64::MAX),
            memory_bytes,
            image: match store.image_use() {
                ImageUse::None => "none",
                ImageUse::Newest => "newest",
                ImageUse::Older => "older",
            }
            .to_owned(),
            image_bytes,
            pinned: store.pinned().map(|pin| clock::text(clock::wall_of(pin.time))),
            head: head(&store.head()),
        })
    }

    /// Gives the room of dead bytes back, all that can be had now.
    pub(super) fn compact(&self, vault: &str) -> Result<Compacted, Failure> {
        let vault = vault_name(vault)?;
        let about = About { vault: Some(&vault), ..About::default() };
        self.permit(Operation::VaultCompact, EventType::Command, about)?;
        let open = self.reach(&vault)?;
        let mut all = Compacted { retired: 0, removed: 0, copied_bytes: 0 };
        // A segment goes with the second image after its copy, and with the last one an older key.
        for _ in 0..3 {
            let done = open.vault.compact(u64::MAX).map_err(|error| of_store(&error))?;
            all.retired += done.retired;
            all.removed += done.removed;
            all.copied_bytes += done.copied_bytes;
        }
        Ok(all)
    }
}

fn head(head: &SyncedHead) -> Head {
    let SyncedHead { branch, segment, sequence, chain, header_generation } = *head;
    let chain = chain.iter().map(|byte| format!("{byte:02x}")).collect();
    Head { branch, segment, sequence, chain, header_generation }
}
