//! `ward doctor`: what of this machine, this root and its daemon weakens the protection. It reads
//! and asks, starts nothing and changes nothing.

mod machine;

use crate::client::Client;
use crate::exit_code::ExitCode;
use crate::output::{Report, escaped};
use crate::run::status::protection;
use crate::settings::Settings;
use crate::trouble::Trouble;
use machine::Machine;
use serde::Serialize;
use ward_mountd::Layout;
use ward_mountd::control::message::{Command, Guards, SourceState, Status};

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
    match ask(settings) {
        Ok(Some(status)) => findings.extend(of_daemon(&status)),
        Ok(None) => findings.push(unknown(
            "no daemon runs for this root".to_owned(),
            format!("{} daemon start, then ask again", settings.program),
        )),
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
    let client = Client::running(&settings.root)?;
    client.map(|mut client| client.ask(Command::Status {})).transpose()
}

fn unknown(found: String, next: String) -> Finding {
    Finding {
        name: "daemon",
        grade: Grade::Note,
        found,
        means: "how the daemon guards itself is not known",
        next,
    }
}

fn of_daemon(status: &Status) -> Vec<Finding> {
    let mut findings = Vec::new();
    if status.layout == Layout::Private.name() {
        findings.push(Finding {
            name: "layout",
            grade: Grade::Note,
            found: protection(&status.layout),
            means: "a program of your uid can read the key file, change the policy and answer for you",
            next: "for protection from agents: sudo ward init --for USER".to_owned(),
        });
    }
    if status.log.state != "healthy" {
        findings.push(Finding {
            name: "log",
            grade: Grade::Bad,
            found: format!("the log takes no records: {}", status.log.state),
            means: "every open is refused",
            next: "make room or mend the disk, then start the daemon again".to_owned(),
        });
    }
    if let Some(found) = &status.log.damage {
        findings.push(Finding {
            name: "log-damage",
            grade: Grade::Bad,
            found: found.clone(),
            means: "what was recorded there is lost, or somebody changed it",
            next: "compare the log with a backup; ward audit accept-break goes on without it"
                .to_owned(),
        });
    }
    if !status.damage.is_empty() {
        findings.push(Finding {
            name: "damage",
            grade: Grade::Bad,
            found: format!("{} vaults are damaged", status.damage.len()),
            means: "what is damaged yields no bytes",
            next: "ward audit show --event vault.damaged".to_owned(),
        });
    }
    findings.extend(status.sources.iter().filter_map(of_source));
    findings.extend(status.guards.iter().flat_map(of_guards));
    findings
}

fn of_source(source: &SourceState) -> Option<Finding> {
    let name = &source.source;
    let (grade, found, next) = match (&source.trouble, source.left_out) {
        (Some(trouble), _) => (
            Grade::Bad,
            format!("{name}: {trouble}"),
            "see store, user and gnupg_home of its table in ward.toml",
        ),
        (None, 0) => return None,
        (None, left_out) => (
            Grade::Note,
            format!("{name}: {left_out} entries are not shown"),
            "give them names that secrets can have, and no folder the name of an entry",
        ),
    };
    let means = "entries of a password store that should be files of a vault are not";
    Some(Finding { name: "source", grade, found, means, next: next.to_owned() })
}

fn of_guards(guards: &Guards) -> Vec<Finding> {
    let mut findings = Vec::new();
    if guards.memory != "locked" {
        let only_others = guards.memory == "replies";
        findings.push(Finding {
            name: "memory",
            grade: if only_others { Grade::Note } else { Grade::Bad },
            found: "the memory of the daemon is not locked".to_owned(),
            means: if only_others {
                "a value that is being written may be swapped to disk; keys and replies are locked"
            } else {
                "plaintext on its way to a reader may be swapped to disk"
            },
            next: "start it without a limit of locked memory (ulimit -l unlimited, or LimitMEMLOCK=infinity in its unit), or encrypt the swap"
                .to_owned(),
        });
    }
    if guards.keys != "secret" {
        findings.push(Finding {
            name: "keys",
            grade: if guards.keys == "locked" { Grade::Note } else { Grade::Bad },
            found: "keys are not in secret memory (memfd_secret)".to_owned(),
            means: if guards.keys == "locked" {
                "they are never swapped, but a fault of the kernel may show them"
            } else {
                "keys may be swapped to disk"
            },
            next: "start with the kernel option secretmem.enable=1, and raise the limit of locked memory"
                .to_owned(),
        });
    }
    if guards.landlock == 0 {
        findings.push(Finding {
            name: "landlock",
            grade: Grade::Bad,
            found: "this kernel has no Landlock, or it is turned off".to_owned(),
            means: "an attacker's code in the daemon would reach every file that its user may",
            next: "put landlock into the kernel option lsm=, or take a kernel with CONFIG_SECURITY_LANDLOCK"
                .to_owned(),
        });
    }
    findings
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

    fn guards() -> Guards {
        Guards { memory: "locked".into(), keys: "secret".into(), landlock: 7 }
    }

    #[test]
    fn a_daemon_that_is_guarded_as_it_should_be_is_no_finding() {
        assert_eq!(of_guards(&guards()), vec![]);
    }

    #[test]
    fn each_guard_that_is_missing_is_a_finding_with_its_name() {
        let named = |guards: Guards| {
            let findings = of_guards(&guards);
            findings.iter().map(|it| (it.name, it.grade)).collect::<Vec<_>>()
        };
        let swappable = Guards { memory: "swappable".into(), ..guards() };
        assert_eq!(named(swappable), [("memory", Grade::Bad)]);
        let replies = Guards { memory: "replies".into(), ..guards() };
        assert_eq!(named(replies), [("memory", Grade::Note)]);
        let locked = Guards { keys: "locked".into(), ..guards() };
        assert_eq!(named(locked), [("keys", Grade::Note)]);
        let plain = Guards { keys: "plain".into(), ..guards() };
        assert_eq!(named(plain), [("keys", Grade::Bad)]);
        assert_eq!(named(Guards { landlock: 0, ..guards() }), [("landlock", Grade::Bad)]);
    }

    #[test]
    fn a_finding_says_what_it_means_and_what_to_do_and_cannot_move_the_cursor() {
        let finding = unknown("no\x1b[2J".to_owned(), "do that".to_owned());
        let expected = "note  daemon: no\\u{1b}[2J\n      means: how the daemon guards itself is \
                        not known\n      next: do that\nnothing bad found\n";
        assert_eq!(show(&[finding]), expected);
    }
}
