//! What was decided: the entries of the log that tell of decisions, page by page from the daemon.

use crate::client::Client;
use crate::settings::Settings;
use crate::trouble::Trouble;
use std::time::Duration;
use ward_audit::{Entry, Timestamp};
use ward_mountd::Recorded;
use ward_mountd::control::message::{AuditFilter, AuditPage, Command, FailureCode};

/// How many entries a page has.
const PAGE: u64 = 500;

/// Which part of the log.
#[derive(Clone, Debug, Default)]
pub(crate) struct Span {
    /// At this time or later.
    pub(crate) since: Option<String>,
    /// At this time or earlier.
    pub(crate) until: Option<String>,
}

impl Span {
    /// What came within `duration` before the newest entry.
    pub(crate) fn last(duration: Duration, settings: &Settings) -> Result<Self, Trouble> {
        let filter = AuditFilter { limit: Some(1), ..AuditFilter::default() };
        let page: AuditPage = Client::connect(settings)?.ask(Command::AuditShow { filter })?;
        let newest = page.entries.iter().map(entry).next_back().transpose()?;
        let newest = newest.map_or(0, |entry| entry.ts.microseconds());
        let length = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let since = Timestamp::from_microseconds(newest.saturating_sub(length));
        Ok(Self { since: Some(since.to_string()), until: None })
    }
}

/// Calls `each` with every decision of `span`, without reads of what was open; gives the number of
/// those that cannot be told, because their names are sealed or no text.
pub(crate) fn decisions(
    span: &Span,
    settings: &Settings,
    mut each: impl FnMut(Recorded),
) -> Result<u64, Trouble> {
    let mut client = Client::connect(settings)?;
    let (mut untold, mut after) = (0, 0);
    loop {
        let filter = AuditFilter {
            since: span.since.clone(),
            until: span.until.clone(),
            after: Some(after),
            limit: Some(PAGE),
            ..AuditFilter::default()
        };
        let page: AuditPage = client.ask(Command::AuditShow { filter })?;
        for shown in &page.entries {
            match Recorded::of(&entry(shown)?) {
                Ok(recorded) if recorded.is_read => {}
                Ok(recorded) => each(recorded),
                Err(ward_mountd::NotRecorded::NoDecision) => {}
                Err(_) => untold += 1,
            }
        }
        match page.next {
            Some(next) => after = next,
            None => return Ok(untold),
        }
    }
}

fn entry(shown: &serde_json::Value) -> Result<Entry<'static>, Trouble> {
    let entry = shown.get("entry").cloned().unwrap_or_default();
    serde_json::from_value(entry).map_err(|error| {
        Trouble::new(FailureCode::Version, format!("an entry of the log cannot be read: {error}"))
            .next("use the ward that came with the daemon")
    })
}
