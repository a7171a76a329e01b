//! What a `workspace` vault does when nothing goes wrong.

use super::support::{Fixture, at};
use crate::workspace::XattrMode;
use crate::{
    AllocateMode, ChangeError, EntryName, NewNode, NodeAttributes, NodeType, RenameMode, Seek,
    SetAttributes, TreeError, Vault, VaultKind,
};
use std::ops::ControlFlow;
use ward_policy::FileId;

pub(super) fn entry(text: &str) -> EntryName {
    EntryName::try_from(text.as_bytes()).unwrap()
}

pub(super) const fn new(node_type: NodeType) -> NewNode<'static> {
    let is_link = matches!(node_type, NodeType::Symlink);
    let target = if is_link { b"target".as_slice() } else { b"" };
    NewNode { node_type, mode: 0o644, uid: 7, gid: 8, device: 0, target }
}

/// Makes a node at the top or in a directory.
pub(super) fn make(vault: &Vault, parent: FileId, text: &str, node_type: NodeType) -> FileId {
    vault.make_node(parent, &entry(text), new(node_type), at(1)).unwrap().file
}

/// All bytes of a file, without a lease.
pub(super) fn bytes_of(vault: &Vault, file: FileId) -> Vec<u8> {
    crate::decoders::bytes_of(vault, file).unwrap()
}

pub(super) fn listed(vault: &Vault, directory: FileId) -> Vec<(u64, String, NodeAttributes)> {
    let mut entries = Vec::new();
    let mut visit = |entry: crate::DirectoryEntry<'_>| {
        let name = String::from_utf8_lossy(entry.name.as_bytes()).into_owned();
        entries.push((entry.cookie, name, entry.attributes));
        ControlFlow::Continue(())
    };
    vault.read_entries(directory, 0, &mut visit).unwrap();
    entries
}

fn workspace() -> (Fixture, Vault) {
    let fixture = Fixture::of_kind(VaultKind::Workspace);
    let vault = fixture.vault();
    (fixture, vault)
}

/// The same vault opened from its log alone, from an image, and from an image with more behind it.
fn reopened(fixture: &Fixture, vault: Vault, check: impl Fn(&Vault)) {
    check(&vault);
    vault.sync().unwrap();
    drop(vault);
    let vault = fixture.vault();
    check(&vault);
    vault.close().unwrap();
    let vault = fixture.vault();
    assert_eq!(vault.image_use(), crate::ImageUse::Newest);
    check(&vault);
    make(&vault, vault.root(), "one more", NodeType::File);
    vault.close().unwrap();
    let vault = fixture.vault();
    check(&vault);
    vault.close().unwrap();
    let report = crate::fsck(&fixture.directory(), &fixture.secret()).unwrap();
    assert_eq!(report.findings, []);
}

#[test]
fn what_was_made_written_and_set_is_there_after_every_unlock() {
    let (fixture, vault) = workspace();
    let root = vault.root();
    let folder = make(&vault, root, "folder", NodeType::Directory);
    let file = make(&vault, folder, "file", NodeType::File);
    vault.write_node(file, 10, b"hello", at(2)).unwrap();
    vault.link_entry(file, (root, &entry("second\nname")), at(3)).unwrap();
    let link = make(&vault, root, "link", NodeType::Symlink);
    let [device, fifo] = [NodeType::BlockDevice, NodeType::Fifo].map(|node_type| {
        let special = NewNode { device: 77, ..new(node_type) };
        vault.make_node(root, &entry(&format!("{node_type:?}")), special, at(1)).unwrap().file
    });
    vault.set_xattr(file, (b"user.a", b"value"), XattrMode::Create, at(4)).unwrap();
    let set = SetAttributes { mode: Some(0o4755), accessed: Some(at(9)), ..Default::default() };
    vault.set_attributes(file, &set, at(5)).unwrap();
    reopened(&fixture, vault, |vault| {
        let found = vault.find_entry(folder, &entry("file")).unwrap();
        assert_eq!(vault.node(file), Some(found));
        assert_eq!((found.mode, found.uid, found.gid, found.links), (0o4755, 7, 8, 2));
        assert_eq!((found.size, found.allocated), (15, 5));
        assert_eq!((found.accessed, found.modified), (at(9), at(2)));
        assert_eq!((found.changed, found.created), (at(5), at(1)));
        assert_eq!(bytes_of(vault, file), b"\0\0\0\0\0\0\0\0\0\0hello");
        let mut paths = vault.paths_of(file);
        paths.sort();
        assert_eq!(paths, [&b"folder/file"[..], b"second\nname"]);
        assert_eq!((vault.parent_of(folder), vault.parent_of(root)), (Some(root), None));
        assert_eq!(vault.read_target(link).unwrap(), b"target");
        assert_eq!(vault.node(device).unwrap().device, 77);
        assert_eq!(vault.node(fifo).unwrap().device, 0);
        assert_eq!(vault.xattr(file, b"user.a").unwrap(), b"value");
        assert_eq!(vault.node(root).unwrap().links, 3);
        assert_eq!(vault.find_entry(root, &entry("none")), Err(TreeError::NotFound));
        assert_eq!(vault.find_entry(file, &entry("none")), Err(TreeError::NotDirectory));
    });
}

