//! Who signs for a log: slowly, elsewhere, not at all, one after the other, and thieves.
#![expect(clippy::unwrap_used, reason = "only tests use it")]

use crate::support::{FIRST, Place, SECOND, append, at, log_key, settings};
use crate::tampering::{forged, lines, named};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use ward_audit::{
    ChainHash, Durability, EventType, KeySource, Log, LogKey, OpenLogError, PublicKey, Record,
    RotateError, SignError, Signature, Signer, SoftwareSigner, Stamp, Timestamp, Verdict,
};
use ward_memory::SecretBox;

const CONTROL: Record<'static> = Record::new(EventType::Command);
const SEGMENTS: [&str; 4] = [FIRST, SECOND, "0000000003.jsonl", "0000000004.jsonl"];

/// A signer elsewhere: signs when it is told to, or does not.
#[derive(Debug)]
struct Elsewhere {
    key: SoftwareSigner,
    /// Each signature takes one of these; a closed channel is a signer that is gone. Nothing: at once.
    orders: Option<Mutex<Receiver<()>>>,
    asked: Mutex<Option<Sender<()>>>,
}

impl Elsewhere {
    fn new(seed: u8) -> Self {
        Self { key: software(seed), orders: None, asked: Mutex::new(None) }
    }

    /// One that waits for orders, of which the first two are given: it begins a log with them.
    fn slow(seed: u8) -> (Arc<Self>, Sender<()>, Receiver<()>) {
        let ((order, orders), (asked, was_asked)) = (channel(), channel());
        order.send(()).unwrap();
        let orders = Some(Mutex::new(orders));
        let signer = Self { key: software(seed), orders, asked: Mutex::new(Some(asked)) };
        (Arc::new(signer), order, was_asked)
    }
}

impl Signer for Elsewhere {
    fn kid(&self) -> &str {
        "hsm-1"
    }

    fn public(&self) -> PublicKey {
        self.key.public()
    }

    fn source(&self) -> KeySource {
        KeySource::Pkcs11
    }

    fn sign(&self, hash: &ChainHash) -> Result<Signature, SignError> {
        self.asked.lock().unwrap().iter().for_each(|asked| asked.send(()).unwrap_or_default());
        let gone = |_| SignError("it is gone".to_owned());
        if let Some(orders) = &self.orders {
            orders.lock().unwrap().recv().map_err(gone)?;
        }
        self.key.sign(hash)
    }
}

fn software(seed: u8) -> SoftwareSigner {
    SoftwareSigner::from_bytes(&SecretBox::make(|| [seed; 32]))
}

fn signer(seed: u8) -> Arc<dyn Signer> {
    Arc::new(software(seed))
}

/// A key of a log that `signer` alone signs, with what the notes need.
fn only(signer: Arc<dyn Signer>) -> LogKey {
    log_key().with_local(software(99)).without_local().or_signer(signer)
}

fn open(place: &Place, key: LogKey, now: Stamp) -> Log {
    Log::open(place.path(), key, settings(), now).unwrap().0
}

fn control(log: &Log, moment: u64) {
    let _receipt = log.append(CONTROL, Durability::Durable, at(moment)).unwrap();
}

/// What lies on the disk of the first segment, without room for more.
fn written(place: &Place) -> usize {
    let bytes = place.bytes(FIRST);
    bytes.iter().filter(|byte| **byte == b'\n').count()
}

#[test]
fn a_slow_signature_holds_back_receipts_and_neither_the_chain_nor_other_signatures() {
    let place = Place::new();
    let (slow, order, asked) = Elsewhere::slow(1);
    let log = open(&place, only(slow), at(0));
    asked.recv().unwrap();
    std::thread::scope(|scope| {
        let first = scope.spawn(|| log.append(CONTROL, Durability::Durable, at(1)).unwrap());
        asked.recv().unwrap();
        let open = Record::new(EventType::FileOpen);
        let log = &log;
        let ordinary = scope.spawn(move || log.append(open, Durability::Durable, at(2)).unwrap());
        let second = scope.spawn(|| log.append(CONTROL, Durability::Written, at(3)).unwrap());
        asked.recv().unwrap();
        while log.head().unwrap().unwrap().seq < 4 {
            std::thread::yield_now();
        }
        // Chained, and nothing of it is in the file or known to anybody.
        assert_eq!(written(&place), 1);
        assert!(!first.is_finished() && !ordinary.is_finished() && !second.is_finished());
        assert_eq!(place.verify().good.head.unwrap().seq, 1);
        order.send(()).unwrap();
        order.send(()).unwrap();
        for waited in [first, ordinary, second] {
            let _receipt = waited.join().unwrap();
        }
    });
    assert_eq!(written(&place), 4);
    let report = place.verify();
    assert_eq!((report.verdict, report.good.head), (Verdict::Whole, log.head().unwrap()));
}

