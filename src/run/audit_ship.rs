//! `ward audit ship`: every sink gets what it has not yet, now.

use crate::client::Client;
use crate::exit_code::ExitCode;
use crate::output::{Report, escaped, table};
use crate::settings::Settings;
use crate::trouble::Trouble;
use ward_mountd::control::message::{Command, SinkState, Sinks};

/// Has them shipped to; ends with 1 when one did not get everything.
pub(crate) fn run(settings: &Settings) -> Result<Report<Sinks>, Trouble> {
    let sinks: Sinks = Client::connect(settings)?.ask(Command::AuditShip {})?;
    let has_failed = sinks.sinks.iter().any(|sink| sink.failure.is_some() || sink.behind > 0);
    let rows: Vec<Vec<String>> =
        sinks.sinks.iter().map(|sink| vec![escaped(&sink.sink).to_string(), words(sink)]).collect();
    let text = match rows.is_empty() {
        true => "no sinks; ward.toml names them in [[audit.ship]]\n".to_owned(),
        false => table(&rows),
    };
    let report = Report::new(sinks, text);
    Ok(if has_failed { report.ending(ExitCode::Failed) } else { report })
}

/// How far a sink is, in a line.
pub(crate) fn words(sink: &SinkState) -> String {
    let behind = match (sink.behind, &sink.since) {
        (0, _) => "has everything".to_owned(),
        (behind, None) => format!("{behind} entries behind"),
        (behind, Some(since)) => format!("{behind} entries behind since {}", escaped(since)),
    };
    let failure = sink.failure.as_ref().map(|why| format!("; FAILS: {}", escaped(why)));
    let failure = failure.unwrap_or_default();
    format!("{}, up to entry {}, {behind}{failure}", escaped(&sink.kind), sink.shipped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sink_is_a_line_that_says_how_far_it_is_and_why_no_further() {
        let mut sink = SinkState {
            sink: "archive".to_owned(),
            kind: "webhook".to_owned(),
            shipped: 40,
            behind: 0,
            since: None,
            failure: None,
        };
        assert_eq!(words(&sink), "webhook, up to entry 40, has everything");
        sink.behind = 2;
        sink.since = Some("2026-01-01T00:20:00.000000Z".to_owned());
        sink.failure = Some("it answers with status 503".to_owned());
        assert_eq!(
            words(&sink),
            "webhook, up to entry 40, 2 entries behind since 2026-01-01T00:20:00.000000Z; FAILS: it answers with status 503"
        );
    }
}
