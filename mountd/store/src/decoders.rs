//! Every decoder of what stands inside a seal, asked without belief: for the tests and for fuzzing.
//!
//! Any bytes must be taken or refused. What was taken must answer every question, and be the same
//! after it was written and read once more.

use crate::change::Change;
use crate::fields::Fields;
use crate::frame::FrameHeader;
use crate::header::SealedHeader;
use crate::image::Image;
use crate::index::Index;
use crate::kind::VaultKind;
use crate::lineage::Lineage;
use crate::segment_scan::{PieceContent, Source, scan};
use crate::slot_secret::SlotSecret;
use crate::vault::Vault;
use std::collections::BTreeSet;
use ward_policy::FileId;

/// Takes bytes for changes of the log, and makes those that fit; says whether all of them are some.
///
/// # Panics
/// A decoder is wrong.
pub fn try_changes(kind: VaultKind, bytes: &[u8]) -> bool {
    let mut fields = Fields::new(bytes);
    let mut index = Index::empty(kind);
    while let Some(change) = Change::decode(&mut fields) {
        let _may_not_fit = index.apply(&change);
    }
    look_at(&index);
    let made = encoded(&index);
    let again = Index::decode(&mut Fields::new(&made), kind);
    assert!(again.is_some_and(|again| encoded(&again) == made), "what changes made is an index");
    index.drop_orphans();
    look_at(&index);
    Change::decode_all(bytes).is_some()
}

/// Takes bytes for the plaintext of an image, and goes on with `changes` behind it; says whether they
/// are one.
///
/// # Panics
/// A decoder is wrong.
pub fn try_image(kind: VaultKind, bytes: &[u8], changes: &[u8]) -> bool {
    let Some(mut image) = Image::decode(bytes, kind) else { return false };
    look_at(&image.index);
    let mut lineage = Vec::new();
    image.lineage.encode(&mut lineage);
    assert!(Lineage::decode(&mut Fields::new(&lineage)).is_some());
    let made = encoded(&image.index);
    assert!(Index::decode(&mut Fields::new(&made), kind).is_some());
    // Other changes than the tree was made by.
    let mut fields = Fields::new(changes);
    while let Some(change) = Change::decode(&mut fields) {
        let _may_not_fit = image.index.apply(&change);
    }
    image.index.skip_numbers(u32::MAX);
    image.index.drop_orphans();
    look_at(&image.index);
    true
}

/// Takes bytes for a header, and opens it; says whether that is possible.
pub fn try_header(bytes: &[u8], secret: &SlotSecret) -> bool {
    SealedHeader::decode(bytes).is_ok_and(|sealed| sealed.open(secret).is_ok())
}

/// Takes bytes for the header of a frame, at every place it may be at; says whether they are one.
///
/// # Panics
/// A decoder is wrong.
pub fn try_frame(bytes: &[u8]) -> bool {
    let Some(header) = FrameHeader::decode(bytes) else { return false };
    assert_eq!(bytes.get(..48), Some(&header.encode()[..]));
    for position in [0, 192, 4095, crate::extent::FARTHEST] {
        assert!(header.total_at(position) >= crate::frame::LEAST);
        let chunks = header.shape().map_or(0, crate::frame::DataShape::chunks);
        assert!(u64::from(chunks) * 4096 <= u64::from(header.length) + 4095);
    }
    true
}

/// All changes that the log of a vault holds, as [`try_changes`] takes them.
pub fn changes_of(vault: &Vault) -> Vec<u8> {
    let mut changes = Vec::new();
    for segment in vault.segments.all() {
        let found = segment
            .start()
            .ok()
            .and_then(|start| scan(&segment, start, u64::MAX, Source::Cached).ok());
        for piece in found.into_iter().flat_map(|scan| scan.pieces) {
            if let PieceContent::Batch(batch) = piece.content {
                changes.extend_from_slice(&batch.changes);
            }
        }
    }
    changes
}

/// What an image of a vault would hold, as [`try_image`] takes it.
pub fn image_of(vault: &Vault) -> Option<Vec<u8>> {
    let index = vault.read_index();
    Some(vault.writer.snapshot().ok()?.with(&index.snapshot()).to_vec())
}

/// All bytes of a file of a workspace, without a lease; none when they are damaged.
pub fn bytes_of(vault: &Vault, file: FileId) -> Option<Vec<u8>> {
    let length = crate::fields::in_memory(vault.node(file)?.size);
    Some(vault.open_node(file, 0, length).ok()?.as_slice().to_vec())
}

/// Asks an index everything; it must answer, whatever it was told.
pub(crate) fn look_at(index: &Index) {
    index.live_bytes();
    index.counts();
    index.memory_bytes();
    index.newest_time();
    index.path_of_frame(1, 192);
    let (mut found, mut seen) = (vec![FileId(1)], BTreeSet::new());
    if let Some(secrets) = index.secrets() {
        secrets.removed();
        while let Some(file) = found.pop() {
            assert!(seen.insert(file), "a node is in one place");
            assert_eq!(secrets.path_of(file).is_none(), file == FileId(1));
            secrets.longest_below(file);
            found.extend(secrets.directory(file).into_iter().flatten().map(|(_, file)| *file));
        }
    }
    let Some(workspace) = index.workspace() else { return };
    while let Some(file) = found.pop() {
        if seen.insert(file) {
            workspace.node(file).map(crate::workspace::Node::attributes).ok();
            workspace.paths_of(file);
            workspace.is_below(file, FileId(0));
            workspace.is_empty_directory(file);
            found.extend(workspace.entries_in(file, 0..=u64::MAX).map(|entry| entry.file));
        }
    }
}

/// An index as bytes of an image.
pub(crate) fn encoded(index: &Index) -> Vec<u8> {
    let mut bytes = Vec::new();
    index.snapshot().encode(&mut bytes);
    bytes
}
