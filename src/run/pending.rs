//! `ward list --pending`: what an approver must know, in the order of what matters.

use crate::client::Client;
use crate::output::{Report, count, escaped, short, time, user};
use crate::settings::Settings;
use crate::trouble::Trouble;
use std::fmt::Write as _;
use ward_mountd::control::message::{Command, MissedRequest, Pending, PendingRequest};

/// The widest line inside the box of a reason, in characters.
const BOX_WIDTH: usize = 66;

/// Lists them.
pub(crate) fn run(settings: &Settings) -> Result<Report<Pending>, Trouble> {
    let pending: Pending = Client::connect(settings)?.ask(Command::ListPending {})?;
    let shown = pending.requests.iter().map(|request| show(request, &settings.program));
    let mut text = shown.collect::<Vec<_>>().join("\n");
    if text.is_empty() {
        text.push_str("no request waits\n");
    }
    text.push_str(&missed(&pending.missed));
    Ok(Report::new(pending, text))
}

/// All about one, with what an approver would say.
pub(crate) fn show(request: &PendingRequest, program: &str) -> String {
    let mut text = String::new();
    let mut say = |label: &str, words: String| {
        // Writing into a string cannot fail.
        let _written = writeln!(text, "{label:<9}{words}");
    };
    if request.vault.is_empty() {
        say("agent", escaped(&request.path).to_string());
    } else if request.path.is_empty() {
        say("vault", escaped(&request.vault).to_string());
    } else {
        say("secret", format!("{}:{}", escaped(&request.vault), escaped(&request.path)));
    }
    say("program", program_of(request));
    let held = if request.is_held { ", waits in open() now" } else { "" };
    let asker = &request.asker;
    say("who", format!("{} (uid {}), pid {}{held}", user(asker.uid), asker.uid, asker.pid));
    if let Some(agent) = &asker.agent {
        say("within", format!("a session of the agent {}", escaped(agent)));
    }
    if let Some(acting) = &asker.acting {
        say("acts as", escaped(acting).to_string());
    }
    match &request.reason {
        Some(reason) => {
            let labels = std::iter::once("reason").chain(std::iter::repeat(""));
            labels.zip(boxed(reason)).for_each(|(label, line)| say(label, line));
        }
        None => say("reason", "none given".to_owned()),
    }
    if let Some(ticket) = &request.ticket {
        say("ticket", escaped(ticket).to_string());
    }
    say("grants", granted(request));
    let left = time(request.expires_in);
    if let Some(takes) = taken(request) {
        say("takes", takes);
    }
    say("ends", format!("unanswered in {left}, at {}", escaped(&request.expires)));
    let id = escaped(&request.request);
    if request.may_answer {
        say("answer", format!("{program} approve {id}"));
    } else {
        say("answer", format!("not yours to give; an approver says: {program} approve {id}"));
    }
    text
}

/// What ended without an answer: a line each.
pub(crate) fn missed(missed: &[MissedRequest]) -> String {
    let mut text = String::new();
    if !missed.is_empty() {
        text.push_str("\nmissed, within a day:\n");
    }
    for it in missed {
        let vault = it.vault.as_deref().unwrap_or("");
        let path = it.path.as_deref().unwrap_or("");
        let program = it.program.as_deref().unwrap_or("unknown");
        let program = program.rsplit('/').next().unwrap_or(program);
        let reason = it.reason.as_deref().map(|reason| format!(": {}", escaped(reason)));
        let (ended, operations) = (escaped(&it.ended), it.operations.join(" and "));
        // Writing into a string cannot fail.
        let _written = writeln!(
            text,
            "{ended}  {}:{}  {}, {} by {}{}",
            escaped(vault),
            escaped(path),
            escaped(&operations),
            escaped(program),
            user(it.uid),
            reason.unwrap_or_default()
        );
    }
    text
}

fn program_of(request: &PendingRequest) -> String {
    let asker = &request.asker;
    let path = asker.program.as_deref().unwrap_or("unknown");
    let hash = asker.sha256.as_deref().map_or_else(|| "unknown".to_owned(), short);
    format!("{} ({}), sha256 {hash}", escaped(path), escaped(&asker.grade))
}

