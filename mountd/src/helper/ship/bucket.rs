//! Lines as objects of a store that speaks as S3 does, signed with AWS Signature Version 4.

use super::{Client, Parcel, authenticate, hex, secret};
use crate::clock;
use crate::helper::http::{Identity, Method, Request};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::path::PathBuf;
use zeroize::Zeroizing;

/// The table `s3` of a sink.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bucket {
    /// Scheme and host, such as `https://s3.eu-central-1.amazonaws.com`; the bucket comes after it.
    pub(crate) endpoint: String,
    pub(crate) region: String,
    pub(crate) bucket: String,
    /// What names of objects begin with.
    #[serde(default)]
    pub(crate) prefix: String,
    /// The file with the keys, as AWS tools keep it; its first profile counts.
    pub(crate) credentials: PathBuf,
    /// Certificates.
    #[serde(default)]
    pub(crate) tls: Identity,
}

/// Who asks.
struct Credentials {
    id: String,
    secret: Zeroizing<String>,
    token: Option<String>,
}

/// What is signed of a request.
struct Signed<'a> {
    method: &'a str,
    /// Encoded as it is sent.
    path: &'a str,
    query: &'a str,
    /// By name, in lower case and sorted.
    headers: &'a [(&'a str, &'a str)],
    /// SHA-256 of the body, in hex.
    body: &'a str,
    /// `20130524T000000Z`.
    time: &'a str,
    region: &'a str,
}

impl Bucket {
    /// Puts one object, whose name says which lines it has: the same lines make the same object.
    pub(super) fn deliver(
        &self,
        client: &mut Client<'_>,
        parcel: &Parcel,
        bytes: &[u8],
    ) -> Result<(), String> {
        let credentials = Credentials::parse(&secret(&self.credentials)?)
            .ok_or_else(|| format!("there are no keys in {}", self.credentials.display()))?;
        let Parcel { log, first, last, hash, .. } = parcel;
        let short = hash.get(..16).unwrap_or(hash);
        let name = format!("{}{log}/{first:020}-{last:020}-{short}.jsonl", self.prefix);
        let path = format!("/{}/{}", encoded(&self.bucket), encoded(&name));
        let endpoint = self.endpoint.trim_end_matches('/');
        let host = endpoint.split_once("://").map_or(endpoint, |(_, host)| host);
        let body = hex(&Sha256::digest(bytes));
        let time = clock::wall().strftime("%Y%m%dT%H%M%SZ").to_string();
        let mut headers =
            vec![("host", host), ("x-amz-content-sha256", body.as_str()), ("x-amz-date", &time)];
        headers.extend(credentials.token.as_deref().map(|token| ("x-amz-security-token", token)));
        let (method, region) = ("PUT", self.region.as_str());
        let signed = Signed {
            method,
            path: &path,
            query: "",
            headers: &headers,
            body: &body,
            time: &time,
            region,
        };
        let authorization = signed.authorization(&credentials);
        headers.push(("authorization", &authorization));
        headers.push(("content-type", "application/x-ndjson"));
        // The client says the host itself.
        headers.retain(|(name, _)| *name != "host");
        let address = format!("{endpoint}{path}");
        client.send(&Request {
            method: Method::PUT,
            address: &address,
            headers: &headers,
            body: bytes,
        })
    }
}

impl Credentials {
    fn parse(text: &str) -> Option<Self> {
        let value = |name: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once('='));
            let found = lines.find(|(key, _)| key.trim() == name);
            found.map(|(_, value)| value.trim().to_owned())
        };
        Some(Self {
            id: value("aws_access_key_id")?,
            secret: Zeroizing::new(value("aws_secret_access_key")?),
            token: value("aws_session_token"),
        })
    }
}

impl Signed<'_> {
    /// The header `Authorization`, as "Authenticating Requests: Using the Authorization Header (AWS
    /// Signature Version 4)" of the Amazon S3 API reference has it.
    fn authorization(&self, credentials: &Credentials) -> String {
        let day = self.time.get(..8).unwrap_or_default();
        let scope = format!("{day}/{}/s3/aws4_request", self.region);
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        let headers: String =
            self.headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let Self { method, path, query, body, time, .. } = self;
        let request = format!("{method}\n{path}\n{query}\n{headers}\n{names}\n{body}");
        let digest = hex(&Sha256::digest(request));
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{digest}");
        let first = Zeroizing::new(format!("AWS4{}", *credentials.secret).into_bytes());
        let parts = [day, self.region, "s3", "aws4_request", &text];
        let signature = parts
            .iter()
            .fold(first, |key, part| Zeroizing::new(authenticate(&key, part.as_bytes()).to_vec()));
        format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope},SignedHeaders={names},Signature={}",
            credentials.id,
            hex(&signature)
        )
    }
}

/// A path as S3 signs it: everything but letters, digits and `-._~/` percent-encoded.
fn encoded(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let encode = |byte: u8| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    path.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const HOST: (&str, &str) = ("host", "examplebucket.s3.amazonaws.com");
    const DATE: (&str, &str) = ("x-amz-date", "20130524T000000Z");

    /// The signature under the keys of Amazon's examples.
    fn signature(
        method: &str,
        target: (&str, &str),
        headers: &[(&str, &str)],
        body: &str,
    ) -> String {
        let credentials = Credentials {
            id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret: Zeroizing::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned()),
            token: None,
        };
        let (path, query) = target;
        let (time, region) = (DATE.1, "us-east-1");
        let signed = Signed { method, path, query, headers, body, time, region };
        let text = signed.authorization(&credentials);
        text.rsplit_once("Signature=").unwrap().1.to_owned()
    }

    #[test]
    fn signatures_are_those_of_the_examples_that_amazon_published() {
        let empty = ("x-amz-content-sha256", NOTHING);
        assert_eq!(
            signature(
                "GET",
                ("/test.txt", ""),
                &[HOST, ("range", "bytes=0-9"), empty, DATE],
                NOTHING
            ),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        );
        let body = hex(&Sha256::digest("Welcome to Amazon S3."));
        let headers = [
            ("date", "Fri, 24 May 2013 00:00:00 GMT"),
            HOST,
            ("x-amz-content-sha256", &body),
            DATE,
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ];
        assert_eq!(
            signature("PUT", (&encoded("/test$file.text"), ""), &headers, &body),
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
        );
        assert_eq!(
            signature("GET", ("/", "lifecycle="), &[HOST, empty, DATE], NOTHING),
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"
        );
        assert_eq!(
            signature("GET", ("/", "max-keys=2&prefix=J"), &[HOST, empty, DATE], NOTHING),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
        );
    }

    #[test]
    fn keys_are_read_from_the_file_that_aws_tools_keep() {
        let text = "[default]\naws_access_key_id = A\naws_secret_access_key=B=\n";
        let keys = Credentials::parse(text).unwrap();
        assert_eq!((keys.id.as_str(), keys.secret.as_str(), keys.token), ("A", "B=", None));
        assert!(Credentials::parse("aws_access_key_id = A\n").is_none());
    }
}
