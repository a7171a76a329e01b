//! Values that the daemon makes, so that nobody sees them on the way.

use super::failure::{bad_input, failure};
use super::message::{Charset, Failure, FailureCode};
use zeroize::Zeroizing;

/// How many random bytes are asked for at a time.
const DRAW: usize = 256;

/// A value of `length` characters of `charset`, and how many bits of chance are in it.
pub(super) fn generate(
    length: u32,
    charset: Charset,
) -> Result<(Zeroizing<Vec<u8>>, u32), Failure> {
    if !Charset::LENGTHS.contains(&length) {
        let message = format!("a generated value cannot be {length} characters long");
        let (least, most) = (Charset::LENGTHS.start(), Charset::LENGTHS.end());
        return Err(bad_input(message, &format!("ask for {least} to {most}")));
    }
    let characters = charset.characters();
    let wanted = usize::try_from(length).unwrap_or(0);
    let mut value = Zeroizing::new(Vec::with_capacity(wanted));
    while value.len() < wanted {
        let mut drawn = Zeroizing::new([0; DRAW]);
        let filled = getrandom::fill(drawn.as_mut());
        filled.map_err(|error| failure(FailureCode::Failed, error, "try again"))?;
        let left = wanted - value.len();
        value.extend(drawn.iter().filter_map(|byte| character(*byte, characters)).take(left));
    }
    Ok((value, bits(length, characters.len())))
}

/// The character that a random byte stands for; `None` for the bytes left over, which would make some
/// characters likelier than others.
fn character(byte: u8, characters: &[u8]) -> Option<u8> {
    let byte = usize::from(byte);
    let even = 256 / characters.len() * characters.len();
    if byte < even { characters.get(byte % characters.len()).copied() } else { None }
}

/// The whole bits in `length` choices among `characters`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 26,850")]
fn bits(length: u32, characters: usize) -> u32 {
    let each = f64::from(u32::try_from(characters).unwrap_or(1)).log2();
    (f64::from(length) * each).floor() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Charset; 5] =
        [Charset::Url, Charset::Alphanumeric, Charset::Hex, Charset::Digits, Charset::Printable];

    #[test]
    fn generated_values_are_as_long_as_asked_and_of_their_characters_alone() {
        for charset in ALL {
            let (value, _) = generate(4096, charset).unwrap();
            assert_eq!(value.len(), 4096);
            assert!(value.iter().all(|byte| charset.characters().contains(byte)), "{charset:?}");
            let unseen = charset.characters().iter().filter(|it| !value.contains(it));
            assert_eq!(unseen.count(), 0, "{charset:?}");
            assert_ne!(*value, *generate(4096, charset).unwrap().0);
            assert!(generate(7, charset).is_err() && generate(4097, charset).is_err());
        }
    }

    #[test]
    fn every_character_comes_from_as_many_bytes() {
        for charset in ALL {
            let characters = charset.characters();
            let mut seen = characters.to_vec();
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len(), characters.len(), "{charset:?} has one twice");
            let count = |wanted: u8| {
                (0..=255).filter(|byte| character(*byte, characters) == Some(wanted)).count()
            };
            assert!(characters.iter().all(|it| count(*it) == 256 / characters.len()));
        }
    }

    #[test]
    fn bits_are_rounded_down() {
        let of = |length, charset| generate(length, charset).unwrap().1;
        assert_eq!((of(32, Charset::Url), of(32, Charset::Hex)), (192, 128));
        assert_eq!((of(8, Charset::Digits), of(32, Charset::Printable)), (26, 209));
        assert_eq!(of(32, Charset::Alphanumeric), 190);
    }
}
