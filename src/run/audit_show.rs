//! `ward audit show`: entries of the log, one a line.

use crate::client::Client;
use crate::command::AuditShowArguments;
use crate::exit_code::ExitCode;
use crate::output::{self, Report, escaped, print, table_after, time, user};
use crate::settings::Settings;
use crate::trouble::Trouble;
use nix::time::{ClockId, clock_gettime};
use serde_json::Value;
use std::time::Duration;
use ward_audit::Timestamp;
use ward_mountd::control::message::{AuditFilter, AuditPage, Command};

/// In seconds.
const DAY: u64 = 24 * 60 * 60;

/// How times are said.
#[derive(Clone, Copy)]
enum Times {
    /// As the log has them.
    Exact,
    /// How long ago, at so many microseconds since 1970.
    Ago(u64),
    /// To the second: how long ago it was is soon untrue where more comes after it.
    Seconds,
}

/// Shows them, and with `--follow` what comes after them.
pub(crate) fn run(arguments: AuditShowArguments, settings: &Settings) -> Result<ExitCode, Trouble> {
    let pager = settings.pager.clone().filter(|_| !arguments.no_pager);
    let after = arguments.after;
    if arguments.follow {
        return follow(filter(arguments), settings);
    }
    let command = Command::AuditShow { filter: filter(arguments) };
    let page: AuditPage = Client::connect(settings)?.ask(command)?;
    let times = if output::is_terminal() { Times::Ago(now()) } else { Times::Exact };
    let mut text = lines(&page, times, settings, &mut Vec::new());
    if let (Some(_), Some(next)) = (after, page.next) {
        text.push_str(&format!("more with --after {next}\n"));
    }
    for damaged in &page.damaged {
        text.push_str(&format!("{}\n", escaped(damaged)));
    }
    print(settings.form, Report::new(page, text).paged(pager))
}

/// A page after the other, until the daemon ends.
fn follow(filter: AuditFilter, settings: &Settings) -> Result<ExitCode, Trouble> {
    let mut client = Client::connect(settings)?;
    let mut page = Some(client.ask::<AuditPage>(Command::AuditFollow { filter })?);
    let times = if output::is_terminal() { Times::Seconds } else { Times::Exact };
    let mut widths = Vec::new();
    while let Some(shown) = page {
        let text = lines(&shown, times, settings, &mut widths);
        print(settings.form, Report::new(shown, text))?;
        page = client.receive_if_any()?;
    }
    Ok(ExitCode::Done)
}

fn filter(arguments: AuditShowArguments) -> AuditFilter {
    let AuditShowArguments { vault, path, client, uid, event, decision, .. } = arguments;
    let AuditShowArguments { since, until, after, limit, .. } = arguments;
    AuditFilter { vault, path, client, uid, event, decision, since, until, after, limit }
}

/// The entries of a page, under columns that were so wide.
fn lines(page: &AuditPage, times: Times, settings: &Settings, widths: &mut Vec<usize>) -> String {
    let rows: Vec<Vec<String>> =
        page.entries.iter().map(|shown| for_people(row(shown), times)).collect();
    let text = table_after(&rows, widths);
    if settings.is_plain || matches!(times, Times::Exact) {
        return text;
    }
    text.lines().zip(&page.entries).map(|(line, shown)| coloured(line, shown)).collect()
}

/// The time as people ask for it: how long ago, for the last day.
fn for_people(mut row: Vec<String>, times: Times) -> Vec<String> {
    if let Some(cell) = row.get_mut(1)
        && let Some(then) = Timestamp::from_text(cell)
    {
        let seconds = |now: u64| now.saturating_sub(then.microseconds()) / 1_000_000;
        match times {
            Times::Exact => {}
            Times::Ago(now) if seconds(now) < DAY => *cell = format!("{} ago", time(seconds(now))),
            Times::Ago(_) | Times::Seconds => {
                *cell = cell.get(..19).unwrap_or_default().replace('T', " ");
            }
        }
    }
    row
}

/// Red for what was refused or is damaged, yellow for what waits for somebody.
fn coloured(line: &str, shown: &Value) -> String {
    let entry = shown.get("entry").unwrap_or(shown);
    let is = |name: &str, words: &[&str]| {
        entry.get(name).and_then(Value::as_str).is_some_and(|word| words.contains(&word))
    };
    let troubles =
        ["log.damaged", "log.gap", "log.recovered", "vault.damaged", "vault.rolled-back"];
    if is("decision", &["denied"]) || is("eventType", &troubles) {
        format!("\u{1b}[31m{line}\u{1b}[0m\n")
    } else if is("decision", &["needs-approval"]) {
        format!("\u{1b}[33m{line}\u{1b}[0m\n")
    } else {
        format!("{line}\n")
    }
}

