//! Every small change of a long log is found, and where it is. In memory: the verifier follows the
//! log up to a line once, and from there each change of that line.
//!
//! `WARD_TAMPER_LINES` says how many lines the log has, 250 unless it does; `scripts/soak` takes 2,000.
#![expect(clippy::print_stdout, reason = "a soak says how much it tried")]

use crate::succession::{Fault, Succession};
use crate::support::{Fixture, at, settings};
use crate::{Durability, EventType, Record, SegmentName, Settings};

/// Lines of all kinds, over several segments, as pairs of segment and line.
fn long_log(lines: usize) -> Vec<(SegmentName, Vec<u8>)> {
    let fixture = Fixture::new();
    let small = Settings { segment_bytes: 50_000, reserve_bytes: 0, ..settings() };
    let log = fixture.log_with(small);
    let mut moment = 1;
    while log.head().unwrap().unwrap().seq < lines as u64 {
        let event = if moment % 50 == 0 { EventType::RequestApproved } else { EventType::FileOpen };
        let record = Record::new(event).reason("because").bytes(moment);
        let _receipt = log.append(record, Durability::Written, at(moment)).unwrap();
        moment += 1;
    }
    log.close(at(moment)).unwrap();
    let mut found = Vec::new();
    let mut segment = SegmentName::FIRST;
    while let Ok(bytes) = std::fs::read(fixture.path().join(segment.to_string())) {
        let lines = bytes.split_inclusive(|byte| *byte == b'\n');
        found.extend(lines.map(|line| (segment, line.strip_suffix(b"\n").unwrap().to_vec())));
        segment = segment.next();
    }
    found
}

fn lines_wanted() -> usize {
    let wanted = std::env::var_os("WARD_TAMPER_LINES").and_then(|text| text.into_string().ok());
    wanted.map_or(250, |text| text.parse().unwrap())
}

/// Follows lines that carry their segment: whether the first of one is meant follows from that.
#[derive(Clone, Default)]
struct Follower {
    succession: Succession,
    segment: Option<SegmentName>,
}

impl Follower {
    fn accept(&mut self, (segment, line): (SegmentName, &[u8])) -> Result<(), Fault> {
        if self.segment == Some(segment) {
            return self.succession.accept(line).map(drop);
        }
        self.segment = Some(segment);
        self.succession.accept_first(line, segment)
    }

    fn accepts(&self, lines: &[(SegmentName, Vec<u8>)]) -> bool {
        let mut follower = self.clone();
        lines.iter().all(|(segment, line)| follower.accept((*segment, line)).is_ok())
    }
}

#[test]
fn every_flipped_bit_of_a_long_log_is_found_in_its_line() {
    let log = long_log(lines_wanted());
    let mut follower = Follower::default();
    let mut flips = 0_u64;
    for (segment, line) in &log {
        let mut flipped = line.clone();
        for position in 0..line.len() {
            for bit in 0..8 {
                flipped[position] ^= 1 << bit;
                let found = follower.clone().accept((*segment, &flipped));
                assert!(found.is_err(), "{}", String::from_utf8_lossy(&flipped));
                flipped[position] ^= 1 << bit;
                flips += 1;
            }
        }
        follower.accept((*segment, line)).unwrap();
    }
    assert!(log.len() >= lines_wanted() && log.last().unwrap().0 > SegmentName::FIRST);
    println!("{flips} flipped bits in {} lines, each found in its line", log.len());
}

#[test]
fn every_deleted_swapped_and_inserted_line_of_a_long_log_is_found() {
    let log = long_log(lines_wanted());
    let last = log.len() - 1;
    let mut follower = Follower::default();
    let (mut deleted, mut swapped, mut inserted) = (0_u64, 0_u64, 0_u64);
    for (number, (segment, line)) in log.iter().enumerate() {
        if number < last {
            assert!(!follower.accepts(&log[number + 1..=number + 1]), "without line {number}");
            deleted += 1;
        }
        // In the place of this line, and so before it, each other one: also that of a swap.
        for (other, (from, foreign)) in log.iter().enumerate() {
            if other != number {
                assert!(!follower.accepts(&[(*segment, foreign.clone())]), "{other} at {number}");
                assert!(*from == *segment || !follower.accepts(&[(*from, foreign.clone())]));
                inserted += 1;
                swapped += u64::from(other > number);
            }
        }
        follower.accept((*segment, line)).unwrap();
        assert!(!follower.accepts(&[(*segment, line.clone())]), "line {number} twice");
    }
    println!("{deleted} deletions, {swapped} swaps, {inserted} insertions, each found");
}

#[test]
fn every_tail_cut_below_a_known_head_has_another_tree() {
    let log = long_log(lines_wanted());
    let mut follower = Follower::default();
    let mut roots = std::collections::BTreeSet::new();
    for (segment, line) in &log {
        follower.accept((*segment, line)).unwrap();
        let tree = follower.succession.tree();
        // A head is size and root: no shorter log has that size, and no two sizes one root.
        assert!(roots.insert(tree.root()));
        assert_eq!(tree.size(), roots.len() as u64);
    }
    println!("{} heads, all different", roots.len());
}
