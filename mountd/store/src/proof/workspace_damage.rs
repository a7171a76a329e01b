//! Whatever somebody changes in the directory of a `workspace` vault is detected, or changes nothing.

use super::support::{Fixture, at};
use super::workspace::{bytes_of, entry, make};
use crate::{Fault, NodeType, RenameMode, Vault, VaultKind, fsck};
use std::os::unix::fs::FileExt as _;

/// A small vault with something of everything, and an image.
fn small() -> Fixture {
    let fixture = Fixture::of_kind(VaultKind::Workspace);
    let vault = fixture.vault();
    let root = vault.root();
    let folder = make(&vault, root, "folder", NodeType::Directory);
    let file = make(&vault, folder, "old", NodeType::File);
    vault.write_node(file, 0, &[7; 300], at(2)).unwrap();
    vault.sync().unwrap();
    vault.write_node(file, 100, &[8; 50], at(3)).unwrap();
    vault.link_entry(file, (root, &entry("linked")), at(3)).unwrap();
    vault.close().unwrap();
    let vault = fixture.vault();
    let (from, to) = (entry("old"), entry("new"));
    vault.rename_entry((folder, &from), (folder, &to), RenameMode::Replace, at(4)).unwrap();
    vault.close().unwrap();
    fixture
}

fn is_as_it_was(vault: &Vault) -> bool {
    let mut expected = [7; 300];
    expected[100..150].fill(8);
    let Ok(folder) = vault.find_entry(vault.root(), &entry("folder")) else { return false };
    let Ok(file) = vault.find_entry(folder.file, &entry("new")) else { return false };
    file.links == 2
        && file.size == 300
        && vault.open_node(file.file, 0, 300).is_ok()
        && bytes_of(vault, file.file) == expected
}

#[test]
fn a_changed_byte_anywhere_in_a_workspace_is_detected_or_harmless() {
    let fixture = small();
    let (mut changed, mut detected) = (0, 0);
    for path in fixture.files() {
        let bytes = std::fs::read(&path).unwrap();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        for (place, byte) in (0_u64..).zip(&bytes) {
            file.write_all_at(&[byte ^ 1 << (place % 8)], place).unwrap();
            changed += 1;
            let is_detected = match fsck(&fixture.directory(), &fixture.secret()) {
                Ok(report) => !report.findings.is_empty(),
                Err(_) => true,
            };
            detected += u32::from(is_detected);
            if !is_detected {
                let copy = fixture.copy();
                assert!(is_as_it_was(&copy.unlock().0), "{} at {place}", path.display());
            }
            file.write_all_at(&[*byte], place).unwrap();
        }
    }
    assert!(changed > 3000 && detected * 10 > changed * 9, "{detected} of {changed}");
}

#[test]
fn a_damaged_frame_is_found_with_the_path_that_it_hurts() {
    let fixture = Fixture::of_kind(VaultKind::Workspace);
    let vault = fixture.vault();
    let folder = make(&vault, vault.root(), "a\nfolder", NodeType::Directory);
    let file = make(&vault, folder, "file", NodeType::File);
    vault.write_node(file, 0, &[9; 5000], at(2)).unwrap();
    vault.close().unwrap();
    let bytes = std::fs::read(fixture.segment(2)).unwrap();
    let segment = std::fs::File::options().write(true).open(fixture.segment(2)).unwrap();
    segment.write_all_at(&[bytes[1000] ^ 1], 1000).unwrap();
    let findings = fsck(&fixture.directory(), &fixture.secret()).unwrap().findings;
    let hurt = findings.iter().find(|finding| finding.fault == Fault::Content).unwrap();
    assert_eq!(hurt.path.as_ref().unwrap().to_string(), "a\\x0afolder/file");
}
