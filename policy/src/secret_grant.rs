//! A grant of a secret: one file that a client of the policy may read, because somebody who may read it
//! said so.
//!
//! It gives what no rule speaks of, and nothing that a rule denies or wants a human for, or that belongs
//! to one. It is for the file, whatever name it has.

use crate::{
    Basis, Caller, Decision, Denial, FileId, Grade, Grant, HandleTerms, LocalTime, Moment, Names,
    Operation, OperationSet, Permit, Question, Reading, Rules, VaultName,
};
use std::fmt;
use std::sync::Arc;
use ulid::Ulid;

/// The id of a grant of a secret, as shown by `ward grants list` and in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretGrantId(pub Ulid);

impl fmt::Display for SecretGrantId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

/// That a client may read one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretGrant {
    id: SecretGrantId,
    vault: VaultName,
    file: FileId,
    client: Arc<str>,
}

impl SecretGrant {
    /// What somebody gives by `granting`, who may read the file by `reading`. `None` when the two are
    /// not about one file, or another operation.
    pub fn begin(
        id: SecretGrantId,
        granting: &Grant,
        reading: &Reading<'_>,
        client: Arc<str>,
    ) -> Option<Self> {
        let read = match reading {
            Reading::Rule(permit) => permit.grant(),
            Reading::Lease(lease) => lease.grant(),
        };
        let is_one_file = (&read.vault, read.file) == (&granting.vault, granting.file);
        let may_do_both = granting.operations.contains(Operation::SecretGrant)
            && read.operations.contains(Operation::FileRead);
        let (vault, file) = (granting.vault.clone()?, granting.file?);
        (is_one_file && may_do_both).then_some(Self { id, vault, file, client })
    }

    /// One that was given before, as the log has it.
    pub const fn recalled(
        id: SecretGrantId,
        vault: VaultName,
        file: FileId,
        client: Arc<str>,
    ) -> Self {
        Self { id, vault, file, client }
    }

    /// Its id.
    pub const fn id(&self) -> SecretGrantId {
        self.id
    }

    /// The vault of the file.
    pub const fn vault(&self) -> &VaultName {
        &self.vault
    }

    /// The file.
    pub const fn file(&self) -> FileId {
        self.file
    }

    /// The client of the policy that may read it.
    pub const fn client(&self) -> &Arc<str> {
        &self.client
    }
}

impl Rules {
    /// Decides about reading what was granted until `ends`: where no rule speaks of it, the grant does.
    /// A rule's no stays one, and one that wants a human still wants one.
    pub fn evaluate_granted(
        &self,
        caller: &Caller,
        question: &Question<'_>,
        time: LocalTime,
        (granted, ends): (&SecretGrant, Moment),
    ) -> Decision {
        let is_it = question.operations == OperationSet::of(Operation::FileRead)
            && question.vault == Some(&granted.vault)
            && question.file == Some(granted.file);
        match self.evaluate(caller, question, time) {
            Decision::Denied(Denial::NoRule)
                if is_it
                    && !self.belongs_to_a_human(question)
                    && caller.grade() != Grade::Untrusted
                    && self.clients_of(caller).contains(&&*granted.client) =>
            {
                // What restricts a caller goes on to do so under another name.
                if let Some(unbound) = caller.unbound() {
                    match self.evaluate(&unbound, question, time) {
                        Decision::Permitted(_) | Decision::Denied(Denial::NoRule) => {}
                        restricted @ (Decision::NeedsApproval(_) | Decision::Denied(_)) => {
                            return restricted;
                        }
                    }
                }
                let grant = Grant {
                    operations: question.operations,
                    vault: question.vault.cloned(),
                    path: question.path.cloned(),
                    file: question.file,
                    ticket: None,
                    secrets: Vec::new(),
                    rules: Names::new(),
                    policy: self.digest(),
                    handle: HandleTerms::default(),
                };
                let basis = Basis::SecretGrant { grant: granted.id, ends };
                Decision::Permitted(Permit::new(grant, basis))
            }
            decided @ (Decision::Permitted(_)
            | Decision::NeedsApproval(_)
            | Decision::Denied(_)) => decided,
        }
    }

    /// Whether a rule hides the name, so that a grant does not show it.
    pub fn hides(&self, caller: &Caller, question: &Question<'_>, time: LocalTime) -> bool {
        let listing = OperationSet::of(Operation::FileList);
        let question = Question { operations: listing, ..*question };
        let unbound = caller.unbound();
        let mut callers = std::iter::once(caller).chain(&unbound);
        callers.any(|caller| {
            matches!(self.evaluate(caller, &question, time), Decision::Denied(Denial::Rule(_)))
        })
    }
}
