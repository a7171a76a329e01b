//! Every line is canonical JSON (RFC 8785), by the judgement of an encoder that knows no struct.
#![expect(clippy::unwrap_used, reason = "only tests use it")]

use crate::support::{FIRST, Place, at, caller, entries, lease, path, vault};
use serde_json::Value;
use std::collections::BTreeMap;
use ward_audit::{
    Durability, EventType, Evidence, EvidenceKind, NamesKey, Outcome, Record, VaultKind,
};
use ward_memory::SecretBox;
use ward_policy::{
    Digest, LeaseId, Operation, OperationSet, Question, RecordNames, RequestId, SecretPath, Share,
    Ticket,
};

/// Writes `value` with sorted keys (by UTF-16 units), no spaces and the shortest escapes.
fn encode(value: &Value, text: &mut String) {
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(truth) => text.push_str(if *truth { "true" } else { "false" }),
        Value::Number(number) => {
            assert!(number.as_u64().is_some_and(|number| number < 1 << 53), "{number}");
            text.push_str(&number.to_string());
        }
        Value::String(string) => encode_text(string, text),
        Value::Array(values) => {
            for (place, value) in values.iter().enumerate() {
                text.push(if place == 0 { '[' } else { ',' });
                encode(value, text);
            }
            text.push_str(if values.is_empty() { "[]" } else { "]" });
        }
        Value::Object(fields) => {
            let sorted: BTreeMap<Vec<u16>, (&String, &Value)> =
                fields.iter().map(|field| (field.0.encode_utf16().collect(), field)).collect();
            for (place, (key, value)) in sorted.into_values().enumerate() {
                text.push(if place == 0 { '{' } else { ',' });
                encode_text(key, text);
                text.push(':');
                encode(value, text);
            }
            text.push_str(if fields.is_empty() { "{}" } else { "}" });
        }
    }
}

fn encode_text(string: &str, text: &mut String) {
    text.push('"');
    for character in string.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\u{8}' => text.push_str("\\b"),
            '\t' => text.push_str("\\t"),
            '\n' => text.push_str("\\n"),
            '\u{c}' => text.push_str("\\f"),
            '\r' => text.push_str("\\r"),
            '\0'..='\u{1f}' => text.push_str(&format!("\\u{:04x}", u32::from(character))),
            _ => text.push(character),
        }
    }
    text.push('"');
}

fn assert_canonical(lines: &[u8]) {
    for line in std::str::from_utf8(lines).unwrap().lines() {
        let mut canonical = String::new();
        encode(&serde_json::from_str(line).unwrap(), &mut canonical);
        assert_eq!(canonical, line);
    }
}

#[test]
fn every_kind_of_entry_with_every_field_is_canonical() {
    let (caller, vault, path) = (caller(), vault(), path());
    let to = SecretPath::try_from("db/new").unwrap();
    let ticket = Ticket::try_from("OPS-1234").unwrap();
    let rules = ["first \"rule\"".into(), "second".into()];
    let id = ulid::Ulid::from_parts(1, 2);
    let evidence = Evidence {
        kind: EvidenceKind::Hardware,
        bytes: vec![1],
        digest: vec![2],
        is_self_approved: true,
        ..Evidence::local(Some("ops"))
    };
    for names in [RecordNames::Sealed, RecordNames::Clear] {
        let place = Place::new();
        let log = place.open();
        log.record_names(names).unwrap();
        log.seal_names(&vault, &NamesKey::from_bytes(SecretBox::make(|| [7; 32]))).unwrap();
        for (number, event) in EventType::ALL.iter().enumerate() {
            let record = Record::new(*event)
                .by(&caller)
                .clients(&["agent", "cur\u{e4}tor"])
                .on(&vault, &path)
                .renamed_to(&to)
                .vault_kind(VaultKind::Secrets)
                .operations(OperationSet::of(Operation::FileRead).with(Operation::FileWrite))
                .decision(Outcome::NeedsApproval)
                .rules(&rules)
                .policy(Digest::from_bytes([0x5e; 32]))
                .lease(LeaseId(id))
                .request(RequestId(id))
                .approval(RequestId(id))
                .reason("line\nbreak \u{1} \u{7f} \"quoted\" \\ / \u{2028} \u{1f512}")
                .ticket(&ticket)
                .used("/usr/bin/curl")
                .bytes(u64::MAX)
                .offset(1 << 53)
                .mapped()
                .evidence(&evidence, "{\"nonce\":\"\u{e4}\"}")
                .opened_by(caller.process, Share::Children)
                .count(3)
                .mount("01KAJ");
            let now = at(u64::try_from(number).unwrap());
            let _receipt = log.append(record, Durability::Written, now).unwrap();
        }
        assert_eq!(entries(&log).len(), 1 + EventType::ALL.len());
        log.close(at(500)).unwrap();
        drop(log);
        assert_canonical(&place.bytes(FIRST));
    }
}

