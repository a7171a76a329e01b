//! The obvious model of what POSIX says of files and names, and random steps.

#![expect(clippy::wildcard_enum_match_arm, reason = "each function does its part of the steps")]

use super::workspace::entry;
use crate::workspace::XattrMode;
use crate::{AllocateMode, NodeType, RenameMode, Vault};
use proptest::prelude::{Just, Strategy, prop_oneof};
use std::collections::{BTreeMap, BTreeSet};
use ward_policy::FileId;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Make {
        spot: Spot,
        node_type: NodeType,
    },
    Write {
        spot: Spot,
        offset: usize,
        length: usize,
    },
    Append {
        spot: Spot,
        length: usize,
    },
    Truncate {
        spot: Spot,
        size: usize,
    },
    Allocate {
        spot: Spot,
        offset: usize,
        length: usize,
        mode: AllocateMode,
    },
    Copy {
        from: (Spot, usize),
        to: (Spot, usize),
        length: usize,
    },
    Link {
        from: Spot,
        to: Spot,
    },
    Unlink {
        spot: Spot,
    },
    RemoveDirectory {
        spot: Spot,
    },
    Rename {
        from: Spot,
        to: Spot,
        mode: RenameMode,
    },
    Mode {
        spot: Spot,
        mode: u16,
    },
    SetXattr {
        spot: Spot,
        name: u8,
        mode: XattrMode,
    },
    RemoveXattr {
        spot: Spot,
        name: u8,
    },
    Sync,
    /// Everything reaches the kernel, not yet the disk.
    Flush,
    Compact,
    /// The end of the process, after a clean close or without one.
    Close,
    Kill,
}

/// One of few names in one of few directories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    in_folder: bool,
    number: u8,
}

#[derive(Clone, Debug)]
struct ModelNode {
    node_type: NodeType,
    mode: u16,
    content: Vec<u8>,
    xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    modified: i64,
    changed: i64,
}

/// Nodes by number, and entries by directory and name. Node 0 is the top.
#[derive(Clone, Debug)]
pub(super) struct Model {
    nodes: BTreeMap<u32, ModelNode>,
    entries: BTreeMap<(u32, String), u32>,
    next: u32,
}

/// All that can be seen: by path, the other paths of the same node and what is known about it.
pub(super) type Shown = BTreeMap<String, (BTreeSet<String>, String, Vec<u8>)>;

fn spot() -> impl Strategy<Value = Spot> {
    (proptest::bool::ANY, 0..4_u8).prop_map(|(in_folder, number)| Spot { in_folder, number })
}

fn step() -> impl Strategy<Value = Step> {
    let offset = || prop_oneof![Just(0_usize), 0..40_000_usize, 0..200_usize];
    let length = || prop_oneof![0..300_usize, 0..40_000_usize];
    let node_type = prop_oneof![
        3 => Just(NodeType::File),
        2 => Just(NodeType::Directory),
        1 => Just(NodeType::Symlink),
        1 => Just(NodeType::Fifo),
    ];
    let allocate = prop_oneof![
        Just(AllocateMode::Extend),
        Just(AllocateMode::KeepSize),
        Just(AllocateMode::PunchHole),
        Just(AllocateMode::ZeroRange),
    ];
    let rename = prop_oneof![
        2 => Just(RenameMode::Replace),
        1 => Just(RenameMode::KeepExisting),
        1 => Just(RenameMode::Exchange),
    ];
    let xattr =
        prop_oneof![Just(XattrMode::Any), Just(XattrMode::Create), Just(XattrMode::Replace)];
    prop_oneof![
        5 => (spot(), node_type).prop_map(|(spot, node_type)| Step::Make { spot, node_type }),
        8 => (spot(), offset(), length())
            .prop_map(|(spot, offset, length)| Step::Write { spot, offset, length }),
        2 => (spot(), length()).prop_map(|(spot, length)| Step::Append { spot, length }),
        2 => (spot(), offset()).prop_map(|(spot, size)| Step::Truncate { spot, size }),
        3 => (spot(), offset(), length(), allocate)
            .prop_map(|(spot, offset, length, mode)| Step::Allocate { spot, offset, length, mode }),
        2 => (spot(), offset(), spot(), offset(), length()).prop_map(|(a, from, b, to, length)| {
            Step::Copy { from: (a, from), to: (b, to), length }
        }),
        2 => (spot(), spot()).prop_map(|(from, to)| Step::Link { from, to }),
        2 => spot().prop_map(|spot| Step::Unlink { spot }),
        1 => spot().prop_map(|spot| Step::RemoveDirectory { spot }),
        4 => (spot(), spot(), rename).prop_map(|(from, to, mode)| Step::Rename { from, to, mode }),
        1 => (spot(), 0..0o10000_u16).prop_map(|(spot, mode)| Step::Mode { spot, mode }),
        1 => (spot(), 0..3_u8, xattr)
            .prop_map(|(spot, name, mode)| Step::SetXattr { spot, name, mode }),
        1 => (spot(), 0..3_u8).prop_map(|(spot, name)| Step::RemoveXattr { spot, name }),
        2 => Just(Step::Sync),
        3 => Just(Step::Flush),
        2 => Just(Step::Compact),
        1 => Just(Step::Close),
        1 => Just(Step::Kill),
    ]
}

