//! Notes: a head of the log as others know it, so that witnesses can sign it too.
//!
//! The form is that of C2SP: a checkpoint (c2sp.org/tlog-checkpoint) in a signed note
//! (c2sp.org/signed-note), signed by a key for nothing else.

use crate::key::{PublicKey, Signature, SigningKey};
use crate::witness::WitnessKey;
use crate::{TreeHash, TreeHead};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use std::fmt;

/// Ed25519, as notes number the kinds of signatures.
const ED25519: u8 = 1;
/// What stands before each signature.
const BEFORE_SIGNATURE: &str = "\u{2014} ";

/// A head of a log, and who signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadNote {
    /// The id of the log.
    pub log: String,
    /// The head.
    pub head: TreeHead,
    /// The signature by the log's own key for notes.
    signature: Signature,
    /// The id of that key.
    key_id: [u8; 4],
    /// The whole note, with the signatures of others.
    text: String,
}

/// A text that is no note of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no head of a log: give what ward audit head prints")]
pub struct HeadNoteError;

impl HeadNote {
    /// The note that `head` is the head of `log`.
    pub(crate) fn sign(log: &str, head: TreeHead, key: &SigningKey) -> Self {
        let body = body(log, head);
        let signature = key.sign(body.as_bytes());
        let key_id = key_id(log, key.public());
        let signed = STANDARD.encode([&key_id[..], &signature.0].concat());
        let text = format!("{body}\n{BEFORE_SIGNATURE}{} {signed}\n", origin(log));
        Self { log: log.to_owned(), head, signature, key_id, text }
    }

    /// Reads a note; whether the signature is right is asked apart.
    ///
    /// # Errors
    /// It has another form.
    pub fn parse(text: &str) -> Result<Self, HeadNoteError> {
        Self::read(text).ok_or(HeadNoteError)
    }

    /// Whether `key` signed it.
    pub fn is_signed_by(&self, key: PublicKey) -> bool {
        let body = body(&self.log, self.head);
        self.key_id == key_id(&self.log, key) && key.has_signed(body.as_bytes(), &self.signature)
    }

    /// The same with the signature of `witness`, which is among `lines`; `None` when it is not, or not
    /// over this head.
    pub fn cosigned(&self, lines: &str, witness: &WitnessKey) -> Option<Self> {
        let line =
            lines.lines().find(|line| witness.has_signed(line, &body(&self.log, self.head)))?;
        Some(Self { text: format!("{}{line}\n", self.text), ..self.clone() })
    }

    fn read(text: &str) -> Option<Self> {
        let (text, signatures) = text.split_once("\n\n")?;
        let mut lines = text.split('\n');
        let log = lines.next()?.strip_prefix(ORIGIN)?.to_owned();
        let (size, root) = (lines.next()?, lines.next()?);
        let head = TreeHead { size: size.parse().ok()?, root: TreeHash::from_base64(root)? };
        let has_this_form = body(&log, head).strip_suffix('\n') == Some(text);
        let before = format!("{BEFORE_SIGNATURE}{} ", origin(&log));
        let is_form = |line: &str| line.starts_with(BEFORE_SIGNATURE);
        let lines = signatures.strip_suffix('\n')?;
        let signed = lines.split('\n').find_map(|line| line.strip_prefix(&before))?;
        let signed = STANDARD.decode(signed).ok()?;
        let (key_id, signature) = signed.split_at_checked(4)?;
        (has_this_form && lines.split('\n').all(is_form)).then_some(Self {
            log,
            head,
            signature: Signature(signature.try_into().ok()?),
            key_id: key_id.try_into().ok()?,
            text: format!("{text}\n\n{signatures}"),
        })
    }
}

