//! The policy in force: read from the root, swapped whole, kept when a new text is no good.

use crate::clock;
use crate::owned_file::{self, OwnedFileError};
use sha2::{Digest as _, Sha256};
use std::sync::{Arc, PoisonError, RwLock};
use ward_policy::{Caller, Decision, Digest, HumanOwned, Question, RuleFileError, Rules};

/// The longest policy, in bytes.
const LONGEST: u64 = 4 << 20;

/// The rules that decide at present.
#[derive(Debug)]
pub(crate) struct PolicyInForce {
    rules: RwLock<Arc<Rules>>,
    /// What takes a yes under any rules.
    owned: HumanOwned,
}

/// Why a policy file is not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadPolicyError {
    /// It is not there, no text, or somebody else could have written it.
    #[error("the policy is not taken: {0}")]
    File(#[from] OwnedFileError),
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
    pub(crate) fn new(rules: Rules, owned: HumanOwned) -> Self {
        let rules = rules.with_human_owned(owned.clone());
        Self { rules: RwLock::new(Arc::new(rules)), owned }
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
        let rules = rules.with_human_owned(self.owned.clone());
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
    }
}

/// SHA-256 of a policy's text.
pub fn digest(text: &str) -> Digest {
    Digest::from_bytes(Sha256::digest(text.as_bytes()).into())
}

/// Reads the policy `name` in the directory `root`: owned by root or by us, writable by nobody else.
pub(crate) fn load(root: &crate::Root, name: &str) -> Result<Rules, LoadPolicyError> {
    let text = owned_file::read(root, name, LONGEST)?;
    Rules::load(&text, digest(&text)).map_err(|fault| {
        let path = root.join(name).display().to_string();
        LoadPolicyError::Fault { path, fault }
    })
}