/// Random steps behind a few that make something to work with.
pub(super) fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(step(), 1..most).prop_map(|mut random| {
        let spot = |in_folder, number| Spot { in_folder, number };
        let make = |spot, node_type| Step::Make { spot, node_type };
        let mut steps = vec![
            make(spot(false, 0), NodeType::Directory),
            make(spot(false, 1), NodeType::File),
            make(spot(true, 1), NodeType::File),
            make(spot(true, 2), NodeType::File),
        ];
        steps.append(&mut random);
        steps
    })
}

impl Spot {
    pub(super) fn name(self) -> String {
        format!("n{}", self.number)
    }

    pub(super) fn parent(self, vault: &Vault) -> FileId {
        let folder = || vault.find_entry(vault.root(), &entry("n0")).map(|node| node.file);
        if self.in_folder { folder().unwrap_or(FileId(0)) } else { vault.root() }
    }

    pub(super) fn file(self, vault: &Vault) -> FileId {
        let found = vault.find_entry(self.parent(vault), &entry(&self.name()));
        found.map_or(FileId(0), |node| node.file)
    }
}

/// Bytes that differ from step to step.
pub(super) fn bytes(number: u8, length: usize) -> Vec<u8> {
    (0..length).map(|place| number.wrapping_mul(31) ^ place.to_le_bytes()[0] | 1).collect()
}

impl Model {
    pub(super) fn new() -> Self {
        let top = ModelNode {
            node_type: NodeType::Directory,
            mode: 0o700,
            content: Vec::new(),
            xattrs: BTreeMap::new(),
            modified: 0,
            changed: 0,
        };
        Self { nodes: BTreeMap::from([(0, top)]), entries: BTreeMap::new(), next: 1 }
    }

    /// The directory of a spot.
    fn parent(&self, spot: Spot) -> Option<u32> {
        if !spot.in_folder {
            return Some(0);
        }
        let folder = *self.entries.get(&(0, "n0".to_owned()))?;
        (self.nodes[&folder].node_type == NodeType::Directory).then_some(folder)
    }

    fn at(&self, spot: Spot) -> Option<u32> {
        self.entries.get(&(self.parent(spot)?, spot.name())).copied()
    }

    fn file(&mut self, spot: Spot) -> Option<&mut ModelNode> {
        let number = self.at(spot)?;
        self.nodes.get_mut(&number).filter(|node| node.node_type == NodeType::File)
    }

    fn is_directory(&self, number: u32) -> bool {
        self.nodes[&number].node_type == NodeType::Directory
    }

    fn is_empty(&self, number: u32) -> bool {
        !self.entries.keys().any(|(parent, _)| *parent == number)
    }

    /// Whether `number` is `above`, or below it.
    fn is_below(&self, number: u32, above: u32) -> bool {
        let parent = self.entries.iter().find(|(_, child)| **child == number);
        number == above || parent.is_some_and(|((parent, _), _)| self.is_below(*parent, above))
    }

    fn touch(&mut self, number: u32, time: i64) {
        let node = self.nodes.get_mut(&number).unwrap();
        (node.modified, node.changed) = (time, time);
    }

    fn change(&mut self, number: u32, time: i64) {
        self.nodes.get_mut(&number).unwrap().changed = time;
    }

