//! A line: an entry in its envelope. Every byte of it is pinned.
//!
//! `{"entry":E,"hash":"64 hex","prevHash":"64 hex"|null}`, with `,"sig":"88 base64"` before the last
//! brace of an entry that is signed: what is not the entry has a fixed length, so a line is taken
//! apart from its end without a JSON parser.

use crate::key::Signature;
use crate::{ChainHash, EventType, Timestamp};
use memchr::memmem;

const BEFORE_ENTRY: &[u8] = b"{\"entry\":";
const BEFORE_HASH: &[u8] = b",\"hash\":\"";
const BEFORE_PREVIOUS: &[u8] = b"\",\"prevHash\":";
const BEFORE_SIGNATURE: &[u8] = b",\"sig\":\"";
const AFTER_SIGNATURE: &[u8] = b"}\n";
const BEFORE_EVENT: &[u8] = b"\"eventType\":\"";
const BEFORE_SEQ: &[u8] = b",\"seq\":\"";
const BEFORE_TIME: &[u8] = b",\"ts\":\"";

/// The parts of a line, still as text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    /// The bytes that are hashed.
    pub(crate) entry: &'a [u8],
    /// 64 bytes that should be hex digits.
    pub(crate) hash: &'a [u8],
    /// The same of the line before; absent in the first line of a log.
    pub(crate) previous: Option<&'a [u8]>,
    /// 88 bytes that should be base64; absent where nobody signed.
    pub(crate) signature: Option<&'a [u8]>,
}

impl<'a> Line<'a> {
    /// Takes `line`, without its newline, apart; `None` when a byte is not where it must be.
    pub(crate) fn parse(line: &'a [u8]) -> Option<Self> {
        let rest = line.strip_prefix(BEFORE_ENTRY)?.strip_suffix(b"}")?;
        let (rest, signature) = match split_signature(rest) {
            Some((rest, digits)) => (rest, Some(digits)),
            None => (rest, None),
        };
        let (rest, previous) = match rest.strip_suffix(b"null") {
            Some(rest) => (rest, None),
            None => {
                let (rest, digits) = split_end(rest.strip_suffix(b"\"")?, ChainHash::HEX_LENGTH)?;
                (rest.strip_suffix(b"\"")?, Some(digits))
            }
        };
        let (rest, hash) = split_end(rest.strip_suffix(BEFORE_PREVIOUS)?, ChainHash::HEX_LENGTH)?;
        let entry = rest.strip_suffix(BEFORE_HASH)?;
        let is_object = entry.starts_with(b"{") && entry.ends_with(b"}");
        is_object.then_some(Self { entry, hash, previous, signature })
    }

    /// What kind of thing the entry records; `None` when it says nothing known.
    ///
    /// Found as [`Self::position`] finds the seq; no field within another is called so.
    pub(crate) fn event(&self) -> Option<EventType> {
        let at = memmem::find(self.entry, BEFORE_EVENT)?;
        let rest = self.entry.get(at + BEFORE_EVENT.len()..)?;
        let name = rest.split(|byte| *byte == b'"').next()?;
        EventType::from_bytes(name)
    }

    /// The seq and the text of the time of the entry.
    ///
    /// Looks for the bytes `,"seq":"`: inside a JSON string a quote has a backslash before it, so
    /// they stand nowhere but at the field itself.
    pub(crate) fn position(&self) -> Option<(u64, &'a [u8])> {
        let at = last_position(self.entry, BEFORE_SEQ)?;
        let rest = self.entry.get(at + BEFORE_SEQ.len()..)?;
        let digits = rest.split(|byte| *byte == b'"').next()?;
        let seq = number(digits)?;
        let rest = rest.get(digits.len()..)?;
        let at = rest.windows(BEFORE_TIME.len()).position(|bytes| bytes == BEFORE_TIME)?;
        let rest = rest.get(at + BEFORE_TIME.len()..)?;
        let time = rest.get(..Timestamp::LENGTH)?;
        let is_closed = rest.get(Timestamp::LENGTH) == Some(&b'"');
        (is_closed && is_time(time)).then_some((seq, time))
    }
}

/// Appends to `line`, which holds `{"entry":` and the entry from [`begin`] on, its place in the chain,
/// and gives the entry's hash. Then comes [`finish`].
pub(crate) fn chain(line: &mut Vec<u8>, previous: Option<ChainHash>) -> ChainHash {
    let hash = ChainHash::of(line.get(BEFORE_ENTRY.len()..).unwrap_or_default(), previous);
    line.extend_from_slice(BEFORE_HASH);
    line.extend_from_slice(&hash.to_hex());
    line.extend_from_slice(BEFORE_PREVIOUS);
    match previous {
        None => line.extend_from_slice(b"null"),
        Some(previous) => {
            line.push(b'"');
            line.extend_from_slice(&previous.to_hex());
            line.push(b'"');
        }
    }
    hash
}

/// Ends `line`, with its signature when it has one.
pub(crate) fn finish(line: &mut Vec<u8>, signature: Option<Signature>) {
    if let Some(signature) = signature {
        line.extend_from_slice(BEFORE_SIGNATURE);
        line.extend_from_slice(signature.to_base64().as_bytes());
        line.push(b'"');
    }
    line.extend_from_slice(AFTER_SIGNATURE);
}

