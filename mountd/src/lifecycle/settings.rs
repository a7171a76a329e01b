//! The table `[mount]`: how long mounts last.

use crate::settings::Period;
use serde::{Deserialize, Serialize};

/// How long mounts last that begin from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct MountSettings {
    /// When nobody says how long.
    pub(crate) ttl: Period,
    /// From its beginning to its end, extensions included.
    pub(crate) longest: Period,
    /// A mount that nobody uses ends after so long; none ends for that when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) idle: Option<Period>,
    /// How long before its end a mount says so.
    pub(crate) notices: Vec<Period>,
}

impl Default for MountSettings {
    fn default() -> Self {
        let minutes = |minutes: u64| Period::from_secs(60 * minutes);
        Self {
            ttl: minutes(60),
            longest: minutes(24 * 60),
            idle: None,
            notices: vec![minutes(5), minutes(1)],
        }
    }
}
