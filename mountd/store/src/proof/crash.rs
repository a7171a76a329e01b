//! A power cut at any write and any sync: what was synced is there, the rest is a prefix or absent.

use super::crash_disk::CrashDisk;
use super::model::{Model, Step, expected, made, shown, step};
use super::support::{cases, content_of, get, name, put};
use crate::{Keyfile, NewSlot, NewVault, SlotSecret, Vault, VaultKind};
use proptest::test_runner::TestRunner;
use std::path::PathBuf;
use std::sync::Arc;

pub(super) struct Machine {
    pub(super) folder: tempfile::TempDir,
    pub(super) disk: Arc<CrashDisk>,
}

impl Machine {
    pub(super) fn of_kind(kind: VaultKind) -> Self {
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let machine = Self { folder, disk: Arc::default() };
        let keyfile = Keyfile::create(&machine.folder.path().join("key")).unwrap();
        let settings = NewVault { kind, label: String::new() };
        let slot = NewSlot::Keyfile(&keyfile);
        Vault::create_on(machine.disk.clone(), &machine.directory(), &settings, &slot).unwrap();
        machine
    }

    pub(super) fn directory(&self) -> PathBuf {
        self.folder.path().join("vault")
    }

    pub(super) fn secret(&self) -> SlotSecret {
        SlotSecret::Keyfile(Keyfile::read(&self.folder.path().join("key")).unwrap())
    }

    pub(super) fn unlock(&self) -> Result<Vault, crate::UnlockError> {
        let (vault, recovered) =
            Vault::unlock_on(self.disk.clone(), &self.directory(), &self.secret())?;
        assert_eq!(recovered.damage, [], "a crash is never damage");
        Ok(vault)
    }
}

/// Does the steps until the disk dies; gives the states that a crash may leave.
fn run(machine: &Machine, steps: &[Step]) -> Vec<Model> {
    let mut model = Model::new();
    let mut possible = vec![model.clone()];
    let Ok(mut vault) = machine.unlock() else {
        return possible;
    };
    for (number, step) in (1_u8..).zip(steps) {
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
        possible.push(model.clone());
        let (done, is_synced) = match step {
            Step::Close | Step::Kill => {
                let closed = *step == Step::Kill || vault.close().is_ok();
                let Ok(next) = machine.unlock() else {
                    return possible;
                };
                vault = next;
                // A process that was killed leaves what the kernel has, and a state since the sync.
                model = shown(&vault);
                assert!(possible.contains(&model), "after {step:?}");
                (closed, closed)
            }
            Step::Sync | Step::Shred { .. } => {
                let done = made(&vault, step, &value) == should;
                (done, done && should)
            }
            Step::Write { .. }
            | Step::Directory { .. }
            | Step::Rename { .. }
            | Step::Unlink { .. }
            | Step::RemoveDirectory { .. }
            // Where there is nothing to compact, nothing is synced.
            | Step::Compact => (made(&vault, step, &value) == should, false),
        };
        if !done {
            return possible;
        }
        if is_synced {
            possible = vec![model.clone()];
        }
    }
    possible
}

/// Runs on a machine that dies at each of its steps in turn; what `shown` tells of the vault after it
/// must be one of the states that the run names.
pub(super) fn die_at_each_step<State: PartialEq>(
    kind: VaultKind,
    seed: u64,
    run: impl Fn(&Machine) -> Vec<State>,
    shown: impl Fn(&Vault) -> State,
) {
    let machine = Machine::of_kind(kind);
    let born = machine.disk.steps();
    run(&machine);
    let last = machine.disk.steps();
    for death in born + 1..=last + 1 {
        let machine = Machine::of_kind(kind);
        machine.disk.die_at(death);
        let possible = run(&machine);
        machine.disk.crash(seed.wrapping_mul(death).wrapping_add(death << 7));
        let vault = machine.unlock().unwrap();
        assert!(possible.contains(&shown(&vault)), "dead at {death} of {last}");
        vault.close().unwrap();
        let report = crate::fsck::check(&*machine.disk, &machine.directory(), &machine.secret());
        assert_eq!(report.unwrap().findings, [], "dead at {death} of {last}");
    }
}

#[test]
fn after_a_power_cut_at_any_step_what_was_synced_is_there_and_the_rest_is_a_prefix() {
    let mut runner = TestRunner::new(cases(CASES));
    let steps = proptest::collection::vec(step(), 1..14);
    runner
        .run(&(steps, proptest::num::u64::ANY), |(steps, seed)| {
            die_at_each_step(VaultKind::Secrets, seed, |machine| run(machine, &steps), shown);
            Ok(())
        })
        .unwrap();
}

/// Each is run once for each of its hundred or so writes.
const CASES: u32 = 24;

#[test]
fn an_image_holds_nothing_that_a_power_cut_can_still_take() {
    for seed in 1..12_u64 {
        for steps in (1..).step_by(2) {
            let machine = Machine::of_kind(VaultKind::Secrets);
            let vault = machine.unlock().unwrap();
            put(&vault, "before", b"1");
            vault.sync().unwrap();
            put(&vault, "in the image", &[7; 40_000]);
            machine.disk.die_at(machine.disk.steps() + steps);
            let is_written = vault.write_image().is_ok();
            drop(vault);
            machine.disk.crash(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(steps));
            let vault = machine.unlock().unwrap();
            assert_eq!(get(&vault, "before").unwrap(), b"1");
            let file = vault.lookup(vault.root(), &name("in the image"));
            if let Some(version) = file.and_then(|file| vault.current_version(file)) {
                let content = content_of(&vault, file.unwrap(), version);
                assert_eq!(content, Some(vec![7; 40_000]), "dead after {steps}, seed {seed}");
            }
            assert!(file.is_some() || !is_written, "an image was written before its log");
            if is_written {
                break;
            }
        }
    }
}
