//! `ward policy diff` and `ward policy reload`: what differs between two policies.

use crate::client::Client;
use crate::command::PolicyDiffArguments;
use crate::output::{Report, escaped};
use crate::policy_text;
use crate::settings::Settings;
use crate::trouble::Trouble;
use serde::Serialize;
use ward_mountd::control::message::{Command, PolicyReloaded};
use ward_policy::{Change, KeyChange};

/// What differs.
#[derive(Debug, Serialize)]
pub(crate) struct Differences {
    changes: Vec<Change>,
}

/// Compares two files.
pub(crate) fn run(arguments: &PolicyDiffArguments) -> Result<Report<Differences>, Trouble> {
    let old = policy_text::load(&arguments.old)?;
    let new = policy_text::load(&arguments.new)?;
    let changes = old.changes_to(&new);
    let text = told(&changes);
    Ok(Report::new(Differences { changes }, text))
}

/// Has the daemon take the policy of the root.
pub(crate) fn reload(settings: &Settings) -> Result<Report<PolicyReloaded>, Trouble> {
    let reloaded: PolicyReloaded = Client::connect(settings)?.ask(Command::PolicyReload {})?;
    let mut text = told(&reloaded.changes);
    for lease in &reloaded.leases_ended {
        let what = format!("{} of {}:{}", lease.operations.join("+"), lease.vault, lease.path);
        let line = format!("lease {} ended: {what}, held by uid {}", lease.lease, lease.uid);
        text.push_str(&format!("{}\n", escaped(&line)));
    }
    for key in &reloaded.settings_changed {
        text.push_str(&format!("changed  setting {}\n", escaped(key)));
    }
    for key in &reloaded.settings_waiting {
        text.push_str(&format!("waits    setting {}, for a restart of the daemon\n", escaped(key)));
    }
    Ok(Report::new(reloaded, text))
}

fn told(changes: &[Change]) -> String {
    if changes.is_empty() {
        return "nothing differs\n".to_owned();
    }
    let mut text = String::new();
    for Change { part, what, keys } in changes {
        text.push_str(&format!("{what:<7}  {}\n", escaped(part)));
        for KeyChange { key, was, is } in keys {
            let said = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".into());
            let line = format!("{key} was {}, is {}", said(was), said(is));
            text.push_str(&format!("  {}\n", escaped(&line)));
        }
    }
    text
}
