//! What a request file says: a TOML document, taken whole or not at all.

use serde::Deserialize;
use std::fmt::Display;
use std::time::Duration;
use ward_policy::{Operation, OperationSet, SecretPath, Ticket, parse_duration};

/// What somebody asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Document {
    pub(crate) path: SecretPath,
    pub(crate) kind: Kind,
    pub(crate) reason: String,
    pub(crate) ticket: Option<Ticket>,
    /// For so many opens and no more.
    pub(crate) uses: Option<u32>,
    /// For so long and no longer.
    pub(crate) lease: Option<Duration>,
}

/// Of whom it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Of a human, to be let to do this.
    Approval(OperationSet),
    /// Of who may read the file, to be handed it; of the agent or client of that name alone.
    Handoff { from: Option<String> },
}

/// Why a document is none, with line and column.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct DocumentError(String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    path: toml::Spanned<String>,
    operation: toml::Spanned<Words>,
    reason: toml::Spanned<String>,
    ticket: Option<toml::Spanned<String>>,
    uses: Option<toml::Spanned<u32>>,
    lease: Option<toml::Spanned<String>>,
    from: Option<toml::Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Words {
    One(String),
    Many(Vec<String>),
}

impl Document {
    /// Reads the document in `text`.
    ///
    /// # Errors
    /// Says what is wrong, and where.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, DocumentError> {
        let text = std::str::from_utf8(text).map_err(|error| {
            let before = text.get(..error.valid_up_to()).unwrap_or_default();
            at(&String::from_utf8_lossy(before), before.len(), &"this is not UTF-8")
        })?;
        let written: Written = toml::from_str(text)
            .map_err(|error| at(text, error.span().map_or(0, |it| it.start), &error.message()))?;
        let path = SecretPath::try_from(written.path.get_ref().as_str())
            .map_err(|error| at(text, written.path.span().start, &error))?;
        let ticket = written.ticket.as_ref().map(|ticket| {
            Ticket::try_from(ticket.get_ref().as_str())
                .map_err(|error| at(text, ticket.span().start, &error))
        });
        let words = match written.operation.get_ref() {
            Words::One(word) => std::slice::from_ref(word),
            Words::Many(words) => words.as_slice(),
        };
        let kind = match (words, &written.from) {
            ([word], from) if word == Operation::HandoffGrant.name() => {
                Kind::Handoff { from: from.as_ref().map(|from| from.get_ref().clone()) }
            }
            (_, Some(from)) => return Err(at(text, from.span().start, &FROM)),
            (words, None) => {
                let operations = crate::pipeline::file_operations(words);
                let place = written.operation.span().start;
                Kind::Approval(operations.ok_or_else(|| at(text, place, &OPERATIONS))?)
            }
        };
        let uses = written.uses.as_ref().map(|uses| match uses.get_ref() {
            0 => Err(at(text, uses.span().start, &USES)),
            uses => Ok(*uses),
        });
        let lease = written.lease.as_ref().map(|lease| {
            parse_duration(lease.get_ref()).ok_or_else(|| at(text, lease.span().start, &LEASE))
        });
        let reason = written.reason.get_ref();
        if reason.trim().is_empty() || reason.len() > crate::pipeline::LONGEST_REASON {
            let error = crate::pipeline::AheadError::Reason;
            return Err(at(text, written.reason.span().start, &error));
        }
        Ok(Self {
            path,
            kind,
            reason: reason.clone(),
            ticket: ticket.transpose()?,
            uses: uses.transpose()?,
            lease: lease.transpose()?,
        })
    }
}

const OPERATIONS: &str = "`operation` must be \"file.read\", \"file.write\", [\"file.read\", \
                          \"file.write\"] or \"handoff.grant\"";
const FROM: &str = "`from` is for `operation = \"handoff.grant\"`";
const USES: &str = "`uses` must be 1 or more";
const LEASE: &str = "`lease` must be a time such as \"90s\" or \"10m\"";

/// An error at a byte of `text`. Lines and columns count from 1, columns in characters.
fn at(text: &str, byte: usize, message: &dyn Display) -> DocumentError {
    let before = text.get(..byte).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let message = message.to_string();
    let message = message.lines().next().unwrap_or_default();
    DocumentError(format!("line {line}, column {column}: {message}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> String {
        Document::parse(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn a_whole_document_is_read() {
        let text = "path = 'db/password'\noperation = ['file.read', 'file.write']\n\
                    reason = 'nightly backup'\nticket = 'OPS-1'\n";
        let document = Document::parse(text.as_bytes()).unwrap();
        assert_eq!(document.path.to_string(), "db/password");
        let both = OperationSet::of(Operation::FileRead).with(Operation::FileWrite);
        assert_eq!(document.kind, Kind::Approval(both));
        assert_eq!(document.ticket.unwrap().as_str(), "OPS-1");
    }

    #[test]
    fn a_document_asks_for_a_handoff_or_for_less_than_all() {
        let text = "path = 'a'\noperation = 'handoff.grant'\nreason = 'x'\nfrom = 'claude'\n\
                    uses = 3\nlease = '5m'\n";
        let document = Document::parse(text.as_bytes()).unwrap();
        assert_eq!(document.kind, Kind::Handoff { from: Some("claude".to_owned()) });
        assert_eq!((document.uses, document.lease), (Some(3), Some(Duration::from_secs(300))));
        let read = text.replace("handoff.grant", "file.read");
        assert_eq!(fault(&read), format!("line 4, column 8: {FROM}"));
        assert_eq!(fault(&text.replace('3', "0")), format!("line 5, column 8: {USES}"));
        assert_eq!(fault(&text.replace("5m", "5")), format!("line 6, column 9: {LEASE}"));
        assert!(fault(&text.replace('3', "-1")).starts_with("line 5, column 8"));
    }

    #[test]
    fn what_is_wrong_is_named_with_line_and_column() {
        let good = "path = 'a'\noperation = 'file.read'\n";
        assert_eq!(fault("path = 'a'\npath = 'b'"), "line 2, column 1: duplicate key");
        assert!(fault(&format!("{good}who = 1")).starts_with("line 3, column 1: unknown field"));
        assert!(fault(good).contains("missing field `reason`"), "{}", fault(good));
        assert!(fault("path = '/a'\noperation='file.read'\nreason='x'").starts_with("line 1, col"));
        let other = "path = 'a'\noperation = 'vault.mount'\nreason = 'x'";
        assert_eq!(fault(other), format!("line 2, column 13: {OPERATIONS}"));
        assert!(fault(&format!("{good}reason = ' '")).starts_with("line 3, column 10: a reason"));
        let ticket = format!("{good}reason = 'x'\nticket = 'a b'");
        assert!(fault(&ticket).starts_with("line 4, column 10"), "{}", fault(&ticket));
        assert_eq!(
            Document::parse(b"path = '\xff'").unwrap_err().to_string(),
            "line 1, column 9: this is not UTF-8"
        );
    }
}
