//! The log is the state: what stands after a crash within any line is what the whole lines say.
#![expect(clippy::unwrap_used, clippy::panic, reason = "only tests use it")]

use crate::support::{FIRST, Place, SECOND, at, caller, log_key, path, settings, vault};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use ulid::Ulid;
use ward_audit::{Asked, BootId, Durability, EventType, Log, Record, Settings, Standing};
use ward_policy::{
    ApprovalRequest, Decision, Digest, FileId, Lease, LeaseId, LocalTime, Operation, OperationSet,
    Question, RequestId, Rules, Weekday,
};

const POLICY: &str = r#"
version = 1
[ops]
"file.read" = "medium"
[clients.agent]
uid = [1000]
[clients.admin]
uid = [0]
role = "approver"
[[rule]]
name = "ask"
clients = ["agent"]
ops = ["file.read"]
path = ["*"]
decide = "approve"
approve = { require = "one_time", by = ["admin"], quorum = 2, factors = { any = ["local", "signed"] } }
"#;
/// How long requests of these tests wait.
const PATIENCE: Duration = Duration::from_millis(10);

fn request() -> ApprovalRequest {
    let rules = Rules::load(POLICY, Digest::from_bytes([0x5e; 32])).unwrap();
    let (vault, path) = (vault(), path());
    let question = Question {
        operations: OperationSet::of(Operation::FileRead),
        vault: Some(&vault),
        path: Some(&path),
        file: Some(FileId(7)),
        ..Question::default()
    };
    let time = LocalTime { weekday: Weekday::Monday, minute: 0 };
    match rules.evaluate(&caller(), &question, time) {
        Decision::NeedsApproval(request) => request,
        other @ (Decision::Denied(_) | Decision::Permitted(_)) => panic!("{other:?}"),
    }
}

fn id(number: u64) -> RequestId {
    RequestId(Ulid::from_parts(1_795_234_965_000, number.into()))
}

/// Appends one record a microsecond.
struct Writer {
    log: Log,
    time: u64,
}

impl Writer {
    fn put(&mut self, record: Record<'_>) {
        self.time += 1;
        let _receipt = self.log.append(record, Durability::Durable, at(self.time)).unwrap();
    }

    fn ask(&mut self, number: u64) {
        let (asked, caller) = (request(), caller());
        let holder = caller.fingerprint(asked.obligations().scope).unwrap();
        let asked = Asked {
            grant: asked.grant(),
            obligations: asked.obligations(),
            holder: &holder,
            patience: PATIENCE,
        };
        self.put(Record::asking(&caller, asked, id(number)).reason("for the deploy"));
    }

    fn answer(&mut self, event: EventType, number: u64) {
        self.put(Record::new(event).request(id(number)));
    }

    fn lease(&mut self, number: u64, reach: &'static str) -> Lease {
        let asked = request();
        let holder = caller().fingerprint(asked.obligations().scope).unwrap();
        let begun = at(self.time).boot;
        let ends = begun.after(PATIENCE);
        let given = asked.obligations().whole();
        let permit = asked.approve(id(number), given);
        let lease =
            Lease::begin(permit, LeaseId(Ulid::from_parts(1, number.into())), holder, begun, ends);
        self.put(Record::leasing(&lease, reach));
        lease
    }
}

/// A log in which every way of a request is gone, by a daemon that was killed.
fn every_way(place: &Place) {
    let mut writer = Writer { log: place.open(), time: 0 };
    (1..=7).for_each(|number| writer.ask(number));
    // 1 waits. 2 has one yes of two. 3 was denied. 4 expired.
    writer.answer(EventType::RequestApproved, 2);
    writer.answer(EventType::RequestDenied, 3);
    writer.answer(EventType::RequestExpired, 4);
    // 5 was answered and not used, 6 was used, 7 served the open that waited.
    for number in 5..=7 {
        writer.answer(EventType::RequestApproved, number);
        writer.answer(EventType::RequestApproved, number);
    }
    let _unused = writer.lease(5, "next-open");
    let used = writer.lease(6, "next-open");
    writer.put(Record::ending(EventType::LeaseUsed, &used));
    let _spent = writer.lease(7, "handle");
}

/// What stands, by the number of the request: how many said yes, whether it was denied, its lease.
type Summary = BTreeMap<String, (usize, bool, bool)>;

fn summary(standing: &[Standing]) -> Summary {
    let of = |it: &Standing| {
        let id = it.made.request.as_deref().unwrap().to_owned();
        (id, (it.approved.len(), it.denied.is_some(), it.begun.is_some()))
    };
    standing.iter().map(of).collect()
}

