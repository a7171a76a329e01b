//! How helpers speak HTTP: one request and its answer, within a time, from whom the certificates
//! say. Nothing of the environment is heeded, no redirect followed, nothing tried twice.

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

pub(crate) use ureq::http::Method;

/// Where Debian, and most others, keep the certificates that a machine trusts.
const OF_THE_SYSTEM: &str = "/etc/ssl/certs/ca-certificates.crt";
/// The longest answer that is read, in bytes.
const LONGEST_ANSWER: u64 = 64 * 1024;

/// Whom to trust and as whom to come, of a table of `ward.toml`. The helper reads the files, as the
/// user it runs as.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Identity {
    /// Root certificates (PEM); those of the system when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) roots: Option<PathBuf>,
    /// Our certificate and those between it and a root (PEM), for mutual TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) certificate: Option<PathBuf>,
    /// Its key (PEM).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<PathBuf>,
}

/// Speaks to servers; keeps a connection for the next request.
#[derive(Debug)]
pub(crate) struct Http(ureq::Agent);

/// What is sent.
#[derive(Clone, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    /// `http://` or `https://`. May hold a token, and is in no message for that.
    pub(crate) address: &'a str,
    pub(crate) headers: &'a [(&'a str, &'a str)],
    /// Not sent with methods that have none.
    pub(crate) body: &'a [u8],
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// Why there is no answer. Names no address.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    #[error("cannot read {0} ({1})")]
    File(PathBuf, #[source] io::Error),
    #[error("there is no certificate in {0}")]
    NoCertificate(PathBuf),
    #[error("the certificate {0} and its key are of no use ({1})")]
    Certificate(PathBuf, String),
    #[error("a certificate has a key and a key has a certificate; only one is named")]
    Half,
    #[error("the address or a header cannot be sent")]
    Unsendable,
    #[error("it does not answer in time")]
    TooLate,
    #[error("its answer is too long")]
    TooLong,
    #[error("{0}")]
    Exchange(#[source] ureq::Error),
}

impl Identity {
    /// The files that it names.
    pub(crate) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.roots, &self.certificate, &self.key].into_iter().flatten()
    }

    fn tls(&self) -> Result<TlsConfig, HttpError> {
        let provider = Arc::new(ring::default_provider());
        let file = self.roots.as_deref().unwrap_or_else(|| Path::new(OF_THE_SYSTEM));
        let roots = roots(file);
        let roots = match (roots, &self.roots) {
            (Ok(roots), _) => roots,
            // Nobody is trusted then, and what is no TLS still goes.
            (Err(_), None) => Vec::new(),
            (Err(error), Some(_)) => return Err(error),
        };
        let client = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => Some(client(certificate, key, &provider)?),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => return Err(HttpError::Half),
        };
        Ok(TlsConfig::builder()
            .root_certs(RootCerts::from(roots))
            .client_cert(client)
            .unversioned_rustls_crypto_provider(provider)
            .build())
    }
}

impl Http {
    /// Reads the certificates. Each exchange may take `patience` in all.
    ///
    /// # Errors
    /// Names the file that cannot be read or is of no use.
    pub(crate) fn new(identity: &Identity, patience: Duration) -> Result<Self, HttpError> {
        let config = ureq::Agent::config_builder()
            .tls_config(identity.tls()?)
            .timeout_global(Some(patience))
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .user_agent(concat!("wardfs/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self(config.new_agent()))
    }

    /// Sends `request`; its answer, whatever the status.
    ///
    /// # Errors
    /// None came in time, or from whom the certificates do not name, or a longer one than is read.
    pub(crate) fn send(&self, request: &Request<'_>) -> Result<Answer, HttpError> {
        let mut built =
            ureq::http::Request::builder().method(request.method.clone()).uri(request.address);
        for (name, value) in request.headers {
            built = built.header(*name, *value);
        }
        let answer = match request.method {
            Method::POST | Method::PUT | Method::PATCH => {
                let built = built.body(request.body).map_err(|_| HttpError::Unsendable)?;
                self.0.run(built)
            }
            _ => self.0.run(built.body(()).map_err(|_| HttpError::Unsendable)?),
        };
        let mut answer = answer.map_err(HttpError::from)?;
        let body = answer.body_mut().with_config().limit(LONGEST_ANSWER).read_to_vec()?;
        Ok(Answer { status: answer.status().as_u16(), body })
    }
}

impl From<ureq::Error> for HttpError {
    fn from(error: ureq::Error) -> Self {
        if matches!(error, ureq::Error::BadUri(_) | ureq::Error::Http(_)) {
            Self::Unsendable
        } else if matches!(error, ureq::Error::Timeout(_)) {
            Self::TooLate
        } else if matches!(error, ureq::Error::BodyExceedsLimit(_)) {
            Self::TooLong
        } else {
            Self::Exchange(error)
        }
    }
}

fn roots(file: &Path) -> Result<Vec<Certificate<'static>>, HttpError> {
    let text = std::fs::read(file).map_err(|error| HttpError::File(file.to_owned(), error))?;
    let certificates = parse_pem(&text).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        Ok(_) | Err(_) => None,
    });
    let certificates: Vec<_> = certificates.collect();
    match certificates.is_empty() {
        true => Err(HttpError::NoCertificate(file.to_owned())),
        false => Ok(certificates),
    }
}

