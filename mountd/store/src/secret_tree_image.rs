//! The tree of a `secrets` vault as bytes of an image, and back.

use crate::change::Place;
use crate::extent::{Extent, FARTHEST, Region, VersionId};
use crate::fields::{Fields, on_disk};
use crate::imprint::Imprint;
use crate::index::ROOT;
use crate::secret_history::History;
use crate::secret_tree::{Body, Content, Nameless, Node, NodeKind, SecretTree};
use crate::wall_time::WallTime;
use std::collections::{BTreeMap, BTreeSet};
use ward_policy::{FileId, SecretName, SecretPath};

/// More parts than the longest path has, 4095 bytes.
const DEEPEST: usize = 2049;

impl SecretTree {
    /// Appends everything that the log said up to now.
    pub(crate) fn encode(&self, bytes: &mut Vec<u8>) {
        number(bytes, self.next_file);
        number(bytes, self.next_version);
        number(bytes, on_disk(self.nodes.len()));
        self.nodes.iter().for_each(|(file, node)| encode_node(bytes, *file, node));
        number(bytes, on_disk(self.removed.len()));
        for (path, Nameless { file, history, time }) in &self.removed {
            let path = path.as_bytes();
            // A path has 4095 bytes at most.
            bytes.extend(u16::try_from(path.len()).unwrap_or(u16::MAX).to_le_bytes());
            bytes.extend_from_slice(path);
            number(bytes, file.0);
            moment(bytes, *time);
            encode_history(bytes, history);
        }
        number(bytes, on_disk(self.contents.len()));
        for (version, Content { file, length, time, imprint: _, extents }) in &self.contents {
            [version.0, file.0, *length].iter().for_each(|field| number(bytes, *field));
            moment(bytes, *time);
            number(bytes, on_disk(extents.len()));
            extents.iter().for_each(|extent| extent.encode(bytes));
        }
        number(bytes, on_disk(self.shredding.len()));
        for (file, regions) in &self.shredding {
            number(bytes, file.0);
            encode_regions(bytes, regions);
        }
        number(bytes, on_disk(self.shredded.len()));
        for (segment, position) in &self.shredded {
            number(bytes, *segment);
            number(bytes, *position);
        }
        number(bytes, on_disk(self.copies.len()));
        for (version, regions) in &self.copies {
            number(bytes, version.0);
            encode_regions(bytes, regions);
        }
    }

    /// Appends the imprints of versions that have one; nothing when none has.
    pub(crate) fn encode_imprints(&self, bytes: &mut Vec<u8>) {
        let imprint = |(version, content): (&VersionId, &'_ Content)| {
            content.imprint.clone().map(|imprint| (*version, imprint))
        };
        let imprints: Vec<_> = self.contents.iter().filter_map(imprint).collect();
        if imprints.is_empty() {
            return;
        }
        number(bytes, on_disk(imprints.len()));
        for (version, imprint) in imprints {
            number(bytes, version.0);
            imprint.encode(bytes);
        }
    }

    /// Reads imprints; `None` when the bytes are none, or of a version that is not there.
    pub(crate) fn decode_imprints(&mut self, fields: &mut Fields<'_>) -> Option<()> {
        let (count, mut last) = (fields.u64()?, VersionId(0));
        for _ in 0..count {
            let version = VersionId(fields.u64()?);
            if version <= last {
                return None;
            }
            let content = self.contents.get_mut(&version)?;
            content.imprint = Some(Box::new(Imprint::decode(fields)?));
            last = version;
        }
        (count != 0).then_some(())
    }

    /// Reads a tree; `None` when the bytes are none.
    pub(crate) fn decode(fields: &mut Fields<'_>) -> Option<Self> {
        let (next_file, next_version) = (fields.u64()?, fields.u64()?);
        let nodes = decode_nodes(fields)?;
        let removed = map(fields, |fields| {
            let length = u16::from_le_bytes(fields.array()?);
            let path = SecretPath::try_from(fields.bytes(usize::from(length))?).ok()?;
            let (file, time) = (FileId(fields.u64()?), time(fields)?);
            Some((path, Nameless { file, history: decode_history(fields)?, time }))
        })?;
        let contents = map(fields, |fields| {
            let (version, file) = (VersionId(fields.u64()?), FileId(fields.u64()?));
            let (length, time) = (fields.u64()?, time(fields)?);
            let extents = (0..fields.u64()?).map(|_| Extent::decode(fields));
            let extents = extents.collect::<Option<_>>()?;
            Some((version, Content { file, length, time, imprint: None, extents }))
        })?;
        let shredding =
            map(fields, |fields| Some((FileId(fields.u64()?), decode_regions(fields)?)))?;
        let shredded: BTreeSet<_> = (0..fields.u64()?)
            .map(|_| Some((fields.u64()?, fields.u64()?)))
            .collect::<Option<_>>()?;
        let copies =
            map(fields, |fields| Some((VersionId(fields.u64()?), decode_regions(fields)?)))?;
        let is_near = next_file.max(next_version) <= FARTHEST + 1;
        let mut files = nodes.keys().copied().chain(removed.values().map(|gone| gone.file));
        let is_new = files.all(|file| file.0 < next_file)
            && contents.keys().all(|version| version.0 < next_version);
        (is_near && is_new).then_some(Self {
            nodes,
            removed,
            contents,
            shredding,
            shredded,
            copies,
            next_file,
            next_version,
        })
    }
}

