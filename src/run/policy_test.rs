//! `ward policy test`: decides written cases by a policy, and says what comes out otherwise.

use crate::command::PolicyTestArguments;
use crate::exit_code::ExitCode;
use crate::output::{Report, count, escaped};
use crate::policy_text;
use crate::settings::Settings;
use crate::trouble::Trouble;
use serde::Serialize;
use std::path::Path;
use ward_policy::{Case, CaseFile, Difference, Rules};

/// How all cases came out.
#[derive(Debug, Serialize)]
pub(crate) struct Tested {
    /// How many there are.
    cases: u64,
    /// Those that came out otherwise.
    failed: Vec<Failed>,
}

/// A case that came out otherwise.
#[derive(Debug, Serialize)]
struct Failed {
    /// Its file.
    file: String,
    /// Its name, or else its place in the file, from 1 on.
    case: String,
    /// What is not as it should be.
    differences: Vec<Difference>,
}

/// Decides them all.
pub(crate) fn run(
    arguments: &PolicyTestArguments,
    settings: &Settings,
) -> Result<Report<Tested>, Trouble> {
    let mut tested = Tested { cases: 0, failed: Vec::new() };
    for file in &arguments.files {
        let text = policy_text::read(file, "cases")?;
        let CaseFile { policy, cases } = CaseFile::read(&text).map_err(|error| {
            Trouble::bad_input(format!("{}: {error}", file.display()))
                .next("see ward policy test --help for the form of a case")
        })?;
        let of_file = policy.map(|policy| file.with_file_name(policy));
        let policy = arguments.policy.clone().or(of_file);
        let policy = policy.unwrap_or_else(|| settings.root.join("policy.toml"));
        let rules = policy_text::load(&policy)?;
        for (place, case) in (1..).zip(&cases) {
            tested.cases += 1;
            if let Some(failed) = try_one(file, place, case, &rules)? {
                tested.failed.push(failed);
            }
        }
    }
    let text = shown(&tested);
    let exit = if tested.failed.is_empty() { ExitCode::Done } else { ExitCode::Failed };
    Ok(Report::new(tested, text).ending(exit))
}

fn try_one(
    file: &Path,
    place: usize,
    case: &Case,
    rules: &Rules,
) -> Result<Option<Failed>, Trouble> {
    let name = case.name.clone().unwrap_or_else(|| format!("case {place}"));
    let file = file.display().to_string();
    let came_out = case.decide(rules).map_err(|error| {
        Trouble::bad_input(format!("{file}, {}: {error}", escaped(&name)))
            .next("see ward policy test --help for the form of a case")
    })?;
    let differences = case.expect.differences(&came_out);
    Ok((!differences.is_empty()).then_some(Failed { file, case: name, differences }))
}

fn shown(tested: &Tested) -> String {
    let mut text = String::new();
    for Failed { file, case, differences } in &tested.failed {
        text.push_str(&format!("{}: {}\n", escaped(file), escaped(case)));
        for Difference { part, expected, came_out } in differences {
            let (expected, came_out) = (escaped(expected), escaped(came_out));
            text.push_str(&format!("  {part:<10} {came_out}, not {expected}\n"));
        }
    }
    let all = count(tested.cases, "case");
    match tested.failed.len() {
        0 => text.push_str(&format!("{all}: all come out as they should\n")),
        failed => text.push_str(&format!("{all}: {failed} come out otherwise\n")),
    }
    text
}
