//! The core's end of a signer elsewhere: orders go to the helper, answers come back in any order.

use super::settings::RemoteSettings;
use crate::helper::{Order, Reply, Want};
use crate::monitor::Monitor;
use crate::monitor::message::{receive, send};
use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use ward_audit::{ChainHash, KeySource, PublicKey, SignError, Signature, Signer};

/// How long a signature may take: a little longer than the helper gives a proxy.
const PATIENCE: Duration = Duration::from_secs(5);

/// A key in a token or behind a proxy.
#[derive(Debug)]
pub(crate) struct RemoteSigner {
    kid: String,
    public: PublicKey,
    source: KeySource,
    monitor: Arc<Monitor>,
    /// By which the monitor knows the helper.
    helper: &'static str,
    /// The helper that runs. Held while one is started, never while one is waited for.
    line: Mutex<(Option<Arc<Line>>, u64)>,
    /// Why it did not sign when it was last asked. Guards itself only.
    trouble: Mutex<Option<String>>,
}

/// A helper that runs.
#[derive(Debug)]
struct Line {
    socket: OwnedFd,
    /// Who waits for which answer. Guards itself only.
    waiting: Mutex<BTreeMap<u64, Sender<Result<String, String>>>>,
    is_over: AtomicBool,
}

/// Why there is no answer.
enum NoAnswer {
    /// The helper ended; another one may do better.
    Ended,
    Said(String),
}

impl RemoteSigner {
    pub(crate) fn new(
        settings: &RemoteSettings,
        (monitor, helper): (Arc<Monitor>, &'static str),
    ) -> Self {
        Self {
            kid: settings.kid.clone(),
            public: settings.public,
            source: settings.source,
            monitor,
            helper,
            line: Mutex::new((None, 0)),
            trouble: Mutex::new(None),
        }
    }

    /// Asks whether it would sign.
    pub(crate) fn look(&self) {
        let outcome = self.ask(|| Want::Look).map(drop);
        self.note(outcome.err());
    }

    /// Why it did not, when it was last asked.
    pub(crate) fn trouble(&self) -> Option<String> {
        lock(&self.trouble).clone()
    }

    fn note(&self, trouble: Option<String>) {
        *lock(&self.trouble) = trouble;
    }

    fn ask(&self, want: impl Fn() -> Want) -> Result<String, String> {
        match self.ask_once(want()).or_else(|no| match no {
            NoAnswer::Ended => self.ask_once(want()),
            NoAnswer::Said(_) => Err(no),
        }) {
            Ok(answer) => Ok(answer),
            Err(NoAnswer::Ended) => Err("the helper ended".to_owned()),
            Err(NoAnswer::Said(why)) => Err(why),
        }
    }

    fn ask_once(&self, want: Want) -> Result<String, NoAnswer> {
        let (sender, answer) = bounded(1);
        let (line, number) = self.line().map_err(NoAnswer::Said)?;
        lock(&line.waiting).insert(number, sender);
        let sent = send(line.socket.as_fd(), &Order { number, want }, &[]);
        // Looked at after it was told: who ends the line finds it there, or this sees the end.
        if sent.is_err() || line.is_over.load(Ordering::SeqCst) {
            lock(&line.waiting).remove(&number);
            return Err(NoAnswer::Ended);
        }
        match answer.recv_timeout(PATIENCE) {
            Ok(outcome) => outcome.map_err(NoAnswer::Said),
            Err(RecvTimeoutError::Disconnected) => Err(NoAnswer::Ended),
            Err(RecvTimeoutError::Timeout) => {
                lock(&line.waiting).remove(&number);
                let seconds = PATIENCE.as_secs();
                Err(NoAnswer::Said(format!("no answer came within {seconds} s")))
            }
        }
    }

    /// The helper that runs, or a new one, and the number of the next order.
    fn line(&self) -> Result<(Arc<Line>, u64), String> {
        let mut line = lock(&self.line);
        line.1 += 1;
        let running = line.0.as_ref().filter(|line| !line.is_over.load(Ordering::SeqCst));
        if let Some(running) = running {
            return Ok((Arc::clone(running), line.1));
        }
        let socket = self.monitor.start_helper(self.helper).map_err(|error| error.to_string())?;
        let (waiting, is_over) = (Mutex::default(), AtomicBool::new(false));
        let started = Arc::new(Line { socket, waiting, is_over });
        let followed = Arc::clone(&started);
        let follow = std::thread::Builder::new().name("signer".to_owned());
        follow.spawn(move || followed.follow()).map_err(|error| error.to_string())?;
        line.0 = Some(Arc::clone(&started));
        Ok((started, line.1))
    }
}

impl Line {
    /// Gives answers to who waits for them, until the helper has ended.
    fn follow(&self) {
        while let Ok(Some((Reply { number, outcome }, _))) = receive::<Reply>(self.socket.as_fd()) {
            if let Some(waits) = lock(&self.waiting).remove(&number) {
                // Who waited may have given up.
                let _too_late = waits.send(outcome);
            }
        }
        self.is_over.store(true, Ordering::SeqCst);
        lock(&self.waiting).clear();
    }
}

impl Signer for RemoteSigner {
    fn kid(&self) -> &str {
        &self.kid
    }

    fn public(&self) -> PublicKey {
        self.public
    }

    fn source(&self) -> KeySource {
        self.source
    }

    fn is_away(&self) -> bool {
        self.trouble().is_some()
    }

    fn sign(&self, hash: &ChainHash) -> Result<Signature, SignError> {
        let signed = self.ask(|| Want::Sign(hash.to_string())).and_then(|text| {
            let signature = Signature::from_base64(text.as_bytes());
            let signature = signature.ok_or_else(|| "the helper gives no signature".to_owned())?;
            let checked = self.public.checked(hash, signature);
            checked.map_err(|error| error.to_string())
        });
        self.note(signed.as_ref().err().cloned());
        signed.map_err(SignError)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
