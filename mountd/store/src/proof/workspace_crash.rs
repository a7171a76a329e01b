//! A power cut at any write and any sync of a `workspace` vault.

use super::crash::{Machine, die_at_each_step};
use super::support::cases;
use super::workspace_model::{Model, Shown, Step, steps};
use super::workspace_steps::{made, shown};
use crate::VaultKind;
use proptest::test_runner::TestRunner;

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

#[test]
fn after_a_power_cut_at_any_step_a_workspace_holds_what_was_synced_and_a_prefix_of_the_rest() {
    let mut runner = TestRunner::new(cases(CASES));
    runner
        .run(&(steps(20), proptest::num::u64::ANY), |(mut steps, seed)| {
            // A copy is many changes, of which a crash may leave some.
            steps.retain(|step| !matches!(step, Step::Copy { .. }));
            die_at_each_step(VaultKind::Workspace, seed, |machine| run(machine, &steps), shown);
            Ok(())
        })
        .unwrap();
}

/// Each is run once for each of its hundred or so writes.
const CASES: u32 = 24;
