//! A vault of which one file is any bytes is refused, or every content in it is one that was written.
#![no_main]
#![expect(clippy::disallowed_methods, reason = "what is written is for one input, in memory")]

#[path = "../../mountd/store/tests/support/copy.rs"]
mod copy;
#[path = "../../mountd/store/tests/support/lease.rs"]
mod lease;

use copy::copy_released;
use lease::{NOW, caller, lease};
use libfuzzer_sys::fuzz_target;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use ward_policy::{FileId, Operation};
use ward_store::decoders::bytes_of;
use ward_store::{Keyfile, NodeKind, NodeType, SlotSecret, Vault, VaultKind};

/// Released vaults; the first byte of the input says which of them, and which of its files the other
/// bytes replace: one of these, or from their number on both copies of the header.
const RELEASED: [&str; 2] = ["v1", "v1-workspace"];
const FILES: [&str; 6] = [
    "header",
    "header.2",
    "segments/0000000001",
    "segments/0000000002",
    "segments/0000000003",
    "images/0000000001",
];

fuzz_target!(|input: &[u8]| {
    let Some((&which, bytes)) = input.split_first() else { return };
    let (format, file) = (usize::from(which) / 7 % 2, usize::from(which) % 7);
    let folder = std::env::temp_dir().join("released");
    let _absent_at_first = fs::remove_dir_all(&folder);
    let released = Path::new(env!("CARGO_MANIFEST_DIR")).join("../mountd/store/tests/released");
    copy_released(&released.join(RELEASED[format]), &folder).expect("room for a vault");
    let vault = folder.join("vault");
    fs::create_dir_all(vault.join("images")).expect("room for a folder");
    let replaced = FILES.get(file).map_or(&FILES[..2], |file| std::slice::from_ref(file));
    for file in replaced {
        fs::write(vault.join(file), bytes).expect("room for a file");
    }
    let keyfile = Keyfile::read(&folder.join("key")).expect("a key file");
    let Ok((vault, _)) = Vault::unlock(&vault, &SlotSecret::Keyfile(keyfile)) else { return };
    match vault.kind() {
        VaultKind::Secrets => check_secrets(&vault, vault.root()),
        VaultKind::Workspace => check_nodes(&vault, vault.root()),
    }
    let _read_only_when_damaged = vault.close();
});

fn check_secrets(vault: &Vault, directory: FileId) {
    for entry in vault.entries(directory) {
        match entry.kind {
            NodeKind::Directory => check_secrets(vault, entry.file),
            NodeKind::File => {
                let path = vault.path_of(entry.file).expect("it was listed");
                let lease = lease(Operation::FileWrite, &path, entry.file).expect("allowed");
                let active = lease.active_for(&caller(), NOW).expect("the lease is ours");
                if let Ok(value) = vault.draft(&active, entry.file) {
                    assert!(is_secret(&value), "{path}: {} bytes", value.len());
                }
            }
        }
    }
}

fn is_secret(value: &[u8]) -> bool {
    let short: [&[u8]; 5] = [b"", b"first", b"second", b"removed", b"shredded"];
    short.contains(&value) || value == long()
}

fn check_nodes(vault: &Vault, directory: FileId) {
    let mut nodes = Vec::new();
    let listed = vault.read_entries(directory, 0, &mut |entry| {
        nodes.push(entry.attributes);
        ControlFlow::Continue(())
    });
    listed.expect("a directory");
    for node in nodes {
        match node.node_type {
            NodeType::Directory => check_nodes(vault, node.file),
            NodeType::File => {
                let bytes = bytes_of(vault, node.file);
                assert!(bytes.is_none_or(|bytes| was_written(&bytes)), "{node:?}");
            }
            _ => drop(vault.read_target(node.file)),
        }
        let names = vault.xattr_names(node.file).expect("it was listed");
        let values = names.iter().map(|name| vault.xattr(node.file, name).expect("it was listed"));
        assert!(values.into_iter().all(|value| value == b"golden" || value == b"soon"));
        assert!(!vault.paths_of(node.file).is_empty(), "it was listed");
    }
}

/// Whether a file of the released workspace ever had these bytes.
fn was_written(bytes: &[u8]) -> bool {
    let mut long = long();
    let mut states = vec![Vec::new(), b"appended".to_vec(), long.clone()];
    long[100..119].copy_from_slice(b"over what was there");
    states.push(long.clone());
    long[30_000..35_000].fill(0);
    states.push(long.clone());
    long.resize(80_000, 0);
    long.extend_from_slice(b"behind a hole");
    states.push(long);
    states.iter().any(|state| state == bytes)
}

fn long() -> Vec<u8> {
    (0..70_000_u32).map(|number| number.to_le_bytes()[0]).collect()
}
