//! `ward plan`: what the policy would decide of several things, all asked at once.

use super::check::{target, word};
use crate::client::Client;
use crate::command::PlanArguments;
use crate::output::{Report, escaped, table};
use crate::policy_text;
use crate::settings::Settings;
use crate::trouble::Trouble;
use serde::Deserialize;
use ward_mountd::control::message::{Ask, CheckVerdict, Command, PlanVerdict};

/// A file of steps.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Plan {
    step: Vec<Step>,
}

/// What would be done.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    op: String,
    target: Option<String>,
    ticket: Option<String>,
}

/// Asks.
pub(crate) fn run(
    arguments: &PlanArguments,
    settings: &Settings,
) -> Result<Report<PlanVerdict>, Trouble> {
    let file = &arguments.file;
    let text = policy_text::read(file, "plan")?;
    let Plan { step: steps } = toml::from_str(&text).map_err(|error| {
        Trouble::bad_input(format!("{}: {error}", file.display()))
            .next("see ward plan --help for the form of a plan")
    })?;
    let asks = steps.iter().map(Step::ask).collect::<Result<Vec<Ask>, _>>()?;
    let verdict: PlanVerdict = Client::connect(settings)?.ask(Command::Plan { steps: asks })?;
    let (worst, exit) = word(&verdict.decision);
    let rows: Vec<_> = (1..).zip(&steps).zip(&verdict.steps).map(row).collect();
    let text = format!("{}plan {}: {worst}\n", table(&rows), escaped(&verdict.plan));
    Ok(Report::new(verdict, text).ending(exit))
}

impl Step {
    fn ask(&self) -> Result<Ask, Trouble> {
        let operations: Vec<String> = self.op.split('+').map(str::to_owned).collect();
        let (vault, path) = target(&operations, self.target.as_deref())?;
        Ok(Ask { operations, vault, path, ticket: self.ticket.clone() })
    }
}

/// Number, decision, what, and why or by which rules.
fn row(((number, step), verdict): ((usize, &Step), &CheckVerdict)) -> Vec<String> {
    let rules = verdict.rules.as_ref().map(|rules| rules.join(", ")).unwrap_or_default();
    let why = verdict.why.as_ref().unwrap_or(&rules);
    let target = step.target.as_deref().unwrap_or_default();
    let (decision, _) = word(&verdict.decision);
    let cells = [&number.to_string(), decision, &step.op, target, why.as_str()];
    cells.map(|cell| escaped(cell).to_string()).to_vec()
}
