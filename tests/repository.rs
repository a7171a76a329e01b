//! The repository itself: which crate may know which, and what may be done in one place only.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Our crates, each of which may know only those before it.
const DIRECTION: [&str; 6] =
    ["ward-policy", "ward-memory", "ward-audit", "ward-store", "ward-mountd", "wardfs"];

#[test]
fn a_crate_knows_only_the_crates_to_its_left() {
    for (place, name) in DIRECTION.iter().enumerate() {
        let tree = Command::new(env!("CARGO"))
            .args(["tree", "--offline", "--edges", "normal,build", "--depth", "1"])
            .args(["--prefix", "none", "--package", name])
            .current_dir(root())
            .output()
            .unwrap();
        assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
        let tree = String::from_utf8(tree.stdout).unwrap();
        for known in tree.lines().skip(1).filter_map(|line| line.split_whitespace().next()) {
            let left = DIRECTION.iter().position(|crate_name| *crate_name == known);
            assert!(left.is_none_or(|left| left < place), "{name} must not know {known}");
        }
    }
}

#[test]
fn only_the_adapter_and_the_table_of_errors_name_the_fuse_library() {
    let allowed = ["mountd/src/filesystem.rs", "mountd/src/errno.rs"];
    for (file, text) in sources() {
        let is_adapter = file.starts_with("mountd/src/filesystem/");
        if text.contains("fuser::") && !is_adapter {
            assert!(allowed.contains(&file.as_str()), "{file} names the FUSE library");
        }
    }
}

#[test]
fn a_request_becomes_a_permit_in_one_file_only() {
    let calls = sources().into_iter().filter(|(file, text)| {
        file != "policy/src/request.rs"
            && file.ends_with(".rs")
            && text.contains("request.approve(")
    });
    let files: Vec<String> = calls.map(|(file, _)| file).collect();
    assert_eq!(files, ["mountd/src/approval_queue.rs"]);
}

#[test]
fn a_question_and_a_holder_are_taken_from_the_log_in_one_file_only() {
    for call in ["ApprovalRequest::recalled(", "Fingerprint::recalled("] {
        let calls = sources().into_iter().filter(|(_, text)| text.contains(call));
        let files: Vec<String> = calls.map(|(file, _)| file).collect();
        assert_eq!(files, ["mountd/src/log_state.rs"], "{call}");
    }
}

#[test]
fn no_file_of_source_is_longer_than_500_lines() {
    for (file, text) in sources() {
        let lines = text.lines().count();
        assert!(lines <= 500, "{file} has {lines} lines: two concepts in one?");
    }
}

#[test]
fn every_attack_with_a_number_has_a_line_among_the_threats_and_a_file_that_tries_it() {
    let threats = std::fs::read_to_string(root().join("docs/threats.md")).unwrap();
    let contents = std::fs::read_to_string(root().join("tests/attacks.rs")).unwrap();
    let of_identity = (1..=21).map(|number| ('I', number));
    let of_approval = [2].into_iter().chain(5..=13).map(|number| ('A', number));
    let others = [('M', 1), ('M', 2), ('M', 6), ('M', 11), ('M', 12)];
    for (kind, number) in of_identity.chain(of_approval).chain(others) {
        let has_line = threats.lines().any(|line| line.starts_with(&format!("| {kind}{number} |")));
        assert!(has_line, "{kind}{number} is not in docs/threats.md");
        let file = format!("\nmod {}{number:02}_", kind.to_ascii_lowercase());
        assert!(contents.contains(&file), "{kind}{number} has no file in tests/attacks");
    }
}

#[test]
fn every_fault_of_gloves_has_one_line_with_a_test_that_exists() {
    let document = std::fs::read_to_string(root().join("docs/gloves.md")).unwrap();
    let (_, faults) = document.split_once("\n## Faults\n").unwrap();
    let rows = faults.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" | "));
    let rows: Vec<(u32, &str)> =
        rows.filter_map(|(number, row)| Some((number.parse().ok()?, row))).collect();
    let numbers: Vec<u32> = rows.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=41).collect::<Vec<_>>());
    let mut files = Vec::new();
    ["tests", "mountd", "policy"].iter().for_each(|it| collect(&root().join(it), &mut files));
    let all: String = files.into_iter().map(|(_, text)| text).collect();
    for (number, row) in rows {
        let (_, tests) = row.trim_end_matches(" |").rsplit_once(" | ").unwrap();
        let names: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "{number} has no test");
        for name in names {
            let is_test = all.contains(&format!("#[test]\nfn {name}() {{"));
            assert!(is_test, "{number} names {name}, which is no test");
        }
    }
}

/// Every Rust file of the programs, not of their tests, by its path in the repository.
fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for folder in [
        "policy/src",
        "mountd/src",
        "mountd/memory/src",
        "mountd/audit/src",
        "mountd/store/src",
        "src",
    ] {
        collect(&root().join(folder), &mut found);
    }
    assert!(found.len() > 50, "the sources have moved: {}", found.len());
    found
}

fn collect(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root()).unwrap().display().to_string();
            found.push((name, std::fs::read_to_string(&path).unwrap()));
        }
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
