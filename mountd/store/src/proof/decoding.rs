//! What stands inside a seal is read without belief: any bytes, and valid ones that were changed, make
//! no decoder panic or take memory for what a count only claims, and what they say breaks no index.

use super::support::{Fixture, at, name, put};
use crate::change::Change;
use crate::fields::Fields;
use crate::header::SealedHeader;
use crate::image::Image;
use crate::index::Index;
use crate::lineage::Lineage;
use crate::{Existing, SlotSecret, VaultKind};
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::test_runner::{Config, TestRunner};

/// What a test does to valid bytes.
#[derive(Clone, Debug)]
enum Mutation {
    Flip(usize, u8),
    /// Eight bytes that may be a count or a number.
    Number(usize, u64),
    Cut(usize),
    Insert(usize, Vec<u8>),
    Repeat(usize, usize),
}

impl Mutation {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let within = |place: usize| place % (bytes.len() + 1);
        match self {
            Self::Flip(place, bits) => {
                let place = within(*place);
                if let Some(byte) = bytes.get_mut(place) {
                    *byte ^= bits;
                }
            }
            Self::Number(place, number) => {
                let place = within(*place);
                let end = bytes.len().min(place + 8);
                bytes[place..end].copy_from_slice(&number.to_le_bytes()[..end - place]);
            }
            Self::Cut(place) => bytes.truncate(within(*place)),
            Self::Insert(place, other) => {
                let place = within(*place);
                bytes.splice(place..place, other.iter().copied());
            }
            Self::Repeat(from, length) => {
                let from = within(*from);
                let piece = bytes[from..bytes.len().min(from + length)].to_vec();
                bytes.splice(from..from, piece);
            }
        }
    }
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let number = prop_oneof![
        any::<u64>(),
        Just(u64::MAX),
        Just(u64::from(u32::MAX)),
        Just(1 << 63),
        Just(1_u64 << 62),
        0..20_u64
    ];
    prop_oneof![
        4 => (any::<usize>(), any::<u8>()).prop_map(|(place, bits)| Mutation::Flip(place, bits)),
        4 => (any::<usize>(), number).prop_map(|(place, number)| Mutation::Number(place, number)),
        1 => any::<usize>().prop_map(Mutation::Cut),
        1 => (any::<usize>(), proptest::collection::vec(any::<u8>(), 1..30))
            .prop_map(|(place, bytes)| Mutation::Insert(place, bytes)),
        1 => (any::<usize>(), 1..60_usize).prop_map(|(from, length)| Mutation::Repeat(from, length)),
    ]
}

/// Runs `check` on any bytes and on changed copies of `valid`, which it must take.
fn try_all(valid: &[u8], check: impl Fn(&[u8]) -> bool) {
    assert!(check(valid));
    let mut runner =
        TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() });
    let changed = proptest::collection::vec(mutation(), 1..6);
    runner
        .run(&changed, |mutations| {
            let mut bytes = valid.to_vec();
            mutations.iter().for_each(|mutation| mutation.apply(&mut bytes));
            check(&bytes);
            Ok(())
        })
        .unwrap();
    runner
        .run(&proptest::collection::vec(any::<u8>(), 0..300), |bytes| {
            check(&bytes);
            Ok(())
        })
        .unwrap();
    // Each place of the valid bytes claims as much as it can.
    for place in 0..valid.len() {
        for number in [u64::MAX, u64::from(u32::MAX), 1 << 62] {
            let mut bytes = valid.to_vec();
            Mutation::Number(place, number).apply(&mut bytes);
            check(&bytes);
        }
    }
}

const CASES: u32 = 4000;

/// A vault with something of everything, and two images' worth of it.
fn filled(fixture: &Fixture) -> crate::Vault {
    let vault = fixture.vault();
    let root = vault.root();
    let folder = vault.make_directory(root, &name("db"), at(1)).unwrap();
    for number in 0..12_u8 {
        put(&vault, "often", &[number; 900]);
    }
    put(&vault, "gone", b"1");
    vault.unlink(root, &name("gone"), at(2)).unwrap();
    let shredded = put(&vault, "shredded", b"1");
    vault.shred(shredded, at(2)).unwrap();
    vault.rename((root, &name("often")), (folder, &name("x")), Existing::Keep, at(3)).unwrap();
    vault.sync().unwrap();
    vault.compact(u64::MAX).unwrap();
    vault
}

/// All changes that the log of a vault holds.
fn changes_of(fixture: &Fixture, vault: &crate::Vault) -> Vec<u8> {
    let mut changes = Vec::new();
    for segment in vault.segments.all() {
        let start = segment.start().unwrap();
        let source = crate::segment_scan::Source::Cached;
        let scan = crate::segment_scan::scan(&segment, start, u64::MAX, source).unwrap();
        for piece in scan.pieces {
            if let crate::segment_scan::PieceContent::Batch(batch) = piece.content {
                changes.extend_from_slice(&batch.changes);
            }
        }
    }
    assert!(fixture.directory().exists() && changes.len() > 1000);
    changes
}

#[test]
fn changes_are_decoded_and_made_without_belief() {
    let fixture = Fixture::new();
    let vault = filled(&fixture);
    try_all(&changes_of(&fixture, &vault), |bytes| {
        let mut fields = Fields::new(bytes);
        let mut index = Index::empty(VaultKind::Secrets);
        while let Some(change) = Change::decode(&mut fields) {
            let _may_not_fit = index.apply(&change);
        }
        index.live_bytes();
        index.counts();
        index.secrets().unwrap().removed();
        let mut encoded = Vec::new();
        index.snapshot().encode(&mut encoded);
        Change::decode_all(bytes).is_some()
    });
}

#[test]
fn images_are_decoded_without_belief() {
    let fixture = Fixture::new();
    let vault = filled(&fixture);
    let plain = {
        let index = vault.read_index();
        vault.writer.snapshot().unwrap().with(&index.snapshot())
    };
    try_all(&plain, |bytes| {
        let Some(image) = Image::decode(bytes, VaultKind::Secrets) else { return false };
        image.index.live_bytes();
        image.index.counts();
        image.index.secrets().unwrap().removed();
        let mut encoded = Vec::new();
        image.lineage.encode(&mut encoded);
        image.index.snapshot().encode(&mut encoded);
        Lineage::decode(&mut Fields::new(&encoded)).is_some()
    });
}

#[test]
fn headers_are_decoded_without_belief() {
    let fixture = Fixture::new();
    let vault = fixture.vault();
    let code = crate::RecoveryCode::generate().unwrap();
    vault.add_slot(&crate::NewSlot::Recovery(&code)).unwrap();
    vault.rekey(&[fixture.secret(), SlotSecret::Recovery(code)], &[]).unwrap();
    let bytes = std::fs::read(fixture.directory().join("header")).unwrap();
    let secret = fixture.secret();
    try_all(&bytes, |bytes| {
        SealedHeader::decode(bytes).is_ok_and(|sealed| sealed.open(&secret).is_ok())
    });
}
