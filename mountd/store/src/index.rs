//! The index: what there is and where its bytes lie. In memory, rebuilt at unlock.
//!
//! One half is the ledger of the log, the same for every vault; the other the tree of its kind.

use crate::change::Change;
use crate::fields::Fields;
use crate::kind::VaultKind;
use crate::ledger::Ledger;
use crate::secret_tree::SecretTree;
use crate::wall_time::WallTime;
use crate::workspace::{Workspace, WorkspaceSnapshot};
use std::collections::BTreeMap;
use ward_policy::{FileId, NameFault, SecretPath};
use zeroize::Zeroizing;

/// The top directory of every vault.
pub(crate) const ROOT: FileId = FileId(1);

/// Why a change does not fit the tree as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misfit {
    NoSuchFile,
    NoSuchName,
    NameTaken,
    NotDirectory,
    IsDirectory,
    NotEmpty,
    IntoItself,
    UsedNumber,
    TooManyLinks,
    TooFar,
    NoSuchAttribute,
    NotFile,
    /// The change is one of the other kind of vault.
    WrongKind,
    Name(NameFault),
}

/// Everything that the log says up to now.
#[derive(Debug)]
pub(crate) struct Index {
    pub(crate) ledger: Ledger,
    pub(crate) tree: Tree,
}

/// Files and directories, as the kind of the vault has them.
#[derive(Debug)]
pub(crate) enum Tree {
    Secrets(Box<SecretTree>),
    Workspace(Box<Workspace>),
}

/// An index as it was at one time, for an image.
#[derive(Debug)]
pub(crate) struct IndexSnapshot {
    ledger: Ledger,
    tree: TreeSnapshot,
}

#[derive(Debug)]
enum TreeSnapshot {
    /// Few enough to be encoded at once: the tree, and the imprints of its versions.
    Secrets(Zeroizing<Vec<u8>>, Zeroizing<Vec<u8>>),
    Workspace(WorkspaceSnapshot),
}

impl IndexSnapshot {
    /// Appends everything that the log said up to then.
    pub(crate) fn encode(&self, bytes: &mut Vec<u8>) {
        match &self.tree {
            TreeSnapshot::Secrets(tree, _) => bytes.extend_from_slice(tree),
            TreeSnapshot::Workspace(workspace) => workspace.encode(bytes),
        }
        self.ledger.encode(bytes);
        if let TreeSnapshot::Secrets(_, imprints) = &self.tree {
            bytes.extend_from_slice(imprints);
        }
    }
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) files: u64,
    pub(crate) directories: u64,
    pub(crate) versions: u64,
    /// Bytes of files as they are now.
    pub(crate) bytes: u64,
}

impl Index {
    /// The index of a vault without a file.
    pub(crate) fn empty(kind: VaultKind) -> Self {
        let tree = match kind {
            VaultKind::Secrets => Tree::Secrets(Box::new(SecretTree::empty())),
            VaultKind::Workspace => Tree::Workspace(Box::new(Workspace::empty())),
        };
        Self { ledger: Ledger::default(), tree }
    }

    /// The tree of a `secrets` vault.
    pub(crate) fn secrets(&self) -> Option<&SecretTree> {
        match &self.tree {
            Tree::Secrets(tree) => Some(tree),
            Tree::Workspace(_) => None,
        }
    }

    /// The tree of a `secrets` vault, to be changed.
    pub(crate) fn secrets_mut(&mut self) -> Option<&mut SecretTree> {
        match &mut self.tree {
            Tree::Secrets(tree) => Some(tree),
            Tree::Workspace(_) => None,
        }
    }

    /// The tree of a `workspace` vault.
    pub(crate) fn workspace(&self) -> Option<&Workspace> {
        match &self.tree {
            Tree::Secrets(_) => None,
            Tree::Workspace(workspace) => Some(workspace),
        }
    }

    /// The tree of a `workspace` vault, to be changed.
    pub(crate) fn workspace_mut(&mut self) -> Option<&mut Workspace> {
        match &mut self.tree {
            Tree::Secrets(_) => None,
            Tree::Workspace(workspace) => Some(workspace),
        }
    }

