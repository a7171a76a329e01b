//! What stands inside a seal is read without belief: any bytes, and valid ones that were changed, make
//! no decoder panic or take memory for what a count only claims, and what they say breaks no index.

use super::support::{Fixture, at, name, put};
use super::workspace::{entry, make, new};
use crate::change::Change;
use crate::decoders::{
    changes_of, encoded, image_of, look_at, try_changes, try_frame, try_header, try_image,
};
use crate::fields::Fields;
use crate::frame::DataShape;
use crate::index::Index;
use crate::workspace::XattrMode;
use crate::{
    AllocateMode, Existing, NewNode, NodeType, RenameMode, SetAttributes, SlotSecret, Vault,
    VaultKind,
};
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::test_runner::{Config, TestRunner};
use std::collections::BTreeSet;
use ward_policy::FileId;

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

/// A vault of each kind with something of everything.
fn filled(kind: VaultKind) -> (Fixture, Vault) {
    let fixture = Fixture::of_kind(kind);
    let vault = fixture.vault();
    match kind {
        VaultKind::Secrets => fill_secrets(&vault),
        VaultKind::Workspace => fill_workspace(&vault),
    }
    // Under a new key everything is moved.
    vault.rekey(&[fixture.secret()], &[]).unwrap();
    vault.compact(u64::MAX).unwrap();
    (fixture, vault)
}

fn fill_secrets(vault: &Vault) {
    let root = vault.root();
    let folder = vault.make_directory(root, &name("db"), at(1)).unwrap();
    for number in 0..12_u8 {
        put(vault, "often", &[number; 900]);
    }
    put(vault, "gone", b"1");
    vault.unlink(root, &name("gone"), at(2)).unwrap();
    let shredded = put(vault, "shredded", b"1");
    vault.shred(shredded, at(2)).unwrap();
    vault.rename((root, &name("often")), (folder, &name("x")), Existing::Keep, at(3)).unwrap();
}

fn fill_workspace(vault: &Vault) {
    let root = vault.root();
    let [one, two] = ["one", "two"].map(|text| make(vault, root, text, NodeType::Directory));
    let file = make(vault, one, "file", NodeType::File);
    let held = make(vault, two, "held", NodeType::File);
    make(vault, two, "link", NodeType::Symlink);
    let device = NewNode { device: 0x801, ..new(NodeType::BlockDevice) };
    vault.make_node(root, &entry("device"), device, at(1)).unwrap();
    vault.write_node(file, 0, &[1; 30_000], at(2)).unwrap();
    // More pieces than fit without a table.
    (0..40).for_each(|place| vault.write_node(file, place * 700, &[2; 90], at(3)).unwrap());
    vault.allocate(file, 5000, 9000, AllocateMode::PunchHole, at(4)).unwrap();
    vault.link_entry(file, (two, &entry("second")), at(4)).unwrap();
    vault.set_xattr(file, (b"user.a", b"value"), XattrMode::Any, at(4)).unwrap();
    vault.set_xattr(file, (b"user.b", b""), XattrMode::Any, at(4)).unwrap();
    vault.remove_xattr(file, b"user.a", at(4)).unwrap();
    let (uid, gid, size) = (Some(1), Some(2), Some(29_000));
    let (mode, times) = (Some(0o644), [Some(at(5)); 3]);
    let [accessed, modified, changed] = times;
    let set = SetAttributes { mode, uid, gid, size, accessed, modified, changed };
    vault.set_attributes(file, &set, at(5)).unwrap();
    vault.write_node(held, 0, b"without a name", at(5)).unwrap();
    vault.hold(held).unwrap();
    vault.unlink_entry(two, &entry("held"), at(6)).unwrap();
    let (from, to) = ((one, &entry("file")), (root, &entry("moved")));
    vault.rename_entry(from, to, RenameMode::Replace, at(6)).unwrap();
    vault.rename_entry(to, (root, &entry("one")), RenameMode::Exchange, at(6)).unwrap();
    let dropped = make(vault, root, "dropped", NodeType::File);
    vault.unlink_entry(root, &entry("dropped"), at(7)).unwrap();
    assert_eq!(vault.node(dropped), None);
}

const KINDS: [VaultKind; 2] = [VaultKind::Secrets, VaultKind::Workspace];

#[test]
fn changes_are_decoded_and_made_without_belief() {
    for kind in KINDS {
        let (_fixture, vault) = filled(kind);
        let which = |change: Change| {
            let mut bytes = Vec::new();
            change.encode(&mut bytes);
            bytes[0]
        };
        let changes = changes_of(&vault);
        let all: BTreeSet<u8> =
            Change::decode_all(&changes).unwrap().into_iter().map(which).collect();
        assert!(kind == VaultKind::Secrets || (15..=26).all(|it| all.contains(&it)), "{all:?}");
        try_all(&changes, |bytes| try_changes(kind, bytes));
    }
}