#[test]
fn a_segment_ends_once_every_signature_in_it_has_come() {
    let place = Place::new();
    let (slow, order, _asked) = Elsewhere::slow(1);
    let small = ward_audit::Settings { segment_bytes: 1500, ..settings() };
    let log = Log::open(place.path(), only(slow), small, at(0)).unwrap().0;
    std::thread::scope(|scope| {
        for number in 1..=16 {
            let log = &log;
            scope.spawn(move || log.append(CONTROL, Durability::Written, at(number)).unwrap());
        }
        // A start of a segment takes one, too.
        for _ in 0..64 {
            order.send(()).unwrap();
        }
    });
    assert!(log.segment().unwrap().number() > 2);
    assert_eq!(place.verify().verdict, Verdict::Whole);
}

#[test]
fn a_signer_that_is_gone_stops_the_log_and_leaves_it_whole() {
    let place = Place::new();
    let (slow, order, _asked) = Elsewhere::slow(1);
    let log = open(&place, only(slow), at(0));
    append(&log, 1..3);
    drop(order);
    let refused = log.append(CONTROL, Durability::Written, at(3)).unwrap_err();
    assert!(refused.to_string().contains("its signer does not sign: it is gone"), "{refused}");
    // Whatever comes after it hangs on it in the chain.
    assert!(log.append(Record::new(EventType::FileOpen), Durability::Written, at(4)).is_err());
    assert!(log.stopped().is_some());
    drop(log);
    let report = place.verify();
    assert_eq!((report.verdict, report.good.head.unwrap().seq), (Verdict::Whole, 3));
}

#[test]
fn where_the_local_key_may_stand_by_a_log_goes_on_without_its_signer() {
    let place = Place::new();
    let (slow, order, _asked) = Elsewhere::slow(1);
    let key = |signer: Arc<Elsewhere>| only(signer).with_standby();
    let log = open(&place, key(slow), at(0));
    drop(order);
    control(&log, 1);
    append(&log, 2..4);
    log.close(at(5)).unwrap();
    drop(log);
    assert_eq!(place.verify().verdict, Verdict::Whole);
    // A run may even begin so, since the one before said who may.
    let (gone, order, _asked) = Elsewhere::slow(1);
    gone.orders.as_ref().unwrap().lock().unwrap().recv().unwrap();
    drop(order);
    let log = open(&place, key(gone), at(10));
    control(&log, 11);
    drop(log);
    assert_eq!(place.verify().verdict, Verdict::Whole);
    // Not where it may not.
    let (gone, order, _asked) = Elsewhere::slow(1);
    gone.orders.as_ref().unwrap().lock().unwrap().recv().unwrap();
    drop(order);
    let refused = Log::open(place.path(), only(gone), settings(), at(20)).unwrap_err();
    assert!(refused.to_string().contains("does not sign"), "{refused}");
}

#[test]
fn a_signature_of_the_local_key_is_found_where_it_may_not_stand_by() {
    let place = Place::new();
    let log = open(&place, only(Arc::new(Elsewhere::new(1))), at(0));
    control(&log, 1);
    drop(log);
    sign_anew(&place, FIRST, 1, &software(99));
    assert_eq!(named(&place.verify().verdict), Some((FIRST.to_owned(), 2)));
}

/// A log in which the key 8 took over from 7, with an entry before and after.
fn rotated() -> (Place, Log) {
    let place = Place::new();
    let log = open(&place, key_of(&[7, 8]), at(0));
    control(&log, 1);
    rotate(&log, 8, 2);
    control(&log, 5);
    (place, log)
}

fn key_of(seeds: &[u8]) -> LogKey {
    seeds.iter().fold(log_key().without_local(), |key, seed| key.or_signer(signer(*seed)))
}

