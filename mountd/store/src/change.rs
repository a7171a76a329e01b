//! A change: one operation on the tree, as metadata frames hold it.

use crate::extent::{Extent, Region, VersionId};
use crate::fields::Fields;
use crate::frame::Chain;
use crate::imprint::Imprint;
use crate::secret_tree::NodeKind;
use crate::wall_time::WallTime;
use crate::workspace::NodeChange;
use crate::writer::SyncedHead;
use ward_policy::{FileId, SecretName};

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) parent: FileId,
    pub(crate) name: SecretName,
}

/// One operation. Each is whole for itself: a batch may end after any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// A new node under a name.
    Create { file: FileId, kind: NodeKind, place: Place, time: WallTime },
    /// A new current content of a file.
    Write { file: FileId, version: Version, time: WallTime, imprint: Option<Box<Imprint>> },
    /// Another name for a node; a node already there is replaced.
    Rename { from: Place, to: Place, time: WallTime },
    /// A file's name is gone; its versions stay.
    Unlink { place: Place, time: WallTime },
    /// An empty directory is gone.
    RemoveDirectory { place: Place, time: WallTime },
    /// Times of a node as its user sets them.
    SetTimes { file: FileId, modified: WallTime, changed: WallTime },
    /// Every version of a file is to be destroyed, and its name is gone.
    Shred { file: FileId, regions: Vec<Region>, time: WallTime },
    /// Frames that belong to no file any more are to be destroyed.
    Discard { file: FileId, regions: Vec<Region> },
    /// The destruction that `file` named is complete.
    ShredDone { file: FileId },
    /// The content of a version lies elsewhere now; what it was copied from is dead.
    Relocate { version: Version },
    /// A version beyond those of its history is given up; its bytes are dead.
    Forget { version: VersionId },
    /// Nothing that lives is in the segment any more.
    Retire { segment: u64 },
    /// A restart put what was behind the end of a segment elsewhere: up to this frame and chain value.
    Moved { segment: u64, sequence: u64, chain: Chain },
    /// A restart found this much behind the last good frame, and cut it.
    Cut { segment: u64, position: u64, length: u64 },
    /// An operation on the tree of a `workspace` vault.
    Node(NodeChange),
}

/// The content of a file at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) id: VersionId,
    /// Bytes of content.
    pub(crate) length: u64,
    pub(crate) extents: Vec<Extent>,
}