    /// Makes a change, or says why it does not fit and leaves everything as it was.
    pub(crate) fn apply(&mut self, change: &Change) -> Result<(), Misfit> {
        match (change, &mut self.tree) {
            (Change::Retire { segment }, _) => self.ledger.retire(*segment),
            (Change::Moved { segment, sequence, chain }, _) => {
                self.ledger.note_moved(*segment, *sequence, *chain);
            }
            (Change::Cut { .. }, _) => {}
            (Change::Node(change), Tree::Workspace(workspace)) => workspace.apply(change)?,
            (change, Tree::Secrets(tree)) => tree.apply(change)?,
            (_, Tree::Workspace(_)) => return Err(Misfit::WrongKind),
        }
        Ok(())
    }

    /// Leaves numbers out: those that a crash took back may be remembered by leases and records.
    pub(crate) fn skip_numbers(&mut self, count: u32) {
        match &mut self.tree {
            Tree::Secrets(tree) => tree.skip_numbers(count),
            Tree::Workspace(workspace) => workspace.skip_numbers(count),
        }
    }

    /// Removes nodes without a name: who held them open is gone.
    pub(crate) fn drop_orphans(&mut self) {
        if let Some(workspace) = self.workspace_mut() {
            workspace.drop_orphans();
        }
    }

    /// When the newest thing was changed; 1970 for an empty vault.
    pub(crate) fn newest_time(&self) -> WallTime {
        match &self.tree {
            Tree::Secrets(tree) => tree.newest_time(),
            Tree::Workspace(workspace) => workspace.newest_time(),
        }
    }

    /// Leaves out what was in segments whose files are gone.
    pub(crate) fn keep_segments(&mut self, is_there: &dyn Fn(u64) -> bool) {
        match &mut self.tree {
            Tree::Secrets(tree) => tree.keep_segments(is_there),
            Tree::Workspace(_) => {}
        }
    }

    /// How many bytes of frames live in each segment.
    pub(crate) fn live_bytes(&self) -> BTreeMap<u64, u64> {
        match &self.tree {
            Tree::Secrets(tree) => tree.live_bytes(),
            Tree::Workspace(workspace) => workspace.live_bytes(),
        }
    }

    /// Whether the frame was destroyed on purpose.
    pub(crate) fn is_shredded(&self, segment: u64, position: u64) -> bool {
        self.secrets().is_some_and(|tree| tree.is_shredded(segment, position))
    }

    /// The path of the file that a frame holds bytes of, with a name or without.
    pub(crate) fn path_of_frame(&self, segment: u64, position: u64) -> Option<SecretPath> {
        match &self.tree {
            Tree::Secrets(tree) => tree.path_of_frame(segment, position),
            Tree::Workspace(workspace) => workspace.path_of_frame(segment, position),
        }
    }

    /// How much there is.
    pub(crate) fn counts(&self) -> Counts {
        match &self.tree {
            Tree::Secrets(tree) => tree.counts(),
            Tree::Workspace(workspace) => workspace.counts(),
        }
    }

    /// About how much memory the tree takes.
    pub(crate) fn memory_bytes(&self) -> u64 {
        match &self.tree {
            Tree::Secrets(tree) => tree.memory_bytes(),
            Tree::Workspace(workspace) => workspace.memory_bytes(),
        }
    }

    /// The index as it is now, which later changes leave alone.
    pub(crate) fn snapshot(&self) -> IndexSnapshot {
        let ledger = self.ledger.clone();
        let tree = match &self.tree {
            Tree::Secrets(tree) => {
                let mut bytes = Zeroizing::new(Vec::new());
                tree.encode(&mut bytes);
                let mut imprints = Zeroizing::new(Vec::new());
                tree.encode_imprints(&mut imprints);
                TreeSnapshot::Secrets(bytes, imprints)
            }
            Tree::Workspace(workspace) => TreeSnapshot::Workspace(workspace.snapshot()),
        };
        IndexSnapshot { ledger, tree }
    }

    /// Reads an index; `None` when the bytes are none.
    pub(crate) fn decode(fields: &mut Fields<'_>, kind: VaultKind) -> Option<Self> {
        let tree = match kind {
            VaultKind::Secrets => Tree::Secrets(Box::new(SecretTree::decode(fields)?)),
            VaultKind::Workspace => Tree::Workspace(Box::new(Workspace::decode(fields)?)),
        };
        let mut index = Self { ledger: Ledger::decode(fields)?, tree };
        // Images of vaults from before there were imprints end here, and those without one.
        if let Some(tree) = index.secrets_mut().filter(|_| !fields.is_empty()) {
            tree.decode_imprints(fields)?;
        }
        Some(index)
    }
}
