//! Whatever somebody changes in the directory of a vault is detected, or changes nothing.

use super::support::{Fixture, at, get, name, put};
use crate::{Existing, Fault, ReadOnly, UnlockError, fsck};
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

/// What somebody does to the directory of a vault, and how it is called.
type Tampering = (&'static str, fn(&Fixture));

/// A small vault of three segments with something of everything.
fn small() -> Fixture {
    let fixture = Fixture::new();
    let vault = fixture.vault();
    put(&vault, "a", b"first");
    vault.sync().unwrap();
    put(&vault, "b", b"second");
    vault.close().unwrap();
    let vault = fixture.vault();
    let root = vault.root();
    put(&vault, "a", b"third");
    vault.rename((root, &name("a")), (root, &name("c")), Existing::Keep, at(5)).unwrap();
    vault.close().unwrap();
    fixture
}

fn is_unhurt(fixture: &Fixture) -> bool {
    let copy = fixture.copy();
    let (vault, recovered) = copy.unlock();
    recovered.damage.is_empty()
        && get(&vault, "b").as_deref() == Some(b"second")
        && get(&vault, "c").as_deref() == Some(b"third")
        && vault.entries(vault.root()).len() == 2
}

fn is_detected(fixture: &Fixture) -> bool {
    match fsck(&fixture.directory(), &fixture.secret()) {
        Ok(report) => !report.findings.is_empty(),
        Err(_) => true,
    }
}

#[test]
fn a_changed_byte_anywhere_in_the_directory_is_detected_or_harmless() {
    flip(|place| place % 8..place % 8 + 1);
}

#[test]
#[ignore = "minutes: scripts/soak runs it"]
fn every_single_bit_flip_is_detected_or_harmless() {
    flip(|_| 0..8);
}

/// Flips, at each place, these bits of its byte, one after the other.
fn flip(bits: impl Fn(u64) -> Range<u64>) {
    let fixture = small();
    let (mut changed, mut harmless) = (0_u64, 0);
    for path in fixture.files() {
        let bytes = std::fs::read(&path).unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        for (place, byte) in (0_u64..).zip(&bytes) {
            for bit in bits(place) {
                file.write_all_at(&[byte ^ (1 << bit)], place).unwrap();
                changed += 1;
                if !is_detected(&fixture) {
                    harmless += 1;
                    assert!(is_unhurt(&fixture), "{} at {place}, bit {bit}", path.display());
                }
            }
            file.write_all_at(&[*byte], place).unwrap();
        }
    }
    assert!(!is_detected(&fixture));
    assert!(changed > 4000, "{changed}");
    // The empty batch of a clean end says nothing: one in each segment.
    let each =
        changed / fixture.files().iter().map(|path| path.metadata().unwrap().len()).sum::<u64>();
    assert!(harmless <= 3 * 576 * each, "{harmless} of {changed}");
}

#[test]
fn a_damaged_vault_opens_for_reading_only_and_says_which_secret_is_hurt() {
    let fixture = small();
    // The first frame of segment 2 behind its header holds the first version of "a", now "c".
    let path = fixture.segment(2);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[300] ^= 1;
    crate::durable::replace(&crate::durable::RealDisk, &path, &bytes).unwrap();
    let report = fsck(&fixture.directory(), &fixture.secret()).unwrap();
    let [finding] = &report.findings[..] else { panic!("{:?}", report.findings) };
    assert_eq!((finding.fault, finding.segment), (Fault::Content, Some(2)));
    assert_eq!(
        (finding.position, finding.path.as_ref().unwrap().to_string().as_str()),
        (Some(192), "c")
    );

    // A metadata frame, and no image that holds the changes: they are lost, the others are shown.
    std::fs::remove_dir_all(fixture.directory().join("images")).unwrap();
    bytes[300] ^= 1;
    bytes[192 + 576 + 100] ^= 1;
    crate::durable::replace(&crate::durable::RealDisk, &path, &bytes).unwrap();
    let (vault, recovered) = fixture.unlock();
    assert_eq!(recovered.damage[0].fault, Fault::Frame);
    assert_eq!(vault.read_only(), Some(ReadOnly::Damaged));
    assert!(vault.create_file(vault.root(), &name("x"), at(1)).is_err());
    assert!(vault.sync().is_ok(), "nothing waits to be synced");
    assert_eq!(get(&vault, "b").unwrap(), b"second");
    vault.close().unwrap();
}

#[test]
fn a_segment_swapped_dropped_doubled_or_cut_is_detected() {
    let tamper: [Tampering; 7] = [
        ("swapped", |fixture| {
            let aside = fixture.directory().join("aside");
            std::fs::rename(fixture.segment(1), &aside).unwrap();
            std::fs::rename(fixture.segment(2), fixture.segment(1)).unwrap();
            std::fs::rename(&aside, fixture.segment(2)).unwrap();
        }),
        ("first dropped", |fixture| std::fs::remove_file(fixture.segment(1)).unwrap()),
        ("middle dropped", |fixture| std::fs::remove_file(fixture.segment(2)).unwrap()),
        ("all dropped", |fixture| {
            (1..=3).for_each(|number| std::fs::remove_file(fixture.segment(number)).unwrap());
        }),
        ("doubled", |fixture| {
            std::fs::copy(fixture.segment(3), fixture.segment(4)).unwrap();
        }),
        ("cut", |fixture| {
            let file = File::options().write(true).open(fixture.segment(2)).unwrap();
            file.set_len(file.metadata().unwrap().len() - 640).unwrap();
        }),
        ("emptied", |fixture| {
            File::options().write(true).open(fixture.segment(3)).unwrap().set_len(0).unwrap();
        }),
    ];
    for (how, tamper) in tamper {
        let fixture = small();
        tamper(&fixture);
        assert!(is_detected(&fixture), "{how}");
        let (vault, recovered) = fixture.unlock();
        assert!(!recovered.damage.is_empty(), "{how}");
        assert_eq!(vault.read_only(), Some(ReadOnly::Damaged), "{how}");
    }
}

#[test]
fn a_segment_of_another_vault_is_detected() {
    let (fixture, other) = (small(), small());
    std::fs::copy(other.segment(2), fixture.segment(2)).unwrap();
    assert!(is_detected(&fixture));
}

#[test]
fn an_older_copy_of_a_segment_is_detected() {
    let fixture = Fixture::new();
    let vault = fixture.vault();
    put(&vault, "a", b"1");
    vault.sync().unwrap();
    let older = std::fs::read(fixture.segment(2)).unwrap();
    put(&vault, "a", b"2");
    vault.close().unwrap();
    let vault = fixture.vault();
    put(&vault, "b", b"3");
    vault.close().unwrap();
    assert!(!is_detected(&fixture));
    crate::durable::replace(&crate::durable::RealDisk, &fixture.segment(2), &older).unwrap();
    assert!(is_detected(&fixture));
}

#[test]
fn one_whole_copy_of_the_header_is_enough_and_mends_the_other() {
    for copy in ["header", "header.2"] {
        let fixture = small();
        let path = fixture.directory().join(copy);
        std::fs::remove_file(&path).unwrap();
        let report = fsck(&fixture.directory(), &fixture.secret()).unwrap();
        assert_eq!(report.findings[0].fault, Fault::HeaderCopy);
        let (vault, recovered) = fixture.unlock();
        assert!(recovered.header_repaired);
        drop(vault);
        assert!(!fixture.unlock().1.header_repaired);
        assert!(path.exists());
    }
    let fixture = small();
    for copy in ["header", "header.2"] {
        File::create(fixture.directory().join(copy)).unwrap();
    }
    assert!(matches!(fixture.try_unlock(), Err(UnlockError::HeaderDamaged)));
}
