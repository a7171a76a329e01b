//! Changes of the tree: one way, live and at replay, so that both always agree.

use crate::extent::FARTHEST;
use crate::index::{Misfit, ROOT};
use crate::wall_time::WallTime;
use crate::workspace::extents::Extents;
use crate::workspace::node::{Body, NameAt, Node, SetAttributes};
use crate::workspace::node_change::{EntryPlace, NewBody, NodeChange};
use crate::workspace::piece::Piece;
use crate::workspace::table::Row as _;
use crate::workspace::{Entry, Workspace};
use std::ops::Range;
use ward_policy::FileId;

/// More names than any Linux filesystem gives a node.
const MOST_LINKS: u32 = i32::MAX.unsigned_abs();
/// The most bytes of a file: no change of the log may name an offset behind it.
pub(crate) const LONGEST_FILE: u64 = FARTHEST;

impl Workspace {
    /// Makes a change, or says why it does not fit and leaves everything as it was.
    pub(crate) fn apply(&mut self, change: &NodeChange) -> Result<(), Misfit> {
        match change {
            NodeChange::Make { file, body, place, time } => self.make(*file, body, place, *time),
            NodeChange::Link { file, place, time } => self.link(*file, place, *time),
            NodeChange::Unname { place, time } => self.unname(place, *time),
            NodeChange::Move { from, to, time } => self.move_entry(from, to, *time),
            NodeChange::Exchange { first, second, time } => self.exchange(first, second, *time),
            NodeChange::Set { file, attributes } => self.set(*file, attributes),
            NodeChange::Map { file, extent, time } => {
                self.map(*file, Piece::of(extent).ok_or(Misfit::TooFar)?, *time)
            }
            NodeChange::Unmap { file, offset, length, size, time } => {
                let end = offset.checked_add(*length).filter(|end| *end <= LONGEST_FILE);
                let end = end.ok_or(Misfit::TooFar)?;
                self.unmap(*file, &(*offset..end), *size, *time)
            }
            NodeChange::SetXattr { file, name, value, time } => {
                let node = self.node_mut(*file)?;
                let xattrs = &mut node.more.get_or_insert_default().xattrs;
                match xattrs.binary_search_by(|(other, _)| other.cmp(name)) {
                    Ok(place) => xattrs[place].1 = value.clone(),
                    Err(place) => xattrs.insert(place, (name.clone(), value.clone())),
                }
                node.changed = *time;
                Ok(())
            }
            NodeChange::RemoveXattr { file, name, time } => {
                let node = self.node_mut(*file)?;
                let xattrs = node.more.as_mut().map(|more| &mut more.xattrs);
                let xattrs = xattrs.ok_or(Misfit::NoSuchAttribute)?;
                let place = xattrs.iter().position(|(other, _)| other == name);
                xattrs.remove(place.ok_or(Misfit::NoSuchAttribute)?);
                node.changed = *time;
                node.forget_nothing();
                Ok(())
            }
            NodeChange::Relocate { file, extent, from } => {
                let piece = Piece::of(extent).ok_or(Misfit::TooFar)?;
                let (extents, live, _) = self.content_mut(*file)?;
                extents.relocate(&piece, from, live);
                Ok(())
            }
            NodeChange::Drop { file } => self.drop_orphan(*file),
        }
    }

    /// Removes a node that has no name.
    pub(crate) fn drop_orphan(&mut self, file: FileId) -> Result<(), Misfit> {
        if self.orphans.remove(&file).is_none() {
            return Err(Misfit::NoSuchFile);
        }
        if let Some(node) = self.nodes.remove(file)
            && let Some(extents) = node.extents()
        {
            extents.for_each(|piece| self.live.subtract(piece));
        }
        Ok(())
    }

    fn make(
        &mut self,
        file: FileId,
        new: &NewBody,
        place: &EntryPlace,
        time: WallTime,
    ) -> Result<(), Misfit> {
        if file.0 < self.next_file || file.0 > FARTHEST {
            return Err(Misfit::UsedNumber);
        }
        let cookie = self.free_place(place)?;
        let body = Body::new(new.node_type, new.device, &new.target);
        let size = if let Body::Symlink(target) = &body { target.len() as u64 } else { 0 };
        let is_directory = matches!(body, Body::Directory);
        if is_directory {
            self.add_links(place.parent, 1)?;
        }
        self.nodes.insert(Node {
            file,
            size,
            accessed: time,
            modified: time,
            changed: time,
            created: time,
            name: None,
            uid: new.uid,
            gid: new.gid,
            links: if is_directory { 2 } else { 1 },
            mode: new.mode,
            body,
            more: None,
        });
        self.next_file = file.0 + 1;
        self.enter(place, cookie, file);
        self.touch(place.parent, time);
        Ok(())
    }

