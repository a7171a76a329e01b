//! Random operations against the obvious model, with a restart in between.

use super::support::{Fixture, at, cases, content, name, writing};
use crate::{Existing, NodeKind, Vault};
use proptest::prelude::{Just, Strategy, prop_oneof};
use proptest::test_runner::TestRunner;
use std::collections::BTreeMap;
use ward_policy::FileId;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Write {
        place: Spot,
        length: usize,
    },
    Directory {
        place: Spot,
    },
    Rename {
        from: Spot,
        to: Spot,
        existing: Existing,
    },
    Unlink {
        place: Spot,
    },
    RemoveDirectory {
        place: Spot,
    },
    Shred {
        place: Spot,
    },
    Sync,
    Compact,
    /// The end of the process, after a clean close or without one.
    Close,
    Kill,
}

/// One of few names in one of few directories.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spot {
    in_folder: bool,
    number: u8,
}

/// Path to content; `None` for a directory.
pub(super) type Model = BTreeMap<String, Option<Vec<u8>>>;

fn spot() -> impl Strategy<Value = Spot> {
    (proptest::bool::ANY, 0..4_u8).prop_map(|(in_folder, number)| Spot { in_folder, number })
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let existing = prop_oneof![Just(Existing::Keep), Just(Existing::Replace)];
    prop_oneof![
        6 => (spot(), prop_oneof![0..40_usize, 60_000..140_000_usize])
            .prop_map(|(place, length)| Step::Write { place, length }),
        2 => spot().prop_map(|place| Step::Directory { place }),
        4 => (spot(), spot(), existing)
            .prop_map(|(from, to, existing)| Step::Rename { from, to, existing }),
        2 => spot().prop_map(|place| Step::Unlink { place }),
        1 => spot().prop_map(|place| Step::RemoveDirectory { place }),
        1 => spot().prop_map(|place| Step::Shred { place }),
        2 => Just(Step::Sync),
        1 => Just(Step::Compact),
        1 => Just(Step::Close),
        1 => Just(Step::Kill),
    ]
}

impl Spot {
    pub(super) fn path(self) -> String {
        let name = self.name();
        if self.in_folder { format!("n0/{name}") } else { name }
    }

    fn name(self) -> String {
        format!("n{}", self.number)
    }

    fn parent(self, vault: &Vault) -> FileId {
        let folder = vault.lookup(vault.root(), &name("n0"));
        if self.in_folder { folder.unwrap_or(FileId(0)) } else { vault.root() }
    }
}

/// What a change does to the model; `false` when it must be refused.
pub(super) fn expected(model: &mut Model, step: &Step, value: &[u8]) -> bool {
    match step {
        Step::Write { place, .. } => {
            let fits = has_parent(model, *place) && model.get(&place.path()) != Some(&None);
            if fits {
                model.insert(place.path(), Some(value.to_vec()));
            }
            fits
        }
        Step::Directory { place } => {
            let fits = has_parent(model, *place) && !model.contains_key(&place.path());
            if fits {
                model.insert(place.path(), None);
            }
            fits
        }
        Step::Rename { from, to, existing } => expected_rename(model, (*from, *to), *existing),
        Step::Unlink { place } | Step::Shred { place } => {
            let fits = matches!(model.get(&place.path()), Some(Some(_)));
            if fits {
                model.remove(&place.path());
            }
            fits
        }
        Step::RemoveDirectory { place } => {
            let path = place.path();
            let fits = model.get(&path) == Some(&None) && !has_entries(model, &path);
            if fits {
                model.remove(&path);
            }
            fits
        }
        Step::Sync | Step::Compact | Step::Close | Step::Kill => true,
    }
}

/// What a rename does to the model.
fn expected_rename(model: &mut Model, (from, to): (Spot, Spot), existing: Existing) -> bool {
    let (old, new) = (from.path(), to.path());
    let Some(moved) = model.get(&old).cloned() else {
        return false;
    };
    if !has_parent(model, from) || !has_parent(model, to) {
        return false;
    }
    let is_taken = model.contains_key(&new);
    if is_taken && existing == Existing::Keep {
        return false;
    }
    if format!("{new}/").starts_with(&format!("{old}/")) && old != new {
        return false;
    }
    if old == new {
        return true;
    }
    if let Some(target) = model.get(&new)
        && (target.is_some() != moved.is_some() || has_entries(model, &new))
    {
        return false;
    }
    let below: Vec<String> =
        model.keys().filter(|key| key.starts_with(&format!("{old}/"))).cloned().collect();
    for key in below {
        let value = model.remove(&key).unwrap();
        model.insert(format!("{new}{}", &key[old.len()..]), value);
    }
    model.remove(&old);
    model.insert(new, moved);
    true
}

