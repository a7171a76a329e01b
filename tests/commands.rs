//! Every file of `commands/`: one command on a fresh root, and what must come of it.

use crate::support::case::{Case, matches};
use crate::support::root::Root;
use crate::support::users;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;

/// How many parts the cases are run in, each as a test of its own.
const PARTS: usize = 4;

#[test]
fn every_command_of_the_first_part_answers_as_its_file_says() {
    assert_part(0);
}

#[test]
fn every_command_of_the_second_part_answers_as_its_file_says() {
    assert_part(1);
}

#[test]
fn every_command_of_the_third_part_answers_as_its_file_says() {
    assert_part(2);
}

#[test]
fn every_command_of_the_last_part_answers_as_its_file_says() {
    assert_part(PARTS - 1);
}

fn assert_part(part: usize) {
    let cases = Case::all();
    assert!(cases.len() > 40, "only {} cases were found", cases.len());
    let cases = cases.iter().skip(part).step_by(PARTS);
    let faults: Vec<String> =
        cases.filter_map(|(name, case)| Some(format!("{name}: {}", fault(case)?))).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}

#[test]
fn every_exit_code_of_the_contract_is_met_by_a_case() {
    let met: BTreeSet<i32> = Case::all().iter().map(|(_, case)| case.status).collect();
    let missing: Vec<i32> = (0..=11).filter(|code| !met.contains(code)).collect();
    assert!(
        missing.is_empty(),
        "{missing:?} are missing; 12 takes a log that failed: daemon.rs has it"
    );
}

fn fault(case: &Case) -> Option<String> {
    let acts_as_others = case.user.is_some() || case.root == "system";
    if acts_as_others && !users::can_act_as_others() {
        return None;
    }
    let root = match case.root.as_str() {
        "absent" => Root::absent(),
        "private" => Root::private(),
        "system" => Root::system(),
        other => return Some(format!("no such root: {other}")),
    };
    let fill = |text: &String| {
        let text = text.replace("{root}", root.path().to_str().unwrap_or_default());
        text.replace("{directory}", root.directory().to_str().unwrap_or_default())
    };
    write_files(&root, &case.files);
    for before in &case.before {
        let ended = root.run(&before.iter().map(fill).collect::<Vec<_>>());
        if ended.status != Some(0) {
            return Some(format!("{before:?} failed before: {ended:?}"));
        }
    }
    write_files(&root, &case.changes);
    let mut ward = root.ward(&case.arguments.iter().map(fill).collect::<Vec<_>>());
    ward = ward.given(&[case.stdin.as_bytes(), &vec![0; case.stdin_length]].concat());
    for (name, value) in &case.environment {
        ward = ward.with(name, fill(value));
    }
    if let Some(user) = &case.user {
        ward = ward.by(user);
    }
    let ended = ward.run();
    let is_as_told = ended.status == Some(case.status)
        && matches(&fill(&case.stdout), &ended.stdout)
        && matches(&fill(&case.stderr), &ended.stderr);
    (!is_as_told).then(|| {
        format!(
            "status {:?}, expected {}\n--- stdout\n{}--- expected\n{}\n--- stderr\n{}--- expected\n{}",
            ended.status, case.status, ended.stdout, case.stdout, ended.stderr, case.stderr
        )
    })
}

fn write_files(root: &Root, files: &[(String, String)]) {
    for (name, content) in files {
        let mut file = File::create(root.directory().join(name)).unwrap();
        file.write_all(content.as_bytes()).unwrap();
    }
}
