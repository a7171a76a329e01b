//! Lines posted to an address, signed.

use super::{Client, Parcel, authenticate, hex, secret};
use crate::helper::http::{Identity, Method, Request};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The table `webhook` of a sink.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Webhook {
    /// Whereto.
    pub(crate) address: String,
    /// The file with the secret that both sides share.
    pub(crate) secret: PathBuf,
    /// Certificates.
    #[serde(default)]
    pub(crate) tls: Identity,
}

impl Webhook {
    /// Posts the lines: `Idempotency-Key` says which they are, `Ward-Signature` that they are ours.
    pub(super) fn deliver(
        &self,
        client: &mut Client<'_>,
        parcel: &Parcel,
        bytes: &[u8],
    ) -> Result<(), String> {
        // Read for each parcel, so that a new one counts at once.
        let secret = secret(&self.secret)?;
        let signature = format!("sha256={}", hex(&authenticate(secret.as_bytes(), bytes)));
        client.send(&Request {
            method: Method::POST,
            address: &self.address,
            headers: &[
                ("content-type", "application/x-ndjson"),
                ("idempotency-key", &parcel.key()),
                ("ward-signature", &signature),
            ],
            body: bytes,
        })
    }
}