fn rotate(log: &Log, seed: u8, moment: u64) {
    let next = signer(seed);
    log.request_rotation(&next, at(moment)).unwrap();
    log.apply_rotation(&next, at(moment + 1)).unwrap();
}

/// Puts a signature by `thief` under a line, counted from 0, where that changes nothing else.
fn sign_anew(place: &Place, file: &str, number: usize, thief: &SoftwareSigner) {
    let mut lines = lines(&place.bytes(file));
    lines.retain(|line| line.starts_with(b"{"));
    lines[number] = signed_by(&lines[number], thief);
    place.put(file, &lines.concat());
}

fn signed_by(line: &[u8], thief: &SoftwareSigner) -> Vec<u8> {
    let text = String::from_utf8(line.to_vec()).unwrap();
    let (_, rest) = text.split_once(",\"hash\":\"").unwrap();
    let hash = ChainHash::from_hex(&rest[..64]).unwrap();
    let (unsigned, _) = text.split_once(",\"sig\":\"").unwrap();
    let signature = thief.sign(&hash).unwrap().to_base64();
    format!("{unsigned},\"sig\":\"{signature}\"}}\n").into_bytes()
}

#[test]
fn after_a_rotation_the_new_key_signs_and_a_start_takes_no_other() {
    let (place, log) = rotated();
    assert_eq!(log.signer().unwrap().public(), signer(8).public());
    assert!(matches!(log.request_rotation(&signer(8), at(6)), Err(RotateError::Same { .. })));
    log.close(at(7)).unwrap();
    drop(log);
    let report = place.verify();
    assert_eq!(report.verdict, Verdict::Whole);
    let [old, new] = &report.good.signers[..] else { unreachable!("{:?}", report.good.signers) };
    assert_eq!((old.public_key, new.public_key), (signer(7).public(), signer(8).public()));
    // They overlap: from the request to the entry by which the new one took over.
    assert!(old.valid_until > Some(new.valid_from) && new.valid_until.is_none());
    let refused = Log::open(place.path(), key_of(&[7]), settings(), at(10)).unwrap_err();
    assert!(matches!(refused, OpenLogError::Signer { .. }), "{refused}");
    for round in 1..4 {
        let log = open(&place, key_of(&[8]), at(round * 100));
        control(&log, round * 100 + 1);
        log.tend(at(round * 100 + 2)).unwrap();
        log.close(at(round * 100 + 3)).unwrap();
    }
    assert_eq!(place.verify().verdict, Verdict::Whole);
    assert!(place.file("0000000001.jsonl.zst").exists());
}

#[test]
fn a_signature_of_the_old_key_after_the_new_one_took_over_is_found() {
    let (place, log) = rotated();
    drop(log);
    assert_eq!(place.verify().verdict, Verdict::Whole);
    // Of the first segment the last entries are the request, the take-over and the end; then the next.
    let first = lines(&place.bytes(FIRST));
    let applied = first
        .iter()
        .position(|line| String::from_utf8_lossy(line).contains("signer.rotation.applied"))
        .unwrap();
    for (file, number) in [(FIRST, applied), (SECOND, 0), (SECOND, 1)] {
        let whole = place.bytes(file);
        sign_anew(&place, file, number, &software(7));
        let found = named(&place.verify().verdict);
        assert_eq!(found, Some((file.to_owned(), number as u64 + 1)));
        place.put(file, &whole);
    }
}

#[test]
fn a_key_that_nobody_named_does_not_take_over() {
    // By whoever holds the daemon's memory but not the key: the entry is there, signed by the new key.
    let place = Place::new();
    let log = open(&place, key_of(&[7]), at(0));
    log.apply_rotation(&signer(8), at(1)).unwrap();
    drop(log);
    assert_eq!(named(&place.verify().verdict), Some((FIRST.to_owned(), 2)));

    // By whoever holds the old key, in the name of the request that was made for another.
    let place = Place::new();
    let log = open(&place, key_of(&[7]), at(0));
    log.request_rotation(&signer(8), at(1)).unwrap();
    drop(log);
    let mut lines = lines(&place.bytes(FIRST));
    lines.truncate(2);
    let (real, theirs) = (signer(8).public().to_string(), signer(9).public().to_string());
    let request = forged(&lines[1], &real, &theirs);
    lines[1] = signed_by(&request, &software(9));
    place.put(FIRST, &lines.concat());
    assert_eq!(named(&place.verify().verdict), Some((FIRST.to_owned(), 2)));
}

