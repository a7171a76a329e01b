//! Changes of the tree of a `secrets` vault: one way, live and at replay, so that both always agree.

use crate::change::{Change, Place, Version};
use crate::extent::{Extent, FARTHEST, Region};
use crate::imprint::Imprint;
use crate::index::Misfit;
use crate::secret_history::History;
use crate::secret_tree::{Body, Content, Nameless, Node, NodeKind, SecretTree};
use crate::wall_time::WallTime;
use std::collections::BTreeMap;
use ward_policy::{FileId, NameFault, SecretName, SecretPath};

/// What is below a directory must have a path too, wherever the directory goes.
const LONGEST_PATH: usize = 4095;

impl SecretTree {
    /// Makes a change, or says why it does not fit and leaves everything as it was.
    pub(crate) fn apply(&mut self, change: &Change) -> Result<(), Misfit> {
        match change {
            Change::Create { file, kind, place, time } => self.create(*file, *kind, place, *time),
            Change::Write { file, version, time, imprint } => {
                self.write(*file, version, *time, imprint.as_deref())
            }
            Change::Rename { from, to, time } => self.rename(from, to, *time),
            Change::Unlink { place, time } => self.unlink(place, *time),
            Change::RemoveDirectory { place, time } => self.remove_directory(place, *time),
            Change::SetTimes { file, modified, changed } => {
                let node = self.nodes.get_mut(file).ok_or(Misfit::NoSuchFile)?;
                (node.modified, node.changed) = (*modified, *changed);
                Ok(())
            }
            Change::Shred { file, regions, time } => self.shred(*file, regions, *time),
            Change::Discard { file, regions } => {
                self.destroy(*file, regions);
                Ok(())
            }
            Change::ShredDone { file } => {
                self.shredding.remove(file);
                Ok(())
            }
            Change::Relocate { version } => self.relocate(version),
            Change::Forget { version } => {
                let content = self.contents.remove(version).ok_or(Misfit::NoSuchFile)?;
                let copies = self.copies.entry(*version).or_default();
                copies.extend(content.extents.iter().map(Extent::region));
                Ok(())
            }
            Change::Retire { .. } | Change::Moved { .. } | Change::Cut { .. } | Change::Node(_) => {
                Err(Misfit::WrongKind)
            }
        }
    }

    fn create(
        &mut self,
        file: FileId,
        kind: NodeKind,
        place: &Place,
        time: WallTime,
    ) -> Result<(), Misfit> {
        if file.0 < self.next_file || file.0 > FARTHEST {
            return Err(Misfit::UsedNumber);
        }
        let path = self.free_path(place)?;
        let mut history = History::default();
        let body = match kind {
            NodeKind::Directory => Body::Directory(BTreeMap::new()),
            NodeKind::File => {
                self.take_over(&path, &mut history);
                Body::File(history)
            }
        };
        let place_of = Some(place.clone());
        let node = Node { place: place_of, created: time, modified: time, changed: time, body };
        self.nodes.insert(file, node);
        self.next_file = file.0 + 1;
        self.enter(place, file, time);
        Ok(())
    }

    fn write(
        &mut self,
        file: FileId,
        version: &Version,
        time: WallTime,
        imprint: Option<&Imprint>,
    ) -> Result<(), Misfit> {
        if self.contents.contains_key(&version.id) || version.id.0 > FARTHEST {
            return Err(Misfit::UsedNumber);
        }
        let history = match self.nodes.get_mut(&file) {
            Some(Node { body: Body::Directory(_), .. }) => return Err(Misfit::IsDirectory),
            Some(Node { body: Body::File(history), modified, changed, .. }) => {
                (*modified, *changed) = (time, time);
                history
            }
            None => {
                let gone = self.removed.values_mut().find(|gone| gone.file == file);
                &mut gone.ok_or(Misfit::NoSuchFile)?.history
            }
        };
        history.push(version.id);
        let extents = version.extents.clone().into();
        let imprint = imprint.cloned().map(Box::new);
        let content = Content { file, length: version.length, time, imprint, extents };
        self.contents.insert(version.id, content);
        self.next_version = self.next_version.max(version.id.0 + 1);
        Ok(())
    }

