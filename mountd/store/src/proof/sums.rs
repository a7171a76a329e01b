//! The worked sums of the format document, which a stranger's reader must reproduce.

use super::support::{Fixture, at};
use super::workspace::{listed, make};
use crate::change::{Change, Place};
use crate::cipher::TAG;
use crate::frame::{Batch, HEADER, seal_batch};
use crate::header::VaultId;
use crate::index::Index;
use crate::key::VaultKey;
use crate::kind::VaultKind;
use crate::segment::{SegmentHeader, Standing};
use crate::wall_time::WallTime;
use crate::{NodeKind, NodeType};
use sha2::{Digest as _, Sha256};
use ward_policy::{FileId, SecretName};
use zeroize::Zeroizing;

const MAC: &str = "dd8a04440be454751fb78cbe22dea74945dfd36d6b94a30431da018d420596cb";
const CHAIN: &str = "4f8ec0020c1a8c857746eff7391cd7cb98087006309f91ee3d496e73edd53469";
const CHANGE: &str = "010200000000000000010100000000000000016100ca9a3b00000000";
const FRAME: &str = "01000000000200000100000000000000";
const FRAME_TAG: &str = "7b77ce66c44672f590065d2d7a2473d3";
const CIPHERTEXT_DIGEST: &str = "20a447dcd543365f58c1fdcc16a160fd902d66d603dddf38cdf7841a2b7d3628";
const NEXT_CHAIN: &str = "4976b232760321198b85922c05b6cdae911605bc61705ed0434a17a9a5247fae";
const MAKE: &str =
    "0f020000000000000001a40107000000080000000000000000000100000000000000016100ca9a3b00000000";
const WORKSPACE_FRAME: &str = "01000000400000000100000000000000";
const WORKSPACE_TAG: &str = "3862e248c0aded28e878920520aa4dcb";
const WORKSPACE_CIPHERTEXT: &str = "1df5d8ba706b36c274778b1088ca93fe34dbe785c3a3dea7863fcdd6427ad837\
    6340985a65219d18d048fa58f95a893d3c9cfb6ca7322e183d01516d03d5fabe";
const WORKSPACE_CHAIN: &str = "5e8fef344c3825c0b7db403f421165003fe6bf1be2d9dca501f79da21e5c95a7";
const COOKIE: u64 = 0x655e_8de5_0940_cb00;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sealed(kind: VaultKind, changes: Zeroizing<Vec<u8>>) -> (Vec<u8>, [u8; 32]) {
    let key = VaultKey::from_bytes(0, &[2; 32]).unwrap();
    let (vault, id) = (VaultId([1; 16]), [3; 16]);
    let header = SegmentHeader { vault, key: 0, number: 1, id, before: Standing::START, branch: 0 };
    let bytes = header.encode(&key);
    let standing = header.standing(&bytes);
    assert_eq!(hex(&bytes[160..]), MAC);
    assert_eq!(hex(&standing.chain), CHAIN);
    let cipher = key.segment_cipher(vault, &id);
    let batch = Batch { sync_mark: 192, changes };
    let (frame, chain) = seal_batch(&cipher, kind, (1, standing.chain), &batch).unwrap();
    (frame.as_slice().to_vec(), chain)
}

#[test]
fn the_sums_of_the_format_document_are_right() {
    let place = Place { parent: FileId(1), name: SecretName::try_from(b"a".as_slice()).unwrap() };
    let time = WallTime::from_nanoseconds(1_000_000_000);
    let mut changes = Zeroizing::new(Vec::new());
    Change::Create { file: FileId(2), kind: NodeKind::File, place, time }.encode(&mut changes);
    assert_eq!(hex(&changes), CHANGE);
    let (frame, chain) = sealed(VaultKind::Secrets, changes);
    assert_eq!(hex(&frame[..HEADER]), format!("{FRAME}{CHAIN}"));
    assert_eq!(hex(&frame[HEADER..HEADER + TAG]), FRAME_TAG);
    assert_eq!(hex(&Sha256::digest(&frame[HEADER + TAG..])), CIPHERTEXT_DIGEST);
    assert_eq!(hex(&chain), NEXT_CHAIN);
}

#[test]
fn the_sums_of_the_format_document_for_workspaces_are_right() {
    let made: Vec<u8> = (0..MAKE.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&MAKE[at..at + 2], 16).unwrap())
        .collect();
    let [change] = &Change::decode_all(&made).unwrap()[..] else { panic!("one change") };
    let mut changes = Zeroizing::new(Vec::new());
    change.encode(&mut changes);
    assert_eq!(hex(&changes), MAKE);
    let mut index = Index::empty(VaultKind::Workspace);
    index.apply(change).unwrap();
    let node = index.workspace().unwrap().node(FileId(2)).unwrap().attributes();
    assert_eq!((node.node_type, node.mode, node.uid, node.gid), (NodeType::File, 0o644, 7, 8));
    assert_eq!((node.modified, node.links), (at(1), 1));
    let (frame, chain) = sealed(VaultKind::Workspace, changes);
    assert_eq!(hex(&frame[..HEADER]), format!("{WORKSPACE_FRAME}{CHAIN}"));
    assert_eq!(hex(&frame[HEADER..HEADER + TAG]), WORKSPACE_TAG);
    assert_eq!(hex(&frame[HEADER + TAG..]), WORKSPACE_CIPHERTEXT);
    assert_eq!(hex(&chain), WORKSPACE_CHAIN);

    let fixture = Fixture::of_kind(VaultKind::Workspace);
    let vault = fixture.vault();
    make(&vault, vault.root(), "a", NodeType::File);
    assert_eq!(listed(&vault, vault.root())[0].0, COOKIE);
}
