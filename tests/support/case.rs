//! A case: one command in one file of `commands/`, and what must come of it.
//!
//! A file is TOML of which each line is `key = value`, with the value also valid JSON, so that it
//! takes no parser of its own.

use serde::Deserialize;
use std::path::{Path, PathBuf};

/// What a file says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// `absent`, `private` or `system`.
    pub(crate) root: String,
    /// Files in the working directory, beside `root`: name and content.
    #[serde(default)]
    pub(crate) files: Vec<(String, String)>,
    /// Commands that must succeed then.
    #[serde(default)]
    pub(crate) before: Vec<Vec<String>>,
    /// Files that are written after them.
    #[serde(default)]
    pub(crate) changes: Vec<(String, String)>,
    /// Variables.
    #[serde(default)]
    pub(crate) environment: Vec<(String, String)>,
    /// A user of the tests; the one who runs the tests when absent.
    pub(crate) user: Option<String>,
    /// The command.
    pub(crate) arguments: Vec<String>,
    /// What it reads.
    #[serde(default)]
    pub(crate) stdin: String,
    /// Or so many zero bytes.
    #[serde(default)]
    pub(crate) stdin_length: usize,
    /// Its exit code.
    pub(crate) status: i32,
    /// The pattern of its stdout.
    #[serde(default)]
    pub(crate) stdout: String,
    /// The pattern of its stderr.
    #[serde(default)]
    pub(crate) stderr: String,
}

impl Case {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap();
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let fields = lines.map(|line| {
            let (key, value) = line.split_once(" = ").unwrap_or_else(|| panic!("{path:?}: {line}"));
            let value = serde_json::from_str(value);
            (key.to_owned(), value.unwrap_or_else(|error| panic!("{path:?}: {line}: {error}")))
        });
        let table = serde_json::Value::Object(fields.collect());
        serde_json::from_value(table).unwrap_or_else(|error| panic!("{path:?}: {error}"))
    }

    /// Every case, by file name.
    pub(crate) fn all() -> Vec<(String, Self)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/commands");
        let mut paths: Vec<PathBuf> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        let named = |path: &PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
        paths.iter().map(|path| (named(path), Self::read(path))).collect()
    }
}

/// Whether `text` is what `pattern` says, where `*` stands for anything.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else { return pattern == text };
    let Some(rest) = text.strip_prefix(head) else { return false };
    let starts = rest.char_indices().map(|(start, _)| start).chain([rest.len()]);
    starts.into_iter().any(|start| matches(tail, rest.get(start..).unwrap_or_default()))
}

#[test]
fn a_star_in_a_pattern_stands_for_anything() {
    assert!(matches("a*c", "abbc") && matches("*", "") && matches("a", "a"));
    assert!(!matches("a*c", "abb") && !matches("a", "ab") && !matches("", "a"));
}
