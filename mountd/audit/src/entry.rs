//! An entry: what one line of the log says, as canonical JSON (RFC 8785).
//!
//! Canonical by construction: every struct here declares its fields in sorted order, numbers that
//! can pass 2^53 are strings, there are no floats, and what is absent is left out. A new field goes
//! to its sorted place; `tests/log/canonical.rs` compares every kind of entry with another encoder.

use crate::evidence::EvidenceText;
use crate::signer::KeySource;
use crate::{ChainHash, ClientCounts, Counts, EventType, PublicKey, Terms, Timestamp, TreeHash};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;

/// The version of the entry's form.
const VERSION: u32 = 1;

/// Text of an entry.
type Text<'a> = Cow<'a, str>;

/// What one line of the log says. Absent facts are left out of the JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Entry<'a> {
    /// The process that did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<Actor<'a>>,
    /// The request whose approval permitted it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<Text<'a>>,
    /// What exactly an answer gave, and whom; the text that a signature of it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub binding: Option<Text<'a>>,
    /// The boot of the machine in which it happened.
    pub boot_id: Text<'a>,
    /// Nanoseconds since that boot.
    pub boot_time: Number,
    /// How many bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<Number>,
    /// The client of the policy to whom a secret was granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<Text<'a>>,
    /// SHA-256 of the compressed form of a segment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compressed: Option<Text<'a>>,
    /// How many equal events this entry stands for, when more than one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<Number>,
    /// That it counts for the guards of its actor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counted: Option<Counts>,
    /// `permitted`, `denied` or `needs-approval`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<Text<'a>>,
    /// When the lease ends, in nanoseconds since the boot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends: Option<Number>,
    /// What kind of thing happened.
    pub event_type: EventType,
    /// What an answer stood on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<EvidenceText<'a>>,
    /// The number of the file that was granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<Number>,
    /// The roots of the full parts of the tree, the largest first; in the first entry of each segment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frontier: Option<Vec<TreeHash>>,
    /// The grant of a secret that it is about, or that permitted it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant: Option<Text<'a>>,
    /// What guards have counted, by client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guards: Option<Vec<ClientCounts<'a>>>,
    /// The entry's own id, a ULID.
    pub id: Text<'a>,
    /// What signs control events of this log; in the first entry of each segment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<PublicKey>,
    /// The entries before the segment that still stand; in its first entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_force: Option<Vec<Self>>,
    /// What signs checkpoints of this segment; in its first entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PublicKey>,
    /// The kind of the vault: `secrets` or `workspace`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<Text<'a>>,
    /// The lease it happened under.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease: Option<Text<'a>>,
    /// The id of the log; in the first entry of each segment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<Text<'a>>,
    /// Whether the read filled pages, which the kernel keeps for a moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mapped: Option<bool>,
    /// The mount it happened on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mount: Option<Text<'a>>,
    /// The `key` of the segment after it, when this run goes on; in the last entry of a segment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<PublicKey>,
    /// What signs the notes beside this log; in the first entry of each segment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notes: Option<PublicKey>,
    /// Where in the file, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<Number>,
    /// Who opened the file, when somebody else reads it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opener: Option<Opener>,
    /// The operations decided together, in the order of their names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operations: Option<Vec<Text<'a>>>,
    /// The secret; bytes that are not UTF-8, control characters and `%` are percent-encoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<Text<'a>>,
    /// SHA-256 of the policy that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<Text<'a>>,
    /// The hash before it; in the first entry of each segment but the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<ChainHash>,
    /// Which opens the lease serves: `handle`, `next-open` or `every-open`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reach: Option<Text<'a>>,
    /// The words of whoever asked or answered, at most 1 KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text<'a>>,
    /// The request or the refusal it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<Text<'a>>,
    /// Up to which number segments were deleted, as the policy says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retired: Option<Number>,
    /// The root of the tree over the first `size` entries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root: Option<TreeHash>,
    /// The rules that decided, in the order of the policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules: Option<Vec<Text<'a>>>,
    /// `binding`, `bytes`, `offset`, `path`, `reason` and `to`, sealed for the vault; base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Text<'a>>,
    /// The number of the segment that it begins, signs, ends or is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segment: Option<Number>,
    /// The number of the entry, from 1, without gaps.
    pub seq: Number,
    /// SHA-256 of a torn tail that was cut, or of the lines of a segment that was compressed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Text<'a>>,
    /// By which right of the opener's rules somebody else reads: `exec` or `children`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared: Option<Text<'a>>,
    /// What signs for the log, signed for it, or is about to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signer: Option<SignerText<'a>>,
    /// Up to which seq everything is in the counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Number>,
    /// The sink.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sink: Option<Text<'a>>,
    /// How many entries the tree has: all that are before this one; or how many a sink has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<Number>,
    /// What may sign in the place of a signer that does not answer; in the first entry of a segment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standby: Option<PublicKey>,
    /// What is about to take over as the log's identity; in the first entry of a segment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub successor: Option<PublicKey>,
    /// Up to which seq everything had been synced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub synced: Option<Number>,
    /// What else a request asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terms: Option<Terms<'a>>,
    /// The ticket it was asked with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ticket: Option<Text<'a>>,
    /// The new name of a rename.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Text<'a>>,
    /// When, by the wall clock; strictly increasing.
    pub ts: Timestamp,
    /// Whether the segment before ended without its last entry, by a crash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unclosed: Option<bool>,
    /// How many refusals before it could not be recorded because the disk was full.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unrecorded: Option<Number>,
    /// When a grant ends by itself, by the wall clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// The program that a command was to pass the bytes on to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used: Option<Text<'a>>,
    /// The vault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vault: Option<Text<'a>>,
    /// The version of this form.
    pub version: u32,
    /// What the wall clock says after it was set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wall: Option<Timestamp>,
}

