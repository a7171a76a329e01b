//! The worked sums of the format document, which a stranger's reader must reproduce.

use crate::NodeKind;
use crate::change::{Change, Place};
use crate::frame::{Batch, HEADER, TAG, seal_batch};
use crate::header::VaultId;
use crate::key::VaultKey;
use crate::kind::VaultKind;
use crate::segment::{SegmentHeader, Standing};
use crate::wall_time::WallTime;
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

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_sums_of_the_format_document_are_right() {
    let key = VaultKey::from_bytes(0, &[2; 32]).unwrap();
    let (vault, id) = (VaultId([1; 16]), [3; 16]);
    let header = SegmentHeader { vault, key: 0, number: 1, id, before: Standing::START, branch: 0 };
    let bytes = header.encode(&key);
    let standing = header.standing(&bytes);
    assert_eq!(hex(&bytes[160..]), MAC);
    assert_eq!(hex(&standing.chain), CHAIN);
    let place = Place { parent: FileId(1), name: SecretName::try_from(b"a".as_slice()).unwrap() };
    let time = WallTime::from_nanoseconds(1_000_000_000);
    let mut changes = Zeroizing::new(Vec::new());
    Change::Create { file: FileId(2), kind: NodeKind::File, place, time }.encode(&mut changes);
    assert_eq!(hex(&changes), CHANGE);
    let cipher = key.segment_cipher(vault, &id);
    let batch = Batch { sync_mark: 192, changes };
    let (frame, chain) =
        seal_batch(&cipher, VaultKind::Secrets, (1, standing.chain), &batch).unwrap();
    let frame = frame.as_slice();
    assert_eq!(hex(&frame[..HEADER]), format!("{FRAME}{CHAIN}"));
    assert_eq!(hex(&frame[HEADER..HEADER + TAG]), FRAME_TAG);
    assert_eq!(hex(&Sha256::digest(&frame[HEADER + TAG..])), CIPHERTEXT_DIGEST);
    assert_eq!(hex(&chain), NEXT_CHAIN);
}
