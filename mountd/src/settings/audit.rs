//! The table `[audit]`: who signs the log, and who gets it.

use crate::journal::{OF_SYSLOG, OF_SYSTEMD};
use crate::shipping::SinkSettings;
use crate::signer::SignerSettings;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The table `[audit]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AuditSettings {
    /// Where a journal listens that is told of heads of the log.
    pub(crate) journal: PathBuf,
    /// Where syslog listens, which is told of them where there is no journal.
    pub(crate) syslog: PathBuf,
    /// Who gets the lines of the log.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) ship: Vec<SinkSettings>,
    /// What signs for the log; software when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) signer: Option<SignerSettings>,
    /// What takes over at `ward audit rotate-key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_signer: Option<SignerSettings>,
}

impl Default for AuditSettings {
    fn default() -> Self {
        Self {
            journal: OF_SYSTEMD.into(),
            syslog: OF_SYSLOG.into(),
            ship: Vec::new(),
            signer: None,
            next_signer: None,
        }
    }
}
