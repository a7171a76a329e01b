//! A recovery code: 256 random bits that fit on paper, and notice a slip of the pen.

use crate::key::KEY_LENGTH;
use sha2::{Digest as _, Sha256};
use std::fmt;
use zeroize::{Zeroize as _, Zeroizing};

/// Crockford's base32: no I, L, O, U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const CHECK: usize = 3;
const SYMBOLS: usize = (KEY_LENGTH + CHECK) * 8 / 5;
const GROUP: usize = 7;

/// A code of 56 symbols in 8 groups of 7: 256 random bits and 24 of SHA-256 over them.
pub struct RecoveryCode(Box<[u8; KEY_LENGTH]>);

/// Why a text is no recovery code. Says nothing of what was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecoveryCodeError {
    /// Not 56 symbols.
    #[error("a recovery code has 56 letters and digits, this has {0}; type all 8 groups")]
    Length(usize),
    /// A symbol outside the alphabet.
    #[error("a recovery code has no such symbol as the one at place {0}; look at it again")]
    Symbol(usize),
    /// The last symbols do not fit the others.
    #[error("the recovery code has a typing error; compare it with the paper, group by group")]
    Check,
    /// The system gives no random bytes.
    #[error("the system gives no random bytes; check getrandom(2)")]
    NoRandomness,
}

impl RecoveryCode {
    /// A new code, from getrandom(2).
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn generate() -> Result<Self, RecoveryCodeError> {
        let mut code = Self(Box::default());
        getrandom::fill(code.0.as_mut_slice()).map_err(|_| RecoveryCodeError::NoRandomness)?;
        Ok(code)
    }

    /// Reads a code as typed: case, spaces and hyphens do not matter; O is 0, I and L are 1.
    ///
    /// # Errors
    /// Says where the text is no code.
    pub fn parse(text: &str) -> Result<Self, RecoveryCodeError> {
        let mut symbols = Zeroizing::new(Vec::with_capacity(text.len()));
        for (place, symbol) in text.bytes().enumerate() {
            if !(symbol == b'-' || symbol.is_ascii_whitespace()) {
                symbols.push(value_of(symbol).ok_or(RecoveryCodeError::Symbol(place + 1))?);
            }
        }
        if symbols.len() != SYMBOLS {
            return Err(RecoveryCodeError::Length(symbols.len()));
        }
        let mut code = Self(Box::default());
        let mut check = [0; CHECK];
        for (place, eight) in symbols.chunks(8).enumerate() {
            let group = eight.iter().fold(0, |bits, symbol| bits << 5 | u64::from(*symbol));
            for (byte, value) in group.to_be_bytes()[3..].iter().enumerate() {
                let place = place * 5 + byte;
                match code.0.get_mut(place) {
                    Some(byte) => *byte = *value,
                    None => check[place - KEY_LENGTH] = *value,
                }
            }
        }
        if check == code.check() { Ok(code) } else { Err(RecoveryCodeError::Check) }
    }

    /// The code as it is printed.
    pub fn show(&self) -> Zeroizing<String> {
        let check = self.check();
        let bytes: Zeroizing<Vec<u8>> = Zeroizing::new([self.0.as_slice(), &check].concat());
        let mut text = Zeroizing::new(String::with_capacity(SYMBOLS + SYMBOLS / GROUP));
        for place in 0..SYMBOLS {
            if place != 0 && place.is_multiple_of(GROUP) {
                text.push('-');
            }
            let value = (0..5).fold(0, |value, bit| {
                let bit = place * 5 + bit;
                value << 1 | usize::from(bytes[bit / 8] >> (7 - bit % 8) & 1)
            });
            text.push(char::from(ALPHABET[value]));
        }
        text
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_slice()
    }

    fn check(&self) -> [u8; CHECK] {
        let digest = Sha256::digest(self.0.as_slice());
        [digest[0], digest[1], digest[2]]
    }
}

impl Drop for RecoveryCode {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for RecoveryCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("RecoveryCode(..)")
    }
}

fn value_of(symbol: u8) -> Option<u8> {
    let symbol = match symbol.to_ascii_uppercase() {
        b'O' => b'0',
        b'I' | b'L' => b'1',
        other => other,
    };
    let place = ALPHABET.iter().position(|known| *known == symbol)?;
    u8::try_from(place).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_back_from_paper_in_any_case_and_grouping() {
        let code = RecoveryCode::generate().unwrap();
        let text = code.show();
        assert_eq!(text.len(), 63);
        let typed = text.to_lowercase().replace('-', " ").replace('0', "o").replace('1', "l");
        assert_eq!(RecoveryCode::parse(&typed).unwrap().as_bytes(), code.as_bytes());
    }

    #[test]
    fn the_printed_form_is_fixed() {
        let text = RecoveryCode(Box::new([0xff; 32])).show();
        assert_eq!(*text, format!("{}ZZTZ5GK", "ZZZZZZZ-".repeat(7)));
        assert_eq!(RecoveryCode::parse(&text).unwrap().as_bytes(), [0xff; 32]);
    }

    #[test]
    fn a_wrong_symbol_anywhere_is_noticed() {
        let text = RecoveryCode(Box::new([0x5a; 32])).show();
        for place in (0..text.len()).filter(|place| text.as_bytes()[*place] != b'-') {
            let mut typed = text.as_bytes().to_vec();
            typed[place] = if typed[place] == b'7' { b'8' } else { b'7' };
            let typed = String::from_utf8(typed).unwrap();
            assert_eq!(RecoveryCode::parse(&typed).err(), Some(RecoveryCodeError::Check));
        }
        assert_eq!(RecoveryCode::parse("ABC").err(), Some(RecoveryCodeError::Length(3)));
        assert_eq!(RecoveryCode::parse("AB*").err(), Some(RecoveryCodeError::Symbol(3)));
    }
}
