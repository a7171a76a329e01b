//! What counts for guards: opens that the log has, and the tallies that it begins a segment with.

use crate::entry::{Entry, Number};
use crate::{EventType, Outcome, Timestamp};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use ward_policy::{AgentName, Digest, FileId, Grade, GuardedClient, UserId};

/// That an open counts for the guards of its actor; and what was at stake, when that was something
/// restricted or critical.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// The number of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<Number>,
    /// How many points it adds to the cumulative risk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub points: Option<u32>,
}

/// What guards have counted for one client; absent what they have not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClientCounts<'a> {
    /// The agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<Cow<'a, str>>,
    /// When how many opens were denied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub denials: Vec<(Timestamp, u32)>,
    /// What was opened of what is sensitive.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileCounts<'a>>,
    /// Until when the breaker is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_until: Option<Timestamp>,
    /// When how many opens were admitted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub opens: Vec<(Timestamp, u32)>,
    /// SHA-256 of the verified program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<Cow<'a, str>>,
    /// Until when the breaker's trial lasts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trial_until: Option<Timestamp>,
    /// The user.
    pub uid: u32,
}

/// Something sensitive that was opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileCounts<'a> {
    /// The number of the file.
    pub file: Number,
    /// How many points it counts.
    pub points: u32,
    /// When it was opened first.
    pub since: Timestamp,
    /// The vault.
    pub vault: Cow<'a, str>,
}

/// An open in the log that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountedEntry {
    pub(crate) seq: u64,
    /// Whose.
    pub client: GuardedClient,
    /// When.
    pub time: Timestamp,
    /// Whether it was refused.
    pub is_denied: bool,
    /// What was at stake: vault, file and points.
    pub stake: Option<(String, FileId, u32)>,
}

impl CountedEntry {
    pub(crate) fn of(entry: &Entry<'_>) -> Option<Self> {
        let (counts, actor) = (entry.counted?, entry.actor.as_ref()?);
        let is_verified = Grade::from_name(&actor.grade) == Some(Grade::Verified);
        let program = actor.exe_sha256.as_deref().and_then(Digest::from_hex);
        let agent = actor.agent.as_deref().and_then(|name| AgentName::try_from(name).ok());
        let stake = entry.vault.as_deref().zip(counts.file).zip(counts.points);
        Some(Self {
            seq: entry.seq.0,
            client: GuardedClient::recalled(
                UserId(actor.uid),
                program.filter(|_| is_verified),
                agent,
            ),
            time: entry.ts,
            is_denied: entry.event_type == EventType::Refused
                && entry.decision.as_deref() == Some(Outcome::Denied.name()),
            stake: stake.map(|((vault, file), points)| (vault.to_owned(), FileId(file.0), points)),
        })
    }
}
