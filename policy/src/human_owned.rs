//! What belongs to a human: opening it takes a yes also where rules only allow it.
//!
//! The policy does not say this. The settings of the root do, of files that come from a source that is
//! a human's: they are asked for even when nobody thought of them in the policy.

use crate::{Operation, Question, Rules, SecretPath, VaultName};
use std::sync::Arc;

/// Folders of vaults whose files belong to a human.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HumanOwned(Vec<HumanFolder>);

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HumanFolder {
    /// What stands among the rules that speak for an open, such as `sources.pass`.
    pub name: Arc<str>,
    /// Its vault.
    pub vault: VaultName,
    /// Where it is.
    pub folder: SecretPath,
}

impl HumanOwned {
    /// These folders.
    pub const fn new(folders: Vec<HumanFolder>) -> Self {
        Self(folders)
    }

    /// The name of the folder in which the content of a file is asked for.
    pub(crate) fn of(&self, question: &Question<'_>) -> Option<&Arc<str>> {
        let (vault, path) = (question.vault?, question.path?);
        let holds = |it: &&HumanFolder| it.vault == *vault && path.is_within(&it.folder);
        let reads = question.operations.contains(Operation::FileRead);
        self.0.iter().filter(|_| reads).find(holds).map(|folder| &folder.name)
    }
}

impl Rules {
    /// Whether reading that takes a human's yes whoever else says so.
    pub fn belongs_to_a_human(&self, question: &Question<'_>) -> bool {
        self.human_owned.of(question).is_some()
    }

    /// The same rules, where what is in `owned` takes an approver's yes wherever a rule allows it.
    #[must_use]
    pub fn with_human_owned(self, owned: HumanOwned) -> Self {
        Self { human_owned: owned, ..self }
    }
}
