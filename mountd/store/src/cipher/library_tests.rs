//! The two libraries beside each other: the same bytes, and how fast.

use super::{Library, Nonce};
use crate::buffer::Buffer;
use crate::key::KEY_LENGTH;
use aes_gcm_siv::Aes256GcmSiv;
use aws_lc_rs::aead::LessSafeKey;
use rustix::time::{ClockId, clock_gettime};
use std::io::Write as _;
use std::time::Duration;

/// One thing to seal, all of it random.
struct Case {
    key: [u8; KEY_LENGTH],
    nonce: Nonce,
    associated: Vec<u8>,
    plain: Vec<u8>,
}

impl Case {
    fn random(length: usize) -> Self {
        let mut key = [0; KEY_LENGTH];
        let (mut nonce, mut associated, mut plain) = ([0; 12], vec![0; 97], vec![0; length]);
        for bytes in [&mut key[..], &mut nonce, &mut associated, &mut plain] {
            getrandom::fill(bytes).unwrap();
        }
        associated.truncate(usize::from(associated[96] % 97));
        Self { key, nonce, associated, plain }
    }

    /// How to make it again.
    fn show(&self) -> String {
        let length = self.plain.len();
        format!("{length} bytes, key {:?}, {:?}, {:?}", self.key, self.nonce, self.associated)
    }

    fn is_sealed_by_one_and_opened_by_the_other<One: Library, Other: Library>(&self) {
        let (one, other) = (One::under(&self.key), Other::under(&self.key));
        let (mut sealed, mut apart) = (self.plain.clone(), vec![1; self.plain.len()]);
        let tag = one.seal(self.nonce, &self.associated, &mut sealed).unwrap();
        let again = one.seal_into(self.nonce, &self.associated, &self.plain, &mut apart);
        assert_eq!((Some(tag), &apart), (again, &sealed), "{}", self.show());
        let mut opened = vec![1; self.plain.len()];
        let mut open = |sealed: &[u8], associated: &[u8], tag: &[u8]| {
            other.open(self.nonce, associated, (sealed, tag), &mut opened)
        };
        for place in places(sealed.len()) {
            sealed[place] ^= 1 << (place % 8);
            let is_refused = open(&sealed, &self.associated, &tag).is_none();
            assert!(is_refused, "ciphertext, byte {place}: {}", self.show());
            sealed[place] ^= 1 << (place % 8);
        }
        for place in 0..tag.len() {
            let mut tag = tag;
            tag[place] ^= 1 << (place % 8);
            let is_refused = open(&sealed, &self.associated, &tag).is_none();
            assert!(is_refused, "tag, byte {place}: {}", self.show());
        }
        for place in places(self.associated.len()) {
            let mut associated = self.associated.clone();
            associated[place] ^= 1 << (place % 8);
            let is_refused = open(&sealed, &associated, &tag).is_none();
            assert!(is_refused, "associated data, byte {place}: {}", self.show());
        }
        open(&sealed, &self.associated, &tag).unwrap_or_else(|| panic!("{}", self.show()));
        assert_eq!(opened, self.plain, "{}", self.show());
    }
}

/// Every place of something short; of something long both ends and some between.
fn places(length: usize) -> impl Iterator<Item = usize> {
    let is_tried = move |place: &usize| {
        length <= 300 || *place < 20 || *place >= length - 20 || place.is_multiple_of(4099)
    };
    (0..length).filter(is_tried)
}

#[test]
fn each_library_opens_what_the_other_sealed_and_refuses_every_flipped_byte() {
    let larger = [191, 192, 193, 300, 512, 1000, 4095, 4096, 4097, 16_384, 65_535, 65_536, 131_072];
    for length in (0..=130).chain(larger) {
        let case = Case::random(length);
        case.is_sealed_by_one_and_opened_by_the_other::<Aes256GcmSiv, LessSafeKey>();
        case.is_sealed_by_one_and_opened_by_the_other::<LessSafeKey, Aes256GcmSiv>();
    }
}

/// So much is sealed and opened in a round.
const ROUND: usize = 4 << 20;
const ROUNDS: usize = 41;

#[test]
#[ignore = "measures: scripts/measure seal runs it"]
fn how_fast_each_library_seals_and_opens() {
    let mut table = String::from(
        "| piece | aes-gcm-siv seals | aws-lc-rs seals | | aes-gcm-siv opens | aws-lc-rs opens | |\n\
        |---|---|---|---|---|---|---|\n",
    );
    for kibibytes in [4, 16, 64] {
        let mut rounds: [Vec<f64>; 4] = Default::default();
        for _ in 0..ROUNDS {
            let (portable, other) =
                (speed::<Aes256GcmSiv>(kibibytes), speed::<LessSafeKey>(kibibytes));
            for (kept, speed) in rounds.iter_mut().zip([portable.0, other.0, portable.1, other.1]) {
                kept.push(speed);
            }
        }
        let [a, b, c, d] = rounds.map(|mut speeds| {
            speeds.sort_by(f64::total_cmp);
            speeds[ROUNDS / 2]
        });
        table += &format!(
            "| {kibibytes} KiB | {a:.0} MB/s | {b:.0} MB/s | {:.2} × | {c:.0} MB/s | {d:.0} MB/s | {:.2} × |\n",
            b / a,
            d / c
        );
    }
    std::io::stdout().write_all(table.as_bytes()).unwrap();
}

/// Megabytes sealed and opened in a second of this thread's work, in buffers as the store has them.
fn speed<L: Library>(kibibytes: usize) -> (f64, f64) {
    let length = kibibytes << 10;
    let library = L::under(&[7; KEY_LENGTH]);
    let (mut plain, mut sealed) = (Buffer::for_reply(length), Buffer::for_file(0, length));
    let (associated, nonces) = ([9; 48], 0..ROUND / length);
    let mut tags = Vec::with_capacity(nonces.len());
    let mut nonce = [0; 12];
    let start = worked();
    for number in nonces.clone() {
        nonce[..8].copy_from_slice(&number.to_le_bytes());
        let bytes = plain.as_slice();
        tags.push(library.seal_into(nonce, &associated, bytes, sealed.as_mut_slice()).unwrap());
    }
    let sealing = worked() - start;
    // The last stays in the buffer and is opened as often.
    let start = worked();
    for _ in nonces {
        let piece = (sealed.as_slice(), &tags[tags.len() - 1][..]);
        library.open(nonce, &associated, piece, plain.as_mut_slice()).unwrap();
    }
    let opening = worked() - start;
    let megabytes = f64::from(u32::try_from(ROUND).unwrap()) / 1e6;
    (megabytes / sealing.as_secs_f64(), megabytes / opening.as_secs_f64())
}

fn worked() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
}
