//! A head given to a witness (c2sp.org/tlog-witness), who signs it when it continues the one before.

use super::{Client, refusal};
use crate::helper::http::{Answer, Identity, Method, Request};
use serde::{Deserialize, Serialize};

/// The longest answer that is handed on, in bytes: lines with signatures.
const LONGEST: usize = 16 << 10;

/// The table `witness` of a sink.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Witness {
    /// What comes before `/add-checkpoint`.
    pub(crate) address: String,
    /// What checks its signatures, as notes write keys.
    pub(crate) key: String,
    /// Certificates.
    #[serde(default)]
    pub(crate) tls: Identity,
}

/// What a witness said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Seen {
    /// These lines, one of which is its signature.
    Signed(String),
    /// It has signed a head of so many entries before.
    At(u64),
}

impl Witness {
    /// Posts `bytes`: how many entries it is believed to know, the proof, and the head.
    pub(super) fn deliver(&self, client: &mut Client<'_>, bytes: &[u8]) -> Result<Seen, String> {
        let address = format!("{}/add-checkpoint", self.address.trim_end_matches('/'));
        let answer = client.exchange(&Request {
            method: Method::POST,
            address: &address,
            headers: &[("content-type", "text/plain; charset=utf-8")],
            body: bytes,
        })?;
        let Answer { status, body } = answer;
        let text = || std::str::from_utf8(&body).ok().filter(|text| text.len() <= LONGEST);
        match (status, text()) {
            (200, Some(lines)) => Ok(Seen::Signed(lines.to_owned())),
            (409, Some(size)) if let Ok(size) = size.trim_end().parse() => Ok(Seen::At(size)),
            (_, _) => Err(refusal(status, &body)),
        }
    }
}