/// Microseconds since 1970.
fn now() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_REALTIME).map_or(Duration::ZERO, Duration::from);
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Number, time, event and decision, who, what, why.
fn row(shown: &Value) -> Vec<String> {
    let entry = shown.get("entry").unwrap_or(shown);
    let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
    let mut event = text("eventType").to_owned();
    if let Some(count) = entry.get("count").and_then(Value::as_str) {
        event.push_str(&format!(" x{count}"));
    }
    let decision = text("decision");
    let reason = text("reason");
    let reason = if reason.is_empty() { String::new() } else { format!("\"{}\"", escaped(reason)) };
    vec![
        escaped(text("seq")).to_string(),
        escaped(text("ts")).to_string(),
        escaped(&event).to_string(),
        escaped(if decision.is_empty() { "-" } else { decision }).to_string(),
        actor(entry.get("actor")),
        escaped(&target(entry)).to_string(),
        reason,
    ]
}

fn actor(actor: Option<&Value>) -> String {
    let Some(actor) = actor else {
        return "-".to_owned();
    };
    let number = |name: &str| actor.get(name).and_then(Value::as_u64).unwrap_or_default();
    let exe = actor.get("exe").and_then(Value::as_str).unwrap_or("unknown");
    let uid = u32::try_from(number("uid")).unwrap_or(u32::MAX);
    let agent = actor.get("agent").and_then(Value::as_str);
    let agent = agent.map(|agent| format!(" for {}", escaped(agent))).unwrap_or_default();
    let acting = actor.get("acting").and_then(Value::as_str);
    let acting = acting.map(|name| format!(" as {}", escaped(name))).unwrap_or_default();
    format!("{}/{} {}{agent}{acting}", user(uid), number("pid"), escaped(exe))
}

/// The secret, the vault, the agent or the key, and before it what was asked for where the event does not say.
fn target(entry: &Value) -> String {
    let text = |name: &str| entry.get(name).and_then(Value::as_str);
    let path = text("path").or_else(|| text("sealed").map(|_| "(sealed)"));
    let kid = entry.get("signer").and_then(|signer| signer.get("kid")).and_then(Value::as_str);
    let object = match (text("vault"), path) {
        (Some(vault), Some(path)) => format!("{vault}:{path}"),
        (Some(vault), None) => vault.to_owned(),
        (None, path) => path.or(kid).unwrap_or_default().to_owned(),
    };
    let is_plain = matches!(text("eventType"), Some("command" | "refused" | "request.made"));
    let operations = entry.get("operations").and_then(Value::as_array).filter(|_| is_plain);
    let words = operations.into_iter().flatten().filter_map(Value::as_str);
    let asked = words.collect::<Vec<_>>().join("+");
    let to = text("to").or_else(|| text("client")).map(|to| format!("to {to}")).unwrap_or_default();
    let opener = entry.get("opener").and_then(|opener| opener.get("pid")).and_then(Value::as_u64);
    let opener = opener.map(|pid| format!("opened by {pid}")).unwrap_or_default();
    let is_mapped = entry.get("mapped").and_then(Value::as_bool) == Some(true);
    let mapped = if is_mapped { "mapped" } else { "" }.to_owned();
    let words = [asked, object, to, mapped, opener].into_iter().filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn people_see_how_long_ago_it_was_and_what_was_refused() {
        let at = |text: &str| vec!["7".to_owned(), text.to_owned()];
        let now = Timestamp::from_text("2026-01-02T00:00:00.000000Z").unwrap().microseconds();
        let ago = Times::Ago(now);
        assert_eq!(for_people(at("2026-01-01T23:58:30.000001Z"), ago)[1], "1m 29s ago");
        let (old, new) = (at("2025-12-31T23:58:30.000001Z"), at("2026-01-01T23:58:30.000001Z"));
        assert_eq!(for_people(old, ago)[1], "2025-12-31 23:58:30");
        assert_eq!(for_people(new, Times::Seconds)[1], "2026-01-01 23:58:30");
        assert_eq!(coloured("x", &json!({"decision": "denied"})), "\u{1b}[31mx\u{1b}[0m\n");
        assert_eq!(coloured("x", &json!({"decision": "permitted"})), "x\n");
    }

    #[test]
    fn an_entry_is_a_row_that_says_who_did_what() {
        let entry = json!({"entry": {
            "actor": {"uid": 4_000_000_000_u32, "pid": 42, "exe": "/usr/bin/cat", "agent": "claude"},
            "decision": "permitted", "eventType": "file.open", "path": "db/password",
            "reason": "a\nb", "seq": "7", "ts": "2026-01-01T00:00:00.000001Z", "vault": "default",
        }, "hash": ""});
        let expected = [
            "7",
            "2026-01-01T00:00:00.000001Z",
            "file.open",
            "permitted",
            "uid 4000000000/42 /usr/bin/cat for claude",
            "default:db/password",
            r#""a\nb""#,
        ];
        assert_eq!(row(&entry), expected);
        let read = json!({"eventType": "file.read", "mapped": true, "opener": {"pid": 41},
            "path": "a", "vault": "default"});
        assert_eq!(row(&read)[5], "default:a mapped opened by 41");
        let rename =
            json!({"eventType": "file.rename", "path": "a", "to": "b/c", "vault": "default"});
        assert_eq!(row(&rename)[5], "default:a to b/c");
        let stolen = json!({"eventType": "signer.compromise", "signer": {"kid": "audit-2026"}});
        assert_eq!(row(&stolen)[5], "audit-2026");
    }
}