/// The same from the lines, by the words of docs/formats.md.
fn by_the_document(lines: &[u8]) -> Summary {
    let mut all = Summary::new();
    for line in lines.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")) {
        let line: Value = serde_json::from_slice(line).unwrap();
        let entry = &line["entry"];
        let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        let request = text("request");
        match entry["eventType"].as_str().unwrap() {
            "request.made" => drop(all.insert(request, (0, false, false))),
            "request.approved" => all.get_mut(&request).unwrap().0 += 1,
            "request.denied" => all.get_mut(&request).unwrap().1 = true,
            "request.expired" => drop(all.remove(&request)),
            "lease.begun" if entry["reach"] == "handle" => drop(all.remove(&text("approval"))),
            "lease.begun" => all.get_mut(&text("approval")).unwrap().2 = true,
            "lease.used" | "lease.ended" => drop(all.remove(&text("approval"))),
            _ => {}
        }
    }
    all
}

fn reopen(place: &Place, settings: Settings, time: u64) -> Vec<Standing> {
    Log::open(place.path(), log_key(), settings, at(time)).unwrap().1.standing
}

#[test]
fn after_a_crash_within_any_line_exactly_that_stands_which_the_whole_lines_say() {
    let place = Place::new();
    every_way(&place);
    let bytes = place.bytes(FIRST);
    let end = bytes.iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    let mut seen = BTreeSet::new();
    let ends = (0..=end).filter(|end| *end == 0 || bytes[end - 1] == b'\n');
    let cuts: BTreeSet<usize> =
        ends.flat_map(|end| [end.saturating_sub(1), end, end + 1, end + 300]).collect();
    for cut in cuts.into_iter().filter(|cut| *cut <= end) {
        let torn = Place::new();
        torn.put(FIRST, &bytes[..cut]);
        let expected = by_the_document(&bytes[..cut]);
        assert_eq!(summary(&reopen(&torn, settings(), 100)), expected, "cut at {cut}");
        // The next run has it from the first line of its segment alone.
        assert_eq!(summary(&reopen(&torn, settings(), 200)), expected, "again, cut at {cut}");
        seen.insert(expected);
    }
    // Nothing, seven times a question, and thirteen times a change of what stands.
    assert_eq!(seen.len(), 1 + 7 + 13);
    assert_eq!(by_the_document(&bytes[..end]).len(), 4);
}

#[test]
fn a_segment_carries_what_stands_word_for_word() {
    let place = Place::new();
    every_way(&place);
    let before = reopen(&place, settings(), 100);
    let second = place.bytes(SECOND);
    let start: Value =
        serde_json::from_slice(second.split(|byte| *byte == b'\n').next().unwrap()).unwrap();
    let carried = start["entry"]["inForce"].as_array().unwrap();
    let first = place.bytes(FIRST);
    let lines: Vec<Value> = first
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
        .map(|line: Value| line["entry"].clone())
        .collect();
    assert_eq!(carried.len(), 1 + 2 + 2 + 4);
    assert!(carried.iter().all(|entry| lines.contains(entry)));
    assert_eq!(reopen(&place, settings(), 200), before);
}

#[test]
fn what_is_over_is_carried_no_further() {
    let place = Place::new();
    every_way(&place);
    assert_eq!(reopen(&place, settings(), 100).len(), 4);
    let late = u64::try_from(PATIENCE.as_micros()).unwrap() + 50;
    // The daemon is told once more, so that it can record what it ends.
    assert_eq!(reopen(&place, settings(), late).len(), 4);
    assert_eq!(reopen(&place, settings(), late + 1).len(), 0);
}

#[test]
fn after_another_boot_time_passes_by_the_wall_clock() {
    let other = BootId::try_from("11111111-0d3e-4f6a-9b1c-2d3e4f5a6b7c").unwrap();
    let late = u64::try_from(PATIENCE.as_micros()).unwrap() + 50;
    for (wall, left) in [(100, 4), (late, 0)] {
        let place = Place::new();
        every_way(&place);
        let mut now = at(wall);
        now.boot = ward_policy::Moment::from_nanoseconds(1);
        let settings = Settings { boot: other.clone(), ..settings() };
        drop(Log::open(place.path(), log_key(), settings.clone(), now).unwrap());
        assert_eq!(reopen(&place, settings, wall + 1).len(), left);
    }
}