    /// Whether the kernel lets it pass: a copy within one file may be over itself.
    pub(super) fn is_possible(&self, step: &Step) -> bool {
        !matches!(step, Step::Copy { from, to, .. } if self.at(from.0) == self.at(to.0))
    }

    /// Does a step; `None` when it must be refused.
    pub(super) fn make(&mut self, step: &Step, number: u8) -> Option<()> {
        let time = i64::from(number);
        match step {
            Step::Make { spot, node_type } => {
                let parent = self.parent(*spot)?;
                if self.at(*spot).is_some() {
                    return None;
                }
                let is_link = *node_type == NodeType::Symlink;
                let node = ModelNode {
                    node_type: *node_type,
                    mode: 0o644,
                    content: if is_link { b"target".to_vec() } else { Vec::new() },
                    xattrs: BTreeMap::new(),
                    modified: time,
                    changed: time,
                };
                self.nodes.insert(self.next, node);
                self.entries.insert((parent, spot.name()), self.next);
                self.next += 1;
                self.touch(parent, time);
            }
            Step::Write { .. }
            | Step::Append { .. }
            | Step::Truncate { .. }
            | Step::Allocate { .. }
            | Step::Copy { .. } => self.make_content(step, number)?,
            Step::Mode { .. } | Step::SetXattr { .. } | Step::RemoveXattr { .. } => {
                self.make_attributes(step, number)?;
            }
            Step::Link { .. }
            | Step::Unlink { .. }
            | Step::RemoveDirectory { .. }
            | Step::Rename { .. } => self.make_names(step, time)?,
            Step::Sync | Step::Flush | Step::Compact | Step::Close | Step::Kill => {}
        }
        Some(())
    }

    fn make_content(&mut self, step: &Step, number: u8) -> Option<()> {
        let time = i64::from(number);
        match step {
            Step::Write { spot, offset, length } => {
                self.write(*spot, Some(*offset), &bytes(number, *length), time)?;
            }
            Step::Append { spot, length } => {
                self.write(*spot, None, &bytes(number, *length), time)?;
            }
            Step::Truncate { spot, size } => {
                let node = self.file(*spot)?;
                node.content.resize(*size, 0);
                (node.modified, node.changed) = (time, time);
            }
            Step::Allocate { spot, offset, length, mode } => {
                let node = self.file(*spot)?;
                let end = offset + length;
                if matches!(mode, AllocateMode::Extend | AllocateMode::ZeroRange) {
                    node.content.resize(node.content.len().max(end), 0);
                }
                if matches!(mode, AllocateMode::PunchHole | AllocateMode::ZeroRange) {
                    let size = node.content.len();
                    node.content[(*offset).min(size)..end.min(size)].fill(0);
                }
                (node.modified, node.changed) = (time, time);
            }
            Step::Copy { from, to, length } => {
                let source = self.file(from.0)?.content.clone();
                let start = from.1.min(source.len());
                let part = source[start..(start + length).min(source.len())].to_vec();
                let target = self.at(to.0)?;
                if !part.is_empty() && self.nodes[&target].node_type != NodeType::File {
                    return None;
                }
                if !part.is_empty() {
                    self.write(to.0, Some(to.1), &part, time)?;
                }
            }
            other => unreachable!("{other:?} is no change of content"),
        }
        Some(())
    }

    fn make_attributes(&mut self, step: &Step, number: u8) -> Option<()> {
        let time = i64::from(number);
        match step {
            Step::SetXattr { spot, name, mode } => {
                let number_of = self.at(*spot)?;
                let node = self.nodes.get_mut(&number_of)?;
                let is_there = node.xattrs.contains_key(&vec![b'x', *name]);
                match mode {
                    XattrMode::Create if is_there => return None,
                    XattrMode::Replace if !is_there => return None,
                    XattrMode::Any | XattrMode::Create | XattrMode::Replace => {}
                }
                node.xattrs.insert(vec![b'x', *name], bytes(number, usize::from(number)));
                node.changed = time;
            }
            Step::RemoveXattr { spot, name } => {
                let number = self.at(*spot)?;
                let node = self.nodes.get_mut(&number)?;
                node.xattrs.remove(&vec![b'x', *name])?;
                node.changed = time;
            }
            Step::Mode { spot, mode } => {
                let number = self.at(*spot)?;
                self.nodes.get_mut(&number)?.mode = *mode;
                self.change(number, time);
            }
            other => unreachable!("{other:?} is no change of attributes"),
        }
        Some(())
    }