#[test]
fn a_node_without_a_name_lives_until_the_last_release_and_not_beyond_an_unlock() {
    let (fixture, vault) = workspace();
    let root = vault.root();
    let file = make(&vault, root, "file", NodeType::File);
    let folder = make(&vault, root, "folder", NodeType::Directory);
    let other = make(&vault, folder, "other", NodeType::File);
    vault.write_node(file, 0, b"still here", at(2)).unwrap();
    vault.hold(file).unwrap();
    vault.hold(file).unwrap();
    vault.hold(other).unwrap();
    vault.unlink_entry(root, &entry("file"), at(3)).unwrap();
    vault.unlink_entry(folder, &entry("other"), at(3)).unwrap();
    vault.remove_directory_entry(root, &entry("folder"), at(3)).unwrap();
    assert_eq!((vault.node(folder), vault.node(root).unwrap().links), (None, 2));
    vault.release(file).unwrap();
    assert_eq!(vault.node(file).unwrap().links, 0);
    assert_eq!(bytes_of(&vault, file), b"still here");
    assert_eq!(vault.paths_of(other), [b"folder/other"]);
    let again = vault.link_entry(file, (root, &entry("again")), at(4));
    assert!(matches!(again, Err(ChangeError::NotFound)));
    vault.release(file).unwrap();
    assert_eq!(vault.node(file), None);
    assert_eq!(vault.hold(file), Err(TreeError::NotFound));
    vault.sync().unwrap();
    drop(vault);
    let vault = fixture.vault();
    assert_eq!((vault.node(other), vault.node(file)), (None, None));
    assert!(vault.read_index().live_bytes().is_empty());
}

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    let (_fixture, vault) = workspace();
    let root = vault.root();
    let folder = make(&vault, root, "folder", NodeType::Directory);
    let inner = make(&vault, folder, "inner", NodeType::Directory);
    let file = make(&vault, root, "file", NodeType::File);
    let link = make(&vault, root, "link", NodeType::Symlink);
    let before = listed(&vault, root);
    let (one, two) = (entry("folder"), entry("file"));
    let (x, own) = (entry("x"), entry("inner"));
    let rename = |from, to, mode| vault.rename_entry(from, to, mode, at(5));
    let taken = vault.make_node(root, &two, new(NodeType::File), at(2));
    assert!(matches!(taken, Err(ChangeError::Exists)));
    let nowhere = vault.make_node(file, &two, new(NodeType::File), at(2));
    assert!(matches!(nowhere, Err(ChangeError::NotDirectory)));
    let into = rename((root, &one), (inner, &x), RenameMode::Replace);
    assert!(matches!(into, Err(ChangeError::IntoItself)));
    let into = rename((root, &one), (folder, &own), RenameMode::Exchange);
    assert!(matches!(into, Err(ChangeError::IntoItself)));
    let over = rename((root, &two), (root, &one), RenameMode::Replace);
    assert!(matches!(over, Err(ChangeError::IsDirectory)));
    let over = rename((root, &one), (root, &two), RenameMode::Replace);
    assert!(matches!(over, Err(ChangeError::NotDirectory)));
    let over = rename((root, &one), (root, &two), RenameMode::KeepExisting);
    assert!(matches!(over, Err(ChangeError::Exists)));
    let full = vault.remove_directory_entry(root, &one, at(2));
    assert!(matches!(full, Err(ChangeError::NotEmpty)));
    let wrong = vault.unlink_entry(root, &one, at(2));
    assert!(matches!(wrong, Err(ChangeError::IsDirectory)));
    let wrong = vault.remove_directory_entry(root, &two, at(2));
    assert!(matches!(wrong, Err(ChangeError::NotDirectory)));
    let linked = vault.link_entry(folder, (root, &entry("x")), at(2));
    assert!(matches!(linked, Err(ChangeError::IsDirectory)));
    assert!(matches!(vault.write_node(folder, 0, b"x", at(2)), Err(ChangeError::IsDirectory)));
    assert!(matches!(vault.write_node(link, 0, b"x", at(2)), Err(ChangeError::NotFile)));
    let far = vault.write_node(file, u64::MAX - 3, b"beyond", at(2));
    assert!(matches!(far, Err(ChangeError::TooFar)));
    let create = vault.set_xattr(file, (b"user.x", b""), XattrMode::Replace, at(2));
    assert!(matches!(create, Err(ChangeError::NoSuchAttribute)));
    let secret = ward_policy::SecretName::try_from(b"x".as_slice()).unwrap();
    let wrong = vault.create_file(root, &secret, at(2));
    assert!(matches!(wrong, Err(ChangeError::WrongKind)));
    assert_eq!(listed(&vault, root), before);
}

