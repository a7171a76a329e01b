//! What kinds of things the log records.

use serde::{Deserialize, Serialize};

/// Which key signs an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignedBy {
    /// The log's identity.
    Identity,
    /// The key of the segment that the entry is in.
    Segment,
}

macro_rules! event_types {
    ($($(#[$doc:meta])* $variant:ident = $name:literal;)*) => {
        /// What kind of thing happened.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum EventType { $($(#[$doc])* #[serde(rename = $name)] $variant,)* }

        impl EventType {
            /// Every kind, in the order of their names.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word of the log.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The kind of that name, as bytes of a line.
            pub(crate) fn from_bytes(name: &[u8]) -> Option<Self> {
                [$((Self::$variant, $name),)*]
                    .into_iter()
                    .find_map(|(event, word)| (word.as_bytes() == name).then_some(event))
            }
        }
    };
}

event_types! {
    /// An agent session began.
    AgentBegun = "agent.begun";
    /// It ended.
    AgentEnded = "agent.ended";
    /// The tree over all entries before it, signed by the segment's key.
    Checkpoint = "checkpoint";
    /// The wall clock was set; `wall` is what it says now.
    ClockJump = "clock.jump";
    /// Any other command, by its operation.
    Command = "command";
    /// The daemon serves.
    DaemonStarted = "daemon.started";
    /// The daemon ends in order.
    DaemonStopped = "daemon.stopped";
    /// A file was made.
    FileCreate = "file.create";
    /// An open was granted.
    FileOpen = "file.open";
    /// Bytes are about to leave.
    FileRead = "file.read";
    /// A name is gone.
    FileRemove = "file.remove";
    /// A name moved, to `to`.
    FileRename = "file.rename";
    /// Bytes were written.
    FileWrite = "file.write";
    /// What the guards have counted so far, once for each segment.
    GuardsCounted = "guards.counted";
    /// Somebody asks to be handed a file that others may read.
    HandoffAsked = "handoff.asked";
    /// Who could have handed it out said no.
    HandoffDenied = "handoff.denied";
    /// Nobody answered in time, or what was handed out is over, used up or taken back.
    HandoffEnded = "handoff.ended";
    /// It was handed out.
    HandoffGiven = "handoff.given";
    /// A helper did not do what it was asked, or not in time.
    HelperFailed = "helper.failed";
    /// A lease that an approval gave began.
    LeaseBegun = "lease.begun";
    /// Such a lease was over or taken back.
    LeaseEnded = "lease.ended";
    /// A lease for one open was used up by it.
    LeaseUsed = "lease.used";
    /// A part of the log is not as it was written, or cannot be put away: found in the background.
    LogDamaged = "log.damaged";
    /// A `segment` that is damaged or lost was put aside, after the good entry `size`: somebody
    /// accepted it.
    LogGap = "log.gap";
    /// A torn tail was cut: so many `bytes`, with this `sha256`.
    LogRecovered = "log.recovered";
    /// A vault is shown at a path.
    MountBegun = "mount.begun";
    /// It no longer is.
    MountEnded = "mount.ended";
    /// A policy is in force.
    PolicyLoaded = "policy.loaded";
    /// A policy text was not taken.
    PolicyRefused = "policy.refused";
    /// Something was refused.
    Refused = "refused";
    /// A human said yes.
    RequestApproved = "request.approved";
    /// A human said no.
    RequestDenied = "request.denied";
    /// Nobody answered in time.
    RequestExpired = "request.expired";
    /// A human is asked.
    RequestMade = "request.made";
    /// A grant of a secret was over or taken back.
    SecretGrantEnded = "secret.grant-ended";
    /// A client of the policy may read a secret, because somebody who may read it said so.
    SecretGranted = "secret.granted";
    /// Every version of a secret was destroyed.
    SecretRevoked = "secret.revoked";
    /// A secret was stored.
    SecretSet = "secret.set";
    /// A segment that has ended was compressed; both forms by their `sha256`.
    SegmentCompressed = "segment.compressed";
    /// The last entry of a segment, and of its key.
    SegmentEnd = "segment.end";
    /// Segments up to this one were deleted, as the policy says.
    SegmentRetired = "segment.retired";
    /// The first entry of a segment.
    SegmentStart = "segment.start";
    /// A sink has what the log has up to the entry `size`.
    ShipCursor = "ship.cursor";
    /// What a key signed from some time on is not to be believed.
    SignerCompromise = "signer.compromise";
    /// From here on the log's identity is the key that signs this.
    SignerRotationApplied = "signer.rotation.applied";
    /// From here on another key may sign too, and is about to take over.
    SignerRotationRequested = "signer.rotation.requested";
    /// The store is about to do what cannot be done half.
    StoreIntent = "store.intent";
    /// What became of the intent.
    StoreOutcome = "store.outcome";
    /// A vault was made.
    VaultCreated = "vault.created";
    /// A part of a vault is not what was written: found by a patrol, before somebody needs it.
    VaultDamaged = "vault.damaged";
    /// A vault is older than what was seen here, and is not served.
    VaultRolledBack = "vault.rolled-back";
    /// A vault's keys are in memory.
    VaultUnlocked = "vault.unlocked";
}

impl EventType {
    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|event| event.name() == name)
    }

    /// Which key signs an entry of this kind for itself.
    pub(crate) const fn signed_by(self) -> Option<SignedBy> {
        match self {
            Self::SegmentCompressed
            | Self::SegmentRetired
            | Self::SegmentStart
            | Self::AgentBegun
            | Self::AgentEnded
            | Self::ClockJump
            | Self::Command
            | Self::DaemonStarted
            | Self::DaemonStopped
            | Self::GuardsCounted
            | Self::HandoffDenied
            | Self::HandoffGiven
            | Self::LogDamaged
            | Self::LogGap
            | Self::LogRecovered
            | Self::MountBegun
            | Self::MountEnded
            | Self::PolicyLoaded
            | Self::PolicyRefused
            | Self::RequestApproved
            | Self::RequestDenied
            | Self::SecretGrantEnded
            | Self::SecretGranted
            | Self::SecretRevoked
            | Self::SecretSet
            | Self::SignerCompromise
            | Self::SignerRotationApplied
            | Self::SignerRotationRequested
            | Self::StoreIntent
            | Self::StoreOutcome
            | Self::VaultCreated
            | Self::VaultDamaged
            | Self::VaultRolledBack
            | Self::VaultUnlocked => Some(SignedBy::Identity),
            Self::Checkpoint | Self::SegmentEnd => Some(SignedBy::Segment),
            Self::FileCreate
            | Self::FileOpen
            | Self::FileRead
            | Self::FileRemove
            | Self::FileRename
            | Self::FileWrite
            | Self::HandoffAsked
            | Self::HandoffEnded
            | Self::HelperFailed
            | Self::LeaseBegun
            | Self::LeaseEnded
            | Self::LeaseUsed
            | Self::Refused
            | Self::RequestExpired
            | Self::RequestMade
            | Self::ShipCursor => None,
        }
    }

    /// Whether the log writes it for itself: alone it is no reason to ship anything, or shipping
    /// would feed itself.
    pub const fn is_housekeeping(self) -> bool {
        matches!(
            self,
            Self::Checkpoint
                | Self::GuardsCounted
                | Self::SegmentCompressed
                | Self::SegmentEnd
                | Self::SegmentRetired
                | Self::SegmentStart
                | Self::ShipCursor
        )
    }

    /// Whether it only takes access away, so that the reserve is spent on it when the disk is full.
    pub(crate) const fn may_use_reserve(self) -> bool {
        matches!(
            self,
            Self::Refused
                | Self::RequestDenied
                | Self::RequestExpired
                | Self::HandoffDenied
                | Self::HandoffEnded
                | Self::LeaseEnded
                | Self::SecretGrantEnded
                | Self::MountEnded
                | Self::DaemonStopped
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_name_and_no_two_share_one() {
        assert!(EventType::ALL.is_sorted_by_key(|event| event.name()));
        for event in EventType::ALL {
            assert_eq!(EventType::from_name(event.name()), Some(*event));
            assert_eq!(serde_json::to_string(event).unwrap(), format!("\"{}\"", event.name()));
        }
    }

    #[test]
    fn nothing_that_grants_access_may_use_the_reserve() {
        for event in [EventType::FileOpen, EventType::FileRead, EventType::RequestApproved] {
            assert!(!event.may_use_reserve(), "{}", event.name());
        }
    }
}