    fn make_names(&mut self, step: &Step, time: i64) -> Option<()> {
        match step {
            Step::Link { from, to } => {
                let (number, parent) = (self.at(*from)?, self.parent(*to)?);
                if self.is_directory(number) || self.at(*to).is_some() {
                    return None;
                }
                self.entries.insert((parent, to.name()), number);
                self.change(number, time);
                self.touch(parent, time);
            }
            Step::Unlink { spot } | Step::RemoveDirectory { spot } => {
                let (number, parent) = (self.at(*spot)?, self.parent(*spot)?);
                let wants_directory = matches!(step, Step::RemoveDirectory { .. });
                if self.is_directory(number) != wants_directory || !self.is_empty(number) {
                    return None;
                }
                self.entries.remove(&(parent, spot.name()));
                self.change(number, time);
                self.touch(parent, time);
            }
            Step::Rename { from, to, mode } => self.rename((*from, *to), *mode, time)?,
            other => unreachable!("{other:?} is no change of names"),
        }
        Some(())
    }

    fn rename(&mut self, (from, to): (Spot, Spot), mode: RenameMode, time: i64) -> Option<()> {
        let (moved, old_parent) = (self.at(from)?, self.parent(from)?);
        let (replaced, new_parent) = (self.at(to), self.parent(to)?);
        if mode == RenameMode::KeepExisting && replaced.is_some() {
            return None;
        }
        if mode == RenameMode::Exchange && replaced.is_none() {
            return None;
        }
        if self.is_directory(moved) && self.is_below(new_parent, moved) {
            return None;
        }
        if replaced == Some(moved) {
            return Some(());
        }
        if mode == RenameMode::Exchange {
            let other = replaced?;
            if self.is_directory(other) && self.is_below(old_parent, other) {
                return None;
            }
            self.entries.insert((old_parent, from.name()), other);
            self.change(other, time);
        } else {
            if let Some(other) = replaced {
                if self.is_directory(other) != self.is_directory(moved) || !self.is_empty(other) {
                    return None;
                }
                self.change(other, time);
            }
            self.entries.remove(&(old_parent, from.name()));
        }
        self.entries.insert((new_parent, to.name()), moved);
        self.change(moved, time);
        self.touch(old_parent, time);
        self.touch(new_parent, time);
        Some(())
    }

    fn write(&mut self, spot: Spot, at: Option<usize>, bytes: &[u8], time: i64) -> Option<()> {
        let node = self.file(spot)?;
        if !bytes.is_empty() {
            let offset = at.unwrap_or(node.content.len());
            node.content.resize(node.content.len().max(offset + bytes.len()), 0);
            node.content[offset..offset + bytes.len()].copy_from_slice(bytes);
            (node.modified, node.changed) = (time, time);
        }
        Some(())
    }

    /// The path of a directory as a prefix.
    fn above(&self, directory: u32) -> String {
        let entry = self.entries.iter().find(|(_, child)| **child == directory);
        entry.map_or_else(String::new, |((parent, name), _)| {
            format!("{}{name}/", self.above(*parent))
        })
    }

    pub(super) fn shown(&self) -> Shown {
        let mut paths: BTreeMap<u32, BTreeSet<String>> = BTreeMap::new();
        paths.entry(0).or_default().insert(String::new());
        for ((parent, name), child) in &self.entries {
            paths.entry(*child).or_default().insert(format!("{}{name}", self.above(*parent)));
        }
        let mut shown = Shown::new();
        for (number, own) in &paths {
            let node = &self.nodes[number];
            let is_inside = |child: &&u32| self.is_directory(**child);
            let inside = self.entries.iter().filter(|((parent, _), _)| parent == number);
            let links = match node.node_type {
                NodeType::Directory => 2 + inside.map(|(_, child)| child).filter(is_inside).count(),
                _ => own.len(),
            };
            let facts = format!(
                "{:?} {:o} {links} {} {} {} {:?}",
                node.node_type,
                node.mode,
                node.content.len(),
                node.modified,
                node.changed,
                node.xattrs
            );
            for path in own {
                shown.insert(path.clone(), (own.clone(), facts.clone(), node.content.clone()));
            }
        }
        shown
    }
}
