//! The vault: an encrypted store that is a log.
//!
//! Everything is appended to sealed segments, and an index in memory says where the living pieces
//! are. Knows no policy, no caller and no FUSE: a lease is the proof that a read was decided, a
//! receipt the proof that it was recorded, and time is an argument. `docs/formats.md` has every
//! byte on disk.

mod buffer;
mod change;
mod changing;
mod cipher;
mod compaction;
mod creation;
#[cfg(any(test, feature = "fuzzing"))]
pub mod decoders;
mod durable;
mod extent;
mod fields;
mod finding;
mod frame;
mod freshness;
mod fsck;
mod header;
mod header_backup;
mod header_file;
mod image;
mod image_choice;
mod image_file;
mod imprint;
mod index;
mod key;
mod key_ring;
mod key_slot;
mod kind;
mod ledger;
mod lineage;
mod lock;
mod open_segment;
mod padding;
mod passphrase;
mod patrol;
mod pin;
mod plaintext;
#[cfg(test)]
mod proof;
mod reading;
mod recovery;
mod recovery_code;
mod rekey;
mod replay;
mod reserve;
mod restoring;
mod retired_key;
mod room;
mod secret_history;
mod secret_tree;
mod secret_tree_change;
mod secret_tree_image;
mod segment;
mod segment_scan;
mod shred;
mod slot_secret;
mod space;
mod vault;
mod vault_slots;
mod wall_time;
mod workspace;
mod write_error;
mod writer;

pub use changing::{ChangeError, Existing};
pub use compaction::Compacted;
pub use creation::{CreateError, NewVault};
pub use extent::VersionId;
pub use finding::{Fault, Finding};
pub use freshness::{RolledBack, UnlockPinnedError};
pub use fsck::{FsckReport, fsck};
pub use header::VaultId;
pub use header_backup::{HeaderBackupError, backup_header, restore_header};
pub use header_file::{Claim, claim};
pub use image::ImageUse;
pub use imprint::{Imprint, Maker, Writing};
pub use kind::VaultKind;
pub use passphrase::{Passphrase, PassphraseCost};
pub use patrol::Patrolled;
pub use pin::Pin;
pub use plaintext::{Plaintext, Revealed};
pub use reading::{DecryptError, Draft, Place};
pub use recovery::{Recovered, TornTail};
pub use recovery_code::{RecoveryCode, RecoveryCodeError};
pub use rekey::RekeyError;
pub use secret_history::Removed;
pub use secret_tree::{Attributes, Entry, NodeKind};
pub use slot_secret::{Keyfile, KeyfileError, NewSlot, SlotId, SlotKind, SlotSecret};
pub use space::Space;
pub use vault::{UnlockError, Usage, Vault};
pub use vault_slots::{SlotError, SlotInfo};
pub use wall_time::WallTime;
pub use workspace::{
    AllocateMode, DirectoryEntry, EntryName, EntryNameError, NewNode, NodeAttributes, NodeType,
    RenameMode, Room, Seek, SetAttributes, TreeError, XattrMode,
};
pub use write_error::ReadOnly;
pub use writer::SyncedHead;
