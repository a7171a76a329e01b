//! A key behind a signing proxy: `POST /sign` with `{"hash"}` gives `{"signature","signer_kid","ts"}`,
//! `GET /health` says whether it would. Both ends show certificates.

use super::Hand;
use crate::helper::http::{Answer, Http, Identity, Method, Request};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long one exchange may take.
const PATIENCE: Duration = Duration::from_secs(4);

/// A connection to the proxy.
pub(super) struct Proxy<'a> {
    url: &'a str,
    kid: &'a str,
    identity: &'a Identity,
    http: Option<Http>,
}

#[derive(Debug, Serialize)]
struct Wanted {
    /// 64 hex digits.
    hash: String,
}

/// What a proxy answers. Further fields are its own.
#[derive(Debug, Deserialize)]
struct Signed {
    /// Base64.
    signature: String,
    signer_kid: String,
    /// RFC 3339, for people: the log has its own times.
    #[serde(rename = "ts")]
    _ts: String,
}

impl<'a> Proxy<'a> {
    pub(super) const fn new(url: &'a str, kid: &'a str, identity: &'a Identity) -> Self {
        Self { url, kid, identity, http: None }
    }

    fn exchange(&mut self, method: Method, path: &str, body: &[u8]) -> Result<Answer, String> {
        let http = match self.http.take() {
            Some(http) => http,
            None => Http::new(self.identity, PATIENCE).map_err(|error| error.to_string())?,
        };
        let address = format!("{}{path}", self.url.trim_end_matches('/'));
        let headers = [("content-type", "application/json")];
        let request = Request { method, address: &address, headers: &headers, body };
        let answer = http.send(&request).map_err(|error| format!("no answer: {error}"))?;
        self.http = Some(http);
        match answer.status {
            200 => Ok(answer),
            status => Err(format!("the proxy answers {status} to {path}")),
        }
    }
}

impl Hand for Proxy<'_> {
    fn sign(&mut self, hash: &[u8; 32]) -> Result<[u8; 64], String> {
        let hash = ward_policy::Digest::from_bytes(*hash).to_string();
        let body = serde_json::to_vec(&Wanted { hash }).map_err(|error| error.to_string())?;
        let answer = self.exchange(Method::POST, "/sign", &body)?;
        let signed: Signed = serde_json::from_slice(&answer.body)
            .map_err(|_| "the proxy's answer is not what one answers to /sign".to_owned())?;
        if signed.signer_kid != self.kid {
            let theirs = signed.signer_kid.escape_default();
            return Err(format!("the proxy signs with the key {theirs}, not with {}", self.kid));
        }
        let signature = STANDARD.decode(&signed.signature).ok();
        let signature = signature.and_then(|bytes| bytes.try_into().ok());
        signature.ok_or_else(|| "the proxy's signature is no Ed25519 signature".to_owned())
    }

    fn look(&mut self) -> Result<(), String> {
        self.exchange(Method::GET, "/health", &[]).map(drop)
    }
}