    fn link(&mut self, file: FileId, place: &EntryPlace, time: WallTime) -> Result<(), Misfit> {
        let node = self.node(file)?;
        if node.is_directory() {
            return Err(Misfit::IsDirectory);
        }
        if node.links == 0 {
            return Err(Misfit::NoSuchFile);
        }
        let cookie = self.free_place(place)?;
        self.add_links(file, 1)?;
        self.enter(place, cookie, file);
        self.node_mut(file)?.changed = time;
        self.touch(place.parent, time);
        Ok(())
    }

    fn unname(&mut self, place: &EntryPlace, time: WallTime) -> Result<(), Misfit> {
        let entry = self.entry(place)?;
        let (name, file) = (entry.key(), entry.file);
        if self.node(file)?.is_directory() && !self.is_empty_directory(file) {
            return Err(Misfit::NotEmpty);
        }
        self.lose(name, file, time)?;
        self.touch(place.parent, time);
        Ok(())
    }

    fn move_entry(
        &mut self,
        from: &EntryPlace,
        to: &EntryPlace,
        time: WallTime,
    ) -> Result<(), Misfit> {
        let (old, file) = self.entry(from).map(|entry| (entry.key(), entry.file))?;
        self.directory(to.parent)?;
        let is_directory = self.node(file)?.is_directory();
        if is_directory && self.is_below(to.parent, file) {
            return Err(Misfit::IntoItself);
        }
        let replaced = self.named(to).map(|entry| (entry.key(), entry.file));
        if replaced.is_some_and(|(_, other)| other == file) {
            // Two names of one node: rename(2) does nothing.
            return Ok(());
        }
        if let Some((_, other)) = replaced {
            match (is_directory, self.node(other)?.is_directory()) {
                (true, false) => return Err(Misfit::NotDirectory),
                (false, true) => return Err(Misfit::IsDirectory),
                (true, true) if !self.is_empty_directory(other) => return Err(Misfit::NotEmpty),
                (true, true) | (false, false) => {}
            }
        }
        let moves_directory = is_directory && from.parent != to.parent;
        if moves_directory {
            self.add_links(to.parent, 1)?;
        }
        let cookie = match replaced {
            Some((name, other)) => {
                self.lose(name, other, time)?;
                name.1
            }
            None => self.free_cookie(to).ok_or(Misfit::NameTaken)?,
        };
        if moves_directory {
            self.remove_link(from.parent);
        }
        self.entries.remove(old);
        self.node_mut(file)?.remove_name(old);
        self.enter(to, cookie, file);
        self.node_mut(file)?.changed = time;
        self.touch(from.parent, time);
        self.touch(to.parent, time);
        Ok(())
    }

    fn exchange(
        &mut self,
        first: &EntryPlace,
        second: &EntryPlace,
        time: WallTime,
    ) -> Result<(), Misfit> {
        let (one, file) = self.entry(first).map(|entry| (entry.key(), entry.file))?;
        let (two, other) = self.entry(second).map(|entry| (entry.key(), entry.file))?;
        if file == other {
            return Ok(());
        }
        if self.is_below(second.parent, file) || self.is_below(first.parent, other) {
            return Err(Misfit::IntoItself);
        }
        let is_directory = (self.node(file)?.is_directory(), self.node(other)?.is_directory());
        if first.parent != second.parent && is_directory.0 != is_directory.1 {
            let (loses, gains) = match is_directory {
                (true, _) => (first.parent, second.parent),
                (false, _) => (second.parent, first.parent),
            };
            self.add_links(gains, 1)?;
            self.remove_link(loses);
        }
        for (name, from, to) in [(one, file, other), (two, other, file)] {
            if let Some(entry) = self.entries.get_mut(name) {
                entry.file = to;
            }
            self.node_mut(from)?.remove_name(name);
        }
        for (name, file) in [(two, file), (one, other)] {
            let node = self.node_mut(file)?;
            node.add_name(name);
            node.changed = time;
        }
        self.touch(first.parent, time);
        self.touch(second.parent, time);
        Ok(())
    }