/// Puts `signature` in the place of the one that a whole `line` has.
pub(crate) fn sign(line: &mut [u8], signature: Signature) {
    let rest = line.len().saturating_sub(AFTER_SIGNATURE.len() + 1 + Signature::TEXT_LENGTH);
    let place = line.get_mut(rest..).and_then(|end| end.get_mut(..Signature::TEXT_LENGTH));
    if let Some(place) = place {
        place.copy_from_slice(signature.to_base64().as_bytes());
    }
}

/// The entry in `line`, which ends at `end`.
pub(crate) fn entry_in(line: &[u8], end: usize) -> &[u8] {
    line.get(BEFORE_ENTRY.len()..end).unwrap_or_default()
}

/// Empties `line` and begins a new one: the entry comes next.
pub(crate) fn begin(line: &mut Vec<u8>) {
    line.clear();
    line.extend_from_slice(BEFORE_ENTRY);
}

/// What comes before the signature, and its text. Without one these bytes lie within the hash, or
/// behind the comma after the entry, so they are never taken for one.
fn split_signature(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (rest, digits) = split_end(bytes.strip_suffix(b"\"")?, Signature::TEXT_LENGTH)?;
    Some((rest.strip_suffix(BEFORE_SIGNATURE)?, digits))
}

fn split_end(bytes: &[u8], length: usize) -> Option<(&[u8], &[u8])> {
    bytes.split_at_checked(bytes.len().checked_sub(length)?)
}

/// From the end, since only a few short fields come after the one that is looked for.
fn last_position(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).rposition(|window| window == wanted)
}

/// Decimal digits without a leading zero: canonical, or the same number had two forms.
fn number(digits: &[u8]) -> Option<u64> {
    let is_canonical = digits.iter().all(u8::is_ascii_digit) && digits.first() != Some(&b'0');
    let text = std::str::from_utf8(digits).ok()?;
    if is_canonical { text.parse().ok() } else { None }
}

/// The form only; which day it is does not matter to the order of two times.
fn is_time(time: &[u8]) -> bool {
    let pattern = b"dddd-dd-ddTdd:dd:dd.ddddddZ";
    time.len() == pattern.len()
        && time.iter().zip(pattern).all(|(byte, wanted)| match wanted {
            b'd' => byte.is_ascii_digit(),
            _ => byte == wanted,
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SigningKey;

    #[test]
    fn a_line_comes_apart_into_what_it_was_made_of() {
        let before = ChainHash::of(b"{}", None);
        let key = SigningKey::generate().unwrap();
        for (previous, signer) in
            [(None, None), (Some(before), None), (None, Some(&key)), (Some(before), Some(&key))]
        {
            let mut line = Vec::new();
            begin(&mut line);
            line.extend_from_slice(br#"{"eventType":"file.open","id":"x","seq":"12","ts":"2026-11-21T04:22:45.000001Z"}"#);
            let hash = chain(&mut line, previous);
            // As one that is signed elsewhere: the place is kept, and filled later.
            finish(&mut line, signer.map(|_| Signature([0; 64])));
            if let Some(signer) = signer {
                sign(&mut line, signer.sign(hash.as_bytes()));
            }
            let parsed = Line::parse(line.strip_suffix(b"\n").unwrap()).unwrap();
            assert_eq!(parsed.hash, hash.to_hex());
            assert_eq!(parsed.event(), Some(EventType::FileOpen));
            let is_signed = parsed.signature.is_some_and(|text| {
                let signature = Signature::from_base64(text).unwrap();
                key.public().has_signed(hash.as_bytes(), &signature)
            });
            assert_eq!(is_signed, signer.is_some());
            assert_eq!(
                parsed.previous,
                previous.map(|hash| hash.to_hex()).as_ref().map(|h| &h[..])
            );
            assert_eq!(parsed.position(), Some((12, &b"2026-11-21T04:22:45.000001Z"[..])));
        }
    }

    #[test]
    fn a_seq_written_inside_a_text_is_not_taken_for_the_seq() {
        let entry = br#"{"reason":",\"seq\":\"9\"","seq":"3","ticket":",seq","ts":"2026-11-21T04:22:45.000001Z"}"#;
        let line = Line { entry, hash: b"", previous: None, signature: None };
        assert_eq!(line.position().map(|(seq, _)| seq), Some(3));
    }

    #[test]
    fn a_seq_or_a_time_in_another_form_is_none() {
        for (seq, time) in [
            ("03", "2026-11-21T04:22:45.000001Z"),
            ("", "2026-11-21T04:22:45.000001Z"),
            ("+3", "2026-11-21T04:22:45.000001Z"),
            ("3", "2026-11-21 04:22:45.000001Z"),
            ("3", "2026-11-21T04:22:45Z"),
        ] {
            let entry = format!(r#"{{"id":"x","seq":"{seq}","ts":"{time}"}}"#);
            let line = Line { entry: entry.as_bytes(), hash: b"", previous: None, signature: None };
            assert_eq!(line.position(), None, "{entry}");
        }
    }
}
