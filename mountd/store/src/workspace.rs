//! The tree of a `workspace` vault: nodes, their names, and where their bytes lie.
//!
//! Answers questions; what changes it is in `workspace/apply.rs`, what users ask of it in the files
//! that extend [`Vault`](crate::Vault). Tables in it are shared with snapshots.

mod apply;
mod attributes;
mod compaction;
mod content;
mod entry_name;
mod extents;
mod held;
mod image;
mod live;
mod names;
mod node;
mod node_change;
mod piece;
mod read;
mod room;
mod table;
mod xattr;

pub use attributes::AllocateMode;
pub use content::Seek;
pub use entry_name::{EntryName, EntryNameError};
pub(crate) use held::Held;
pub(crate) use image::WorkspaceSnapshot;
pub use names::{DirectoryEntry, RenameMode, TreeError};
pub use node::{NewNode, NodeAttributes, NodeType, SetAttributes};
pub(crate) use node_change::NodeChange;
pub use room::Room;
pub use xattr::XattrMode;

use crate::fields::on_disk;
use crate::index::{Counts, Misfit, ROOT};
use crate::wall_time::WallTime;
use extents::Extents;
use live::Live;
pub(crate) use node::Node;
use node::{Body, NameAt};
use node_change::EntryPlace;
use piece::Piece;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use table::{Row, Table};
use ward_policy::{FileId, SecretPath};

/// The root of a new vault is its owner's alone until somebody sets it otherwise.
const ROOT_MODE: u16 = 0o700;

/// A name in a directory.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) parent: FileId,
    /// Its place among the entries, as long as it lives.
    pub(crate) cookie: u64,
    pub(crate) file: FileId,
    pub(crate) name: EntryName,
}

/// Nodes and entries of a vault.
#[derive(Debug)]
pub(crate) struct Workspace {
    nodes: Table<Node>,
    entries: Table<Entry>,
    live: Live,
    /// Nodes without a name, and the last they had.
    orphans: BTreeMap<FileId, Vec<u8>>,
    /// Those of them that nobody has asked for yet.
    new_orphans: Vec<FileId>,
    next_file: u64,
}

impl Row for Entry {
    type Key = NameAt;

    fn key(&self) -> NameAt {
        (self.parent, self.cookie)
    }
}

impl Workspace {
    /// The tree of a vault without a file.
    pub(crate) fn empty() -> Self {
        let time = WallTime::default();
        let root = Node {
            file: ROOT,
            size: 0,
            accessed: time,
            modified: time,
            changed: time,
            created: time,
            name: None,
            uid: 0,
            gid: 0,
            links: 2,
            mode: ROOT_MODE,
            body: Body::Directory,
            more: None,
        };
        let mut nodes = Table::default();
        nodes.insert(root);
        Self {
            nodes,
            entries: Table::default(),
            live: Live::default(),
            orphans: BTreeMap::new(),
            new_orphans: Vec::new(),
            next_file: ROOT.0 + 1,
        }
    }

    /// The number of the next new node.
    pub(crate) const fn next_file(&self) -> FileId {
        FileId(self.next_file)
    }

    /// Leaves numbers out: those that a crash took back may be remembered by leases and records.
    pub(crate) fn skip_numbers(&mut self, count: u32) {
        self.next_file += u64::from(count);
    }

    pub(crate) fn node(&self, file: FileId) -> Result<&Node, Misfit> {
        self.nodes.get(file).ok_or(Misfit::NoSuchFile)
    }

    /// A directory that has a place in the tree.
    pub(crate) fn directory(&self, file: FileId) -> Result<&Node, Misfit> {
        let node = self.node(file)?;
        match node.is_directory() {
            true if node.links == 0 => Err(Misfit::NoSuchFile),
            true => Ok(node),
            false => Err(Misfit::NotDirectory),
        }
    }

    /// The entry behind a name.
    pub(crate) fn entry(&self, place: &EntryPlace) -> Result<&Entry, Misfit> {
        self.directory(place.parent)?;
        self.named(place).ok_or(Misfit::NoSuchName)
    }

    /// The entry behind a name, in a directory or not.
    fn named(&self, place: &EntryPlace) -> Option<&Entry> {
        self.entries_in(place.parent, cookies_of(&place.name))
            .find(|entry| entry.name == place.name)
    }

    /// The entries of a directory with these cookies.
    pub(crate) fn entries_in(
        &self,
        parent: FileId,
        cookies: RangeInclusive<u64>,
    ) -> impl Iterator<Item = &Entry> {
        let (first, last) = cookies.into_inner();
        self.entries.from((parent, first)).take_while(move |entry| entry.key() <= (parent, last))
    }

    /// A cookie for a new entry under this name.
    fn free_cookie(&self, place: &EntryPlace) -> Option<u64> {
        let mut cookies = cookies_of(&place.name);
        let taken = self.entries_in(place.parent, cookies.clone()).map(|entry| entry.cookie);
        let taken: Vec<u64> = taken.collect();
        cookies.find(|cookie| !taken.contains(cookie))
    }