fn encode_node(bytes: &mut Vec<u8>, file: FileId, node: &Node) {
    let kind = match node.body {
        Body::File(_) => NodeKind::File,
        Body::Directory(_) => NodeKind::Directory,
    };
    number(bytes, file.0);
    bytes.push(kind.number());
    match &node.place {
        Some(place) => place.encode(bytes),
        // Only the top directory: in no directory, without a name.
        None => bytes.extend_from_slice(&[0; 9]),
    }
    [node.created, node.modified, node.changed].iter().for_each(|time| moment(bytes, *time));
    if let Body::File(history) = &node.body {
        encode_history(bytes, history);
    }
}

/// Reads all nodes; the entries of directories come from the places of what is in them.
fn decode_nodes(fields: &mut Fields<'_>) -> Option<BTreeMap<FileId, Node>> {
    let mut entries: BTreeMap<FileId, Vec<(SecretName, FileId)>> = BTreeMap::new();
    let mut nodes = map(fields, |fields| {
        let (file, kind) = (FileId(fields.u64()?), NodeKind::from_number(fields.u8()?)?);
        let place = Place::decode_or_none(fields)?;
        if let Some(Place { parent, name }) = &place {
            entries.entry(*parent).or_default().push((name.clone(), file));
        }
        let (created, modified, changed) = (time(fields)?, time(fields)?, time(fields)?);
        let body = match kind {
            NodeKind::File => Body::File(decode_history(fields)?),
            NodeKind::Directory => Body::Directory(BTreeMap::new()),
        };
        Some((file, Node { place, created, modified, changed, body }))
    })?;
    for (parent, children) in entries {
        match &mut nodes.get_mut(&parent)?.body {
            Body::Directory(entries) => entries.extend(children),
            Body::File(_) => return None,
        }
    }
    let is_top = matches!(nodes.get(&ROOT)?, Node { place: None, body: Body::Directory(_), .. });
    let entries = nodes.values().map(|node| match &node.body {
        Body::Directory(entries) => entries.len(),
        Body::File(_) => 0,
    });
    // None has a second place, and none the name of another.
    let is_tree = is_top && entries.sum::<usize>() == nodes.len() - 1;
    (is_tree && nodes.keys().all(|file| has_path(&nodes, *file))).then_some(nodes)
}

/// Whether a node lies below the top, no deeper than a path can say.
fn has_path(nodes: &BTreeMap<FileId, Node>, file: FileId) -> bool {
    let parent = |file: &FileId| nodes.get(file)?.place.as_ref().map(|place| place.parent);
    std::iter::successors(Some(file), parent).take(DEEPEST).any(|file| file == ROOT)
}

fn encode_history(bytes: &mut Vec<u8>, history: &History) {
    number(bytes, on_disk(history.all().len()));
    history.all().iter().for_each(|version| number(bytes, version.0));
}

fn decode_history(fields: &mut Fields<'_>) -> Option<History> {
    let mut history = History::default();
    for _ in 0..fields.u64()? {
        history.push(VersionId(fields.u64()?));
    }
    Some(history)
}

fn encode_regions(bytes: &mut Vec<u8>, regions: &[Region]) {
    number(bytes, on_disk(regions.len()));
    for Region { segment, position, length } in regions {
        [segment, position, length].iter().for_each(|field| number(bytes, **field));
    }
}

fn decode_regions(fields: &mut Fields<'_>) -> Option<Vec<Region>> {
    let regions = (0..fields.u64()?).map(|_| {
        let (segment, position) = (fields.u64()?, fields.u64()?);
        Some(Region { segment, position, length: fields.u64()? }).filter(Region::is_frame)
    });
    regions.collect()
}

/// Reads a counted map; takes no memory for what the count only claims.
fn map<K: Ord, V>(
    fields: &mut Fields<'_>,
    mut decode: impl FnMut(&mut Fields<'_>) -> Option<(K, V)>,
) -> Option<BTreeMap<K, V>> {
    (0..fields.u64()?).map(|_| decode(fields)).collect()
}

fn number(bytes: &mut Vec<u8>, number: u64) {
    bytes.extend_from_slice(&number.to_le_bytes());
}

fn moment(bytes: &mut Vec<u8>, time: WallTime) {
    bytes.extend_from_slice(&time.nanoseconds().to_le_bytes());
}

fn time(fields: &mut Fields<'_>) -> Option<WallTime> {
    fields.i64().map(WallTime::from_nanoseconds)
}
