//! What an entry of the log tells of a decision, so that rules can be asked about it again.
//!
//! An entry keeps fewer facts than were looked at: groups, script, terminal and ancestors are absent,
//! and an absent fact never matches.

use crate::control::message::RecordedDecision;
use std::borrow::Cow;
use ward_audit::{Actor, Entry, EventType};
use ward_policy::{DescribedCaller, DescribedQuestion};

/// A decision, as an entry tells it.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Who asked.
    pub caller: DescribedCaller,
    /// What for.
    pub ask: DescribedQuestion,
    /// What came of it.
    pub decision: RecordedDecision,
    /// When, in seconds after 1970-01-01 UTC.
    pub seconds: i64,
    /// Whether it is a read of what was opened before, which the open decided.
    pub is_read: bool,
}

/// Why an entry cannot be asked about again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRecorded {
    /// It is about something else.
    #[error("the entry is about no decision")]
    NoDecision,
    /// Its names are sealed.
    #[error("the names in the entry are sealed: unlock its vault first")]
    Sealed,
    /// A name in it is no text.
    #[error("a name in the entry is no text")]
    Name,
}

impl Recorded {
    /// The decision that `entry` tells.
    ///
    /// # Errors
    /// It tells none, or not all of it.
    pub fn of(entry: &Entry<'_>) -> Result<Self, NotRecorded> {
        let (Some(actor), Some(operations), Some(decision)) =
            (&entry.actor, &entry.operations, &entry.decision)
        else {
            return Err(NotRecorded::NoDecision);
        };
        if entry.sealed.is_some() {
            return Err(NotRecorded::Sealed);
        }
        let text = |text: &Option<Cow<'_, str>>| text.as_deref().map(str::to_owned);
        let path = entry.path.as_deref().map(unshown).transpose()?;
        Ok(Self {
            caller: caller(actor)?,
            ask: DescribedQuestion {
                operations: Some(words(operations)),
                vault: text(&entry.vault),
                path,
                ticket: text(&entry.ticket),
                ..DescribedQuestion::default()
            },
            decision: RecordedDecision {
                seq: entry.seq.0,
                time: entry.ts.to_string(),
                event: entry.event_type.name().to_owned(),
                decision: decision.to_string(),
                rules: entry.rules.as_deref().map(words).unwrap_or_default(),
                why: text(&entry.reason),
                approval: text(&entry.approval),
                policy: text(&entry.policy),
            },
            seconds: i64::try_from(entry.ts.microseconds() / 1_000_000).unwrap_or(i64::MAX),
            is_read: entry.event_type == EventType::FileRead,
        })
    }
}

fn words(words: &[Cow<'_, str>]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

/// Who an entry says did it, as far as entries keep facts.
pub(crate) fn caller(actor: &Actor<'_>) -> Result<DescribedCaller, NotRecorded> {
    Ok(DescribedCaller {
        uid: actor.uid,
        gid: Some(actor.gid),
        groups: Vec::new(),
        loginuid: actor.login_uid,
        exe: actor.exe.as_deref().map(unshown).transpose()?,
        sha256: actor.exe_sha256.as_deref().map(str::to_owned),
        script: None,
        cgroup: actor.cgroup.as_deref().map(unshown).transpose()?.unwrap_or_default(),
        tty: None,
        session: actor.agent.as_deref().map(str::to_owned),
        acting: actor.acting_client().map(str::to_owned),
        sandbox: None,
        parents: Vec::new(),
        grade: actor.grade.to_string(),
    })
}

/// A name as it was before the log showed it: `%XX` is a byte.
fn unshown(text: &str) -> Result<String, NotRecorded> {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).ok_or(NotRecorded::Name)?;
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| NotRecorded::Name)?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).map_err(|_| NotRecorded::Name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_back_from_what_the_log_shows() {
        assert_eq!(unshown("a/%25b%C3%A4").as_deref(), Ok("a/%b\u{e4}"));
        assert_eq!(unshown("%FF"), Err(NotRecorded::Name));
        assert_eq!(unshown("%F"), Err(NotRecorded::Name));
    }
}
