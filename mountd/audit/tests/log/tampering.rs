//! Whatever is changed in a log is found, and the place of it named.

use crate::support::{FIRST, Place, SECOND};
use sha2::{Digest as _, Sha256};
use ward_audit::{HeadNote, TreeHead, Verdict, head, verify, verify_against};
use ward_policy::Digest;

/// The file and line that the verdict names.
pub(crate) fn named(verdict: &Verdict) -> Option<(String, u64)> {
    match verdict {
        Verdict::Broken { file, line, .. } => Some((file.to_string(), *line)),
        Verdict::Whole
        | Verdict::Torn { .. }
        | Verdict::MissingSegment { .. }
        | Verdict::MissingEntries { .. }
        | Verdict::Rewritten { .. }
        | Verdict::Foreign => None,
    }
}

pub(crate) fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

fn sentence(place: &Place) -> String {
    place.verify().to_string()
}

#[test]
fn a_flipped_bit_of_every_byte_of_every_segment_is_found_and_its_line_named() {
    let place = Place::with_two_segments();
    for name in [FIRST, SECOND] {
        let whole = place.bytes(name);
        for position in 0..whole.len() {
            let line = 1 + whole[..position].iter().filter(|byte| **byte == b'\n').count() as u64;
            let mut flipped = whole.clone();
            flipped[position] ^= 1 << (position % 8);
            place.put(name, &flipped);
            let verdict = place.verify().verdict;
            let is_end = position + 1 == whole.len() && name == SECOND;
            let is_named = named(&verdict) == Some((name.to_owned(), line));
            let is_torn = matches!(verdict, Verdict::Torn { .. });
            assert!(is_named || (is_end && is_torn), "{name} {position}: {verdict:?}");
        }
        place.put(name, &whole);
    }
    assert_eq!(place.verify().verdict, Verdict::Whole);
}

#[test]
fn every_flipped_bit_of_the_room_after_the_last_line_is_found() {
    let place = Place::new();
    let log = place.open();
    drop(log);
    let whole = place.bytes(FIRST);
    let end = whole.iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    assert!(whole.len() > end + 600);
    for position in end..end + 600 {
        let mut flipped = whole.clone();
        flipped[position] ^= 1;
        place.put(FIRST, &flipped);
        assert_ne!(place.verify().verdict, Verdict::Whole, "{position}");
    }
}

#[test]
fn each_deleted_line_is_found_where_it_is_missing() {
    let place = Place::with_entries(6);
    let whole = lines(&place.bytes(FIRST));
    for place_of_line in 0..whole.len() - 1 {
        let mut less = whole.clone();
        less.remove(place_of_line);
        place.put(FIRST, &less.concat());
        let report = place.verify();
        let line = place_of_line as u64 + 1;
        assert_eq!(named(&report.verdict), Some((FIRST.to_owned(), line)));
        let after = format!("line {line}, after entry {place_of_line}: seq {}", line + 1);
        assert!(report.to_string().contains(&after), "{report}");
    }
}

#[test]
fn each_repeated_line_is_found() {
    let place = Place::with_entries(6);
    let whole = lines(&place.bytes(FIRST));
    for number in 0..whole.len() {
        let mut more = whole.clone();
        more.insert(number, whole[number].clone());
        place.put(FIRST, &more.concat());
        let line = number as u64 + 2;
        assert_eq!(named(&place.verify().verdict), Some((FIRST.to_owned(), line)));
        assert!(sentence(&place).contains("moved, repeated or added"));
    }
}

#[test]
fn each_swap_of_neighbours_is_found() {
    let place = Place::with_entries(6);
    let whole = lines(&place.bytes(FIRST));
    for number in 0..whole.len() - 1 {
        let mut swapped = whole.clone();
        swapped.swap(number, number + 1);
        place.put(FIRST, &swapped.concat());
        let line = number as u64 + 1;
        assert_eq!(named(&place.verify().verdict), Some((FIRST.to_owned(), line)));
    }
}

#[test]
fn a_line_of_another_log_is_found_wherever_it_is_put() {
    let (place, other) = (Place::with_entries(6), Place::with_entries(6));
    let whole = lines(&place.bytes(FIRST));
    let foreign = lines(&other.bytes(FIRST));
    for number in 0..whole.len() {
        let mut replaced = whole.clone();
        replaced[number] = foreign[number].clone();
        place.put(FIRST, &replaced.concat());
        // A foreign first or last line is itself well formed: its neighbour shows it.
        let line = number.max(1) as u64 + 1;
        assert_eq!(named(&place.verify().verdict), Some((FIRST.to_owned(), line)));
        let mut inserted = whole.clone();
        inserted.insert(number, foreign[number].clone());
        place.put(FIRST, &inserted.concat());
        assert!(named(&place.verify().verdict).is_some());
    }
}

/// The line with `from` in its entry replaced by `to`, and a hash made to fit; a signature stays.
pub(crate) fn forged(line: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8_lossy(line);
    let (entry, rest) = text.split_at(text.find(",\"hash\":").unwrap_or_default());
    let entry = entry.trim_start_matches("{\"entry\":").replace(from, to);
    let (rest, signature) =
        rest.split_once(",\"sig\"").unwrap_or_else(|| (rest.trim_end_matches("}\n"), ""));
    let signature =
        if signature.is_empty() { "}\n".to_owned() } else { format!(",\"sig\"{signature}") };
    let before = rest.get(rest.len() - 65..rest.len() - 1).unwrap_or_default();
    let bytes = Digest::from_hex(before).map(|hash| *hash.as_bytes()).unwrap_or_default();
    let sum = Sha256::new_with_prefix(&entry).chain_update(bytes).finalize();
    let hash = Digest::from_bytes(sum.into());
    format!("{{\"entry\":{entry},\"hash\":\"{hash}\",\"prevHash\":\"{before}\"{signature}")
        .into_bytes()
}

