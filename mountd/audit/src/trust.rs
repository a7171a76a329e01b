//! Trust: which keys have signed a log, when each was its identity, and what stands on one that was
//! stolen.

use crate::line::Line;
use crate::statement::SignerStatement;
use crate::succession::Succession;
use crate::{EventType, KeySource, PublicKey, Timestamp};
use serde::Serialize;
use std::fmt;

/// A key that is or was a log's identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SignerPeriod {
    /// Always `ed25519`.
    pub algorithm: &'static str,
    /// From when on what it signed is not to be believed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compromised_from: Option<Timestamp>,
    /// Its name.
    pub kid: String,
    /// What checks its signatures.
    pub public_key: PublicKey,
    /// Where it is, when the log says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<KeySource>,
    /// The first time it may have signed.
    pub valid_from: Timestamp,
    /// The first time it may not any more; absent for the one that signs now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Timestamp>,
}

/// Entries that stand on a key that was stolen by then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distrusted {
    /// The name of the key.
    pub kid: String,
    /// From when on it is not believed.
    pub from: Timestamp,
    /// The first of them.
    pub first: u64,
    /// The last of them.
    pub last: u64,
    /// How many there are.
    pub count: u64,
}

/// What is known of a log's signers, line by line.
#[derive(Debug, Default)]
pub(crate) struct Trust {
    signers: Vec<SignerPeriod>,
    /// What the log says of stolen keys; known from a first way through it.
    stolen: Vec<(PublicKey, Distrusted)>,
    /// What the open segment's key stands on, and since when.
    segment: Option<(PublicKey, Timestamp)>,
}

impl Trust {
    /// For a second way through a log that says all this.
    pub(crate) fn knowing(self) -> Self {
        let stolen = self.signers.iter().filter_map(|signer| {
            let from = signer.compromised_from?;
            let kid = signer.kid.clone();
            Some((signer.public_key, Distrusted { kid, from, first: 0, last: 0, count: 0 }))
        });
        Self { stolen: stolen.collect(), ..Self::default() }
    }

    /// Whether the log says of a key that it was stolen.
    pub(crate) fn has_stolen(&self) -> bool {
        self.signers.iter().any(|signer| signer.compromised_from.is_some())
    }

    /// Takes a line that `succession` has accepted as its last.
    pub(crate) fn line(&mut self, line: &[u8], event: EventType, succession: &Succession) {
        let (identity, signer) = (succession.identity(), succession.signer());
        if signer.is_none() && self.stolen.is_empty() {
            return;
        }
        let (Some(line), Some(head)) = (Line::parse(line), succession.head()) else { return };
        let Some(time) = succession.time() else { return };
        if event == EventType::SegmentStart {
            self.segment = signer.map(|key| (key, time));
        }
        if let Some(identity) = identity {
            self.is_identity(identity, time);
        }
        let stated = || SignerStatement::of(&line).map(|stated| stated.signer);
        if event == EventType::SignerRotationRequested
            && let Some(stated) = stated()
        {
            let at = self.place(stated.key, time);
            if let Some(signer) = self.signers.get_mut(at) {
                signer.kid = stated.kid.into_owned();
                signer.source = stated.source;
            }
        }
        if event == EventType::SignerCompromise
            && let Some(stated) = stated()
        {
            let at = self.place(stated.key, time);
            if let Some(signer) = self.signers.get_mut(at) {
                let known = signer.compromised_from.or(stated.from);
                signer.compromised_from = known.min(stated.from);
            }
        }
        self.doubt(head.seq, signer.map(|key| (key, time)).or(self.segment));
    }

    /// Every key, in the order in which the log names them.
    pub(crate) fn signers(&self) -> &[SignerPeriod] {
        &self.signers
    }

    /// What stands on stolen keys.
    pub(crate) fn distrusted(self) -> Vec<Distrusted> {
        let found = self.stolen.into_iter().map(|(_, found)| found);
        found.filter(|found| found.count > 0).collect()
    }

    /// The key is the identity at that time, so every other one that was is not any more.
    fn is_identity(&mut self, key: PublicKey, time: Timestamp) {
        let at = self.place(key, time);
        for signer in self.signers.iter_mut().take(at) {
            signer.valid_until = signer.valid_until.or(Some(time));
        }
    }

    /// Where the key is in the list; it is added when it is new.
    fn place(&mut self, key: PublicKey, time: Timestamp) -> usize {
        let known = self.signers.iter().position(|signer| signer.public_key == key);
        known.unwrap_or_else(|| {
            self.signers.push(SignerPeriod {
                algorithm: "ed25519",
                compromised_from: None,
                kid: key.kid(),
                public_key: key,
                source: None,
                valid_from: time,
                valid_until: None,
            });
            self.signers.len() - 1
        })
    }

    /// An entry stands on what a key has signed then.
    fn doubt(&mut self, seq: u64, stands_on: Option<(PublicKey, Timestamp)>) {
        let Some((key, time)) = stands_on else { return };
        for (stolen, found) in &mut self.stolen {
            if *stolen == key && time >= found.from {
                found.first = if found.count == 0 { seq } else { found.first };
                found.last = seq;
                found.count += 1;
            }
        }
    }
}

impl fmt::Display for Distrusted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kid, from, first, last, count } = self;
        let entries = if *count == 1 { "entry stands" } else { "entries stand" };
        write!(
            formatter,
            "{count} {entries} on the key {kid}, which is not to be believed since {from}: from \
             entry {first} to {last}."
        )
    }
}
