//! The worked example of docs/formats.md is a real log, and its sums are right.

use crate::support::{FIRST, Place};
use sha2::{Digest as _, Sha256};
use ward_audit::Verdict;

const DOCUMENT: &str = include_str!("../../../../docs/formats.md");

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn example_lines() -> Vec<&'static str> {
    DOCUMENT.lines().filter(|line| line.starts_with("{\"entry\":{\"")).collect()
}

#[test]
fn the_sums_of_the_example_follow_from_the_rule_as_it_is_written_there() {
    let lines = example_lines();
    assert_eq!(lines.len(), 3);
    let mut previous: Option<Vec<u8>> = None;
    for line in lines {
        let end = line.find(",\"hash\":\"").unwrap();
        let entry = &line.as_bytes()[9..end];
        let sum = Sha256::new_with_prefix(entry)
            .chain_update(previous.as_deref().unwrap_or_default())
            .finalize()
            .to_vec();
        assert_eq!(line[end + 9..][..64], hex(&sum));
        let rest = &line[end + 9 + 64..];
        let before =
            previous.map_or_else(|| "null".to_owned(), |hash| format!("\"{}\"", hex(&hash)));
        let link = format!("\",\"prevHash\":{before}");
        let signature = rest.strip_prefix(link.as_str()).unwrap();
        assert!(signature == "}" || signature.starts_with(",\"sig\":\""), "{signature}");
        assert!(DOCUMENT.contains(&format!("`{}`", hex(&sum))), "the text names the sum");
        assert!(DOCUMENT.contains(&format!("{} bytes", entry.len())), "and the length");
        previous = Some(sum);
    }
}

#[test]
fn the_example_is_a_whole_log() {
    let place = Place::new();
    let text: String = example_lines().into_iter().map(|line| format!("{line}\n")).collect();
    place.put(FIRST, text.as_bytes());
    let report = place.verify();
    assert_eq!(report.good.unsigned, 0);
    assert_eq!((report.verdict, report.good.head.unwrap().seq), (Verdict::Whole, 3));
}
