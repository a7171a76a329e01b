//! The tree of a `secrets` vault: which files there are and where their versions lie.
//!
//! Answers questions; what changes it is in `secret_tree_change.rs`.

use crate::change::Place;
use crate::extent::{Extent, Region, VersionId};
use crate::imprint::Imprint;
use crate::index::{Counts, Misfit, ROOT};
use crate::secret_history::{History, Removed};
use crate::wall_time::WallTime;
use std::collections::{BTreeMap, BTreeSet};
use ward_policy::{FileId, NameFault, SecretName, SecretPath};

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// Has content.
    File,
    /// Has entries.
    Directory,
}

/// What is known about a node without opening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// What it is.
    pub kind: NodeKind,
    /// Bytes of the current version; 0 for a directory.
    pub size: u64,
    /// When it was made.
    pub created: WallTime,
    /// When its content or entries changed, or what its user set.
    pub modified: WallTime,
    /// When anything of it changed.
    pub changed: WallTime,
    /// How many versions can be restored; 0 for a directory.
    pub versions: usize,
}

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name.
    pub name: SecretName,
    /// The node behind it.
    pub file: FileId,
    /// What the node is.
    pub kind: NodeKind,
}

/// A version as the index keeps it.
#[derive(Debug)]
pub(crate) struct Content {
    /// The file it was written to, which still reads it after its name was taken over.
    pub(crate) file: FileId,
    pub(crate) length: u64,
    pub(crate) time: WallTime,
    pub(crate) imprint: Option<Box<Imprint>>,
    pub(crate) extents: Box<[Extent]>,
}

/// A file or directory that has a name.
#[derive(Debug)]
pub(crate) struct Node {
    /// Absent for the root.
    pub(crate) place: Option<Place>,
    pub(crate) created: WallTime,
    pub(crate) modified: WallTime,
    pub(crate) changed: WallTime,
    pub(crate) body: Body,
}

/// What makes a node a file or a directory.
#[derive(Debug)]
pub(crate) enum Body {
    File(History),
    Directory(BTreeMap<SecretName, FileId>),
}

/// A file that has lost its name.
#[derive(Debug)]
pub(crate) struct Nameless {
    pub(crate) file: FileId,
    pub(crate) history: History,
    pub(crate) time: WallTime,
}

/// Files, directories and versions of a vault.
#[derive(Debug)]
pub(crate) struct SecretTree {
    pub(crate) nodes: BTreeMap<FileId, Node>,
    pub(crate) removed: BTreeMap<SecretPath, Nameless>,
    pub(crate) contents: BTreeMap<VersionId, Content>,
    /// Shreds whose `done` is missing.
    pub(crate) shredding: BTreeMap<FileId, Vec<Region>>,
    /// Frames that were destroyed on purpose: segment and position.
    pub(crate) shredded: BTreeSet<(u64, u64)>,
    /// Where dead copies of versions lie, which a shred must destroy too.
    pub(crate) copies: BTreeMap<VersionId, Vec<Region>>,
    pub(crate) next_file: u64,
    pub(crate) next_version: u64,
}

impl NodeKind {
    /// Its number on disk.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::File => 1,
            Self::Directory => 2,
        }
    }

    /// The kind of that number.
    pub(crate) const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::File),
            2 => Some(Self::Directory),
            _ => None,
        }
    }
}

impl SecretTree {
    /// The index of a vault without a file.
    pub(crate) fn empty() -> Self {
        let time = WallTime::default();
        let body = Body::Directory(BTreeMap::new());
        let root = Node { place: None, created: time, modified: time, changed: time, body };
        Self {
            nodes: BTreeMap::from([(ROOT, root)]),
            removed: BTreeMap::new(),
            contents: BTreeMap::new(),
            shredding: BTreeMap::new(),
            shredded: BTreeSet::new(),
            copies: BTreeMap::new(),
            next_file: ROOT.0 + 1,
            next_version: 1,
        }
    }

    /// The number of the next new file.
    pub(crate) const fn next_file(&self) -> FileId {
        FileId(self.next_file)
    }

    /// Takes the number of the next new version; one never written leaves a gap.
    pub(crate) const fn take_version(&mut self) -> VersionId {
        let version = VersionId(self.next_version);
        self.next_version += 1;
        version
    }

    /// Leaves numbers out: those that a crash took back may be remembered by leases and records.
    pub(crate) fn skip_numbers(&mut self, count: u32) {
        self.next_file += u64::from(count);
        self.next_version += u64::from(count);
    }

    /// The node behind a name.
    pub(crate) fn lookup(&self, parent: FileId, name: &SecretName) -> Option<FileId> {
        self.directory(parent)?.get(name).copied()
    }