#[test]
fn an_entry_with_hardly_any_field_is_canonical() {
    let place = Place::with_entries(3);
    assert_canonical(&place.bytes(FIRST));
}

#[test]
fn a_reason_is_kept_as_it_is_but_for_what_no_database_takes() {
    let place = Place::new();
    let log = place.open();
    let record = Record::new(EventType::RequestMade).reason("a\0\u{1}\\u0000\n");
    let _receipt = log.append(record, Durability::Durable, at(1)).unwrap();
    assert_eq!(entries(&log)[1].entry.reason.as_deref(), Some("a \u{1}\\u0000\n"));
    log.close(at(500)).unwrap();
    drop(log);
    assert_canonical(&place.bytes(FIRST));
}

#[test]
fn a_lease_a_read_and_a_refusal_are_recorded_with_their_facts() {
    let (caller, lease, vault, path) = (caller(), lease(), vault(), path());
    let place = Place::new();
    let log = place.open();
    log.record_names(RecordNames::Clear).unwrap();
    let opening = Record::opening(&caller, &lease);
    let _receipt = log.append(opening, Durability::Durable, at(1)).unwrap();
    let active = lease.active_for(&caller, at(2).boot).unwrap();
    let reading = Record::reading(&caller, &active, 4096, 9_007_199_254_740_993);
    let _receipt = log.append(reading, Durability::Written, at(2)).unwrap();
    let question = Question {
        operations: OperationSet::of(Operation::FileWrite),
        vault: Some(&vault),
        path: Some(&path),
        ..Question::default()
    };
    let refusal = Record::refusal(&caller, &question, RequestId(ulid::Ulid::from_parts(1, 2)));
    let _receipt = log.append(refusal, Durability::Durable, at(3)).unwrap();
    let shown = entries(&log);
    let [_, opened, read, refused] = &shown[..] else { panic!("four entries") };
    assert_eq!(opened.entry.rules.as_deref(), Some(&["agent-reads".into()][..]));
    assert_eq!(opened.entry.ticket.as_deref(), Some("OPS-1234"));
    assert_eq!(opened.entry.path.as_deref(), Some("db/caf\u{e9} \"1\"\\%25%FF"));
    assert_eq!(opened.entry.lease, read.entry.lease);
    assert_eq!(read.entry.bytes.unwrap().0, 9_007_199_254_740_993);
    assert_eq!(read.entry.offset.unwrap().0, 4096);
    let actor = refused.entry.actor.as_ref().unwrap();
    assert_eq!((actor.pid, actor.start_ticks.0), (4711, 9_007_199_254_740_993));
    assert_eq!(actor.exe.as_deref(), Some("/usr/bin/cu%01rl"));
    assert_eq!(refused.entry.decision.as_deref(), Some("denied"));
    assert_eq!(refused.entry.operations.as_deref(), Some(&["file.write".into()][..]));
    log.close(at(500)).unwrap();
    drop(log);
    assert_canonical(&place.bytes(FIRST));
}
