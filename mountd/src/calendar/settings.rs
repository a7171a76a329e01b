//! The table `[secrets]`: how long values are served.

use crate::control::message::Lifetime;
use serde::{Deserialize, Serialize};

/// The longest that may be said here, in seconds: 100 years, so that every end can be written.
const LONGEST: u64 = 36_500 * 24 * 60 * 60;

/// How long values are served that are stored from now on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SecretsSettings {
    /// When nobody says how long.
    ttl: UsualLifetime,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct UsualLifetime(Lifetime);

/// A text is no lifetime that can be usual.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no time up to 36500 days; write it such as \"30d\", \"12h\" or \"never\"")]
struct UsualLifetimeError(String);

impl SecretsSettings {
    /// How long a value is served of which nobody says.
    pub(crate) const fn lifetime(&self) -> Lifetime {
        self.ttl.0
    }
}

impl Default for UsualLifetime {
    fn default() -> Self {
        Self(Lifetime::Never)
    }
}

impl TryFrom<String> for UsualLifetime {
    type Error = UsualLifetimeError;

    fn try_from(text: String) -> Result<Self, UsualLifetimeError> {
        match text.parse() {
            Ok(Lifetime::Seconds(seconds)) if seconds > LONGEST => Err(UsualLifetimeError(text)),
            Ok(lifetime) => Ok(Self(lifetime)),
            Err(_) => Err(UsualLifetimeError(text)),
        }
    }
}

impl From<UsualLifetime> for String {
    fn from(usual: UsualLifetime) -> Self {
        usual.0.to_string()
    }
}
