//! One decision per file of `tests/decisions`: facts and a question in, an outcome out.

use crate::support;
use serde::Deserialize;
use std::fs;
use std::path::Path;
use ward_policy::{Case, Outcome};

/// Where the policy of a case is: a policy of `tests/policies`, by name, or its own text.
#[derive(Deserialize)]
struct Policy {
    policy: Option<String>,
    text: Option<String>,
}

#[test]
fn every_case_comes_out_as_its_file_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut files: Vec<_> = fs::read_dir(folder.join("decisions"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() >= 150, "the cases are gone");
    let mut wrong = String::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let mut table: toml::Table = toml::from_str(&text).unwrap();
        let policy = Policy {
            policy: table.remove("policy").map(|name| name.try_into().unwrap()),
            text: table.remove("text").map(|text| text.try_into().unwrap()),
        };
        let case: Case =
            table.try_into().unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let named = policy.policy.map(|name| folder.join("policies").join(name));
        let text = named.map(|policy| fs::read_to_string(policy.with_extension("toml")).unwrap());
        let came_out = case.decide(&support::rules(&text.or(policy.text).unwrap())).unwrap();
        // Here what a case does not say is not there; only the risk need not be said.
        let risk = came_out.risk.clone().filter(|_| case.expect.risk.is_some());
        let came_out = Outcome { risk, ..came_out };
        if came_out != case.expect {
            let (file, expected) = (file.display(), &case.expect);
            wrong
                .push_str(&format!("\n{file}\n  came out {came_out:?}\n  not      {expected:?}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