    /// The node at a path.
    pub(crate) fn find(&self, path: &SecretPath) -> Option<FileId> {
        path.parts()
            .try_fold(ROOT, |parent, part| self.lookup(parent, &SecretName::try_from(part).ok()?))
    }

    /// Where a node is; `None` for the root and for what has no name.
    pub(crate) fn path_of(&self, file: FileId) -> Option<SecretPath> {
        let place = self.nodes.get(&file)?.place.as_ref()?;
        self.path_at(place).ok()
    }

    /// The path of the file that a version belongs to, with a name or without.
    pub(crate) fn path_of_frame(&self, segment: u64, position: u64) -> Option<SecretPath> {
        let (version, content) = self.contents.iter().find(|(_, content)| {
            content
                .extents
                .iter()
                .any(|extent| extent.segment == segment && extent.position == position)
        })?;
        let removed = || {
            let holds = |(_, gone): &(&SecretPath, &Nameless)| gone.history.all().contains(version);
            self.removed.iter().find(holds).map(|(path, _)| path.clone())
        };
        let holder = || {
            let holds = |file: &&FileId| {
                self.history(**file).is_some_and(|history| history.all().contains(version))
            };
            self.nodes.keys().find(holds).and_then(|file| self.path_of(*file))
        };
        self.path_of(content.file).or_else(holder).or_else(removed)
    }

    /// What is known about a node.
    pub(crate) fn attributes(&self, file: FileId) -> Option<Attributes> {
        let node = self.nodes.get(&file)?;
        let (kind, size, versions) = match &node.body {
            Body::Directory(_) => (NodeKind::Directory, 0, 0),
            Body::File(history) => {
                let current = self.current(file).and_then(|version| self.contents.get(&version));
                let size = current.map_or(0, |content| content.length);
                (NodeKind::File, size, history.shown().len())
            }
        };
        let Node { created, modified, changed, .. } = *node;
        Some(Attributes { kind, size, created, modified, changed, versions })
    }

    /// The content of a file now: the newest version, if this file wrote it. A new file under a name
    /// goes on with the history of the name, but is empty.
    pub(crate) fn current(&self, file: FileId) -> Option<VersionId> {
        let newest = self.history(file)?.newest()?;
        self.contents.get(&newest).filter(|content| content.file == file).map(|_| newest)
    }

    /// The entries of a directory in the order of their bytes; none for anything else.
    pub(crate) fn entries(&self, directory: FileId) -> Vec<Entry> {
        let entries = self.directory(directory).into_iter().flatten();
        entries
            .filter_map(|(name, file)| {
                let kind = self.kind(*file)?;
                Some(Entry { name: name.clone(), file: *file, kind })
            })
            .collect()
    }

    /// The versions of a file with a name, or of one that has lost it.
    pub(crate) fn history(&self, file: FileId) -> Option<&History> {
        match self.nodes.get(&file).map(|node| &node.body) {
            Some(Body::File(history)) => Some(history),
            Some(Body::Directory(_)) => None,
            None => self.removed.values().find(|gone| gone.file == file).map(|gone| &gone.history),
        }
    }

    /// A version that may be read through `file`.
    pub(crate) fn content(&self, file: FileId, version: VersionId) -> Option<&Content> {
        let content = self.contents.get(&version)?;
        let is_own = content.file == file
            || self.history(file).is_some_and(|history| history.all().contains(&version));
        is_own.then_some(content)
    }

    /// Files that have lost their name, by their last path.
    pub(crate) fn removed(&self) -> Vec<Removed> {
        let shown = |(path, gone): (&SecretPath, &Nameless)| Removed {
            path: path.clone(),
            file: gone.file,
            versions: gone.history.shown().to_vec(),
            time: gone.time,
        };
        self.removed.iter().map(shown).collect()
    }

    /// Every frame of every version of a file, dead copies among them.
    pub(crate) fn regions_of(&self, file: FileId) -> Vec<Region> {
        let versions = self.history(file).map_or(&[][..], History::all);
        let contents = versions.iter().filter_map(|version| self.contents.get(version));
        let living = contents.flat_map(|content| content.extents.iter().map(Extent::region));
        let copies = versions.iter().filter_map(|version| self.copies.get(version));
        living.chain(copies.flatten().copied()).collect()
    }

    /// How many bytes of frames live in each segment.
    pub(crate) fn live_bytes(&self) -> BTreeMap<u64, u64> {
        let mut live = BTreeMap::new();
        let shown = self.shown_versions();
        let contents = self.contents.iter().filter(|(version, _)| shown.contains(version));
        for extent in contents.flat_map(|(_, content)| &content.extents) {
            *live.entry(extent.segment).or_default() += extent.region().length;
        }
        live
    }

