//! The tables `[[audit.ship]]` of `ward.toml`: who gets the lines of the log.

use crate::helper::{Bucket, Destination, ResolveError, RunAs, Webhook, Witness, Work};
use crate::settings::{AuditSettings, Period, TableName};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use ward_audit::WitnessKey;

/// The longest name of a sink.
const LONGEST_NAME: usize = 32;
/// How often a bucket or a witness gets something, unless it says otherwise: each costs its owner
/// something.
const EVERY_OBJECT: Period = Period::from_secs(60);
/// How often others get lines.
const EVERY_LINE: Period = Period::from_secs(1);

/// One sink: exactly one of `file`, `webhook`, `s3`, `heads` and `witness`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SinkSettings {
    /// The log knows it by this name.
    pub(crate) name: String,
    /// The user as whom a helper brings it lines.
    pub(crate) user: String,
    /// How long new lines wait for others at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) every: Option<Period>,
    /// How long lines are kept for it when the policy keeps them no longer; for ever when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) hold: Option<Period>,
    /// A file that lines are appended to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    webhook: Option<Webhook>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    s3: Option<Bucket>,
    /// A file that heads of the log are appended to, as notes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    heads: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    witness: Option<Witness>,
}

/// What of the log a sink gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wants<'a> {
    /// Every line.
    Lines,
    /// The newest head, now and then.
    Heads,
    /// The same, which the witness with this key signs.
    Signature(&'a str),
}

/// Why a sink cannot be shipped to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SinkError {
    #[error(
        "[[audit.ship]] names a sink {0:?}; a name has 1 to 32 lower-case letters, digits and hyphens"
    )]
    Name(String),
    #[error("[[audit.ship]] names two sinks {0:?}")]
    Twice(String),
    #[error("[[audit.ship]] {0:?} is to have exactly one of file, webhook, s3, heads and witness")]
    Destinations(String),
    #[error("[[audit.ship]] {0:?}: {1:?} is no address of http:// or https://")]
    Address(String, String),
    #[error(
        "[[audit.ship]] {0:?}: the key of a witness is such as \"witness.example+1a2b3c4d+BASE64\""
    )]
    Key(String, String),
    #[error(transparent)]
    User(#[from] ResolveError),
}

impl AuditSettings {
    /// The helpers that bring sinks their lines, by their names.
    pub(crate) fn helpers(&self) -> Result<Vec<(String, RunAs)>, SinkError> {
        let mut helpers: Vec<(String, RunAs)> = Vec::new();
        for sink in &self.ship {
            let name = sink.helper();
            if helpers.iter().any(|(other, _)| *other == name) {
                return Err(SinkError::Twice(sink.name.clone()));
            }
            helpers.push((name, sink.resolve()?));
        }
        Ok(helpers)
    }
}

impl SinkSettings {
    /// The name of its helper.
    pub(crate) fn helper(&self) -> String {
        format!("ship {}", self.name)
    }

    /// The key of its table.
    pub(crate) const fn kind(&self) -> &'static str {
        match (&self.file, &self.webhook, &self.s3, &self.heads) {
            (Some(_), ..) => "file",
            (None, Some(_), ..) => "webhook",
            (None, None, Some(_), _) => "s3",
            (None, None, None, Some(_)) => "heads",
            (None, None, None, None) => "witness",
        }
    }

    pub(crate) fn wants(&self) -> Wants<'_> {
        match (&self.heads, &self.witness) {
            (Some(_), _) => Wants::Heads,
            (None, Some(witness)) => Wants::Signature(&witness.key),
            (None, None) => Wants::Lines,
        }
    }

    pub(crate) fn every(&self) -> Period {
        let is_costly = self.s3.is_some() || self.witness.is_some();
        self.every.unwrap_or(if is_costly { EVERY_OBJECT } else { EVERY_LINE })
    }

    fn resolve(&self) -> Result<RunAs, SinkError> {
        let is_letter = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-';
        let is_name = (1..=LONGEST_NAME).contains(&self.name.len());
        if !is_name || !self.name.bytes().all(is_letter) {
            return Err(SinkError::Name(self.name.clone()));
        }
        let table = TableName::Sink(self.name.clone());
        let destinations = [
            self.file.clone().map(Destination::File),
            self.webhook.clone().map(Destination::Webhook),
            self.s3.clone().map(Destination::S3),
            self.heads.clone().map(Destination::File),
            self.witness.clone().map(Destination::Witness),
        ];
        let mut named = destinations.into_iter().flatten();
        let (Some(destination), None) = (named.next(), named.next()) else {
            return Err(SinkError::Destinations(self.name.clone()));
        };
        if let Wants::Signature(key) = self.wants()
            && WitnessKey::parse(key).is_none()
        {
            return Err(SinkError::Key(self.name.clone(), key.to_owned()));
        }
        let address = destination.address().unwrap_or("https://");
        if !address.starts_with("https://") && !address.starts_with("http://") {
            return Err(SinkError::Address(self.name.clone(), address.to_owned()));
        }
        if let Some(file) = destination.files().into_iter().find(|file| !file.is_absolute()) {
            return Err(ResolveError::Relative(table, file.clone()).into());
        }
        Ok(RunAs::resolve(&table, &self.user, Work::Ship(destination))?)
    }
}

impl Destination {
    /// Where it is, when it is on the network.
    fn address(&self) -> Option<&str> {
        match self {
            Self::File(_) => None,
            Self::Webhook(webhook) => Some(&webhook.address),
            Self::S3(bucket) => Some(&bucket.endpoint),
            Self::Witness(witness) => Some(&witness.address),
        }
    }

    /// The files that the helper reads and writes.
    fn files(&self) -> Vec<&PathBuf> {
        match self {
            Self::File(file) => vec![file],
            Self::Webhook(webhook) => {
                std::iter::once(&webhook.secret).chain(webhook.tls.files()).collect()
            }
            Self::S3(bucket) => {
                std::iter::once(&bucket.credentials).chain(bucket.tls.files()).collect()
            }
            Self::Witness(witness) => witness.tls.files().collect(),
        }
    }
}
