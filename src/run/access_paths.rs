//! `ward access paths`: what the rules of the policy say to a client.

use crate::client::Client;
use crate::command::AccessPathsArguments;
use crate::output::{Report, escaped, table};
use crate::settings::Settings;
use crate::trouble::Trouble;
use ward_mountd::control::message::{AccessVerdict, Command};

/// Asks.
pub(crate) fn run(
    arguments: &AccessPathsArguments,
    settings: &Settings,
) -> Result<Report<AccessVerdict>, Trouble> {
    let command = Command::Access { client: arguments.client.clone() };
    let verdict: AccessVerdict = Client::connect(settings)?.ask(command)?;
    let mut rows = Vec::new();
    for access in &verdict.access {
        let operations = escaped(&access.operations.join(",")).to_string();
        for path in &access.paths {
            let row = [&access.says, &access.rule, path].map(|it| escaped(it).to_string());
            rows.push([row.to_vec(), vec![operations.clone()]].concat());
        }
    }
    let text = if rows.is_empty() { "no rule speaks to it\n".to_owned() } else { table(&rows) };
    Ok(Report::new(verdict, text))
}