#[test]
fn images_are_decoded_without_belief() {
    for kind in KINDS {
        let (_fixture, vault) = filled(kind);
        let (changes, plain) = (changes_of(&vault), image_of(&vault).unwrap());
        try_all(&plain, |bytes| try_image(kind, bytes, &changes));
    }
}

#[test]
fn frames_are_decoded_without_belief() {
    for kind in KINDS {
        for length in [1, 16_384, 70_000] {
            let shape = DataShape::of_value(kind, length).unwrap();
            try_all(&shape.header(7).encode(), try_frame);
        }
    }
}

#[test]
fn nothing_of_a_workspace_lies_beyond_what_the_format_promises() {
    let far = 1_u64 << 62;
    let made = |change: &[&[u8]]| {
        let mut index = Index::empty(VaultKind::Workspace);
        let make = |file: u64| {
            let top = [&file.to_le_bytes()[..], &[1], &[0; 16], &1_u64.to_le_bytes()].concat();
            [&[15][..], &top, &[1, b'a'], &[0; 8]].concat()
        };
        let number = u64::from_le_bytes(change[0].try_into().unwrap());
        let all = [make(number), change[1..].concat()].concat();
        let changes = Change::decode_all(&all)?;
        changes.iter().all(|change| index.apply(change).is_ok()).then_some(())
    };
    let (file, time) = (2_u64.to_le_bytes(), [0; 8]);
    let number = u64::to_le_bytes;
    let extent = |offset: u64, length: u64| {
        let fields = [offset, length, 1, 192, 1].map(number).concat();
        [&fields[..], &[14], &64_u32.to_le_bytes()].concat()
    };
    let set = |size| made(&[&file, &[20], &file, &[8], &number(size)]);
    let map = |offset, length| made(&[&file, &[21], &file, &time, &extent(offset, length)]);
    let unmap = |offset, length, size| {
        let range = [number(offset), number(length), number(size)].concat();
        made(&[&file, &[22], &file, &range, &time])
    };
    let most = [made(&[&number(far)]), set(far), map(far - 9, 9), unmap(far - 9, 9, far)];
    assert_eq!(most, [Some(()); 4]);
    for beyond in [
        made(&[&number(far + 1)]),
        set(far + 1),
        map(far - 9, 10),
        map(far + 1, 1),
        map(0, 0),
        map(0, 65),
        unmap(far - 9, 10, 0),
        unmap(u64::MAX, 1, 0),
        unmap(0, 0, far + 1),
    ] {
        assert_eq!(beyond, None);
    }
}

/// The index of a vault with two directories at its top, 2 and 3, as bytes of an image in which each
/// lies in the other.
fn circle(kind: VaultKind) -> Vec<u8> {
    let mut index = Index::empty(kind);
    for (file, name) in [(2_u64, b'a'), (3, b'b')] {
        let (number, body) = match kind {
            VaultKind::Secrets => (1, &[2][..]),
            VaultKind::Workspace => (15, &[2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0][..]),
        };
        let (own, top) = (file.to_le_bytes(), 1_u64.to_le_bytes());
        let change = [&[number], &own[..], body, &top, &[1, name], &[0; 8]].concat();
        index.apply(&Change::decode_all(&change).unwrap()[0]).unwrap();
    }
    let mut bytes = encoded(&index);
    let parts: Vec<(u64, Vec<u8>, Vec<u8>)> = match index.workspace() {
        // Both where the node names its place and where the entry stands, which is in order again.
        Some(workspace) => workspace
            .entries_in(FileId(1), 0..=u64::MAX)
            .map(|entry| (entry.file.0, Vec::new(), entry.cookie.to_le_bytes().to_vec()))
            .collect(),
        None => {
            let part = |file: u64| (file, [&file.to_le_bytes()[..], &[2]].concat(), vec![1]);
            vec![part(2), part(3)]
        }
    };
    for (file, before, behind) in parts {
        let place = |parent: u64| [&before[..], &parent.to_le_bytes(), &behind].concat();
        let length = place(1).len();
        for at in 0..=bytes.len() - length {
            if bytes[at..at + length] == place(1) {
                bytes[at..at + length].copy_from_slice(&place(5 - file));
            }
        }
    }
    bytes
}

#[test]
fn directories_that_lie_in_each_other_make_no_question_endless() {
    let bytes = circle(VaultKind::Secrets);
    assert!(Index::decode(&mut Fields::new(&bytes), VaultKind::Secrets).is_none());
    let bytes = circle(VaultKind::Workspace);
    let index = Index::decode(&mut Fields::new(&bytes), VaultKind::Workspace).unwrap();
    look_at(&index);
    let workspace = index.workspace().unwrap();
    assert!(!workspace.is_below(FileId(2), FileId(1)) && workspace.is_below(FileId(2), FileId(3)));
    assert_eq!(workspace.paths_of(FileId(2)), [b"a/b/a"]);
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
    try_all(&bytes, |bytes| try_header(bytes, &secret));
}
