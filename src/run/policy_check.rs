//! `ward policy check`: what is wrong or odd about a policy. A file is checked here, without a
//! daemon; the policy in force is the daemon's to tell.

use crate::client::Client;
use crate::command::PolicyCheckArguments;
use crate::output::{Report, count, escaped};
use crate::policy_text;
use crate::settings::Settings;
use crate::trouble::Trouble;
use std::path::Path;
use ward_mountd::control::message::{Command, PolicyVerdict};

/// Checks it.
pub(crate) fn run(
    arguments: &PolicyCheckArguments,
    settings: &Settings,
) -> Result<Report<PolicyVerdict>, Trouble> {
    let state = match &arguments.file {
        Some(file) => check_file(file)?,
        None => Client::connect(settings)?.ask(Command::PolicyCheck {})?,
    };
    let mut text = format!("loads: {}\n", count(state.rules, "rule"));
    for finding in &state.findings {
        text.push_str(&format!("odd: {}\n", escaped(finding)));
    }
    Ok(Report::new(state, text))
}

fn check_file(file: &Path) -> Result<PolicyVerdict, Trouble> {
    let rules = policy_text::load(file)?;
    Ok(PolicyVerdict {
        policy: rules.digest().to_string(),
        rules: u64::try_from(rules.count()).unwrap_or(u64::MAX),
        findings: rules.lint().iter().map(ToString::to_string).collect(),
    })
}