    fn rename(&mut self, from: &Place, to: &Place, time: WallTime) -> Result<(), Misfit> {
        let file = self.at(from)?;
        let path = self.path_at(to)?;
        if self.is_below(to.parent, file) {
            return Err(Misfit::IntoItself);
        }
        let moved = self.kind(file).ok_or(Misfit::NoSuchFile)?;
        let replaced = self.lookup(to.parent, &to.name);
        if replaced == Some(file) {
            return Ok(());
        }
        match (moved, replaced.and_then(|file| self.kind(file))) {
            (_, None) | (NodeKind::File, Some(NodeKind::File)) => {}
            (NodeKind::File, Some(NodeKind::Directory)) => return Err(Misfit::IsDirectory),
            (NodeKind::Directory, Some(NodeKind::File)) => return Err(Misfit::NotDirectory),
            (NodeKind::Directory, Some(NodeKind::Directory)) => {
                if replaced.is_some_and(|target| !self.is_empty_directory(target)) {
                    return Err(Misfit::NotEmpty);
                }
            }
        }
        if path.as_bytes().len() + self.longest_below(file) > LONGEST_PATH {
            return Err(Misfit::Name(NameFault::TooLong));
        }
        let mut older = History::default();
        if let Some(Body::File(history)) =
            replaced.and_then(|file| self.nodes.remove(&file)).map(|node| node.body)
        {
            older = history;
        }
        if moved == NodeKind::File {
            self.take_over(&path, &mut older);
        }
        self.leave(from, time);
        self.enter(to, file, time);
        if let Some(node) = self.nodes.get_mut(&file) {
            node.place = Some(to.clone());
            node.changed = time;
            if let Body::File(history) = &mut node.body {
                history.follow(older);
            }
        }
        Ok(())
    }

    fn unlink(&mut self, place: &Place, time: WallTime) -> Result<(), Misfit> {
        let file = self.at(place)?;
        let path = self.path_at(place)?;
        match self.kind(file) {
            Some(NodeKind::File) => {}
            Some(NodeKind::Directory) => return Err(Misfit::IsDirectory),
            None => return Err(Misfit::NoSuchFile),
        }
        self.leave(place, time);
        if let Some(Node { body: Body::File(mut history), .. }) = self.nodes.remove(&file) {
            self.take_over(&path, &mut history);
            self.removed.insert(path, Nameless { file, history, time });
        }
        Ok(())
    }

    fn remove_directory(&mut self, place: &Place, time: WallTime) -> Result<(), Misfit> {
        let file = self.at(place)?;
        self.directory(file).ok_or(Misfit::NotDirectory)?;
        if !self.is_empty_directory(file) {
            return Err(Misfit::NotEmpty);
        }
        self.leave(place, time);
        self.nodes.remove(&file);
        Ok(())
    }

    fn shred(&mut self, file: FileId, regions: &[Region], time: WallTime) -> Result<(), Misfit> {
        let versions = self.history(file).ok_or(Misfit::NoSuchFile)?.all().to_vec();
        for version in versions {
            self.contents.remove(&version);
            self.copies.remove(&version);
        }
        if let Some(place) = self.nodes.remove(&file).and_then(|node| node.place) {
            self.leave(&place, time);
        }
        self.removed.retain(|_, gone| gone.file != file);
        self.destroy(file, regions);
        Ok(())
    }

    fn relocate(&mut self, version: &Version) -> Result<(), Misfit> {
        let content = self.contents.get_mut(&version.id).ok_or(Misfit::NoSuchFile)?;
        let older = std::mem::replace(&mut content.extents, version.extents.clone().into());
        let left = older.iter().filter(|extent| !content.extents.contains(extent));
        self.copies.entry(version.id).or_default().extend(left.map(Extent::region));
        Ok(())
    }

    /// Leaves out what was in segments whose files are gone, and versions of which nothing is left.
    pub(crate) fn keep_segments(&mut self, is_there: &dyn Fn(u64) -> bool) {
        self.copies.retain(|_, regions| {
            regions.retain(|region| is_there(region.segment));
            !regions.is_empty()
        });
        self.shredded.retain(|(segment, _)| is_there(*segment));
        let Self { nodes, removed, contents, copies, .. } = self;
        let of_nodes = nodes.values_mut().filter_map(|node| match &mut node.body {
            Body::File(history) => Some(history),
            Body::Directory(_) => None,
        });
        for history in of_nodes.chain(removed.values_mut().map(|gone| &mut gone.history)) {
            history
                .retain(|version| contents.contains_key(&version) || copies.contains_key(&version));
        }
    }

    fn destroy(&mut self, file: FileId, regions: &[Region]) {
        self.shredded.extend(regions.iter().map(|region| (region.segment, region.position)));
        self.shredding.entry(file).or_default().extend_from_slice(regions);
    }

    /// Puts the history of a removed file of this path before `history`.
    fn take_over(&mut self, path: &SecretPath, history: &mut History) {
        if let Some(gone) = self.removed.remove(path) {
            history.follow(gone.history);
        }
    }

    fn enter(&mut self, place: &Place, file: FileId, time: WallTime) {
        self.in_directory(place.parent, time, |entries| {
            entries.insert(place.name.clone(), file);
        });
    }

    fn leave(&mut self, place: &Place, time: WallTime) {
        self.in_directory(place.parent, time, |entries| {
            entries.remove(&place.name);
        });
    }

    fn in_directory(
        &mut self,
        directory: FileId,
        time: WallTime,
        change: impl FnOnce(&mut BTreeMap<SecretName, FileId>),
    ) {
        if let Some(node) = self.nodes.get_mut(&directory)
            && let Body::Directory(entries) = &mut node.body
        {
            change(entries);
            (node.modified, node.changed) = (time, time);
        }
    }
}