    fn set(&mut self, file: FileId, set: &SetAttributes) -> Result<(), Misfit> {
        if let Some(size) = set.size {
            if size > LONGEST_FILE {
                return Err(Misfit::TooFar);
            }
            let (extents, live, node_size) = self.content_mut(file)?;
            extents.cut(&(size..u64::MAX), live);
            *node_size = size;
        }
        let node = self.node_mut(file)?;
        node.mode = set.mode.unwrap_or(node.mode);
        node.uid = set.uid.unwrap_or(node.uid);
        node.gid = set.gid.unwrap_or(node.gid);
        node.accessed = set.accessed.unwrap_or(node.accessed);
        node.modified = set.modified.unwrap_or(node.modified);
        node.changed = set.changed.unwrap_or(node.changed);
        Ok(())
    }

    fn map(&mut self, file: FileId, piece: Piece, time: WallTime) -> Result<(), Misfit> {
        let (extents, live, size) = self.content_mut(file)?;
        extents.cut(&(piece.offset..piece.end()), live);
        extents.put(piece, live);
        *size = piece.end().max(*size);
        self.write_times(file, time)
    }

    fn unmap(
        &mut self,
        file: FileId,
        range: &Range<u64>,
        new_size: u64,
        time: WallTime,
    ) -> Result<(), Misfit> {
        if new_size > LONGEST_FILE {
            return Err(Misfit::TooFar);
        }
        let (extents, live, size) = self.content_mut(file)?;
        extents.cut(range, live);
        extents.cut(&(new_size..u64::MAX), live);
        *size = new_size;
        self.write_times(file, time)
    }

    fn write_times(&mut self, file: FileId, time: WallTime) -> Result<(), Misfit> {
        let node = self.node_mut(file)?;
        (node.modified, node.changed) = (time, time);
        Ok(())
    }

    /// Takes a name from a node, which is an orphan after its last.
    fn lose(&mut self, name: NameAt, file: FileId, time: WallTime) -> Result<(), Misfit> {
        let is_directory = self.node(file)?.is_directory();
        let links = if is_directory { 0 } else { self.node(file)?.links.saturating_sub(1) };
        if links == 0 {
            let path = self.path_at(name);
            self.orphans.insert(file, path);
            self.new_orphans.push(file);
        }
        if is_directory {
            self.remove_link(name.0);
        }
        self.entries.remove(name);
        let node = self.node_mut(file)?;
        node.remove_name(name);
        (node.links, node.changed) = (links, time);
        Ok(())
    }

    fn enter(&mut self, place: &EntryPlace, cookie: u64, file: FileId) {
        let (parent, name) = (place.parent, place.name.clone());
        self.entries.insert(Entry { parent, cookie, file, name });
        if let Ok(node) = self.node_mut(file) {
            node.add_name((parent, cookie));
        }
    }

    /// A cookie for a name that must be free, in a directory.
    fn free_place(&self, place: &EntryPlace) -> Result<u64, Misfit> {
        match self.entry(place) {
            Ok(_) => Err(Misfit::NameTaken),
            Err(Misfit::NoSuchName) => self.free_cookie(place).ok_or(Misfit::NameTaken),
            Err(misfit) => Err(misfit),
        }
    }

    fn touch(&mut self, directory: FileId, time: WallTime) {
        if let Ok(node) = self.node_mut(directory) {
            (node.modified, node.changed) = (time, time);
        }
    }

    fn add_links(&mut self, file: FileId, count: u32) -> Result<(), Misfit> {
        let node = self.node_mut(file)?;
        let links = node.links.checked_add(count).filter(|links| *links <= MOST_LINKS);
        node.links = links.ok_or(Misfit::TooManyLinks)?;
        Ok(())
    }

    fn remove_link(&mut self, directory: FileId) {
        if let Ok(node) = self.node_mut(directory) {
            node.links = node.links.saturating_sub(1).max(if directory == ROOT { 2 } else { 0 });
        }
    }

    fn node_mut(&mut self, file: FileId) -> Result<&mut Node, Misfit> {
        self.nodes.get_mut(file).ok_or(Misfit::NoSuchFile)
    }

    /// The bytes of a file, what counts them, and the size.
    fn content_mut(
        &mut self,
        file: FileId,
    ) -> Result<(&mut Extents, &mut super::Live, &mut u64), Misfit> {
        let node = self.nodes.get_mut(file).ok_or(Misfit::NoSuchFile)?;
        match &mut node.body {
            Body::File(extents) => Ok((extents, &mut self.live, &mut node.size)),
            Body::Directory => Err(Misfit::IsDirectory),
            Body::Symlink(_) | Body::Special(..) => Err(Misfit::NotFile),
        }
    }
}
