//! Random operations of a `workspace` vault against a model, with restarts.

#![expect(clippy::wildcard_enum_match_arm, reason = "each function does its part of the steps")]

use super::support::{Fixture, cases};
use super::workspace::{bytes_of, entry, listed};
use super::workspace_model::{Model, Shown, Step, bytes, steps};
use crate::{ChangeError, NewNode, NodeType, SetAttributes, Vault, VaultKind, WallTime};
use proptest::test_runner::TestRunner;
use std::collections::BTreeMap;

/// Whether the vault did it.
pub(super) fn made(vault: &Vault, step: &Step, number: u8) -> bool {
    let now = WallTime::from_nanoseconds(i64::from(number));
    let done: Result<(), ChangeError> = match step {
        Step::Make { spot, node_type } => {
            let is_link = *node_type == NodeType::Symlink;
            let target = if is_link { b"target".as_slice() } else { b"" };
            let new =
                NewNode { node_type: *node_type, mode: 0o644, uid: 1, gid: 2, device: 0, target };
            vault.make_node(spot.parent(vault), &entry(&spot.name()), new, now).map(drop)
        }
        Step::Write { spot, offset, length } => {
            let offset = u64::try_from(*offset).unwrap();
            vault.write_node(spot.file(vault), offset, &bytes(number, *length), now)
        }
        Step::Append { spot, length } => {
            vault.append_node(spot.file(vault), &bytes(number, *length), now).map(drop)
        }
        Step::Truncate { spot, size } => {
            let set = SetAttributes { size: u64::try_from(*size).ok(), ..Default::default() };
            vault.set_attributes(spot.file(vault), &set, now).map(drop)
        }
        Step::Allocate { spot, offset, length, mode } => {
            let [offset, length] = [*offset, *length].map(|field| u64::try_from(field).unwrap());
            vault.allocate(spot.file(vault), offset, length, *mode, now)
        }
        Step::Copy { from, to, length } => {
            let [start, end, length] =
                [from.1, to.1, *length].map(|field| u64::try_from(field).unwrap());
            let (one, other) = (from.0.file(vault), to.0.file(vault));
            if vault.node(other).is_none() {
                return false;
            }
            match vault.node(one) {
                Some(node) if node.node_type == NodeType::File => {}
                Some(_) | None => return false,
            }
            // Like the kernel: not over itself.
            vault.copy_range((one, start), (other, end), length, now).map(drop)
        }
        Step::Link { .. }
        | Step::Unlink { .. }
        | Step::RemoveDirectory { .. }
        | Step::Rename { .. } => made_names(vault, step, now),
        Step::Mode { spot, mode } => {
            let set = SetAttributes { mode: Some(*mode), ..Default::default() };
            vault.set_attributes(spot.file(vault), &set, now).map(drop)
        }
        Step::SetXattr { spot, name, mode } => {
            let value = bytes(number, usize::from(number));
            vault.set_xattr(spot.file(vault), (&[b'x', *name], &value), *mode, now)
        }
        Step::RemoveXattr { spot, name } => {
            vault.remove_xattr(spot.file(vault), &[b'x', *name], now)
        }
        Step::Sync => vault.sync().map(drop),
        Step::Flush => vault.flush(),
        Step::Compact => vault.compact(u64::MAX).map(drop),
        Step::Close | Step::Kill => Ok(()),
    };
    done.is_ok()
}

fn made_names(vault: &Vault, step: &Step, now: WallTime) -> Result<(), ChangeError> {
    match step {
        Step::Link { from, to } => {
            let to = (to.parent(vault), &entry(&to.name()));
            vault.link_entry(from.file(vault), to, now).map(drop)
        }
        Step::Unlink { spot } => vault.unlink_entry(spot.parent(vault), &entry(&spot.name()), now),
        Step::RemoveDirectory { spot } => {
            vault.remove_directory_entry(spot.parent(vault), &entry(&spot.name()), now)
        }
        Step::Rename { from, to, mode } => {
            let (old, new) = (entry(&from.name()), entry(&to.name()));
            let (from, to) = ((from.parent(vault), &old), (to.parent(vault), &new));
            vault.rename_entry(from, to, *mode, now)
        }
        other => unreachable!("{other:?} is no change of names"),
    }
}

pub(super) fn shown(vault: &Vault) -> Shown {
    let mut found = vec![(String::new(), vault.node(vault.root()).unwrap())];
    let mut shown = Shown::new();
    while let Some((path, node)) = found.pop() {
        let content = if node.node_type == NodeType::File {
            bytes_of(vault, node.file)
        } else {
            vault.read_target(node.file).unwrap_or_default()
        };
        if node.node_type == NodeType::Directory {
            let above = if path.is_empty() { String::new() } else { format!("{path}/") };
            let entries = listed(vault, node.file);
            found.extend(
                entries.into_iter().map(|(_, name, node)| (format!("{above}{name}"), node)),
            );
        }
        let names = vault.xattr_names(node.file).unwrap();
        let xattrs: BTreeMap<Vec<u8>, Vec<u8>> = names
            .into_iter()
            .map(|name| (name.clone(), vault.xattr(node.file, &name).unwrap()))
            .collect();
        let (modified, changed) = (node.modified.nanoseconds(), node.changed.nanoseconds());
        let facts = format!(
            "{:?} {:o} {} {} {modified} {changed} {xattrs:?}",
            node.node_type, node.mode, node.links, node.size
        );
        let paths = vault.paths_of(node.file).into_iter();
        let paths = paths.map(|path| String::from_utf8(path).unwrap()).collect();
        shown.insert(path, (paths, facts, content));
    }
    shown
}

#[test]
fn a_workspace_does_what_posix_says_and_a_killed_one_holds_a_state_since_the_last_sync() {
    let mut runner = TestRunner::new(cases(24));
    runner
        .run(&steps(120), |steps| {
            check(&steps);
            Ok(())
        })
        .unwrap();
}

fn check(steps: &[Step]) {
    let fixture = Fixture::of_kind(VaultKind::Workspace);
    let mut vault = fixture.vault();
    let mut model = Model::new();
    // The states a crash may leave: all since the last sync.
    let mut possible = vec![model.clone()];
    for (number, step) in (1_u8..).zip(steps) {
        if !model.is_possible(step) {
            continue;
        }
        let mut next = model.clone();
        let should = next.make(step, number).is_some();
        assert_eq!(made(&vault, step, number), should, "{step:?} on {model:?}");
        if should {
            model = next;
        }
        assert!(shown(&vault) == model.shown(), "after {step:?}");
        possible.push(model.clone());
        if *step == Step::Close {
            vault.close().unwrap();
            vault = fixture.vault();
            assert!(shown(&vault) == model.shown(), "after a clean end");
        } else if *step == Step::Kill {
            drop(vault);
            vault = fixture.vault();
            let found = shown(&vault);
            let held = possible.iter().rev().find(|state| state.shown() == found);
            model = held.expect("a state since the last sync").clone();
        } else if matches!(step, Step::Copy { .. }) {
            // A copy is many changes, of which a crash may leave some.
            vault.sync().unwrap();
        } else if *step != Step::Sync {
            continue;
        }
        possible = vec![model.clone()];
    }
    vault.close().unwrap();
    let report = crate::fsck(&fixture.directory(), &fixture.secret()).unwrap();
    assert_eq!(report.findings, []);
    let vault = fixture.vault();
    let (live, size) = (vault.read_index().live_bytes(), vault.usage().unwrap());
    assert!(live.values().sum::<u64>() <= size.disk_bytes * 2, "{live:?}");
}
