//! Names of a `secrets` vault are in the log only for those who hold its key.
#![expect(clippy::unwrap_used, reason = "only tests use it")]

use crate::support::{FIRST, Place, at, entries, log_key, settings, vault};
use std::ops::ControlFlow;
use ward_audit::{Durability, EventType, Filter, Log, NamesKey, PathGlob, Record, VaultKind, read};
use ward_memory::SecretBox;
use ward_policy::{RecordNames, SecretPath};

fn key() -> NamesKey {
    NamesKey::from_bytes(SecretBox::make(|| [7; 32]))
}

/// Appends one entry with every field that can be sealed, and gives the bytes of the file.
fn record(log: &Log, place: &Place, kind: VaultKind) -> String {
    let (vault, path) = (vault(), SecretPath::try_from("database/password").unwrap());
    let record = Record::new(EventType::FileRename)
        .on(&vault, &path)
        .renamed_to(&path)
        .vault_kind(kind)
        .reason("nightly backup")
        .offset(4_242_424)
        .bytes(3_131_313);
    let _receipt = log.append(record, Durability::Durable, at(1)).unwrap();
    String::from_utf8(place.bytes(FIRST)).unwrap()
}

const NAMES: [&str; 4] = ["database", "nightly", "4242424", "3131313"];

#[test]
fn sealed_names_do_not_stand_in_the_file_and_open_with_the_key() {
    let place = Place::new();
    let log = place.open();
    log.seal_names(&vault(), &key()).unwrap();
    let file = record(&log, &place, VaultKind::Secrets);
    assert!(NAMES.iter().all(|name| !file.contains(name)), "{file}");
    let shown = entries(&log).pop().unwrap().entry;
    assert_eq!(shown.path.as_deref(), Some("database/password"));
    assert_eq!(shown.to.as_deref(), Some("database/password"));
    assert_eq!(shown.reason.as_deref(), Some("nightly backup"));
    assert_eq!((shown.offset.unwrap().0, shown.bytes.unwrap().0), (4_242_424, 3_131_313));
    assert_eq!(shown.sealed, None);
    log.forget_names(&vault()).unwrap();
    let hidden = entries(&log).pop().unwrap().entry;
    assert!(hidden.sealed.is_some() && hidden.path.is_none());
}

#[test]
fn sealed_names_open_after_a_restart_too() {
    let place = Place::new();
    let log = place.open();
    log.seal_names(&vault(), &key()).unwrap();
    record(&log, &place, VaultKind::Secrets);
    log.close(at(500)).unwrap();
    drop(log);
    let log = Log::open(place.path(), log_key(), settings(), at(2)).unwrap().0;
    log.seal_names(&vault(), &key()).unwrap();
    let filter = Filter { path: Some(PathGlob::new("database/*")), ..Filter::default() };
    let mut found = 0;
    log.read(&filter, |_| {
        found += 1;
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(found, 1);
}

#[test]
fn names_of_a_locked_vault_are_left_out_and_not_written_in_clear() {
    let place = Place::new();
    let log = place.open();
    let file = record(&log, &place, VaultKind::Secrets);
    assert!(NAMES.iter().all(|name| !file.contains(name)), "{file}");
    assert_eq!(entries(&log).pop().unwrap().entry.sealed, None);
}

#[test]
fn names_stand_in_clear_for_a_workspace_or_when_the_policy_says_so() {
    for (names, kind) in
        [(RecordNames::Sealed, VaultKind::Workspace), (RecordNames::Clear, VaultKind::Secrets)]
    {
        let place = Place::new();
        let log = place.open();
        log.record_names(names).unwrap();
        let file = record(&log, &place, kind);
        assert!(NAMES.iter().all(|name| file.contains(name)), "{file}");
    }
}

#[test]
fn a_log_is_shown_without_a_daemon_with_its_names_sealed() {
    let place = Place::new();
    let log = place.open();
    log.seal_names(&vault(), &key()).unwrap();
    record(&log, &place, VaultKind::Secrets);
    let mut shown = Vec::new();
    let filter = Filter { event: Some(EventType::FileRename), ..Filter::default() };
    read(place.path(), &filter, |entry| {
        shown.push(entry);
        ControlFlow::Break(())
    })
    .unwrap();
    assert_eq!(shown.len(), 1);
    assert!(shown[0].entry.sealed.is_some() && shown[0].entry.path.is_none());
    let json = serde_json::to_string(&shown[0]).unwrap();
    assert!(json.contains("\"sealed\":"), "{json}");
}
