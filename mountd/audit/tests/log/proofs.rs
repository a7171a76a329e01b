//! One entry can be proved to others with its head alone.
#![expect(clippy::unwrap_used, reason = "only tests use it")]

use crate::support::{Place, append, at, entries};
use std::time::Duration;
use ward_audit::{CheckError, Proof, ProveError, head, notes_key, prove};

/// A log of three segments, two of them put away; the open one has entries behind the tiles.
fn place() -> (Place, ward_audit::Log) {
    let place = Place::with_entries(700);
    let log = place.open_at(at(1000));
    append(&log, 1001..1011);
    log.close(at(1020)).unwrap();
    drop(log);
    let log = place.open_at(at(2000));
    log.tend(at(2001)).unwrap();
    append(&log, 2002..2032);
    log.keep(Duration::ZERO, at(2040)).unwrap();
    (place, log)
}

#[test]
fn each_entry_up_to_the_head_is_proved_and_none_behind_it() {
    let (place, log) = place();
    let (key, size) = (notes_key(place.path()).unwrap(), head(place.path()).unwrap().head.size);
    let shown = entries(&log);
    for seq in (1..=size).filter(|seq| seq % 61 == 0 || *seq > size - 40 || *seq < 3) {
        let proof = prove(place.path(), seq).unwrap();
        let entry = &shown[usize::try_from(seq - 1).unwrap()].entry;
        assert_eq!(proof.entry, serde_json::to_vec(entry).unwrap());
        let read = Proof::parse(&proof.to_string()).unwrap();
        assert_eq!((read.seq(), read.check(key)), (seq, Ok(())));
    }
    let error = prove(place.path(), size + 1).unwrap_err();
    assert!(matches!(error, ProveError::NotSigned { .. }), "{error}");
    assert!(matches!(prove(place.path(), 0).unwrap_err(), ProveError::NoEntry { .. }));
}

#[test]
fn an_independent_checker_takes_our_proofs() {
    let (place, _log) = place();
    let proof = prove(place.path(), 705).unwrap().to_string();
    let (top, note) = proof.split_once("\n\n").unwrap();
    let lines: Vec<&str> = top.lines().collect();
    assert_eq!((lines[0], lines[2]), ("c2sp.org/tlog-proof@v1", "index 704"));
    let decode = |text: &str| {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.decode(text).unwrap()
    };
    let leaf = tlog_tiles::record_hash(&decode(lines[1].strip_prefix("extra ").unwrap()));
    let hashes = lines[3..].iter().map(|line| tlog_tiles::Hash::parse_hash(line).unwrap());
    let theirs = signed_note::Note::from_bytes(note.as_bytes()).unwrap();
    let head = tlog_tiles::Checkpoint::from_bytes(theirs.text()).unwrap();
    tlog_tiles::check_record(&hashes.collect(), head.size(), *head.hash(), 704, leaf).unwrap();
}

#[test]
fn a_proof_with_any_byte_changed_proves_nothing() {
    let (place, _log) = place();
    let (key, proof) = (notes_key(place.path()).unwrap(), prove(place.path(), 300).unwrap());
    let text = proof.to_string();
    for position in 0..text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[position] ^= 1;
        let Ok(changed) = String::from_utf8(bytes) else { continue };
        let checked = Proof::parse(&changed).and_then(|proof| proof.check(key));
        assert!(checked.is_err(), "{changed}");
    }
    assert_eq!(Proof::parse("").unwrap_err(), CheckError::Form);
    let last = text.replace("index 299", &format!("index {}", u64::MAX));
    assert_eq!(Proof::parse(&last).unwrap_err(), CheckError::Form);
}

#[test]
fn an_independent_checker_takes_that_each_head_continues_every_one_before() {
    let (place, log) = place();
    let mut heads = Vec::new();
    for round in 0..40 {
        append(&log, 2100 + round * 100..2101 + round * 100 + round * round % 17);
        log.keep(Duration::ZERO, at(2190 + round * 100)).unwrap();
        heads.push(log.head_note().unwrap().head);
    }
    let theirs = |hash: ward_audit::TreeHash| tlog_tiles::Hash(*hash.as_bytes());
    let mut checked = 0;
    for (place, old) in heads.iter().enumerate() {
        for new in heads.get(place + 1..).unwrap().iter().filter(|new| new.size > old.size) {
            let proof = log.consistency(old.size, new.size).unwrap();
            let proof = proof.into_iter().map(theirs).collect();
            let check =
                |root| tlog_tiles::check_tree(&proof, new.size, root, old.size, theirs(old.root));
            check(theirs(new.root)).unwrap();
            assert!(check(theirs(old.root)).is_err());
            checked += 1;
        }
    }
    assert!(checked > 700, "{checked}");
    assert_eq!(log.consistency(0, 10).unwrap(), []);
    drop(place);
}