#[test]
fn a_key_that_does_not_sign_does_not_take_over() {
    let place = Place::new();
    let log = open(&place, key_of(&[7]), at(0));
    let (gone, order, _asked) = Elsewhere::slow(8);
    gone.orders.as_ref().unwrap().lock().unwrap().recv().unwrap();
    drop(order);
    let gone: Arc<dyn Signer> = gone;
    let refused = log.request_rotation(&gone, at(1)).unwrap_err();
    assert_eq!(refused.to_string(), "hsm-1 does not sign: it is gone");
    control(&log, 2);
    assert_eq!(place.verify().good.signers.len(), 1);
}

#[test]
fn a_rotation_that_a_kill_cut_in_two_goes_on_with_either_key() {
    for (seeds, goes_on_with) in [(&[7, 8][..], 7), (&[8], 8), (&[7], 7)] {
        let place = Place::new();
        let log = open(&place, key_of(&[7]), at(0));
        log.request_rotation(&signer(8), at(1)).unwrap();
        drop(log);
        let (log, recovered) = Log::open(place.path(), key_of(seeds), settings(), at(10)).unwrap();
        assert_eq!(recovered.successor, Some(signer(8).public()));
        assert_eq!(log.signer().unwrap().public(), signer(goes_on_with).public());
        control(&log, 11);
        if seeds.contains(&8) {
            log.apply_rotation(&signer(8), at(12)).unwrap();
        }
        control(&log, 13);
        drop(log);
        assert_eq!(place.verify().verdict, Verdict::Whole, "{seeds:?}");
        let last = *seeds.last().unwrap();
        drop(open(&place, key_of(&[last]), at(20)));
        assert_eq!(place.verify().verdict, Verdict::Whole, "{seeds:?}");
    }
}

#[test]
fn what_a_stolen_key_signed_since_then_is_told_for_ever_and_nothing_else() {
    let (place, log) = rotated();
    let kid = signer(7).kid().to_owned();
    let entry = |moment: u64| Timestamp::from_microseconds(at(moment).wall);
    log.distrust((signer(7).public(), &kid), entry(2), at(6)).unwrap();
    control(&log, 7);
    log.close(at(8)).unwrap();
    drop(log);
    let report = place.verify();
    assert_eq!(report.verdict, Verdict::Whole);
    // The start and the entry before that time are not in it; the take-over is the new key's.
    let [distrusted] = &report.good.distrusted[..] else { unreachable!("{report:?}") };
    assert_eq!((distrusted.first, distrusted.last, distrusted.count), (3, 3, 1));
    assert!(report.to_string().contains("1 entry stands on the key wardfs-"), "{report}");
    assert_eq!(report.good.signers[0].compromised_from, Some(entry(2)));

    // Stolen before the segment began: its own key, and what that signed, stands on the stolen one.
    let log = open(&place, key_of(&[8]), at(20));
    log.distrust((signer(7).public(), &kid), entry(0), at(21)).unwrap();
    drop(log);
    let report = place.verify();
    let [distrusted] = &report.good.distrusted[..] else { unreachable!("{report:?}") };
    assert_eq!((distrusted.first, distrusted.last), (1, 5));
    assert!(report.good.distrusted.iter().all(|it| it.kid == kid));
}

#[test]
fn every_segment_of_a_log_with_many_rotations_is_kept_and_verified() {
    let place = Place::new();
    let log = open(&place, key_of(&[7]), at(0));
    for round in 1_u8..4 {
        rotate(&log, 7 + round, u64::from(round) * 10);
        control(&log, u64::from(round) * 10 + 5);
    }
    log.keep(Duration::ZERO, at(50)).unwrap();
    log.tend(at(51)).unwrap();
    log.close(at(52)).unwrap();
    assert_eq!(place.verify().verdict, Verdict::Whole);
    assert_eq!(place.verify().good.signers.len(), 4);
    assert!(SEGMENTS.iter().take(3).all(|name| place.file(&format!("{name}.zst")).exists()));
}