#[test]
fn a_rename_replaces_exchanges_and_counts_directories() {
    let (fixture, vault) = workspace();
    let root = vault.root();
    let [one, two] = ["one", "two"].map(|name| make(&vault, root, name, NodeType::Directory));
    let file = make(&vault, one, "file", NodeType::File);
    let other = make(&vault, two, "other", NodeType::File);
    let inner = make(&vault, one, "inner", NodeType::Directory);
    vault
        .rename_entry((one, &entry("inner")), (two, &entry("other")), RenameMode::Exchange, at(5))
        .unwrap();
    vault
        .rename_entry((one, &entry("inner")), (one, &entry("file")), RenameMode::Replace, at(6))
        .unwrap();
    reopened(&fixture, vault, |vault| {
        assert_eq!(vault.node(file), None);
        assert_eq!(vault.paths_of(other), [b"one/file"]);
        assert_eq!(vault.paths_of(inner), [b"two/other"]);
        assert_eq!(vault.node(one).unwrap().links, 2);
        assert_eq!(vault.node(two).unwrap().links, 3);
        assert_eq!(vault.parent_of(inner), Some(two));
    });
}

#[test]
fn entries_keep_their_cookies_while_others_come_and_go() {
    let (_fixture, vault) = workspace();
    let root = vault.root();
    for number in 0..500 {
        make(&vault, root, &format!("n{number}"), NodeType::File);
    }
    let before = listed(&vault, root);
    let mut seen = Vec::new();
    let mut after = 0;
    while seen.len() < 500 {
        let (mut taken, from) = (0, after);
        let mut visit = |entry: crate::DirectoryEntry<'_>| {
            if taken == 7 {
                return ControlFlow::Break(());
            }
            taken += 1;
            after = entry.cookie;
            let name = String::from_utf8_lossy(entry.name.as_bytes()).into_owned();
            if name.starts_with('n') {
                seen.push(name);
            }
            ControlFlow::Continue(())
        };
        vault.read_entries(root, from, &mut visit).unwrap();
        assert_ne!(taken, 0, "the listing ended early");
        let number = seen.len();
        make(&vault, root, &format!("x{number}"), NodeType::File);
        let gone = entry(&format!("x{}", number / 2));
        drop(vault.unlink_entry(root, &gone, at(3)));
    }
    let names: Vec<String> = before.iter().map(|(_, name, _)| name.clone()).collect();
    assert_eq!(seen, names);
    let now: Vec<_> = listed(&vault, root);
    assert!(before.iter().all(|(cookie, name, _)| {
        now.iter().any(|(other, own, _)| (cookie, name) == (other, own)) && *cookie >= 256
    }));
}