    /// The versions that can be restored, of all files.
    pub(crate) fn shown_versions(&self) -> BTreeSet<VersionId> {
        let named = self.nodes.values().filter_map(|node| match &node.body {
            Body::File(history) => Some(history),
            Body::Directory(_) => None,
        });
        let removed = self.removed.values().map(|gone| &gone.history);
        named.chain(removed).flat_map(History::shown).copied().collect()
    }

    /// Shreds whose `done` is missing.
    pub(crate) fn unfinished_shreds(&self) -> Vec<(FileId, Vec<Region>)> {
        self.shredding.iter().map(|(file, regions)| (*file, regions.clone())).collect()
    }

    /// Whether the frame was destroyed on purpose.
    pub(crate) fn is_shredded(&self, segment: u64, position: u64) -> bool {
        self.shredded.contains(&(segment, position))
    }

    /// How many files, directories and versions there are, and the bytes of current versions.
    pub(crate) fn counts(&self) -> Counts {
        let (mut files, mut directories, mut bytes) = (0, 0, 0);
        for (file, node) in &self.nodes {
            match node.body {
                Body::File(_) => files += 1,
                Body::Directory(_) => directories += 1,
            }
            let size = self.attributes(*file).map_or(0, |attributes| attributes.size);
            bytes = u64::saturating_add(bytes, size);
        }
        let versions = crate::fields::on_disk(self.contents.len());
        Counts { files, directories, versions, bytes }
    }

    /// About how much memory the tree takes.
    pub(crate) fn memory_bytes(&self) -> u64 {
        // What an entry of an ordered map takes beside its key and value.
        let size = |bytes: usize| crate::fields::on_disk(bytes + 24);
        let count = crate::fields::on_disk;
        let extents = self.contents.values().map(|content| count(content.extents.len()));
        let extents: u64 = extents.sum();
        count(self.nodes.len()) * (size(size_of::<Node>()) + size(size_of::<u64>()))
            + count(self.contents.len()) * size(size_of::<Content>())
            + extents * count(size_of::<Extent>())
    }

    /// When the newest thing was changed; 1970 for an empty vault.
    pub(crate) fn newest_time(&self) -> WallTime {
        let nodes = self.nodes.values().map(|node| node.changed);
        let removed = self.removed.values().map(|gone| gone.time);
        nodes.chain(removed).max().unwrap_or_default()
    }

    pub(crate) fn directory(&self, file: FileId) -> Option<&BTreeMap<SecretName, FileId>> {
        match &self.nodes.get(&file)?.body {
            Body::Directory(entries) => Some(entries),
            Body::File(_) => None,
        }
    }

    pub(crate) fn kind(&self, file: FileId) -> Option<NodeKind> {
        Some(match self.nodes.get(&file)?.body {
            Body::File(_) => NodeKind::File,
            Body::Directory(_) => NodeKind::Directory,
        })
    }

    pub(crate) fn is_empty_directory(&self, file: FileId) -> bool {
        self.directory(file).is_some_and(BTreeMap::is_empty)
    }

    /// The node at a place that must be taken.
    pub(crate) fn at(&self, place: &Place) -> Result<FileId, Misfit> {
        let directory = self.directory(place.parent).ok_or(Misfit::NotDirectory)?;
        directory.get(&place.name).copied().ok_or(Misfit::NoSuchName)
    }

    /// The path of a place that must be free.
    pub(crate) fn free_path(&self, place: &Place) -> Result<SecretPath, Misfit> {
        let path = self.path_at(place)?;
        match self.lookup(place.parent, &place.name) {
            Some(_) => Err(Misfit::NameTaken),
            None => Ok(path),
        }
    }

    pub(crate) fn path_at(&self, place: &Place) -> Result<SecretPath, Misfit> {
        self.directory(place.parent).ok_or(Misfit::NotDirectory)?;
        let folder = self.path_of(place.parent);
        if folder.is_none() && place.parent != ROOT {
            return Err(Misfit::Name(NameFault::TooLong));
        }
        SecretPath::within(folder.as_ref(), &place.name).map_err(Misfit::Name)
    }

    /// How many bytes the longest path inside a directory adds to its own.
    pub(crate) fn longest_below(&self, directory: FileId) -> usize {
        let entries = self.directory(directory).into_iter().flatten();
        let lengths =
            entries.map(|(name, file)| 1 + name.as_bytes().len() + self.longest_below(*file));
        lengths.max().unwrap_or(0)
    }

    pub(crate) fn is_below(&self, node: FileId, above: FileId) -> bool {
        let parent = |file: &FileId| self.nodes.get(file)?.place.as_ref().map(|place| place.parent);
        std::iter::successors(Some(node), parent).any(|file| file == above)
    }
}
