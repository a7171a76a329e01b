//! The log as a table for spreadsheets: comma-separated values (RFC 4180), a row for each entry.

use crate::{ChainHash, Entry};
use serde_json::Value;

/// The columns: where in the entry each is.
const COLUMNS: [(&str, &str); 25] = [
    ("seq", "/seq"),
    ("ts", "/ts"),
    ("event", "/eventType"),
    ("decision", "/decision"),
    ("vault", "/vault"),
    ("path", "/path"),
    ("to", "/to"),
    ("operations", "/operations"),
    ("bytes", "/bytes"),
    ("offset", "/offset"),
    ("uid", "/actor/uid"),
    ("gid", "/actor/gid"),
    ("pid", "/actor/pid"),
    ("program", "/actor/exe"),
    ("sha256", "/actor/exeSha256"),
    ("grade", "/actor/grade"),
    ("agent", "/actor/agent"),
    ("clients", "/actor/clients"),
    ("rules", "/rules"),
    ("request", "/request"),
    ("approval", "/approval"),
    ("lease", "/lease"),
    ("ticket", "/ticket"),
    ("reason", "/reason"),
    ("count", "/count"),
];

/// The first row: the names of the columns, and `hash`, that of the entry's line.
pub fn csv_head() -> String {
    let names = COLUMNS.iter().map(|(name, _)| *name);
    names.collect::<Vec<_>>().join(",") + ",hash\r\n"
}

/// The row of an entry. What is absent is empty, and a list has spaces between its items.
pub fn csv_row(entry: &Entry<'_>, hash: ChainHash) -> String {
    // An entry is always an object.
    let entry = serde_json::to_value(entry).unwrap_or_default();
    let fields = COLUMNS.iter().map(|(_, place)| entry.pointer(place).map(text));
    let fields: Vec<String> = fields.map(|it| quoted(&it.unwrap_or_default())).collect();
    format!("{},{hash}\r\n", fields.join(","))
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(" "),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}

/// A field. What a spreadsheet would take for a formula gets an apostrophe before it: others chose it.
fn quoted(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if is_formula { format!("'{text}") } else { text.to_owned() };
    match text.contains([',', '"', '\r', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_keeps_its_commas_and_quotes_and_is_never_a_formula() {
        assert_eq!(quoted("plain"), "plain");
        assert_eq!(quoted("a,\"b\"\nc"), "\"a,\"\"b\"\"\nc\"");
        assert_eq!(quoted("=cmd()"), "'=cmd()");
        assert_eq!(quoted("@a,b"), "\"'@a,b\"");
    }

    #[test]
    fn a_rename_has_both_names_under_their_columns() {
        let entry = Entry {
            path: Some("a".into()),
            to: Some("=b".into()),
            ..Entry::new(crate::EventType::FileRename)
        };
        let (head, row) = (csv_head(), csv_row(&entry, ChainHash::of(b"", None)));
        let fields: Vec<_> = head.split(',').zip(row.split(',')).collect();
        assert!(fields.contains(&("path", "a")) && fields.contains(&("to", "'=b")), "{fields:?}");
    }
}