    pub(crate) fn is_empty_directory(&self, directory: FileId) -> bool {
        self.entries_in(directory, 0..=u64::MAX).next().is_none()
    }

    /// Whether `file` is `above`, or below it.
    pub(crate) fn is_below(&self, file: FileId, above: FileId) -> bool {
        let parent = |file: &FileId| self.nodes.get(*file)?.name.map(|(parent, _)| parent);
        // No more steps than a sound tree has: what an image says may go in a circle.
        let mut line = std::iter::successors(Some(file), parent).take(self.nodes.len());
        line.any(|file| file == above)
    }

    /// The path of a name, from the top, its parts joined by `/`.
    fn path_at(&self, (parent, cookie): NameAt) -> Vec<u8> {
        let mut parts = Vec::new();
        let mut at = Some((parent, cookie));
        while let Some(entry) = at.and_then(|at| self.entries.get(at))
            && parts.len() < self.nodes.len()
        {
            parts.push(entry.name.as_bytes());
            at = self.nodes.get(entry.parent).and_then(|node| node.name);
        }
        parts.reverse();
        parts.join(&b'/')
    }

    /// The paths of all names of a node; of one without a name, its last.
    pub(crate) fn paths_of(&self, file: FileId) -> Vec<Vec<u8>> {
        if let Some(last) = self.orphans.get(&file) {
            return vec![last.clone()];
        }
        if file == ROOT {
            return vec![Vec::new()];
        }
        let names = self.nodes.get(file).into_iter().flat_map(Node::names);
        names.map(|name| self.path_at(name)).collect()
    }

    /// The path of the file that a frame holds bytes of, as far as a finding can show it.
    pub(crate) fn path_of_frame(&self, segment: u64, position: u64) -> Option<SecretPath> {
        let holds = |node: &&Node| {
            let mut is_found = false;
            if let Some(extents) = node.extents() {
                extents.for_each(|piece| is_found |= piece.frame() == (segment, position));
            }
            is_found
        };
        let path = self.paths_of(self.nodes.iter().find(holds)?.file).pop()?;
        let shown: Vec<u8> = path
            .iter()
            .flat_map(|byte| match byte {
                0..32 | 127 => format!("\\x{byte:02x}").into_bytes(),
                other => vec![*other],
            })
            .collect();
        SecretPath::try_from(&*String::from_utf8_lossy(&shown)).ok()
    }

    /// How many bytes live in each segment, about.
    pub(crate) fn live_bytes(&self) -> BTreeMap<u64, u64> {
        self.live.by_segment().clone()
    }

    /// How many nodes there are, without a look at each.
    pub(crate) fn node_count(&self) -> u64 {
        on_disk(self.nodes.len())
    }

    /// How much there is.
    pub(crate) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for node in self.nodes.iter() {
            if node.is_directory() {
                counts.directories += 1;
            } else {
                counts.files += 1;
                counts.bytes = counts.bytes.saturating_add(node.size);
            }
            counts.versions += u64::from(node.extents().is_some_and(|own| own.count() != 0));
        }
        counts
    }

    /// About how much memory the tree takes.
    pub(crate) fn memory_bytes(&self) -> u64 {
        let pieces = |node: &Node| match node.extents().map_or(0, Extents::count) {
            0 | 1 => 0,
            many => many * size_of::<Piece>(),
        };
        let pieces: usize = self.nodes.iter().map(pieces).sum();
        on_disk(self.nodes.len() * size_of::<Node>())
            + on_disk(self.entries.len() * size_of::<Entry>())
            + on_disk(pieces)
    }

    /// When the newest thing was changed; 1970 for an empty vault.
    pub(crate) fn newest_time(&self) -> WallTime {
        self.nodes.iter().map(|node| node.changed).max().unwrap_or_default()
    }

    /// Removes all nodes without a name.
    pub(crate) fn drop_orphans(&mut self) {
        self.new_orphans.clear();
        while let Some(file) = self.orphans.keys().next().copied() {
            if self.drop_orphan(file).is_err() {
                break;
            }
        }
    }

    /// Takes those that became orphans since this was asked.
    pub(crate) fn new_orphans(&mut self) -> Vec<FileId> {
        std::mem::take(&mut self.new_orphans)
    }

    pub(crate) fn is_orphan(&self, file: FileId) -> bool {
        self.orphans.contains_key(&file)
    }
}

/// The cookies that an entry of this name may have: 256 that begin with the same 55 bits of a hash,
/// so that the order of entries never depends on what came and went, and nobody can crowd them.
fn cookies_of(name: &EntryName) -> RangeInclusive<u64> {
    let hash = Sha256::digest(name.as_bytes());
    let first = hash.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let first = (first >> 9).max(1) << 8;
    first..=first | 0xff
}