#[test]
fn an_entry_with_a_hash_made_to_fit_breaks_the_next_line() {
    let place = Place::with_entries(4);
    let mut lines = lines(&place.bytes(FIRST));
    lines[1] = forged(&lines[1], "because", "be cause");
    place.put(FIRST, &lines.concat());
    assert_eq!(named(&place.verify().verdict), Some((FIRST.to_owned(), 3)));
    assert!(sentence(&place).contains("prevHash is not the hash of the line before"));
}

#[test]
fn a_last_line_with_a_hash_made_to_fit_but_a_wrong_seq_or_time_is_found() {
    let place = Place::with_entries_of_a_crash(4);
    let whole = lines(&place.bytes(FIRST));
    for (from, to, fault) in [
        ("\"seq\":\"4\"", "\"seq\":\"5\"", "lines are missing"),
        ("\"seq\":\"4\"", "\"seq\":\"04\"", "form of a log line"),
        (".000003Z", ".000002Z", "time is not after"),
        (".000003Z", ".000003z", "form of a log line"),
    ] {
        let mut lines = whole.clone();
        lines[3] = forged(&whole[3], from, to);
        place.put(FIRST, &lines.concat());
        assert!(sentence(&place).contains(fault), "{from} {to}: {}", sentence(&place));
    }
    assert_eq!(forged(&whole[3], "", ""), whole[3]);
}

#[test]
fn a_missing_segment_is_named() {
    let place = Place::with_two_segments();
    let second = place.bytes(SECOND);
    std::fs::remove_file(place.file(FIRST)).unwrap();
    let report = place.verify();
    assert!(matches!(report.verdict, Verdict::MissingSegment { file } if file.number() == 1));
    place.put("0000000004.jsonl", &second);
    std::fs::remove_file(place.file(SECOND)).unwrap();
    place.put(FIRST, &Place::with_two_segments().bytes(FIRST));
    let report = place.verify();
    assert!(matches!(report.verdict, Verdict::MissingSegment { file } if file.number() == 2));
    assert_eq!(report.good.head.unwrap().seq, 4);
}

#[test]
fn a_segment_of_another_log_is_found() {
    let (place, other) = (Place::with_two_segments(), Place::with_two_segments());
    place.put(SECOND, &other.bytes(SECOND));
    assert_eq!(named(&place.verify().verdict), Some((SECOND.to_owned(), 1)));
}

#[test]
fn each_tail_cut_below_a_known_head_is_found_with_that_head_and_only_so() {
    let place = Place::with_entries(6);
    let whole = lines(&place.bytes(FIRST));
    let heads: Vec<_> = (1..=whole.len())
        .map(|count| {
            place.put(FIRST, &whole[..count].concat());
            place.verify().good.tree
        })
        .collect();
    for kept in 1..whole.len() {
        place.put(FIRST, &whole[..kept].concat());
        assert_eq!(place.verify().verdict, Verdict::Whole);
        for (head, size) in heads.iter().zip(1_u64..) {
            let report = verify(place.path(), Some(*head)).unwrap();
            let expected = match size.saturating_sub(kept as u64) {
                0 => Verdict::Whole,
                count => Verdict::MissingEntries { count },
            };
            assert_eq!(report.verdict, expected);
        }
    }
    let report = verify(place.path(), heads.last().copied()).unwrap();
    assert!(report.to_string().starts_with("1 entries missing after seq 5"), "{report}");
}

#[test]
fn a_rewritten_log_is_found_with_a_head_kept_elsewhere() {
    let (place, other) = (Place::with_entries(6), Place::with_entries(6));
    let head = Some(place.verify().good.tree);
    assert_eq!(verify(other.path(), head).unwrap().verdict, Verdict::Rewritten { seq: 6 });
    assert_eq!(verify(place.path(), head).unwrap().verdict, Verdict::Whole);
    let root = other.verify().good.tree.root;
    let earlier = Some(TreeHead { size: 3, root });
    assert_eq!(verify(place.path(), earlier).unwrap().verdict, Verdict::Rewritten { seq: 3 });
}

#[test]
fn a_head_of_another_log_or_another_key_is_told() {
    let (place, other) = (Place::with_entries(6), Place::with_entries(6));
    let note = head(other.path()).unwrap();
    assert_eq!(verify_against(place.path(), &note).unwrap().verdict, Verdict::Foreign);
    let note = head(place.path()).unwrap();
    assert_eq!(verify_against(place.path(), &note).unwrap().verdict, Verdict::Whole);
    let text = note.to_string();
    let (text, signature) = text.rsplit_once(' ').unwrap();
    let forged = format!("{text} {}", signature.replacen(&signature[8..12], "AAAA", 1));
    let forged = HeadNote::parse(&forged).unwrap();
    assert_eq!(verify_against(place.path(), &forged).unwrap().verdict, Verdict::Foreign);
}