#[test]
fn holes_are_zeros_and_found_and_copied_as_holes() {
    let (fixture, vault) = workspace();
    let root = vault.root();
    let file = make(&vault, root, "file", NodeType::File);
    let copy = make(&vault, root, "copy", NodeType::File);
    let content: Vec<u8> = (0..3_000_000_u32).map(|number| number.to_le_bytes()[0] | 1).collect();
    vault.write_node(file, 0, &content, at(2)).unwrap();
    vault.allocate(file, 100_000, 1_500_000, AllocateMode::PunchHole, at(3)).unwrap();
    vault.allocate(file, 3_000_000, 50, AllocateMode::Extend, at(3)).unwrap();
    assert_eq!(vault.append_node(file, b"end", at(4)).unwrap(), 3_000_050);
    assert_eq!(vault.copy_range((file, 0), (copy, 0), u64::MAX / 2, at(5)).unwrap(), 3_000_053);
    let mut expected = content;
    expected[100_000..1_600_000].fill(0);
    expected.extend([0; 50]);
    expected.extend(b"end");
    reopened(&fixture, vault, |vault| {
        for file in [file, copy] {
            assert!(bytes_of(vault, file) == expected);
            assert_eq!(vault.node(file).unwrap().allocated, 1_500_003);
            let seek = |offset, wanted| vault.seek(file, offset, wanted).unwrap();
            assert_eq!(seek(0, Seek::Data), Some(0));
            assert_eq!(seek(0, Seek::Hole), Some(100_000));
            assert_eq!(seek(200_000, Seek::Data), Some(1_600_000));
            assert_eq!(seek(200_000, Seek::Hole), Some(200_000));
            assert_eq!(seek(1_600_000, Seek::Hole), Some(3_000_000));
            assert_eq!(seek(3_000_050, Seek::Hole), Some(3_000_053));
            assert_eq!(seek(3_000_053, Seek::Data), None);
        }
    });
}

#[test]
fn a_file_reaches_as_far_as_the_format_says_and_no_farther() {
    let (fixture, vault) = workspace();
    let far = 1_u64 << 62;
    let files: Vec<FileId> = (0..5)
        .map(|number| make(&vault, vault.root(), &format!("file{number}"), NodeType::File))
        .collect();
    for file in &files {
        vault.write_node(*file, far - 1, b"x", at(2)).unwrap();
        let beyond = vault.write_node(*file, far - 1, b"xy", at(3));
        assert!(matches!(beyond, Err(ChangeError::TooFar)));
        assert!(matches!(vault.append_node(*file, b"y", at(3)), Err(ChangeError::TooFar)));
        let set = SetAttributes { size: Some(far + 1), ..Default::default() };
        assert!(matches!(vault.set_attributes(*file, &set, at(3)), Err(ChangeError::TooFar)));
        let grown = vault.allocate(*file, far, 1, AllocateMode::Extend, at(3));
        assert!(matches!(grown, Err(ChangeError::TooFar)));
        let copied = vault.copy_range((*file, far - 1), (*file, far), 1, at(3));
        assert!(matches!(copied, Err(ChangeError::TooFar)));
    }
    reopened(&fixture, vault, |vault| {
        for file in &files {
            assert_eq!(vault.open_node(*file, far - 2, 9).unwrap().as_slice(), b"\0x");
            assert_eq!(vault.node(*file).unwrap().size, far);
        }
        assert_eq!(vault.usage().unwrap().current_bytes, u64::MAX, "more than a number can say");
    });
}

