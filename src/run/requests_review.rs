//! `ward requests review`: a walk through all that waits, one question each.

use crate::client::Client;
use crate::command::SigningArguments;
use crate::output::{Report, ask, escaped, tell};
use crate::run::evidence::{self, Takes};
use crate::run::pending;
use crate::settings::Settings;
use crate::trouble::Trouble;
use serde::Serialize;
use ward_mountd::control::message::{Command, Done, Pending, YesTerms};

/// What came of the walk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Reviewed {
    approved: u64,
    denied: u64,
    skipped: u64,
    /// That went before they were answered, or whose answer did not count.
    failed: u64,
    /// That nobody was asked about any more.
    left: u64,
}

/// What somebody says to one request.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Word {
    Approve,
    Deny(Option<String>),
    Skip,
    Quit,
}

/// Walks through them.
pub(crate) fn run(
    arguments: &SigningArguments,
    settings: &Settings,
) -> Result<Report<Reviewed>, Trouble> {
    let mut client = Client::connect(settings)?;
    let pending: Pending = client.ask(Command::ListPending {})?;
    let mut reviewed = Reviewed::default();
    let Pending { requests, missed } = pending;
    let mut requests = requests.into_iter();
    while let Some(request) = requests.next() {
        let shown = pending::show(&request, &settings.program);
        let takes = Takes::of(&request);
        let word = if takes.can_be_given(&request) {
            question(&format!("\n{shown}"))?
        } else {
            reviewed.skipped += 1;
            continue;
        };
        let id = request.request;
        let command = match word {
            Word::Approve => {
                let wanted = (id.as_str(), arguments.key.as_deref());
                match evidence::get(takes, &mut client, wanted) {
                    Ok(evidence) => {
                        Command::Approve { request: id, terms: YesTerms::default(), evidence }
                    }
                    Err(trouble) => {
                        tell(&format!("{}\n", escaped(&trouble.failure.message)))?;
                        reviewed.failed += 1;
                        continue;
                    }
                }
            }
            Word::Deny(reason) => Command::Deny { request: id, reason },
            Word::Skip => {
                reviewed.skipped += 1;
                continue;
            }
            Word::Quit => {
                reviewed.left = u64::try_from(requests.len()).unwrap_or(u64::MAX) + 1;
                break;
            }
        };
        let is_yes = matches!(command, Command::Approve { .. });
        match client.ask::<Done>(command) {
            Ok(Done {}) if is_yes => reviewed.approved += 1,
            Ok(Done {}) => reviewed.denied += 1,
            Err(trouble) => {
                tell(&format!("{}\n", escaped(&trouble.failure.message)))?;
                reviewed.failed += 1;
            }
        }
    }
    Ok(Report::new(reviewed, pending::missed(&missed) + &summary(reviewed)))
}

fn question(shown: &str) -> Result<Word, Trouble> {
    let mut text = shown.to_owned();
    loop {
        text.push_str("approve, deny, skip or quit? [a/d/s/q] ");
        let Some(answer) = ask(&text)? else { return Ok(Word::Quit) };
        match answer.trim() {
            "a" | "approve" => return Ok(Word::Approve),
            "d" | "deny" => {
                let reason = ask("reason, for the asker (may be empty): ")?.unwrap_or_default();
                let reason = Some(reason.trim().to_owned()).filter(|reason| !reason.is_empty());
                return Ok(Word::Deny(reason));
            }
            "s" | "skip" | "" => return Ok(Word::Skip),
            "q" | "quit" => return Ok(Word::Quit),
            _ => text.clear(),
        }
    }
}

fn summary(reviewed: Reviewed) -> String {
    let Reviewed { approved, denied, skipped, failed, left } = reviewed;
    let parts = [
        (approved, "approved"),
        (denied, "denied"),
        (skipped, "skipped"),
        (failed, "not counted"),
        (left, "left"),
    ];
    let parts = parts.iter().filter(|(number, _)| *number > 0);
    let parts: Vec<String> = parts.map(|(number, word)| format!("{number} {word}")).collect();
    if parts.is_empty() { "no request waits\n".to_owned() } else { parts.join(", ") + "\n" }
}
