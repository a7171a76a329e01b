//! Exports: the log in the forms of two other systems, whose own tools then check it.
//!
//! Agent-safe's log is JSON Lines of its own entries with a chain of their own. ILLUVRSE's rows keep
//! our entries and our chain, which follows the same rule; each row is signed by the log's identity.

use crate::access::AccessError;
use crate::disk::Folder;
use crate::line::Line;
use crate::segment::segments_among;
use crate::signer::Signer as _;
use crate::stored::StoredSegment;
use crate::{ChainHash, Entry, LogKey};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::io::{self, BufRead, Write};
use std::path::Path;
use ulid::Ulid;
use ward_policy::{Operation, Risk};

/// What comes before the first entry of an agent-safe log.
const BEFORE_FIRST: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Writes entries as lines of an agent-safe log.
#[derive(Debug)]
pub struct AgentSafe {
    previous: String,
}

/// Writes entries as rows of ILLUVRSE's table `audit_events`, in SQL for `PostgreSQL`.
#[derive(Debug)]
pub struct Illuvrse<'a> {
    key: &'a LogKey,
}

/// Why nothing more is exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Its files are not to be had.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// What is exported cannot be written.
    #[error("cannot write what is exported")]
    Write(#[from] io::Error),
    /// A line of it is none.
    #[error("a line of {0} is not whole: see ward audit verify")]
    Broken(String),
}

impl Default for AgentSafe {
    fn default() -> Self {
        Self { previous: BEFORE_FIRST.to_owned() }
    }
}

impl AgentSafe {
    /// The next line, with its newline.
    pub fn line(&mut self, entry: &Entry<'_>, hash: ChainHash) -> String {
        let mut line = self.fields(entry, hash);
        let digest = Sha256::digest(python_json(&line).as_bytes());
        let digest = ward_policy::Digest::from_bytes(digest.into()).to_string();
        if let Some(fields) = line.as_object_mut() {
            fields.insert("entry_hash".to_owned(), Value::from(digest.clone()));
        }
        self.previous = digest;
        python_json(&line) + "\n"
    }

    fn fields(&self, entry: &Entry<'_>, hash: ChainHash) -> Value {
        let path = entry.path.as_deref().or_else(|| entry.sealed.as_deref().map(|_| "(sealed)"));
        let target = match (entry.vault.as_deref(), path) {
            (Some(vault), Some(path)) => format!("{vault}:{path}"),
            (vault, path) => vault.or(path).unwrap_or("log").to_owned(),
        };
        let caller = entry.actor.as_ref().map(|actor| match &actor.agent {
            Some(agent) => format!("uid:{}/{agent}", actor.uid),
            None => format!("uid:{}", actor.uid),
        });
        let names = entry.operations.iter().flatten();
        let risk = names.filter_map(|name| Operation::from_name(name)).map(Operation::risk).max();
        let risk = risk.unwrap_or(Risk::Low).name();
        let decision = match entry.decision.as_deref() {
            Some("denied") => "deny",
            Some("needs-approval") => "require_approval",
            Some(_) | None => "allow",
        };
        json!({
            "action": entry.event_type.name(),
            "caller": caller.unwrap_or_else(|| "wardfs".to_owned()),
            "context": {"boot_id": entry.boot_id, "hash": hash.to_string(), "seq": entry.seq},
            "correlation_id": entry.request.as_deref().or(entry.approval.as_deref()),
            "decision": decision,
            "effective_risk": risk,
            "event_id": entry.id,
            "params": {"operations": entry.operations.as_deref().unwrap_or_default()},
            "policy_matched": entry.rules.as_deref().and_then(|rules| rules.first()),
            "prev_hash": self.previous,
            "reason": entry.reason.as_deref().unwrap_or_default(),
            "risk_class": risk,
            "target": target,
            "timestamp": entry.ts,
        })
    }
}

impl<'a> Illuvrse<'a> {
    /// Rows signed by what signs here of `key`.
    pub const fn new(key: &'a LogKey) -> Self {
        Self { key }
    }