#[test]
fn what_is_dead_leaves_the_disk_and_small_pieces_are_joined() {
    let (fixture, vault) = workspace();
    let root = vault.root();
    let file = make(&vault, root, "file", NodeType::File);
    let held = make(&vault, root, "held", NodeType::File);
    vault.write_node(held, 0, b"without a name", at(1)).unwrap();
    vault.hold(held).unwrap();
    vault.unlink_entry(root, &entry("held"), at(2)).unwrap();
    let mut expected = vec![0; 700_000];
    for round in 0..4_u8 {
        for place in 0..700_usize {
            let at_byte = (place * 331 + usize::from(round) * 7) % 699 * 1000;
            let bytes = [round + 1; 1003];
            expected[at_byte..at_byte + 1003].copy_from_slice(&bytes);
            vault.write_node(file, u64::try_from(at_byte).unwrap(), &bytes, at(3)).unwrap();
        }
    }
    expected.truncate(usize::try_from(vault.node(file).unwrap().size).unwrap());
    let disk = |vault: &Vault| vault.usage().unwrap().disk_bytes;
    let (before, pieces) = (disk(&vault), pieces_of(&vault, file));
    let first = vault.compact(u64::MAX).unwrap();
    assert!(first.retired > 10 && first.removed == 0, "{first:?}");
    let second = vault.compact(u64::MAX).unwrap();
    assert!(second.removed >= first.retired, "{second:?}");
    // What the joining left behind goes with the next two.
    for _ in 0..2 {
        vault.compact(u64::MAX).unwrap();
    }
    assert!(disk(&vault) * 2 < before, "{} of {before}", disk(&vault));
    assert!(pieces > 200 && pieces_of(&vault, file) <= 200, "{}", pieces_of(&vault, file));
    assert_eq!(bytes_of(&vault, held), b"without a name");
    vault.release(held).unwrap();
    reopened(&fixture, vault, |vault| {
        assert!(bytes_of(vault, file) == expected);
        assert_eq!(vault.node(held), None);
    });
}

fn pieces_of(vault: &Vault, file: FileId) -> usize {
    vault.read_index().workspace().unwrap().node(file).unwrap().extents().unwrap().count()
}

#[test]
fn creating_small_files_costs_no_write_of_its_own() {
    let (fixture, vault) = workspace();
    make(&vault, vault.root(), "first", NodeType::File);
    vault.sync().unwrap();
    let steps = || fixture.disk.faults().steps.load(std::sync::atomic::Ordering::SeqCst);
    let before = steps();
    for number in 0..40 {
        make(&vault, vault.root(), &format!("file{number}"), NodeType::File);
    }
    assert_eq!(steps(), before);
}

#[test]
fn writers_readers_images_and_the_compactor_do_not_disturb_each_other() {
    let (fixture, vault) = workspace();
    let files: Vec<FileId> = (0..3)
        .map(|number| make(&vault, vault.root(), &format!("file{number}"), NodeType::File))
        .collect();
    let write = &|file: FileId, seed: usize| {
        let mut content = vec![0; 40_000];
        for round in 0..150_usize {
            let start = (round * 7919 + seed * 331) % 39_000;
            let bytes = vec![round.to_le_bytes()[0] | 1; 1 + (round * 37) % 1000];
            content[start..start + bytes.len()].copy_from_slice(&bytes);
            vault.write_node(file, u64::try_from(start).unwrap(), &bytes, at(2)).unwrap();
            let size = usize::try_from(vault.node(file).unwrap().size).unwrap();
            assert!(bytes_of(&vault, file) == content[..size], "round {round}");
            let name = format!("own{seed}-{round}");
            make(&vault, vault.root(), &name, NodeType::File);
            if round % 2 == 0 {
                vault.unlink_entry(vault.root(), &entry(&name), at(3)).unwrap();
            }
        }
        let size = usize::try_from(vault.node(file).unwrap().size).unwrap();
        content.truncate(size);
        content
    };
    let expected: Vec<Vec<u8>> = std::thread::scope(|scope| {
        let writers =
            files.iter().zip(0..).map(|(file, seed)| scope.spawn(move || write(*file, seed)));
        let writers: Vec<_> = writers.collect();
        while !writers.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            vault.compact(u64::MAX).unwrap();
            vault.write_image_if_due().unwrap();
            vault.sync().unwrap();
        }
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    reopened(&fixture, vault, |vault| {
        for (file, content) in files.iter().zip(&expected) {
            assert!(bytes_of(vault, *file) == *content);
        }
        assert_eq!(
            listed(vault, vault.root())
                .iter()
                .filter(|(_, name, _)| name.starts_with("own"))
                .count(),
            225
        );
    });
}
