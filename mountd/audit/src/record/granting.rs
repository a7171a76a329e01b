//! Records of what somebody who could read it let others read: handoffs and grants of secrets.

use crate::{EventType, Record, Timestamp};
use ward_policy::{Grant, Handoff, SecretGrant};

impl<'a> Record<'a> {
    /// What `handoff` permits was handed out, for the opens that `reach` names.
    pub fn handing(handoff: &'a Handoff, reach: &'a str) -> Self {
        let record = Self::new(EventType::HandoffGiven).granted(handoff.grant());
        let record = record.request(handoff.request());
        Self { ends: Some(handoff.ends()), reach: Some(reach), ..record }
    }

    /// `grant` was given, until `until` if it ends by itself, by somebody who had `granting`.
    pub fn giving(grant: &'a SecretGrant, until: Option<Timestamp>, granting: &'a Grant) -> Self {
        let record = Self::new(EventType::SecretGranted).granted(granting);
        Self { granted: Some(grant.id()), given: Some((grant, until)), ..record }
    }

    /// `grant` is over, or was taken back.
    pub const fn taking(grant: &'a SecretGrant) -> Self {
        let record = Self::new(EventType::SecretGrantEnded).within(grant.vault());
        Self { granted: Some(grant.id()), ..record }
    }
}
