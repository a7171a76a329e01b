//! `ward audit accept-break`: goes on without a part of the log that is damaged or lost.

use crate::client::{Client, no_root};
use crate::command::AcceptBreakArguments;
use crate::output::{Report, escaped};
use crate::settings::Settings;
use crate::trouble::Trouble;
use serde::Serialize;
use ward_audit::AcceptBreakError;
use ward_mountd::control::message::FailureCode;
use ward_mountd::root::MARK;
use ward_mountd::{OwnerError, accept_break};

/// What was accepted.
#[derive(Debug, Serialize)]
pub(crate) struct Accepted {
    /// The segment.
    segment: u64,
    /// The last good entry before the damage.
    after: u64,
}

/// Accepts it.
pub(crate) fn run(
    arguments: &AcceptBreakArguments,
    settings: &Settings,
) -> Result<Report<Accepted>, Trouble> {
    let root = &settings.root;
    std::fs::symlink_metadata(root.join(MARK)).map_err(|error| no_root(root, &error))?;
    if Client::running(settings)?.is_some() {
        let trouble = Trouble::new(FailureCode::Failed, "a daemon writes the log");
        return Err(trouble.next("stop it first: ward daemon stop"));
    }
    let AcceptBreakArguments { after, reason } = arguments;
    let segment = accept_break(root, *after, reason).map_err(|error| trouble(&error))?;
    let text = format!(
        "accepted: {} is put aside as {segment}.broken, and what came after entry {after} in it counts no more\n",
        escaped(&segment.to_string()),
    );
    Ok(Report::new(Accepted { segment: segment.number(), after: *after }, text))
}

/// Why it could not be done, and what to do next.
pub(super) fn trouble(error: &OwnerError) -> Trouble {
    match error {
        OwnerError::Break(AcceptBreakError::NoBreak) => {
            Trouble::new(FailureCode::NotFound, error).next("see ward audit verify")
        }
        OwnerError::Break(AcceptBreakError::Elsewhere { .. }) => {
            Trouble::bad_input(error).next("name the entry that ward audit verify names")
        }
        OwnerError::Root(_) | OwnerError::Key(_) => {
            Trouble::new(FailureCode::Denied, error).next("run it as the owner of the root")
        }
        OwnerError::Boot(_) | OwnerError::Break(_) | OwnerError::Export(_) => {
            Trouble::new(FailureCode::Failed, error)
        }
    }
}
