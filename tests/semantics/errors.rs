//! The documents say what the program does: errors, invariants, attacks.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn text(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

/// Names of errors that a source text names.
fn errors_of(source: &str) -> BTreeSet<String> {
    let source = source.replace("libc::E", "Errno::E");
    let after = source.split("Errno::E").skip(1);
    let names =
        after.map(|rest| rest.split(|it: char| !it.is_ascii_uppercase() && !it.is_ascii_digit()));
    names.filter_map(|mut words| Some(format!("E{}", words.next()?))).collect()
}

#[test]
fn every_errno_of_the_program_has_a_row_in_the_table_and_every_row_is_true() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("mountd/src/filesystem");
    let adapter: String = files_below(&sources)
        .iter()
        .map(|path| std::fs::read_to_string(path).unwrap())
        .chain([text("mountd/src/filesystem.rs")])
        .collect();
    let named = &errors_of(&text("mountd/src/errno.rs")) | &errors_of(&adapter);
    assert!(named.len() > 15, "{named:?}");
    let document = text("docs/semantics.md");
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `E")?.split('`').next());
    let mut rows: BTreeSet<String> = rows.map(|name| format!("E{name}")).collect();
    // These come from the kernel, on our behalf.
    ["ECONNABORTED", "ENODEV", "ENOTCONN"]
        .iter()
        .for_each(|name| assert!(rows.remove(*name), "{name} has no row"));
    assert_eq!(rows, named);
}

#[test]
fn every_test_that_a_document_names_exists() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["tests", "policy", "mountd"].map(|name| files_below(&top.join(name)));
    let sources: String = folders
        .iter()
        .flatten()
        .filter(|path| path.extension().is_some_and(|it| it == "rs"))
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    for document in ["docs/semantics.md", "docs/threats.md", "docs/faults.md", "docs/gloves.md"] {
        let text = text(document);
        let words = text.split('`').skip(1).step_by(2);
        // A block of code names none.
        let is_name = |word: &&str| word.matches('_').count() > 3 && !word.contains('\n');
        let names: Vec<&str> = words.filter(is_name).collect();
        assert!(names.len() > 10, "{document}: {names:?}");
        for name in names {
            if name.starts_with("tests/") {
                assert!(top.join(name).exists(), "{document} names {name}");
                continue;
            }
            assert!(sources.contains(&format!("fn {name}(")), "{document} names {name}");
        }
    }
}

#[test]
fn every_invariant_has_a_number_and_a_sentence() {
    let document = text("docs/semantics.md");
    for number in 1..=12 {
        let is_row = |line: &str| line.starts_with(&format!("{number}. **"));
        assert!(document.lines().any(is_row), "invariant {number} is missing");
    }
}
