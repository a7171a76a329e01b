//! Secrets and requests in the words of the sidecar's protocol.

use super::super::message::{Name, PendingRequest, Process};
use crate::clock;
use jiff::Timestamp;
use serde_json::{Value, json};
use ulid::Ulid;

/// What was said to a request.
#[derive(Clone, Copy)]
pub(super) enum Answer<'a> {
    /// Nothing yet, or not enough.
    None,
    /// Yes, by that one.
    Yes(&'a str),
    /// No, by that one.
    No(&'a str),
}

/// A secret in a list.
pub(super) fn secret(name: &Name) -> Value {
    let by = name.made_by.as_ref().map(|maker| who(maker.agent.as_deref(), maker.uid));
    json!({
        "kind": "secret", "id": name.path, "modified_at": name.modified, "created_by": by,
        "expires_at": name.expires, "expired": name.is_expired,
    })
}

/// A request in a list.
pub(super) fn listed(request: &PendingRequest) -> Value {
    let mut record = reviewed(request, Answer::None);
    if let Some(fields) = record.as_object_mut() {
        fields.insert("kind".to_owned(), "pending".into());
        fields.insert("id".to_owned(), request.request.clone().into());
    }
    record
}

/// A request, and what was said to it at this moment.
pub(super) fn reviewed(request: &PendingRequest, answer: Answer<'_>) -> Value {
    let now = clock::wall_text(clock::now());
    let (status, approved, denied) = match answer {
        Answer::None => ("pending", None, None),
        Answer::Yes(by) => ("fulfilled", Some((&now, by)), None),
        Answer::No(by) => ("denied", None, Some((&now, by))),
    };
    // The id has the time of its making.
    let asked = Ulid::from_string(&request.request).ok().and_then(|id| {
        let milliseconds = i64::try_from(id.timestamp_ms()).ok()?;
        Timestamp::from_millisecond(milliseconds).ok()
    });
    json!({
        "request_id": request.request, "secret_name": request.path,
        "requested_by": by(&request.asker),
        "reason": request.reason, "requested_at": asked.map(|time| time.to_string()),
        "expires_at": request.expires, "status": status, "pending": status == "pending",
        "approved_at": approved.map(|(at, _)| at), "approved_by": approved.map(|(_, by)| by),
        "denied_at": denied.map(|(at, _)| at), "denied_by": denied.map(|(_, by)| by),
    })
}

/// Who somebody is: the name that it acts under, its agent's, or the number of its user.
pub(super) fn by(process: &Process) -> String {
    who(process.acting.as_deref().or(process.agent.as_deref()), process.uid)
}

fn who(agent: Option<&str>, uid: u32) -> String {
    agent.map_or_else(|| format!("uid {uid}"), ToOwned::to_owned)
}
