//! Any bytes inside a seal are taken or refused by every decoder, and break nothing.
#![no_main]
#![expect(clippy::disallowed_methods, reason = "seeds are written once, where the script says")]

#[path = "../../mountd/store/tests/support/copy.rs"]
mod copy;

use copy::copy_released;
use libfuzzer_sys::fuzz_target;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;
use ward_store::decoders::{changes_of, image_of, try_changes, try_frame, try_header, try_image};
use ward_store::{Keyfile, SlotSecret, Vault, VaultKind};

/// Vaults of which the seeds are taken.
const RELEASED: [(VaultKind, &str); 3] = [
    (VaultKind::Secrets, "v1"),
    (VaultKind::Secrets, "v1-rekeyed"),
    (VaultKind::Workspace, "v1-workspace"),
];
/// What the first byte of an input says, in the order of `check`.
const DECODERS: u8 = 6;

static GIVEN: OnceLock<Given> = OnceLock::new();

/// What the decoders take beside their bytes.
struct Given {
    secret: SlotSecret,
    secrets: Vec<u8>,
    workspace: Vec<u8>,
}

fuzz_target!(
    init: {
        let given = prepare();
        assert!(GIVEN.set(given).is_ok(), "prepared once");
    },
    |input: &[u8]| {
        let (Some((&which, bytes)), Some(given)) = (input.split_first(), GIVEN.get()) else {
            return;
        };
        check(which % DECODERS, bytes, given);
    }
);

fn check(which: u8, bytes: &[u8], given: &Given) -> bool {
    match which {
        0 => try_changes(VaultKind::Secrets, bytes),
        1 => try_changes(VaultKind::Workspace, bytes),
        2 => try_image(VaultKind::Secrets, bytes, &given.secrets),
        3 => try_image(VaultKind::Workspace, bytes, &given.workspace),
        4 => try_frame(bytes),
        _ => try_header(bytes, &given.secret),
    }
}

/// Opens copies of the released vaults; their content is written as seeds where `WARD_SEEDS` says.
fn prepare() -> Given {
    let seeds = std::env::var_os("WARD_SEEDS");
    let mut found = Vec::new();
    let mut given = None;
    for (kind, format) in RELEASED {
        let folder = std::env::temp_dir().join(format);
        let released = Path::new(env!("CARGO_MANIFEST_DIR")).join("../mountd/store/tests/released");
        copy_released(&released.join(format), &folder).expect("room for a vault");
        let secret = || {
            let key = Keyfile::read(&folder.join("key")).expect("a key file");
            SlotSecret::Keyfile(key)
        };
        let directory = folder.join("vault");
        let header = fs::read(directory.join("header")).expect("a header");
        let segment = fs::read(directory.join("segments/0000000003")).expect("a segment");
        let (vault, _) = Vault::unlock(&directory, &secret()).expect("a vault of ours");
        let (changes, image) = (changes_of(&vault), image_of(&vault).expect("an image"));
        let number = u8::from(kind == VaultKind::Workspace);
        found.push((number, changes.clone()));
        found.push((2 + number, image));
        found.push((4, segment.get(192..240).expect("a frame").to_vec()));
        found.push((5, header));
        drop(vault);
        let given = given.get_or_insert_with(|| Given {
            secret: secret(),
            secrets: Vec::new(),
            workspace: Vec::new(),
        });
        match kind {
            VaultKind::Secrets => given.secrets.extend(changes),
            VaultKind::Workspace => given.workspace = changes,
        }
    }
    let given = given.expect("there are released vaults");
    for (number, (which, bytes)) in found.iter().enumerate() {
        if let Some(folder) = &seeds {
            let seed = [&[*which][..], bytes].concat();
            fs::write(Path::new(folder).join(number.to_string()), seed).expect("room for a seed");
        }
    }
    given
}
