//! An agent session: what `ward run --agent NAME` began, and the name that all its processes carry.

use crate::ProcessId;
use std::fmt;
use std::sync::Arc;
use ulid::Ulid;

/// The name of an agent: 1 to 64 of `A-Z a-z 0-9 . _ -`, the first a letter or digit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentName(Arc<str>);

/// A text that names no agent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no agent: use 1 to 64 of A-Z a-z 0-9 . _ -, a letter or digit first")]
pub struct AgentNameError(String);

/// The id of a session, new for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentSessionId(pub Ulid);

/// A session that the daemon began and vouches for. It lives as long as its first process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentSession {
    /// Its id.
    pub id: AgentSessionId,
    /// The agent, by the name that policy let it take.
    pub name: AgentName,
    /// The process that asked for it, from which all others of the session descend.
    pub first: ProcessId,
    /// The profile that the daemon confined it to.
    pub sandbox: Option<Arc<str>>,
}

impl AgentName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&str> for AgentName {
    type Error = AgentNameError;

    fn try_from(text: &str) -> Result<Self, AgentNameError> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let begins_well = text.starts_with(|first: char| first.is_ascii_alphanumeric());
        if begins_well && text.len() <= 64 && text.bytes().all(is_allowed) {
            Ok(Self(text.into()))
        } else {
            Err(AgentNameError(text.to_owned()))
        }
    }
}

impl fmt::Display for AgentName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Display for AgentSessionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_plain_word() {
        for good in ["claude", "a", "7", "ci-bot_2.x", &"a".repeat(64)] {
            assert_eq!(AgentName::try_from(good).map(|name| name.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", " ", "a b", "a/b", "*", ".a", "-a", "\u{e4}", "a\n", &"a".repeat(65)] {
            assert!(AgentName::try_from(bad).is_err(), "{bad}");
        }
    }
}