impl fmt::Display for HeadNote {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// What a note's first line and its key are called by.
const ORIGIN: &str = "wardfs/";

fn origin(log: &str) -> String {
    format!("{ORIGIN}{log}")
}

fn body(log: &str, head: TreeHead) -> String {
    format!("{}\n{}\n{}\n", origin(log), head.size, head.root.to_base64())
}

/// The first bytes of SHA-256(name, newline, kind, key).
fn key_id(log: &str, key: PublicKey) -> [u8; 4] {
    let sum = Sha256::new_with_prefix(origin(log))
        .chain_update([b'\n', ED25519])
        .chain_update(key.as_bytes())
        .finalize();
    let mut id = [0; 4];
    id.copy_from_slice(&sum[..4]);
    id
}

/// The key as verifiers of notes take it: name, id and key.
pub fn verifier_key(log: &str, key: PublicKey) -> String {
    let id: String = key_id(log, key).iter().map(|byte| format!("{byte:02x}")).collect();
    let bytes = STANDARD.encode([&[ED25519], &key.as_bytes()[..]].concat());
    format!("{}+{id}+{bytes}", origin(log))
}

/// The key of a text that [`verifier_key`] made; `None` for any other text.
pub fn parse_verifier_key(text: &str) -> Option<PublicKey> {
    let mut parts = text.trim_end().splitn(3, '+');
    let (name, id, bytes) = (parts.next()?, parts.next()?, STANDARD.decode(parts.next()?).ok()?);
    let (kind, bytes) = bytes.split_first()?;
    let key = PublicKey::from_bytes(bytes.try_into().ok()?)?;
    let is_ours =
        *kind == ED25519 && verifier_key(name.strip_prefix(ORIGIN)?, key) == text.trim_end();
    (is_ours && id.len() == 8).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note() -> (HeadNote, PublicKey) {
        let key = SigningKey::generate().unwrap();
        let head = TreeHead { size: 12, root: TreeHash::leaf(b"x") };
        (HeadNote::sign("01M7Y5F9G88D7DP1C8SKSP958G", head, &key), key.public())
    }

    #[test]
    fn a_note_reads_back_also_with_the_signatures_of_others() {
        let (note, key) = note();
        assert_eq!(HeadNote::parse(&note.to_string()).unwrap(), note);
        assert!(note.is_signed_by(key));
        assert!(!note.is_signed_by(SigningKey::generate().unwrap().public()));
        let more = HeadNote::parse(&format!("{note}\u{2014} witness.example AAAA\n")).unwrap();
        assert!(more.is_signed_by(key));
    }

    #[test]
    fn a_changed_note_is_none_or_not_signed() {
        let (note, key) = note();
        let text = note.to_string();
        for (position, _) in text.char_indices() {
            let mut bytes = text.clone().into_bytes();
            bytes[position] ^= 1;
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            let is_good = HeadNote::parse(&changed).is_ok_and(|note| note.is_signed_by(key));
            assert!(!is_good, "{changed}");
        }
    }

    #[test]
    fn an_independent_reader_of_notes_takes_ours() {
        let (note, key) = note();
        let verifier = verifier_key(&note.log, key);
        assert_eq!(parse_verifier_key(&verifier), Some(key));
        assert_eq!(parse_verifier_key(&verifier.replace("+", "+0")), None);
        let verifier = signed_note::StandardVerifier::new(&verifier).unwrap();
        let known = signed_note::VerifierList::new(vec![Box::new(verifier)]);
        let theirs = signed_note::Note::from_bytes(note.to_string().as_bytes()).unwrap();
        let (verified, unverified) = theirs.verify(&known).unwrap();
        assert_eq!((verified.len(), unverified.len()), (1, 0));
        let checkpoint = tlog_tiles::Checkpoint::from_bytes(theirs.text()).unwrap();
        assert_eq!(
            (checkpoint.origin(), checkpoint.size()),
            ("wardfs/01M7Y5F9G88D7DP1C8SKSP958G", 12)
        );
        assert_eq!(&checkpoint.hash().0, note.head.root.as_bytes());
    }
}