fn granted(request: &PendingRequest) -> String {
    let operations = escaped(&request.operations.join(" and ")).to_string();
    let lease = time(request.lease_seconds);
    match request.require.as_str() {
        "one_time" if request.path.is_empty() => {
            format!("{operations}, for one command, within {lease} of the answer")
        }
        "one_time" => format!("{operations}, for one open, within {lease} of the answer"),
        _ if request.operations == ["handoff.grant"] => {
            let opens = request.uses.map(|uses| format!(", {}", count(uses.into(), "open")));
            format!("the file itself, for {lease} from the answer{}", opens.unwrap_or_default())
        }
        "always" => format!("{operations}, this once; the next time is asked again"),
        _ => match request.uses {
            Some(uses) => {
                let opens = count(uses.into(), "open");
                format!("{operations}, for {opens}, within {lease} of the answer")
            }
            None => format!("{operations}, for {lease} from the answer"),
        },
    }
}

/// What a yes takes beside who says it.
fn taken(request: &PendingRequest) -> Option<String> {
    let sets = request.factors.iter().filter(|any| !any.iter().any(|factor| factor == "local"));
    let sets = sets.map(|any| any.join(" or ")).collect::<Vec<_>>();
    (!sets.is_empty()).then(|| format!("{}: answer with --sign", escaped(&sets.join(" and "))))
}

/// The asker's words, in a frame that they cannot leave.
fn boxed(reason: &str) -> Vec<String> {
    let harmless: Vec<char> = escaped(reason).to_string().chars().collect();
    let lines: Vec<String> = harmless.chunks(BOX_WIDTH).map(|line| line.iter().collect()).collect();
    let width = lines.iter().map(|line| line.chars().count()).max().unwrap_or(0);
    let edge = format!("+{}+", "-".repeat(width + 2));
    let inside = lines.iter().map(|line| format!("| {line:<width$} |"));
    [edge.clone()].into_iter().chain(inside).chain([edge]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ward_mountd::control::message::Process;

    fn request() -> PendingRequest {
        PendingRequest {
            request: "01JABC".to_owned(),
            vault: "default".to_owned(),
            path: "db/password".to_owned(),
            operations: vec!["file.read".to_owned()],
            asker: Process {
                uid: 4_000_000_000,
                pid: 42,
                program: Some("/usr/bin/cat".to_owned()),
                sha256: Some("9f86d081884c7d659a2feaa0c55ad015".to_owned()),
                grade: "weak".to_owned(),
                agent: Some("claude".to_owned()),
                acting: Some("codex".to_owned()),
            },
            reason: Some("nightly\n+--+ backup\u{202e}".to_owned()),
            ticket: Some("OPS-1".to_owned()),
            lease_seconds: 600,
            uses: None,
            require: "first_use".to_owned(),
            factors: vec![vec!["local".to_owned()]],
            is_held: true,
            expires: "2026-01-01T00:00:00Z".to_owned(),
            expires_in: 3552,
            may_answer: true,
        }
    }

    #[test]
    fn a_request_shows_the_secret_first_and_the_command_to_answer_last() {
        let expected = r"secret   default:db/password
program  /usr/bin/cat (weak), sha256 9f86d081884c
who      uid 4000000000 (uid 4000000000), pid 42, waits in open() now
within   a session of the agent claude
acts as  codex
reason   +------------------------------+
         | nightly\n+--+ backup\u{202e} |
         +------------------------------+
ticket   OPS-1
grants   file.read, for 10m from the answer
ends     unanswered in 59m 12s, at 2026-01-01T00:00:00Z
answer   ward approve 01JABC
";
        assert_eq!(show(&request(), "ward"), expected);
    }

    #[test]
    fn a_long_reason_stays_in_its_box() {
        let lines = boxed(&"a".repeat(BOX_WIDTH * 2 + 1));
        assert_eq!(lines.len(), 5);
        assert!(lines.iter().all(|line| line.chars().count() == BOX_WIDTH + 4));
    }

    #[test]
    fn who_may_not_answer_is_told_so() {
        let shown = show(&PendingRequest { may_answer: false, ..request() }, "ward");
        assert!(shown.contains("not yours to give"));
    }
}
