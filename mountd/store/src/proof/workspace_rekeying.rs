//! A new key for a workspace: files that nobody can name any more go with it, too.

use super::rekeying::{die_at_each_step_of_a_rekey, finish};
use super::support::{Fixture, at};
use super::workspace::{bytes_of, entry, listed, make};
use crate::{AllocateMode, NodeType, Vault, VaultKind, fsck};
use ward_policy::FileId;

/// A tree, and a file without a name that is held.
fn filled(vault: &Vault) -> FileId {
    let root = vault.root();
    let folder = make(vault, root, "folder", NodeType::Directory);
    let file = make(vault, folder, "file", NodeType::File);
    vault.write_node(file, 0, &[1; 40_000], at(2)).unwrap();
    (0..20).for_each(|place| vault.write_node(file, place * 1500, &[2; 100], at(3)).unwrap());
    vault.allocate(file, 30_000, 5000, AllocateMode::PunchHole, at(4)).unwrap();
    vault.link_entry(file, (root, &entry("linked")), at(4)).unwrap();
    make(vault, folder, "link", NodeType::Symlink);
    let held = make(vault, folder, "held", NodeType::File);
    vault.write_node(held, 0, &[3; 20_000], at(5)).unwrap();
    vault.hold(held).unwrap();
    vault.unlink_entry(folder, &entry("held"), at(6)).unwrap();
    vault.sync().unwrap();
    held
}

/// Whether all is there that has a name.
fn is_whole(vault: &Vault) -> bool {
    let mut expected = vec![1; 40_000];
    (0..20_usize).for_each(|place| expected[place * 1500..place * 1500 + 100].fill(2));
    expected[30_000..35_000].fill(0);
    let folder = vault.find_entry(vault.root(), &entry("folder")).unwrap().file;
    let file = vault.find_entry(folder, &entry("file")).unwrap();
    let link = vault.find_entry(folder, &entry("link")).unwrap().file;
    bytes_of(vault, file.file) == expected
        && vault.find_entry(vault.root(), &entry("linked")) == Ok(file)
        && (file.links, file.allocated) == (2, 35_000)
        && vault.read_target(link).unwrap() == b"target"
        && listed(vault, folder).len() == 2
}

#[test]
fn a_file_that_is_open_without_a_name_is_read_and_written_through_a_rekey() {
    let fixture = Fixture::of_kind(VaultKind::Workspace);
    let vault = fixture.vault();
    let held = filled(&vault);
    vault.rekey(&[fixture.secret()], &[]).unwrap();
    let mut expected = vec![3; 20_000];
    assert!(vault.is_rekeying() && bytes_of(&vault, held) == expected);
    for round in 0..5_u8 {
        vault.compact(u64::MAX).unwrap();
        vault.write_node(held, u64::from(round) * 3000, &[round; 10], at(7)).unwrap();
        let start = usize::from(round) * 3000;
        expected[start..start + 10].fill(round);
        assert!(bytes_of(&vault, held) == expected, "round {round}");
    }
    finish(&vault);
    assert!(is_whole(&vault) && bytes_of(&vault, held) == expected);
    assert_eq!(vault.paths_of(held), [b"folder/held"]);
    vault.release(held).unwrap();
    assert_eq!(vault.node(held), None);
    vault.close().unwrap();
    assert_eq!(fsck(&fixture.directory(), &fixture.secret()).unwrap().findings, []);
    assert!(is_whole(&fixture.vault()));
}

#[test]
fn a_power_cut_at_any_step_of_a_rekey_leaves_a_whole_workspace_that_can_end_it() {
    let fill = |vault: &Vault| {
        filled(vault);
    };
    die_at_each_step_of_a_rekey(VaultKind::Workspace, fill, is_whole);
}
