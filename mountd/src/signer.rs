//! Signers as the daemon has them: the key in the root, those elsewhere by way of a helper, and which
//! of them takes over from which.

mod remote;
mod settings;

pub(crate) use remote::RemoteSigner;
pub(crate) use settings::{SignerSettings, SignerSettingsError, SignerVariables, SignersSettings};

use settings::{NEXT, RemoteSettings, SIGNER};

use crate::clock;
use crate::monitor::Monitor;
use crate::root::{Root, SIGNER_KEY, SIGNER_KEY_NEW};
use std::io;
use std::sync::Arc;
use ward_audit::{
    AppendError, KeySource, Log, LogKey, PublicKey, RotateError, Signer, SoftwareSigner,
};
use ward_store::{Keyfile, KeyfileError};

/// What may sign for the log, as configured.
#[derive(Debug)]
pub(crate) struct Signers {
    root: Arc<Root>,
    current: Option<Arc<RemoteSigner>>,
    next: Option<Arc<RemoteSigner>>,
    may_stand_by: bool,
}

/// Which key took over from which, by their names.
#[derive(Debug)]
pub(crate) struct Rotated {
    pub(crate) from: String,
    pub(crate) to: String,
}

/// Why none did.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RotateFailure {
    #[error("no signer is configured to take over from {0}")]
    NoNext(String),
    #[error(transparent)]
    Key(#[from] KeyfileError),
    #[error("the new key cannot be put in its place ({0})")]
    Place(#[source] io::Error),
    #[error(transparent)]
    Rotate(#[from] RotateError),
    #[error(transparent)]
    Log(#[from] AppendError),
}

impl Signers {
    pub(crate) fn new(
        root: &Arc<Root>,
        settings: &SignersSettings,
        monitor: &Arc<Monitor>,
    ) -> Self {
        let remote = |settings: &Option<RemoteSettings>, name: &'static str| {
            let settings = settings.as_ref()?;
            Some(Arc::new(RemoteSigner::new(settings, (Arc::clone(monitor), name))))
        };
        let (current, next) = (remote(&settings.signer, SIGNER), remote(&settings.next, NEXT));
        let all = [&settings.signer, &settings.next].into_iter().flatten();
        let may_stand_by = all.map(|it| it.is_required).all(|is_required| !is_required);
        Self { root: Arc::clone(root), current, next, may_stand_by }
    }

    /// The keys of the log: one of them is its identity, and says so itself.
    pub(crate) fn key(&self) -> Result<LogKey, KeyfileError> {
        let mut key = self.root.log_key()?;
        if self.may_stand_by {
            key = key.with_standby();
        }
        if self.current.is_some() {
            key = key.without_local();
        }
        if let Some(new) = self.new_key()? {
            key = key.or_signer(new);
        }
        for remote in self.remote() {
            key = key.or_signer(Arc::<RemoteSigner>::clone(remote));
        }
        Ok(key)
    }

    /// Ends a rotation that an earlier daemon began: `successor` was about to sign then.
    pub(crate) fn finish(
        &self,
        log: &Log,
        successor: Option<PublicKey>,
    ) -> Result<(), RotateFailure> {
        let new = self.new_key()?;
        if let Some(successor) = successor {
            let mut candidates = self.remote().map(|it| Arc::<RemoteSigner>::clone(it) as _);
            let next: Option<Arc<dyn Signer>> =
                candidates.find(|it: &Arc<dyn Signer>| it.public() == successor);
            let next = next.or_else(|| new.clone().filter(|it| it.public() == successor));
            if let Some(next) = next {
                match log.apply_rotation(&next, clock::stamp()) {
                    // Until it signs, the key goes on that did.
                    Ok(()) | Err(RotateError::Signer { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        let signs = log.signer()?.public();
        match new {
            Some(new) if new.public() == signs => self.put_new_key().map_err(RotateFailure::Place),
            Some(_) | None => Ok(()),
        }
    }

    /// Has the next signer take over: the one that is configured, or a new key where software signs.
    pub(crate) fn rotate(&self, log: &Log) -> Result<Rotated, RotateFailure> {
        let now = log.signer()?;
        let from = now.kid().to_owned();
        let next: Arc<dyn Signer> = match &self.next {
            Some(next) if next.public() != now.public() => Arc::<RemoteSigner>::clone(next),
            Some(_) => return Err(RotateFailure::NoNext(from)),
            None if now.source() != KeySource::Software => return Err(RotateFailure::NoNext(from)),
            None => self.make_new_key()?,
        };
        log.request_rotation(&next, clock::stamp())?;
        log.apply_rotation(&next, clock::stamp())?;
        if next.source() == KeySource::Software {
            self.put_new_key().map_err(RotateFailure::Place)?;
        }
        Ok(Rotated { from, to: next.kid().to_owned() })
    }

    /// Asks signers elsewhere whether they would sign.
    pub(crate) fn look(&self) {
        self.remote().for_each(|remote| remote.look());
    }

    /// Why the signer of `log` did not sign when it was last asked.
    pub(crate) fn trouble(&self, signer: &dyn Signer) -> Option<String> {
        let mut remote = self.remote();
        remote.find(|remote| remote.public() == signer.public()).and_then(|it| it.trouble())
    }

    /// Whether the key in the root may sign in the place of a signer that does not.
    pub(crate) const fn may_stand_by(&self) -> bool {
        self.may_stand_by
    }

    fn remote(&self) -> impl Iterator<Item = &Arc<RemoteSigner>> {
        self.current.iter().chain(&self.next)
    }

    fn new_key(&self) -> Result<Option<Arc<dyn Signer>>, KeyfileError> {
        match Keyfile::read(&self.root.join(SIGNER_KEY_NEW)) {
            Ok(file) => Ok(Some(Arc::new(SoftwareSigner::from_bytes(&file.key())))),
            Err(KeyfileError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// A key in a file of its own, until it has taken over.
    fn make_new_key(&self) -> Result<Arc<dyn Signer>, KeyfileError> {
        let path = self.root.join(SIGNER_KEY_NEW);
        // One that never took over is nobody's.
        let _usually_absent = std::fs::remove_file(&path);
        let file = Keyfile::create(&path)?;
        Ok(Arc::new(SoftwareSigner::from_bytes(&file.key())))
    }

    fn put_new_key(&self) -> io::Result<()> {
        std::fs::rename(self.root.join(SIGNER_KEY_NEW), self.root.join(SIGNER_KEY))?;
        std::fs::File::open(self.root.path())?.sync_all()
    }
}