fn has_parent(model: &Model, spot: Spot) -> bool {
    !spot.in_folder || model.get("n0") == Some(&None)
}

fn has_entries(model: &Model, path: &str) -> bool {
    model.keys().any(|key| key.starts_with(&format!("{path}/")))
}

/// Whether the vault did it.
pub(super) fn made(vault: &Vault, step: &Step, value: &[u8]) -> bool {
    let find = |place: &Spot| vault.lookup(place.parent(vault), &name(&place.name()));
    match step {
        Step::Write { place, .. } => {
            let file = find(place).map_or_else(
                || vault.create_file(place.parent(vault), &name(&place.name()), at(1)),
                Ok,
            );
            file.and_then(|file| vault.write_version(file, value, writing(at(2), value.len())))
                .is_ok()
        }
        Step::Directory { place } => {
            vault.make_directory(place.parent(vault), &name(&place.name()), at(3)).is_ok()
        }
        Step::Rename { from, to, existing } => {
            let (old, new) = (name(&from.name()), name(&to.name()));
            let (from, to) = ((from.parent(vault), &old), (to.parent(vault), &new));
            vault.rename(from, to, *existing, at(4)).is_ok()
        }
        Step::Unlink { place } => {
            vault.unlink(place.parent(vault), &name(&place.name()), at(5)).is_ok()
        }
        Step::RemoveDirectory { place } => {
            vault.remove_directory(place.parent(vault), &name(&place.name()), at(6)).is_ok()
        }
        Step::Shred { place } => find(place).is_some_and(|file| vault.shred(file, at(7)).is_ok()),
        Step::Sync => vault.sync().is_ok(),
        Step::Compact => vault.compact(u64::MAX).is_ok(),
        Step::Close | Step::Kill => true,
    }
}

fn tree(vault: &Vault, folder: FileId, prefix: &str, model: &mut Model) {
    for entry in vault.entries(folder) {
        let path = format!("{prefix}{}", entry.name);
        match entry.kind {
            NodeKind::Directory => {
                model.insert(path.clone(), None);
                tree(vault, entry.file, &format!("{path}/"), model);
            }
            NodeKind::File => {
                model.insert(path, Some(content(vault, entry.file).unwrap_or_default()));
            }
        }
    }
}

pub(super) fn shown(vault: &Vault) -> Model {
    let mut model = Model::new();
    tree(vault, vault.root(), "", &mut model);
    model
}

#[test]
fn a_vault_does_what_the_model_does_and_a_killed_one_holds_a_state_since_the_last_sync() {
    let mut runner = TestRunner::new(cases(24));
    runner
        .run(&proptest::collection::vec(step(), 1..60), |steps| {
            check(&steps);
            Ok(())
        })
        .unwrap();
}

fn check(steps: &[Step]) {
    let fixture = Fixture::new();
    let mut vault = fixture.vault();
    let mut model = Model::new();
    // The states a crash may leave: all since the last sync.
    let mut possible = vec![model.clone()];
    for (number, step) in (0_u8..).zip(steps) {
        let length = if let Step::Write { length, .. } = step { *length } else { 0 };
        let value = vec![number; length];
        if let Step::Write { place, .. } = step
            && !model.contains_key(&place.path())
        {
            // Creating and writing are two changes.
            let mut created = model.clone();
            if expected(&mut created, step, b"") {
                possible.push(created);
            }
        }
        let should = expected(&mut model, step, &value);
        assert_eq!(made(&vault, step, &value), should, "{step:?} on {model:?}");
        assert!(shown(&vault) == model, "after {step:?}");
        possible.push(model.clone());
        match step {
            Step::Sync | Step::Shred { .. } if should => possible = vec![model.clone()],
            Step::Close => {
                vault.close().unwrap();
                vault = fixture.vault();
                assert!(shown(&vault) == model, "after a clean end");
                possible = vec![model.clone()];
            }
            Step::Kill => {
                drop(vault);
                vault = fixture.vault();
                model = shown(&vault);
                assert!(possible.contains(&model), "after a kill");
                possible = vec![model.clone()];
            }
            Step::Write { .. }
            | Step::Directory { .. }
            | Step::Rename { .. }
            | Step::Unlink { .. }
            | Step::RemoveDirectory { .. }
            | Step::Shred { .. }
            | Step::Compact
            | Step::Sync => {}
        }
    }
}
