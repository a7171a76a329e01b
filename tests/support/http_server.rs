//! A server that helpers speak to: plain, or by TLS with certificates made for it.

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use tempfile::TempDir;

/// A folder with `roots.pem`, `server.pem`, `server.key`, `client.pem` and `client.key`.
#[derive(Debug)]
pub(crate) struct Papers(TempDir);

/// What a server was asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// What it answers.
#[derive(Debug)]
pub(crate) enum Reply {
    /// A status and a body.
    Now(u16, Vec<u8>),
    /// Nothing, while the other side waits.
    Never,
}

/// Listens on a port of its own until it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    address: String,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    asked: Mutex<Vec<Asked>>,
    /// Both ends of all that was accepted; empty and closed once it ends.
    accepted: Mutex<Option<Vec<TcpStream>>>,
}

type Answering = dyn Fn(&Asked) -> Reply + Send + Sync;

impl Papers {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let mut file = File::create(folder.path().join(name)).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        };
        let mut root = CertificateParams::default();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root_key = KeyPair::generate().unwrap();
        write("roots.pem", &root.self_signed(&root_key).unwrap().pem());
        let issuer = Issuer::from_params(&root, &root_key);
        let usages = [
            ("server", ExtendedKeyUsagePurpose::ServerAuth),
            ("client", ExtendedKeyUsagePurpose::ClientAuth),
        ];
        for (name, usage) in usages {
            let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
            let mut params = CertificateParams::new(names).unwrap();
            params.extended_key_usages = vec![usage];
            let key = KeyPair::generate().unwrap();
            write(&format!("{name}.pem"), &params.signed_by(&key, &issuer).unwrap().pem());
            write(&format!("{name}.key"), &key.serialize_pem());
        }
        Self(folder)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn certificate(&self, name: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(self.file(name)).unwrap()
    }

    fn config(&self, asks_for_certificates: bool) -> ServerConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let builder = if asks_for_certificates {
            let mut roots = RootCertStore::empty();
            roots.add(self.certificate("roots.pem")).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        let key = PrivateKeyDer::from_pem_file(self.file("server.key")).unwrap();
        builder.with_single_cert(vec![self.certificate("server.pem")], key).unwrap()
    }
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }
}

impl Reply {
    pub(crate) fn new(status: u16, body: &str) -> Self {
        Self::Now(status, body.as_bytes().to_vec())
    }
}

impl Server {
    pub(crate) fn plain(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self::start(None, Arc::new(answer))
    }

    pub(crate) fn tls(
        papers: &Papers,
        answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::start(Some(Arc::new(papers.config(false))), Arc::new(answer))
    }

    /// Serves those only who come with a certificate that the roots vouch for.
    pub(crate) fn mutual_tls(
        papers: &Papers,
        answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::start(Some(Arc::new(papers.config(true))), Arc::new(answer))
    }

    fn start(config: Option<Arc<ServerConfig>>, answer: Arc<Answering>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let scheme = if config.is_some() { "https" } else { "http" };
        let address = format!("{scheme}://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared::default());
        *shared.accepted.lock().unwrap() = Some(Vec::new());
        let serving = Arc::clone(&shared);
        let accepting = std::thread::spawn(move || {
            let mut threads = Vec::new();
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                match serving.accepted.lock().unwrap().as_mut() {
                    Some(accepted) => accepted.push(stream.try_clone().unwrap()),
                    None => break,
                }
                let (config, shared) = (config.clone(), Arc::clone(&serving));
                let answer = Arc::clone(&answer);
                threads.push(std::thread::spawn(move || {
                    // The other side may go whenever it likes.
                    let _they_left = match config {
                        None => converse(stream, &shared, &*answer),
                        Some(config) => {
                            let connection = ServerConnection::new(config).unwrap();
                            converse(StreamOwned::new(connection, stream), &shared, &*answer)
                        }
                    };
                }));
            }
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        });
        Self { address, shared, accepting: Some(accepting) }
    }

    /// Its scheme, host and port.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// All that it was asked, in order.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.shared.accepted.lock().unwrap().as_ref().map_or(0, Vec::len)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let accepted = self.shared.accepted.lock().unwrap().take();
        for stream in accepted.into_iter().flatten() {
            let _closed_already = stream.shutdown(Shutdown::Both);
        }
        // Wakes the thread that accepts.
        let place = self.address.split("//").nth(1).unwrap_or_default();
        let _listens_no_more = TcpStream::connect(place);
        if let Some(accepting) = self.accepting.take() {
            accepting.join().unwrap();
        }
    }
}

/// Answers one request after the other until the other side is gone.
fn converse(stream: impl Read + Write, shared: &Shared, answer: &Answering) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some(asked) = read(&mut stream)? {
        shared.asked.lock().unwrap().push(asked.clone());
        match answer(&asked) {
            Reply::Now(status, body) => {
                let head = format!(
                    "HTTP/1.1 {status} Said\r\nLocation: /elsewhere\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                );
                stream.get_mut().write_all(&[head.as_bytes(), &body].concat())?;
                stream.get_mut().flush()?;
            }
            Reply::Never => while stream.read(&mut [0; 64])? > 0 {},
        }
    }
    Ok(())
}

fn read(stream: &mut impl BufRead) -> io::Result<Option<Asked>> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    let mut asked = Asked { method, path, headers: Vec::new(), body: Vec::new() };
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        asked.headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    let length = asked.header("content-length").map_or(0, |length| length.parse().unwrap());
    asked.body.resize(length, 0);
    stream.read_exact(&mut asked.body)?;
    Ok(Some(asked))
}
