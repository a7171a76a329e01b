//! Statements: what a log says about itself, in the entries that begin, sign and end a segment.

use crate::entry::{Number, SignerText};
use crate::line::Line;
use crate::tree::Frontier;
use crate::{ChainHash, EventType, PublicKey, TreeHash};
use serde::Deserialize;

/// What the first entry of a segment says.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StartStatement {
    event_type: EventType,
    frontier: Vec<TreeHash>,
    pub(crate) identity: PublicKey,
    pub(crate) key: PublicKey,
    pub(crate) log: String,
    pub(crate) notes: PublicKey,
    #[serde(default)]
    pub(crate) previous: Option<ChainHash>,
    #[serde(default)]
    pub(crate) retired: Number,
    root: TreeHash,
    pub(crate) segment: Number,
    size: Number,
    #[serde(default)]
    pub(crate) standby: Option<PublicKey>,
    #[serde(default)]
    pub(crate) successor: Option<PublicKey>,
    #[serde(default)]
    pub(crate) unclosed: bool,
}

impl StartStatement {
    /// What `line` says, when it begins a segment.
    pub(crate) fn of(line: &Line<'_>) -> Option<Self> {
        let stated: Self = serde_json::from_slice(line.entry).ok()?;
        (stated.event_type == EventType::SegmentStart).then_some(stated)
    }

    /// The tree over all entries before it, when its parts have the root it states.
    pub(crate) fn tree(&self) -> Option<Frontier> {
        let tree = Frontier::from_parts(self.size.0, self.frontier.clone())?;
        (tree.root() == self.root).then_some(tree)
    }
}

/// What a checkpoint or the last entry of a segment says.
#[derive(Debug, Deserialize)]
pub(crate) struct HeadStatement {
    #[serde(default)]
    pub(crate) next: Option<PublicKey>,
    pub(crate) root: TreeHash,
    pub(crate) segment: Number,
    pub(crate) size: Number,
    synced: Number,
}

impl HeadStatement {
    /// What `line` says.
    pub(crate) fn of(line: &Line<'_>) -> Option<Self> {
        serde_json::from_slice(line.entry).ok()
    }

    /// Up to which seq a sync had returned.
    pub(crate) const fn synced(&self) -> u64 {
        self.synced.0
    }
}

/// What the entry about a compressed segment says.
#[derive(Debug, Deserialize)]
pub(crate) struct CompressedStatement {
    pub(crate) compressed: String,
    pub(crate) segment: Number,
}

impl CompressedStatement {
    /// What `line` says.
    pub(crate) fn of(line: &Line<'_>) -> Option<Self> {
        serde_json::from_slice(line.entry).ok()
    }
}

/// What the entry about deleted segments says.
#[derive(Debug, Deserialize)]
pub(crate) struct RetiredStatement {
    pub(crate) retired: Number,
}

impl RetiredStatement {
    /// What `line` says.
    pub(crate) fn of(line: &Line<'_>) -> Option<Self> {
        serde_json::from_slice(line.entry).ok()
    }
}

/// What an entry about a signer says.
#[derive(Debug, Deserialize)]
pub(crate) struct SignerStatement {
    pub(crate) signer: SignerText<'static>,
}

impl SignerStatement {
    /// What `line` says.
    pub(crate) fn of(line: &Line<'_>) -> Option<Self> {
        serde_json::from_slice(line.entry).ok()
    }
}
