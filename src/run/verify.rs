//! `ward verify`: whether the log and every vault are whole. Deletes nothing: what is over has ended by itself.

use super::audit_verify;
use crate::client::Client;
use crate::exit_code::ExitCode;
use crate::output::{Report, escaped, table};
use crate::settings::Settings;
use crate::trouble::Trouble;
use serde::Serialize;
use ward_mountd::control::message::{AuditVerdict, Command, Verified};

/// What was found.
#[derive(Debug, Serialize)]
pub(crate) struct Found {
    /// Of the log.
    log: AuditVerdict,
    /// Of vaults, and what lives.
    #[serde(flatten)]
    rest: Verified,
}

/// Looks at everything.
pub(crate) fn run(settings: &Settings) -> Result<Report<Found>, Trouble> {
    let (log, log_text, log_exit) = audit_verify::of_log(settings)?;
    let rest: Verified = Client::connect(settings)?.ask(Command::Verify {})?;
    let mut rows = Vec::new();
    for vault in &rest.vaults {
        let what = match vault.state.as_str() {
            "locked" => "locked: not looked at".to_owned(),
            state => [state.to_owned(), vault.findings.join("; ")].join(" ").trim_end().to_owned(),
        };
        rows.push(vec![escaped(&vault.vault).to_string(), escaped(&what).to_string()]);
    }
    let lives = format!(
        "requests that wait: {}, leases: {}, mounts: {}; what is over has ended by itself\n",
        rest.pending, rest.leases, rest.mounts
    );
    let is_whole = log_exit == ExitCode::Done && rest.vaults.iter().all(|it| it.state != "damaged");
    let exit = if is_whole { ExitCode::Done } else { ExitCode::Damaged };
    let text = format!("{log_text}{}{lives}", table(&rows));
    Ok(Report::new(Found { log, rest }, text).ending(exit))
}