impl Change {
    /// Appends the change to a batch: its number, then its fields.
    pub(crate) fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.number());
        match self {
            Self::Node(change) => change.encode(bytes),
            Self::Create { file, kind, place, time } => {
                number(bytes, file.0);
                bytes.push(kind.number());
                place.encode(bytes);
                moment(bytes, *time);
            }
            Self::Write { file, version, time, imprint } => {
                number(bytes, file.0);
                version.encode(bytes, *time, imprint.as_deref());
            }
            Self::Rename { from, to, time } => {
                from.encode(bytes);
                to.encode(bytes);
                moment(bytes, *time);
            }
            Self::Unlink { place, time } | Self::RemoveDirectory { place, time } => {
                place.encode(bytes);
                moment(bytes, *time);
            }
            Self::SetTimes { file, modified, changed } => {
                number(bytes, file.0);
                moment(bytes, *modified);
                moment(bytes, *changed);
            }
            Self::Shred { file, regions, time } => {
                number(bytes, file.0);
                moment(bytes, *time);
                encode_regions(bytes, regions);
            }
            Self::ShredDone { file } => number(bytes, file.0),
            Self::Cut { segment, position, length } => {
                [*segment, *position, *length].iter().for_each(|field| number(bytes, *field));
            }
            Self::Discard { file, regions } => {
                number(bytes, file.0);
                encode_regions(bytes, regions);
            }
            Self::Relocate { version: Version { id, length, extents } } => {
                number(bytes, id.0);
                number(bytes, *length);
                encode_extents(bytes, extents);
            }
            Self::Forget { version } => number(bytes, version.0),
            Self::Retire { segment } => number(bytes, *segment),
            Self::Moved { segment, sequence, chain } => {
                number(bytes, *segment);
                number(bytes, *sequence);
                bytes.extend_from_slice(chain);
            }
        }
    }

    /// Its number; those of the other kind of vault bring their own.
    const fn number(&self) -> Option<u8> {
        Some(match self {
            Self::Node(_) => return None,
            Self::Create { .. } => 1,
            Self::Write { imprint: None, .. } => 2,
            Self::Rename { .. } => 3,
            Self::Unlink { .. } => 4,
            Self::RemoveDirectory { .. } => 5,
            Self::SetTimes { .. } => 6,
            Self::Shred { .. } => 7,
            Self::ShredDone { .. } => 8,
            Self::Cut { .. } => 9,
            Self::Discard { .. } => 10,
            Self::Moved { .. } => 11,
            Self::Relocate { .. } => 12,
            Self::Forget { .. } => 13,
            Self::Retire { .. } => 14,
            Self::Write { imprint: Some(_), .. } => 27,
        })
    }

    /// Whether this position was in a tail that a restart put elsewhere, as the change says.
    pub(crate) fn has_moved(&self, head: &SyncedHead) -> bool {
        matches!(self, Self::Moved { segment, sequence, chain }
            if *segment == head.segment && head.sequence <= *sequence && *chain == head.chain)
    }

    /// Reads the next change of a batch; `None` when the bytes are none.
    pub(crate) fn decode(fields: &mut Fields<'_>) -> Option<Self> {
        Some(match fields.u8()? {
            1 => Self::Create {
                file: FileId(fields.u64()?),
                kind: NodeKind::from_number(fields.u8()?)?,
                place: Place::decode(fields)?,
                time: time(fields)?,
            },
            number @ (2 | 27) => {
                let file = FileId(fields.u64()?);
                let (id, length) = (VersionId(fields.u64()?), fields.u64()?);
                let time = time(fields)?;
                let imprint = match number {
                    27 => Some(Box::new(Imprint::decode(fields)?)),
                    _ => None,
                };
                let extents = list(fields, Extent::ENCODED, Extent::decode)?;
                Self::Write { file, version: Version { id, length, extents }, time, imprint }
            }
            3 => Self::Rename {
                from: Place::decode(fields)?,
                to: Place::decode(fields)?,
                time: time(fields)?,
            },
            4 => Self::Unlink { place: Place::decode(fields)?, time: time(fields)? },
            5 => Self::RemoveDirectory { place: Place::decode(fields)?, time: time(fields)? },
            6 => Self::SetTimes {
                file: FileId(fields.u64()?),
                modified: time(fields)?,
                changed: time(fields)?,
            },
            7 => Self::Shred {
                file: FileId(fields.u64()?),
                time: time(fields)?,
                regions: list(fields, 24, decode_region)?,
            },
            8 => Self::ShredDone { file: FileId(fields.u64()?) },
            9 => {
                Self::Cut { segment: fields.u64()?, position: fields.u64()?, length: fields.u64()? }
            }
            10 => Self::Discard {
                file: FileId(fields.u64()?),
                regions: list(fields, 24, decode_region)?,
            },
            11 => {
                let (segment, sequence) = (fields.u64()?, fields.u64()?);
                Self::Moved { segment, sequence, chain: fields.array()? }
            }
            12 => {
                let (id, length) = (VersionId(fields.u64()?), fields.u64()?);
                let extents = list(fields, Extent::ENCODED, Extent::decode)?;
                Self::Relocate { version: Version { id, length, extents } }
            }
            13 => Self::Forget { version: VersionId(fields.u64()?) },
            14 => Self::Retire { segment: fields.u64()? },
            number => Self::Node(NodeChange::decode(number, fields)?),
        })
    }

    /// Reads all changes of a batch; `None` when a byte of it is none.
    pub(crate) fn decode_all(bytes: &[u8]) -> Option<Vec<Self>> {
        let mut fields = Fields::new(bytes);
        let mut changes = Vec::new();
        while !fields.is_empty() {
            changes.push(Self::decode(&mut fields)?);
        }
        Some(changes)
    }
}

impl Version {
    fn encode(&self, bytes: &mut Vec<u8>, time: WallTime, imprint: Option<&Imprint>) {
        number(bytes, self.id.0);
        number(bytes, self.length);
        moment(bytes, time);
        imprint.into_iter().for_each(|imprint| imprint.encode(bytes));
        encode_extents(bytes, &self.extents);
    }
}

impl Place {
    pub(crate) fn encode(&self, bytes: &mut Vec<u8>) {
        let name = self.name.as_bytes();
        number(bytes, self.parent.0);
        // A name has 255 bytes at most.
        bytes.extend(u8::try_from(name.len()));
        bytes.extend_from_slice(name);
    }

    fn decode(fields: &mut Fields<'_>) -> Option<Self> {
        let parent = FileId(fields.u64()?);
        let length = usize::from(fields.u8()?);
        let name = SecretName::try_from(fields.bytes(length)?).ok()?;
        Some(Self { parent, name })
    }

