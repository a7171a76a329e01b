//! Witnesses: others who sign a head of the log when it continues the one that they signed before
//! (c2sp.org/tlog-witness), with the time at which they did (c2sp.org/tlog-cosignature).

use crate::key::{PublicKey, Signature};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

/// Ed25519 over a head and a time, as notes number the kinds of signatures.
const COSIGNATURE: u8 = 4;

/// What checks the signatures of a witness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessKey {
    name: String,
    id: [u8; 4],
    key: PublicKey,
}

impl WitnessKey {
    /// The key of a text such as `witness.example+1a2b3c4d+BASE64`, in which the base64 has a 4 and
    /// the 32 bytes of an Ed25519 key; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '+');
        let (name, id, bytes) =
            (parts.next()?, parts.next()?, STANDARD.decode(parts.next()?).ok()?);
        let (kind, key) = bytes.split_first()?;
        let is_name = !name.is_empty() && !name.contains(|it: char| it.is_whitespace());
        let key = PublicKey::from_bytes(key.try_into().ok()?)?;
        let sum =
            Sha256::new_with_prefix(name).chain_update([b'\n']).chain_update(&bytes).finalize();
        let mut own_id = [0; 4];
        own_id.copy_from_slice(&sum[..4]);
        let is_id = u32::from_str_radix(id, 16).ok()? == u32::from_be_bytes(own_id);
        (*kind == COSIGNATURE && is_name && is_id && id.len() == 8).then(|| Self {
            name: name.to_owned(),
            id: own_id,
            key,
        })
    }

    /// Whether `line` of a note is this witness's signature over the note's text `body`.
    pub(crate) fn has_signed(&self, line: &str, body: &str) -> bool {
        self.signature(line).is_some_and(|(time, signature)| {
            let signed = format!("cosignature/v1\ntime {time}\n{body}");
            self.key.has_signed(signed.as_bytes(), &signature)
        })
    }

    /// The seconds since 1970 and the signature that `line` has, when it is by this name and key.
    fn signature(&self, line: &str) -> Option<(u64, Signature)> {
        let (name, blob) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
        let blob = STANDARD.decode(blob).ok()?;
        let (id, rest) = blob.split_at_checked(4)?;
        let (time, signature) = rest.split_at_checked(8)?;
        let time = u64::from_be_bytes(time.try_into().ok()?);
        (name == self.name && id == self.id)
            .then_some((time, Signature(signature.try_into().ok()?)))
    }
}
