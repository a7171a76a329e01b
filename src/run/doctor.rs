//! `ward doctor`: what of this machine, this root and its daemon weakens the protection. It reads
//! and asks, starts nothing and changes nothing.

mod daemon;
mod fuse;
mod machine;
mod ownership;
mod shell;

use crate::client::Client;
use crate::exit_code::ExitCode;
use crate::output::{Report, escaped};
use crate::settings::Settings;
use crate::trouble::Trouble;
use daemon::{of_daemon, unknown};
use fuse::Fuse;
use machine::Machine;
use ownership::Ownership;
use serde::Serialize;
use ward_mountd::control::message::{Command, Status};

/// What was found.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Findings {
    findings: Vec<Finding>,
}

/// One thing that is not as it should be, or worth to know.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Finding {
    /// A word for scripts.
    name: &'static str,
    grade: Grade,
    /// What is so.
    found: String,
    /// What follows.
    means: &'static str,
    /// What to do.
    next: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Grade {
    /// Something that this layout promises is not kept, or less well than it could be.
    Bad,
    /// The layout or the machine is like that.
    Note,
}

/// Looks everywhere.
pub(crate) fn run(settings: &Settings) -> Result<Report<Findings>, Trouble> {
    let mut findings = Machine::read().findings();
    findings.extend(Fuse::read().findings());
    findings.extend(shell::completions(settings.shell.as_deref(), settings.home.as_deref()));
    // What is no root is told below.
    let owned = Ownership::of(&settings.root);
    findings.extend(owned.iter().flat_map(|owned| owned.findings(&settings.root)));
    match ask(settings) {
        Ok(Some(status)) => findings.extend(of_daemon(&status, &settings.root)),
        Ok(None) => {
            findings.extend(machine::locked_memory());
            findings.push(unknown(
                "no daemon runs for this root".to_owned(),
                format!("{} daemon start, then ask again", settings.program),
            ));
        }
        Err(trouble) => {
            let next = trouble.failure.next.unwrap_or_default();
            findings.push(unknown(trouble.failure.message, next));
        }
    }
    let is_bad = findings.iter().any(|finding| finding.grade == Grade::Bad);
    let text = show(&findings);
    let exit = if is_bad { ExitCode::Failed } else { ExitCode::Done };
    Ok(Report::new(Findings { findings }, text).ending(exit))
}

fn ask(settings: &Settings) -> Result<Option<Status>, Trouble> {
    let client = Client::running(settings)?;
    client.map(|mut client| client.ask_promptly(Command::Status {})).transpose()
}

fn show(findings: &[Finding]) -> String {
    let mut text = String::new();
    for Finding { name, grade, found, means, next } in findings {
        let grade = match grade {
            Grade::Bad => "bad ",
            Grade::Note => "note",
        };
        let (found, next) = (escaped(found), escaped(next));
        let finding =
            format!("{grade}  {name}: {found}\n      means: {means}\n      next: {next}\n");
        text.push_str(&finding);
    }
    if !findings.iter().any(|finding| finding.grade == Grade::Bad) {
        text.push_str("nothing bad found\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_says_what_it_means_and_what_to_do_and_cannot_move_the_cursor() {
        let finding = unknown("no\x1b[2J".to_owned(), "do that".to_owned());
        let expected = "note  daemon: no\\u{1b}[2J\n      means: how the daemon guards itself is \
                        not known\n      next: do that\nnothing bad found\n";
        assert_eq!(show(&[finding]), expected);
    }
}
