//! `ward grants`: what approvals and grants of secrets gave and still lives, and taking it back.

use crate::client::Client;
use crate::command::GrantArguments;
use crate::output::{Report, escaped, table, time, user};
use crate::run::secret_grant;
use crate::settings::Settings;
use crate::trouble::Trouble;
use serde::Serialize;
use ward_mountd::control::message::{Command, Done, GrantState, LeaseState, Status};

/// What lives.
#[derive(Debug, Serialize)]
pub(crate) struct Grants {
    /// Of approvals.
    grants: Vec<LeaseState>,
    /// Of secrets.
    secrets: Vec<GrantState>,
}

/// Lists it.
pub(crate) fn list(settings: &Settings) -> Result<Report<Grants>, Trouble> {
    let status: Status = Client::connect(settings)?.ask(Command::Status {})?;
    let secrets = status.grants.iter().map(secret_grant::row);
    let rows: Vec<Vec<String>> = status.leases.iter().map(row).chain(secrets).collect();
    let text = if rows.is_empty() { "no grant lives\n".to_owned() } else { table(&rows) };
    Ok(Report::new(Grants { grants: status.leases, secrets: status.grants }, text))
}

fn row(lease: &LeaseState) -> Vec<String> {
    vec![
        escaped(&lease.lease).to_string(),
        format!("{}:{}", escaped(&lease.vault), escaped(&lease.path)),
        escaped(&lease.operations.join(" and ")).to_string(),
        format!("for {}", user(lease.uid)),
        format!("{} left", time(lease.ends_in)),
        format!("request {}", escaped(&lease.request)),
    ]
}

/// Takes one back.
pub(crate) fn revoke(
    arguments: GrantArguments,
    settings: &Settings,
) -> Result<Report<Done>, Trouble> {
    let text = format!("revoked {}\n", escaped(&arguments.grant));
    let command = Command::GrantRevoke { lease: arguments.grant };
    Ok(Report::new(Client::connect(settings)?.ask(command)?, text))
}