/// The certificate and its key, which are seen to fit: below, what does not is a panic.
fn client(file: &Path, key: &Path, provider: &CryptoProvider) -> Result<ClientCert, HttpError> {
    let chain = roots(file)?;
    let text = std::fs::read(key).map_err(|error| HttpError::File(key.to_owned(), error))?;
    let unfit = |why: String| HttpError::Certificate(file.to_owned(), why);
    let certificates = chain.iter().map(|it| CertificateDer::from(it.der().to_vec())).collect();
    let private = PrivateKeyDer::from_pem_slice(&text).map_err(|error| unfit(error.to_string()))?;
    CertifiedKey::from_der(certificates, private, provider)
        .map_err(|error| unfit(error.to_string()))?;
    let private = PrivateKey::from_pem(&text).map_err(|error| unfit(error.to_string()))?;
    Ok(ClientCert::new_with_certs(&chain, private))
}

#[cfg(test)]
mod tests {
    use super::super::http_server::{Papers, Reply, Server};
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn post<'a>(address: &'a str, body: &'a [u8]) -> Request<'a> {
        Request { method: Method::POST, address, headers: &[("x-name", "value")], body }
    }

    fn identity(papers: &Papers) -> Identity {
        Identity { roots: Some(papers.file("roots.pem")), ..Identity::default() }
    }

    fn known(papers: &Papers) -> Identity {
        Identity {
            certificate: Some(papers.file("client.pem")),
            key: Some(papers.file("client.key")),
            ..identity(papers)
        }
    }

    #[test]
    fn what_is_sent_arrives_and_the_answer_comes_back_whatever_its_status() {
        for status in [200, 302, 404, 503] {
            let server = Server::plain(move |_| Reply::new(status, "an answer"));
            let http = Http::new(&Identity::default(), PATIENCE).unwrap();
            let address = format!("{}/a/path?query", server.address());
            let answer = http.send(&post(&address, b"a body")).unwrap();
            assert_eq!(answer, Answer { status, body: b"an answer".to_vec() });
            let [asked] = &server.asked()[..] else { panic!("one request, and no redirect") };
            assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/a/path?query"));
            assert_eq!((asked.header("x-name"), &asked.body[..]), (Some("value"), &b"a body"[..]));
        }
    }

    #[test]
    fn one_connection_serves_many_requests() {
        let server = Server::plain(|asked| Reply::new(200, &asked.path));
        let http = Http::new(&Identity::default(), PATIENCE).unwrap();
        for number in 0..5 {
            let address = format!("{}/{number}", server.address());
            let request = Request { method: Method::GET, ..post(&address, b"") };
            assert_eq!(http.send(&request).unwrap().body, format!("/{number}").into_bytes());
        }
        assert_eq!(server.connections(), 1);
    }

    #[test]
    fn only_a_server_whom_the_roots_vouch_for_is_spoken_to() {
        let papers = Papers::new();
        let server = Server::tls(&papers, |_| Reply::new(200, ""));
        let http = Http::new(&identity(&papers), PATIENCE).unwrap();
        assert_eq!(http.send(&post(server.address(), b"1")).unwrap().status, 200);
        for stranger in [identity(&Papers::new()), Identity::default()] {
            let http = Http::new(&stranger, PATIENCE).unwrap();
            let error = http.send(&post(server.address(), b"2")).unwrap_err();
            assert!(error.to_string().contains("certificate"), "{error}");
        }
        assert_eq!(server.asked().len(), 1);
    }

    #[test]
    fn a_server_that_asks_for_a_certificate_gets_ours_and_serves_nobody_without() {
        let papers = Papers::new();
        let server = Server::mutual_tls(&papers, |_| Reply::new(200, ""));
        let http = Http::new(&known(&papers), PATIENCE).unwrap();
        assert_eq!(http.send(&post(server.address(), b"1")).unwrap().status, 200);
        let http = Http::new(&identity(&papers), PATIENCE).unwrap();
        assert!(http.send(&post(server.address(), b"2")).is_err());
        assert_eq!(server.asked().len(), 1);
    }

    #[test]
    fn papers_of_no_use_are_refused_by_name() {
        let (papers, others) = (Papers::new(), Papers::new());
        let refused = |identity: Identity| Http::new(&identity, PATIENCE).unwrap_err().to_string();
        let missing = Identity { roots: Some("/no/such/file".into()), ..Identity::default() };
        assert!(refused(missing).starts_with("cannot read /no/such/file"));
        let empty = Identity { roots: Some(papers.file("client.key")), ..Identity::default() };
        assert!(refused(empty).contains("no certificate in"));
        let half = Identity { key: None, ..known(&papers) };
        assert!(refused(half).contains("only one is named"));
        let strange = Identity { key: Some(others.file("client.key")), ..known(&papers) };
        assert!(refused(strange).contains("client.pem and its key are of no use"));
    }

    #[test]
    fn a_server_that_is_silent_or_says_too_much_has_not_answered() {
        let silent = Server::plain(|_| Reply::Never);
        let http = Http::new(&Identity::default(), Duration::from_millis(200)).unwrap();
        assert!(matches!(http.send(&post(silent.address(), b"")), Err(HttpError::TooLate)));
        let long = Server::plain(|_| Reply::new(200, &"a".repeat(65 * 1024)));
        let http = Http::new(&Identity::default(), PATIENCE).unwrap();
        assert!(matches!(http.send(&post(long.address(), b"")), Err(HttpError::TooLong)));
        for address in ["no address", "http://", "ftp://127.0.0.1/"] {
            let error = http.send(&post(address, b"")).unwrap_err().to_string();
            assert!(!error.contains(address), "{error}");
        }
    }
}
