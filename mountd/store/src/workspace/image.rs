//! The tree of a `workspace` vault as bytes of an image, and back.

use crate::extent::FARTHEST;
use crate::fields::{Fields, in_memory, on_disk};
use crate::index::ROOT;
use crate::workspace::entry_name::EntryName;
use crate::workspace::extents::Extents;
use crate::workspace::live::Live;
use crate::workspace::node::{Body, More, Node, NodeType};
use crate::workspace::node_change::{decode_short, moment, number, short, time};
use crate::workspace::piece::Piece;
use crate::workspace::table::Table;
use crate::workspace::{Entry, Workspace};
use std::collections::BTreeMap;
use ward_policy::FileId;

/// A tree as it was at one time, for an image.
#[derive(Debug)]
pub(crate) struct WorkspaceSnapshot {
    nodes: Table<Node>,
    entries: Table<Entry>,
    next_file: u64,
}

impl WorkspaceSnapshot {
    /// Appends everything that the log said up to then.
    pub(crate) fn encode(&self, bytes: &mut Vec<u8>) {
        number(bytes, self.next_file);
        number(bytes, on_disk(self.nodes.len()));
        self.nodes.iter().for_each(|node| encode_node(bytes, node));
        number(bytes, on_disk(self.entries.len()));
        for Entry { parent, cookie, file, name } in self.entries.iter() {
            [parent.0, *cookie, file.0].iter().for_each(|field| number(bytes, *field));
            short(bytes, name.as_bytes());
        }
    }
}

impl Workspace {
    /// The tree as it is now, which later changes leave alone.
    pub(crate) fn snapshot(&self) -> WorkspaceSnapshot {
        let (nodes, entries) = (self.nodes.clone(), self.entries.clone());
        WorkspaceSnapshot { nodes, entries, next_file: self.next_file }
    }

    /// Reads a tree; `None` when the bytes are none.
    pub(crate) fn decode(fields: &mut Fields<'_>) -> Option<Self> {
        let next_file = fields.u64()?;
        let (mut live, mut orphans) = (Live::default(), BTreeMap::new());
        let nodes = rows(fields, |fields| {
            let node = decode_node(fields, &mut live)?;
            if node.links == 0 {
                orphans.insert(node.file, Vec::new());
            }
            Some(node)
        })?;
        let entries = rows(fields, |fields| {
            let (parent, cookie) = (FileId(fields.u64()?), fields.u64()?);
            let file = FileId(fields.u64()?);
            let length = usize::from(fields.u8()?);
            let name = EntryName::try_from(fields.bytes(length)?).ok()?;
            Some(Entry { parent, cookie, file, name })
        })?;
        let last = nodes.floor(FileId(u64::MAX)).map_or(next_file, |node| node.file.0);
        let has_top = nodes.get(ROOT).is_some_and(Node::is_directory);
        (has_top && last < next_file && next_file <= FARTHEST + 1).then_some(Self {
            nodes,
            entries,
            live,
            orphans,
            new_orphans: Vec::new(),
            next_file,
        })
    }
}

fn encode_node(bytes: &mut Vec<u8>, node: &Node) {
    number(bytes, node.file.0);
    bytes.push(node.node_type().number());
    bytes.extend_from_slice(&node.mode.to_le_bytes());
    for field in [node.uid, node.gid, node.links, node.device()] {
        bytes.extend_from_slice(&field.to_le_bytes());
    }
    number(bytes, node.size);
    [node.accessed, node.modified, node.changed, node.created]
        .iter()
        .for_each(|time| moment(bytes, *time));
    count(bytes, node.names().count());
    for (parent, cookie) in node.names() {
        number(bytes, parent.0);
        number(bytes, cookie);
    }
    let target = node.target().unwrap_or_default();
    count(bytes, target.len());
    bytes.extend_from_slice(target);
    count(bytes, node.extents().map_or(0, Extents::count));
    if let Some(extents) = node.extents() {
        extents.for_each(|piece| piece.encode(bytes));
    }
    count(bytes, node.xattrs().len());
    for (name, value) in node.xattrs() {
        short(bytes, name);
        count(bytes, value.len());
        bytes.extend_from_slice(value);
    }
}

fn decode_node(fields: &mut Fields<'_>, live: &mut Live) -> Option<Node> {
    let (file, node_type) = (FileId(fields.u64()?), NodeType::from_number(fields.u8()?)?);
    let mode = fields.u16()?;
    let (uid, gid, links, device) = (fields.u32()?, fields.u32()?, fields.u32()?, fields.u32()?);
    let size = fields.u64().filter(|size| *size <= FARTHEST)?;
    let (accessed, modified) = (time(fields)?, time(fields)?);
    let (changed, created) = (time(fields)?, time(fields)?);
    let mut more = More::default();
    let mut name = None;
    for place in 0..fields.u32()? {
        let own = (FileId(fields.u64()?), fields.u64()?);
        match place {
            0 => name = Some(own),
            _ => more.names.push(own),
        }
    }
    let target = bytes(fields)?;
    let mut body = Body::new(node_type, device, target);
    let count = in_memory(u64::from(fields.u32()?));
    let mut own = Fields::new(fields.bytes(count.checked_mul(Piece::ENCODED)?)?);
    if let Body::File(extents) = &mut body {
        *extents = match count {
            1 => Extents::One(Piece::decode(&mut own)?),
            _ => {
                let pieces = (0..count).map(|_| Piece::decode(&mut own));
                Extents::from_sorted(pieces.collect::<Option<_>>()?)?
            }
        };
        extents.for_each(|piece| live.add(piece));
    }
    for _ in 0..fields.u32()? {
        more.xattrs.push((decode_short(fields)?, bytes(fields)?.into()));
    }
    let is_sorted = more.xattrs.is_sorted_by(|(one, _), (next, _)| one < next);
    let mut node = Node {
        file,
        size,
        accessed,
        modified,
        changed,
        created,
        name,
        uid,
        gid,
        links,
        mode,
        body,
        more: None,
    };
    if !more.names.is_empty() || !more.xattrs.is_empty() {
        node.more = Some(Box::new(more));
    }
    is_sorted.then_some(node)
}

/// Reads a counted table; takes no memory for what the count only claims.
fn rows<T: super::table::Row>(
    fields: &mut Fields<'_>,
    mut decode: impl FnMut(&mut Fields<'_>) -> Option<T>,
) -> Option<Table<T>> {
    let count = fields.u64()?;
    let mut read = 0;
    let table = Table::from_sorted((0..count).map_while(|_| {
        let row = decode(fields)?;
        read += 1;
        Some(row)
    }))?;
    (read == count).then_some(table)
}

fn count(bytes: &mut Vec<u8>, count: usize) {
    // Beyond 4 billion no memory reaches.
    bytes.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
}

fn bytes<'bytes>(fields: &mut Fields<'bytes>) -> Option<&'bytes [u8]> {
    let length = fields.u32()?;
    fields.bytes(in_memory(u64::from(length)))
}
