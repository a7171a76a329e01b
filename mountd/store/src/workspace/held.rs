//! Nodes that somebody has open: without a name they live until the last one lets go.

use crate::change::Change;
use crate::changing::ChangeError;
use crate::vault::Vault;
use crate::workspace::names::TreeError;
use crate::workspace::{NodeChange, Workspace};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use ward_policy::FileId;

/// How often each node is held. A leaf: taken under the index, and nothing is taken under it.
#[derive(Debug, Default)]
pub(crate) struct Held(Mutex<BTreeMap<FileId, u64>>);

impl Held {
    fn is_held(&self, file: FileId) -> bool {
        self.lock().contains_key(&file)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<FileId, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Vault {
    /// Keeps a node alive until it is released as often as it was held.
    ///
    /// # Errors
    /// There is no such node.
    pub fn hold(&self, file: FileId) -> Result<(), TreeError> {
        // Under the index, so that it cannot be dropped in between.
        let index = self.read_index();
        let workspace = index.workspace().ok_or(TreeError::NotFound)?;
        workspace.node(file).map_err(|_| TreeError::NotFound)?;
        *self.held.lock().entry(file).or_default() += 1;
        Ok(())
    }

    /// Lets go of a node; one without a name goes with its last holder.
    ///
    /// # Errors
    /// The vault takes no changes, or the disk fails; then it goes at the next unlock.
    pub fn release(&self, file: FileId) -> Result<(), ChangeError> {
        let is_last = {
            let mut held = self.held.lock();
            match held.get_mut(&file) {
                Some(count) if *count > 1 => {
                    *count -= 1;
                    false
                }
                Some(_) => held.remove(&file).is_some(),
                None => false,
            }
        };
        let is_orphan = || {
            let index = self.read_index();
            index.workspace().is_some_and(|workspace| workspace.is_orphan(file))
        };
        if !is_last || !is_orphan() {
            return Ok(());
        }
        let dropped = self.change_nodes(
            DROP,
            |workspace| match workspace.is_orphan(file) && !self.held.is_held(file) {
                true => Ok(NodeChange::Drop { file }),
                false => Err(ChangeError::NotFound),
            },
            |_, _| (),
        );
        match dropped {
            // Held again, or dropped by who held it in between.
            Ok(()) | Err(ChangeError::NotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Makes the change that `plan` finds right, in memory and for the writer in the same order, and
    /// answers what is so after it. `length` is the most bytes that the change has in a batch.
    ///
    /// Both closures run under the index, as does the drop of a node that lost its last name.
    pub(crate) fn change_nodes<T>(
        &self,
        length: usize,
        plan: impl FnOnce(&Workspace) -> Result<NodeChange, ChangeError>,
        answer: impl FnOnce(&Workspace, &NodeChange) -> T,
    ) -> Result<T, ChangeError> {
        let admission = self.writer.admit_bytes(length + DROP)?;
        let made = self.plan_and_apply(plan).map(|(mut index, change)| {
            self.writer.push(&admission, &change);
            if let Some(workspace) = index.workspace_mut() {
                self.drop_unheld(workspace);
            }
            match (index.workspace(), &change) {
                (Some(workspace), Change::Node(change)) => Some(answer(workspace, change)),
                (_, _) => None,
            }
        });
        match made {
            Ok(answer) => {
                self.writer.relieve()?;
                answer.ok_or(ChangeError::WrongKind)
            }
            Err(error) => {
                self.writer.withdraw(&admission);
                Err(error)
            }
        }
    }

    fn plan_and_apply(
        &self,
        plan: impl FnOnce(&Workspace) -> Result<NodeChange, ChangeError>,
    ) -> Result<(std::sync::RwLockWriteGuard<'_, crate::index::Index>, Change), ChangeError> {
        let mut index = self.write_index();
        let change = Change::Node(plan(index.workspace().ok_or(ChangeError::WrongKind)?)?);
        index.apply(&change)?;
        Ok((index, change))
    }

    /// Drops nodes that have lost their last name just now, and that nobody holds.
    fn drop_unheld(&self, workspace: &mut Workspace) {
        for file in workspace.new_orphans() {
            if !self.held.is_held(file) && workspace.drop_orphan(file).is_ok() {
                self.writer.push_admitted(&Change::Node(NodeChange::Drop { file }));
            }
        }
    }
}

/// How many bytes a drop has in a batch.
const DROP: usize = 9;