    /// What comes before the rows.
    pub const HEAD: &'static str = "\
CREATE TABLE IF NOT EXISTS audit_events (
  id uuid PRIMARY KEY, actor_id text, event_type text NOT NULL, payload jsonb NOT NULL,
  prev_hash text, hash text NOT NULL, signature text NOT NULL, signer_id text, signer_kid text,
  ts timestamptz, created_at timestamptz NOT NULL, metadata jsonb, manifest_signature_id text
);
BEGIN;
";
    /// What comes after them.
    pub const TAIL: &'static str = "COMMIT;\n";

    /// The file of signers by which the rows are checked.
    pub fn signers(&self) -> Value {
        let (key, id) = (self.key.local.public().to_string(), self.signer());
        json!({"signers": [{
            "algorithm": "ed25519", "id": id, "publicKey": key, "public_key": key,
            "public_key_pem": key, "signerId": id, "signer_id": id, "signer_kid": id,
        }]})
    }

    /// The statement for a line of the log.
    fn row(&self, line: &Line<'_>, log: &str) -> Option<String> {
        let text = |bytes| std::str::from_utf8(bytes).ok();
        let entry = Entry::from_bytes(line.entry)?;
        let hash = ChainHash::from_hex(text(line.hash)?)?;
        let previous = line.previous.map(text);
        if previous == Some(None) {
            return None;
        }
        let previous = previous.flatten().map_or_else(|| "NULL".to_owned(), quoted);
        let signature = self.key.local.key().sign(hash.as_bytes()).to_base64();
        let actor = entry
            .actor
            .as_ref()
            .map_or_else(|| "wardfs".to_owned(), |it| format!("uid:{}", it.uid));
        let metadata = json!({"log": log, "seq": entry.seq}).to_string();
        let id = uuid(&entry.id)?;
        let values = [
            quoted(&id),
            quoted(&actor),
            quoted(entry.event_type.name()),
            quoted(text(line.entry)?),
            previous,
            quoted(&hash.to_string()),
            quoted(&signature),
            quoted(&self.signer()),
            quoted(&self.signer()),
            quoted(&entry.ts.to_string()),
            quoted(&entry.ts.to_string()),
            quoted(&metadata),
            "NULL".to_owned(),
        ];
        Some(format!("INSERT INTO audit_events VALUES ({});\n", values.join(", ")))
    }

    /// The id of the key: the beginning of it in hex, so that another key has another.
    fn signer(&self) -> String {
        self.key.local.public().kid()
    }
}

/// Writes the log in `directory` as rows; gives how many. Sealed names stay sealed: the chain is over
/// them.
///
/// # Errors
/// The log cannot be read, or a line of it is none.
pub fn export_rows(directory: &Path, key: &LogKey, to: &mut dyn Write) -> Result<u64, ExportError> {
    let rows = Illuvrse::new(key);
    to.write_all(Illuvrse::HEAD.as_bytes())?;
    let mut count = 0;
    let mut log = String::new();
    each_line(directory, &mut |line, file| {
        let broken = || ExportError::Broken(file.to_owned());
        if let Some(id) = Entry::from_bytes(line.entry).and_then(|entry| entry.log) {
            log = id.into_owned();
        }
        to.write_all(rows.row(line, &log).ok_or_else(broken)?.as_bytes())?;
        count += 1;
        Ok(())
    })?;
    to.write_all(Illuvrse::TAIL.as_bytes())?;
    Ok(count)
}

fn each_line(
    directory: &Path,
    each: &mut dyn FnMut(&Line<'_>, &str) -> Result<(), ExportError>,
) -> Result<(), ExportError> {
    let opened = AccessError::directory(directory);
    let folder = Folder::open(directory).map_err(&opened)?;
    let names = crate::disk::Disk::names(&folder).map_err(&opened)?;
    for segment in segments_among(&names) {
        let file = AccessError::file(segment);
        let mut lines = StoredSegment::open(&folder, segment).map_err(&file)?.lines;
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            lines.read_until(b'\n', &mut bytes).map_err(&file)?;
            let Some(line) = bytes.strip_suffix(b"\n") else { break };
            let broken = || ExportError::Broken(segment.to_string());
            each(&Line::parse(line).ok_or_else(broken)?, &segment.to_string())?;
        }
    }
    Ok(())
}

