//! The policy in force: read from the root, swapped whole, kept when a new text is no good.

use crate::clock;
use rustix::fs::{FileType, Mode, OFlags, fstat, openat};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::{Arc, PoisonError, RwLock};
use ward_policy::{Caller, Decision, Digest, Question, RuleFileError, Rules};

/// The longest policy, in bytes.
const LONGEST: u64 = 4 << 20;

/// The rules that decide at present.
#[derive(Debug)]
pub(crate) struct PolicyInForce {
    rules: RwLock<Arc<Rules>>,
}

/// Why a policy file is not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadPolicyError {
    /// It cannot be opened or read.
    #[error("cannot read the policy {0}")]
    Read(String, #[source] io::Error),
    /// Somebody else could have written it.
    #[error("the policy {path} {why}; run: {mend}")]
    Ownership {
        /// The file.
        path: String,
        /// What is wrong about it.
        why: String,
        /// The command that mends it.
        mend: String,
    },
    /// It is no text, or too long.
    #[error("the policy {0} is no UTF-8 text of at most 4 MiB")]
    Text(String),
    /// It is no policy.
    #[error("the policy {path} does not load: {fault}")]
    Fault {
        /// The file.
        path: String,
        /// What and where.
        fault: RuleFileError,
    },
}

impl PolicyInForce {
    pub(crate) fn new(rules: Rules) -> Self {
        Self { rules: RwLock::new(Arc::new(rules)) }
    }

    /// The rules as they are now.
    pub(crate) fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Decides by the rules as they are now, at the time it is now.
    pub(crate) fn evaluate(&self, caller: &Caller, question: &Question<'_>) -> Decision {
        let rules = self.rules();
        rules.evaluate(caller, question, clock::local(&rules))
    }

    /// The same, with an approver's yes even where a rule allows it.
    pub(crate) fn evaluate_with_a_human(
        &self,
        caller: &Caller,
        question: &Question<'_>,
    ) -> Decision {
        let rules = self.rules();
        rules.evaluate_with_a_human(caller, question, clock::local(&rules))
    }

    pub(crate) fn replace(&self, rules: Rules) {
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
    }
}

/// SHA-256 of a policy's text.
pub fn digest(text: &str) -> Digest {
    Digest::from_bytes(Sha256::digest(text.as_bytes()).into())
}

/// Reads the policy `name` in the directory `root`: owned by root or by us, writable by nobody else.
pub(crate) fn load(root: &crate::Root, name: &str) -> Result<Rules, LoadPolicyError> {
    let path = root.join(name).display().to_string();
    let read = |error: io::Error| LoadPolicyError::Read(path.clone(), error);
    // Looked at before it is opened: without privileges we may not open what is somebody else's.
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let place =
        openat(root.as_fd(), name, flags, Mode::empty()).map_err(|errno| read(errno.into()))?;
    let stat = fstat(&place).map_err(|errno| read(errno.into()))?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
        return Err(read(rustix::io::Errno::LOOP.into()));
    }
    let ours = rustix::process::geteuid().as_raw();
    if stat.st_uid != 0 && stat.st_uid != ours {
        let why = format!("belongs to uid {}, not to root or uid {ours}", stat.st_uid);
        let mend = format!("chown {ours} {path}");
        return Err(LoadPolicyError::Ownership { path, why, mend });
    }
    if stat.st_mode & 0o022 != 0 {
        let why = "can be written by others".to_owned();
        let mend = format!("chmod go-w {path}");
        return Err(LoadPolicyError::Ownership { path, why, mend });
    }
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file =
        rustix::fs::open(format!("/proc/self/fd/{}", place.as_raw_fd()), flags, Mode::empty());
    let file = file.map_err(|errno| read(errno.into()))?;
    let mut bytes = Vec::new();
    File::from(file).take(LONGEST + 1).read_to_end(&mut bytes).map_err(read)?;
    let is_too_long = u64::try_from(bytes.len()).is_ok_and(|length| length > LONGEST);
    match String::from_utf8(bytes) {
        Ok(text) if !is_too_long => {
            let digest = digest(&text);
            Rules::load(&text, digest).map_err(|fault| LoadPolicyError::Fault { path, fault })
        }
        Ok(_) | Err(_) => Err(LoadPolicyError::Text(path)),
    }
}