/// The process that did it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Actor<'a> {
    /// The name it acts under; one of a client of the policy is among `clients`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acting: Option<Text<'a>>,
    /// The agent whose session it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<Text<'a>>,
    /// The id of that session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_session: Option<Text<'a>>,
    /// The cgroup of its session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<Text<'a>>,
    /// The names of the clients it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clients: Option<Vec<Text<'a>>>,
    /// The path of what it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exe: Option<Text<'a>>,
    /// SHA-256 of what it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exe_sha256: Option<Text<'a>>,
    /// Its gid.
    pub gid: u32,
    /// How far all this can be believed.
    pub grade: Text<'a>,
    /// The uid that logged in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login_uid: Option<u32>,
    /// Its process number.
    pub pid: u32,
    /// Clock ticks after boot at which it started.
    pub start_ticks: Number,
    /// Its uid.
    pub uid: u32,
}

impl Actor<'_> {
    /// The name it acted under. Rules of the client of that name alone gave it anything when it was one of
    /// its clients.
    pub fn acting_client(&self) -> Option<&str> {
        let clients = self.clients.as_deref().unwrap_or_default();
        self.acting.as_deref().filter(|name| clients.iter().any(|client| client == name))
    }
}

/// A key that signs for the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignerText<'a> {
    /// From when on what it signed is not to be believed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// What checks its signatures.
    pub key: PublicKey,
    /// Its name.
    pub kid: Text<'a>,
    /// Where it is; absent where that does not matter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<KeySource>,
}

/// The process that opened a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Opener {
    /// Its process number.
    pub pid: u32,
    /// Clock ticks after boot at which it started.
    pub start_ticks: Number,
}

/// The part of an entry that a log key seals, as canonical JSON too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Names<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) binding: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bytes: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) offset: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<Text<'a>>,
}