    /// Reads a place, or nine zeros that stand for none.
    pub(crate) fn decode_or_none(fields: &mut Fields<'_>) -> Option<Option<Self>> {
        match fields.starts_with(&[0; 9]) {
            true => fields.bytes(9).map(|_| None),
            false => Self::decode(fields).map(Some),
        }
    }
}

fn number(bytes: &mut Vec<u8>, number: u64) {
    bytes.extend_from_slice(&number.to_le_bytes());
}

fn moment(bytes: &mut Vec<u8>, time: WallTime) {
    bytes.extend_from_slice(&time.nanoseconds().to_le_bytes());
}

fn count(bytes: &mut Vec<u8>, count: usize) {
    // A list of 4 billion pieces does not fit a frame, which refuses it by its length.
    bytes.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
}

fn encode_extents(bytes: &mut Vec<u8>, extents: &[Extent]) {
    count(bytes, extents.len());
    extents.iter().for_each(|extent| extent.encode(bytes));
}

fn encode_regions(bytes: &mut Vec<u8>, regions: &[Region]) {
    count(bytes, regions.len());
    for region in regions {
        number(bytes, region.segment);
        number(bytes, region.position);
        number(bytes, region.length);
    }
}

fn decode_region(fields: &mut Fields<'_>) -> Option<Region> {
    let (segment, position) = (fields.u64()?, fields.u64()?);
    Some(Region { segment, position, length: fields.u64()? }).filter(Region::is_frame)
}

fn time(fields: &mut Fields<'_>) -> Option<WallTime> {
    fields.i64().map(WallTime::from_nanoseconds)
}

/// Reads a counted list; the count is believed only as far as the bytes reach.
pub(crate) fn list<T>(
    fields: &mut Fields<'_>,
    width: usize,
    decode: impl Fn(&mut Fields<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    let count = crate::fields::in_memory(u64::from(fields.u32()?));
    let mut own = Fields::new(fields.bytes(count.checked_mul(width)?)?);
    (0..count).map(|_| decode(&mut own)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::DataShape;
    use crate::imprint::Maker;
    use crate::kind::VaultKind;

    fn place(name: &str) -> Place {
        Place { parent: FileId(1), name: SecretName::try_from(name.as_bytes()).unwrap() }
    }

    fn imprint() -> Box<Imprint> {
        let program = Some(b"/usr/bin/ward".as_slice().into());
        let maker = Maker { uid: 1000, agent: Some("claude".into()), program };
        Box::new(Imprint { expires: Some(WallTime::from_nanoseconds(9)), maker })
    }

    fn one_of_each() -> Vec<Change> {
        let time = WallTime::from_nanoseconds(-5);
        let file = FileId(7);
        let shape = DataShape::of_value(VaultKind::Secrets, 9).unwrap();
        let extent = Extent { offset: 0, length: 9, segment: 2, position: 64, sequence: 3, shape };
        let version = Version { id: VersionId(4), length: 9, extents: vec![extent] };
        let regions = vec![extent.region()];
        vec![
            Change::Create { file, kind: NodeKind::Directory, place: place("a"), time },
            Change::Write { file, version: version.clone(), time, imprint: None },
            Change::Write { file, version: version.clone(), time, imprint: Some(imprint()) },
            Change::Relocate { version },
            Change::Forget { version: VersionId(4) },
            Change::Retire { segment: 2 },
            Change::Rename { from: place("a"), to: place(&"b".repeat(255)), time },
            Change::Unlink { place: place("a"), time },
            Change::RemoveDirectory { place: place("a"), time },
            Change::SetTimes { file, modified: time, changed: time },
            Change::Shred { file, regions: regions.clone(), time },
            Change::Discard { file, regions },
            Change::ShredDone { file },
            Change::Cut { segment: 1, position: 2, length: 3 },
            Change::Moved { segment: 1, sequence: 2, chain: [3; 32] },
        ]
    }

    #[test]
    fn every_change_comes_back_from_its_bytes() {
        let mut bytes = Vec::new();
        one_of_each().iter().for_each(|change| change.encode(&mut bytes));
        assert_eq!(Change::decode_all(&bytes), Some(one_of_each()));
    }

    #[test]
    fn a_change_cut_short_is_none_and_takes_no_memory_for_what_it_claims() {
        for change in one_of_each() {
            let mut bytes = Vec::new();
            change.encode(&mut bytes);
            for length in 1..bytes.len() {
                assert_eq!(Change::decode_all(&bytes[..length]), None, "{change:?} at {length}");
            }
        }
        let mut huge = vec![8];
        huge.extend_from_slice(&[0xff; 8]);
        huge.push(10);
        huge.extend_from_slice(&[0xff; 12]);
        assert_eq!(Change::decode_all(&huge), None);
    }
}