/// The 16 bytes of a ULID as a UUID is written.
fn uuid(id: &str) -> Option<String> {
    let digits = format!("{:032x}", Ulid::from_string(id).ok()?.0);
    let (a, rest) = digits.split_at_checked(8)?;
    let (b, rest) = rest.split_at_checked(4)?;
    let (c, rest) = rest.split_at_checked(4)?;
    let (d, e) = rest.split_at_checked(4)?;
    Some(format!("{a}-{b}-{c}-{d}-{e}"))
}

/// A literal of SQL, as `PostgreSQL` reads it whatever its settings: a backslash is doubled.
fn quoted(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// JSON as `json.dumps(value, sort_keys=True)` of Python writes it.
fn python_json(value: &Value) -> String {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => python_text(text),
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(python_json).collect();
            format!("[{}]", values.join(", "))
        }
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(name, _)| *name);
            let field = |(name, value): (&String, &Value)| {
                format!("{}: {}", python_text(name), python_json(value))
            };
            let fields: Vec<String> = fields.into_iter().map(field).collect();
            format!("{{{}}}", fields.join(", "))
        }
    }
}

fn python_text(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 2);
    escaped.push('"');
    for unit in text.encode_utf16() {
        match char::from_u32(unit.into()) {
            Some('"') => escaped.push_str("\\\""),
            Some('\\') => escaped.push_str("\\\\"),
            Some('\n') => escaped.push_str("\\n"),
            Some('\r') => escaped.push_str("\\r"),
            Some('\t') => escaped.push_str("\\t"),
            Some('\u{8}') => escaped.push_str("\\b"),
            Some('\u{c}') => escaped.push_str("\\f"),
            Some(plain @ ' '..='~') => escaped.push(plain),
            Some(_) | None => escaped.push_str(&format!("\\u{unit:04x}")),
        }
    }
    escaped.push('"');
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SigningKey;
    use ward_memory::SecretBox;

    #[test]
    fn a_payload_of_their_form_hashes_and_signs_as_their_vector_says() {
        let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
        let seed = *ward_policy::Digest::from_hex(seed).unwrap().as_bytes();
        let key = SigningKey::from_seed(&SecretBox::make(|| seed));
        let payload =
            br#"{"eventType":"fs.open","ts":"2026-01-01T00:00:00.000Z","uid":1000,"version":"1"}"#;
        let hash = ChainHash::of(payload, None);
        assert_eq!(
            hash.to_string(),
            "bbd22b15e7667f1d7ed0e8ecbce5e4aca52cd410d832788618555ea99321dba7"
        );
        assert_eq!(
            key.sign(hash.as_bytes()).to_base64(),
            "HFlpftMu7cSBQXAZGGQpXvqDMo5ablsF+8/y3OCZRqtT4VeK0hasWo+HVKt/jXJ+ufrK8OU7Y/AzWGfGzTyLBg=="
        );
    }

    #[test]
    fn text_is_written_as_python_writes_it() {
        let value = json!({"b": [1, null, true], "a": "\u{e4}\u{1f512}\"\\\n\u{7f}\u{1}", "c": {}});
        assert_eq!(
            python_json(&value),
            r#"{"a": "\u00e4\ud83d\udd12\"\\\n\u007f\u0001", "b": [1, null, true], "c": {}}"#
        );
    }

    #[test]
    fn a_literal_ends_where_its_text_ends() {
        assert_eq!(quoted(r"a'b\'); DROP TABLE x; --"), r"E'a''b\\''); DROP TABLE x; --'");
    }
}
