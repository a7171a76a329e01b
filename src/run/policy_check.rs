//! `ward policy check`: what is wrong or odd about a policy. A file is checked here, without a
//! daemon; the policy in force is the daemon's to tell.

use crate::client::Client;
use crate::command::PolicyCheckArguments;
use crate::output::{Report, count, escaped};
use crate::settings::Settings;
use crate::trouble::Trouble;
use serde::Serialize;
use std::path::Path;
use ward_mountd::control::message::{Command, FailureCode, PolicyVerdict};
use ward_policy::{Digest, Rules};

/// A policy that loads.
#[derive(Debug, Serialize)]
pub(crate) struct PolicyState {
    /// SHA-256 of the text; absent for a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<String>,
    /// How many rules it has.
    rules: u64,
    /// What is odd about it though it loads.
    findings: Vec<String>,
}

/// Checks it.
pub(crate) fn run(
    arguments: &PolicyCheckArguments,
    settings: &Settings,
) -> Result<Report<PolicyState>, Trouble> {
    let state = match &arguments.file {
        Some(file) => check_file(file)?,
        None => check_in_force(settings)?,
    };
    let mut text = format!("loads: {}\n", count(state.rules, "rule"));
    for finding in &state.findings {
        text.push_str(&format!("odd: {}\n", escaped(finding)));
    }
    Ok(Report::new(state, text))
}

fn check_in_force(settings: &Settings) -> Result<PolicyState, Trouble> {
    let PolicyVerdict { policy, rules, findings } =
        Client::connect(settings)?.ask(Command::PolicyCheck { text: None })?;
    Ok(PolicyState { policy: Some(policy), rules, findings })
}

fn check_file(file: &Path) -> Result<PolicyState, Trouble> {
    let shown = file.display();
    let text = std::fs::read_to_string(file).map_err(|error| {
        let is_absent = error.kind() == std::io::ErrorKind::NotFound;
        let code = if is_absent { FailureCode::NotFound } else { FailureCode::BadInput };
        Trouble::new(code, format!("cannot read the policy {shown}: {error}"))
    })?;
    // Nothing is decided by these rules, so their digest is never looked at.
    let rules = Rules::load(&text, Digest::from_bytes([0; 32])).map_err(|fault| {
        Trouble::bad_input(format!("{shown}, {fault}"))
            .next("mend the file there and check it again; a running policy stays in force")
    })?;
    Ok(PolicyState {
        policy: None,
        rules: u64::try_from(rules.count()).unwrap_or(u64::MAX),
        findings: rules.lint().iter().map(ToString::to_string).collect(),
    })
}
