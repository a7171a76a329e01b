//! A power cut at any write and any sync of a `workspace` vault.

use super::crash::Machine;
use super::workspace_model::{Model, Shown, Step, steps};
use super::workspace_steps::{made, shown};
use crate::VaultKind;
use proptest::test_runner::{Config, TestRunner};

/// Does the steps until the disk dies; gives the states that a crash may leave.
fn run(machine: &Machine, steps: &[Step]) -> Vec<Shown> {
    let mut model = Model::new();
    let mut possible = vec![model.clone()];
    let states = |possible: Vec<Model>| possible.iter().map(Model::shown).collect();
    let Ok(mut vault) = machine.unlock() else {
        return states(possible);
    };
    for (number, step) in (1_u8..).zip(steps) {
        let mut next = model.clone();
        let should = next.make(step, number).is_some();
        if should {
            model = next;
        }
        possible.push(model.clone());
        let is_end = matches!(step, Step::Close | Step::Kill);
        let done = if is_end {
            let is_closed = *step == Step::Kill || vault.close().is_ok();
            let Ok(next) = machine.unlock() else {
                return states(possible);
            };
            vault = next;
            // A process that was killed leaves what the kernel has, and a state since the sync.
            let found = shown(&vault);
            let held = possible.iter().rev().find(|state| state.shown() == found);
            model = held.expect("a state since the last sync").clone();
            is_closed
        } else {
            made(&vault, step, number) == should
        };
        if !done {
            return states(possible);
        }
        if is_end || matches!(step, Step::Sync | Step::Compact) {
            // A compaction that found nothing to do did not sync.
            let is_synced = !matches!(step, Step::Compact) || vault.sync().is_ok();
            if !is_synced {
                return states(possible);
            }
            possible = vec![model.clone()];
        }
    }
    states(possible)
}

fn check(steps: &[Step], seed: u64) {
    let machine = Machine::of_kind(VaultKind::Workspace);
    let born = machine.disk.steps();
    run(&machine, steps);
    let last = machine.disk.steps();
    for death in born + 1..=last + 1 {
        let machine = Machine::of_kind(VaultKind::Workspace);
        machine.disk.die_at(death);
        let possible = run(&machine, steps);
        machine.disk.crash(seed.wrapping_mul(death).wrapping_add(death << 7));
        let vault = machine.unlock().unwrap();
        let found = shown(&vault);
        assert!(possible.contains(&found), "dead at {death} of {last}");
        vault.close().unwrap();
        let report = crate::fsck::check(&*machine.disk, &machine.directory(), &machine.secret());
        assert_eq!(report.unwrap().findings, [], "dead at {death} of {last}");
    }
}

#[test]
fn after_a_power_cut_at_any_step_a_workspace_holds_what_was_synced_and_a_prefix_of_the_rest() {
    let mut runner =
        TestRunner::new(Config { cases: 24, failure_persistence: None, ..Config::default() });
    runner
        .run(&(steps(20), proptest::num::u64::ANY), |(mut steps, seed)| {
            // A copy is many changes, of which a crash may leave some.
            steps.retain(|step| !matches!(step, Step::Copy { .. }));
            check(&steps, seed);
            Ok(())
        })
        .unwrap();
}