impl<'a> Entry<'a> {
    /// An entry that says nothing yet, without number, time and id.
    #[expect(clippy::too_many_lines, reason = "a line for each field")]
    pub(crate) fn new(event_type: EventType) -> Self {
        Self {
            actor: None,
            approval: None,
            binding: None,
            boot_id: Cow::Borrowed(""),
            boot_time: Number::default(),
            bytes: None,
            client: None,
            compressed: None,
            count: None,
            counted: None,
            decision: None,
            ends: None,
            event_type,
            evidence: None,
            file: None,
            frontier: None,
            grant: None,
            guards: None,
            id: Cow::Borrowed(""),
            identity: None,
            in_force: None,
            key: None,
            kind: None,
            lease: None,
            log: None,
            mapped: None,
            mount: None,
            next: None,
            notes: None,
            offset: None,
            opener: None,
            operations: None,
            path: None,
            policy: None,
            previous: None,
            reach: None,
            reason: None,
            request: None,
            retired: None,
            root: None,
            rules: None,
            sealed: None,
            segment: None,
            seq: Number::default(),
            sha256: None,
            shared: None,
            signer: None,
            since: None,
            sink: None,
            size: None,
            standby: None,
            successor: None,
            synced: None,
            terms: None,
            ticket: None,
            to: None,
            ts: Timestamp::default(),
            unclosed: None,
            unrecorded: None,
            until: None,
            used: None,
            vault: None,
            version: VERSION,
            wall: None,
        }
    }

    /// The entry with these bytes, borrowing nothing from them.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Entry<'static>> {
        #[derive(Deserialize)]
        struct Owned(Entry<'static>);
        serde_json::from_slice(bytes).ok().map(|Owned(entry)| entry)
    }

    /// Moves what can be sealed out of the entry.
    pub(crate) fn take_names(&mut self) -> Names<'a> {
        Names {
            binding: self.binding.take(),
            bytes: self.bytes.take(),
            offset: self.offset.take(),
            path: self.path.take(),
            reason: self.reason.take(),
            to: self.to.take(),
        }
    }

    /// Puts what was sealed back.
    pub(crate) fn put_names(&mut self, names: Names<'a>) {
        self.binding = names.binding;
        self.bytes = names.bytes;
        self.offset = names.offset;
        self.path = names.path;
        self.reason = names.reason;
        self.to = names.to;
        self.sealed = None;
    }
}

/// A number that can pass 2^53, which JSON readers round: written as a string of digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number(pub u64);

impl fmt::Display for Number {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl Serialize for Number {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

/// Bytes as text: UTF-8 stays, any other byte, control characters and `%` become `%XX`, the same
/// as a `SecretPath` shows itself.
pub(crate) fn shown(bytes: &[u8]) -> Text<'_> {
    let is_plain = |text: &&str| !text.contains(|each: char| each == '%' || each.is_control());
    if let Some(text) = std::str::from_utf8(bytes).ok().filter(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len() * 2);
    let encode = |text: &mut String, bytes: &[u8]| {
        bytes.iter().for_each(|byte| text.push_str(&format!("%{byte:02X}")));
    };
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character == '%' || character.is_control() {
                encode(&mut text, character.encode_utf8(&mut [0; 4]).as_bytes());
            } else {
                text.push(character);
            }
        }
        encode(&mut text, chunk.invalid());
    }
    Cow::Owned(text)
}

/// Somebody's own words. A NUL becomes a space: no text of `PostgreSQL` has one, and one reason would keep
/// a whole export out.
pub(crate) fn words(text: &str) -> Text<'_> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', " ")) } else { Cow::Borrowed(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_keeps_every_digit_above_two_to_the_53() {
        let text = serde_json::to_string(&Number(9_007_199_254_740_993)).unwrap();
        assert_eq!(text, "\"9007199254740993\"");
        assert_eq!(serde_json::from_str::<Number>(&text).unwrap(), Number(9_007_199_254_740_993));
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_as_a_secret_path_shows_them() {
        for bytes in [b"/usr/bin/x".as_slice(), b"caf\xc3\xa9/%\xff", b"\xfe"] {
            let relative = bytes.strip_prefix(b"/").unwrap_or(bytes);
            let path = ward_policy::SecretPath::try_from(relative).unwrap();
            assert_eq!(shown(relative), path.to_string());
        }
        assert_eq!(shown(b"a\nb"), "a%0Ab");
    }
}
