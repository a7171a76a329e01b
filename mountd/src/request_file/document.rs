//! What a request file says: a TOML document, taken whole or not at all.

use serde::Deserialize;
use std::fmt::Display;
use ward_policy::{OperationSet, SecretPath, Ticket};

/// What somebody asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Document {
    pub(crate) path: SecretPath,
    pub(crate) operations: OperationSet,
    pub(crate) reason: String,
    pub(crate) ticket: Option<Ticket>,
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
        let operations = crate::pipeline::file_operations(words)
            .ok_or_else(|| at(text, written.operation.span().start, &OPERATIONS))?;
        let reason = written.reason.get_ref();
        if reason.trim().is_empty() || reason.len() > crate::pipeline::LONGEST_REASON {
            let error = crate::pipeline::AheadError::Reason;
            return Err(at(text, written.reason.span().start, &error));
        }
        Ok(Self { path, operations, reason: reason.clone(), ticket: ticket.transpose()? })
    }
}

const OPERATIONS: &str =
    "`operation` must be \"file.read\", \"file.write\" or [\"file.read\", \"file.write\"]";

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
    use ward_policy::Operation;

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
        assert_eq!(document.operations, both);
        assert_eq!(document.ticket.unwrap().as_str(), "OPS-1");
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
