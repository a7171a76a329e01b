//! A change of a `workspace` vault, as metadata frames hold it.

use crate::change::list;
use crate::extent::Extent;
use crate::fields::{Fields, in_memory};
use crate::wall_time::WallTime;
use crate::workspace::entry_name::EntryName;
use crate::workspace::names::LONGEST_TARGET;
use crate::workspace::node::{NodeType, SetAttributes};
use crate::workspace::piece::FrameAt;
use ward_policy::FileId;

/// All bits of a mode.
const MOST_MODE: u16 = 0o7777;

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EntryPlace {
    pub(crate) parent: FileId,
    pub(crate) name: EntryName,
}

/// A node before it has a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewBody {
    pub(crate) node_type: NodeType,
    pub(crate) mode: u16,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) device: u32,
    pub(crate) target: Box<[u8]>,
}

/// One operation on the tree of a `workspace` vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NodeChange {
    /// A new node under a name.
    Make { file: FileId, body: NewBody, place: EntryPlace, time: WallTime },
    /// One more name for a node.
    Link { file: FileId, place: EntryPlace, time: WallTime },
    /// A name is gone; a node without a name stays until it is dropped.
    Unname { place: EntryPlace, time: WallTime },
    /// Another name in the place of one; what had the new name loses it.
    Move { from: EntryPlace, to: EntryPlace, time: WallTime },
    /// Two nodes change names.
    Exchange { first: EntryPlace, second: EntryPlace, time: WallTime },
    /// Attributes as the user sets them; `changed` is always there.
    Set { file: FileId, attributes: SetAttributes },
    /// Bytes of a file lie in a new frame; the file reaches at least behind them.
    Map { file: FileId, extent: Extent, time: WallTime },
    /// A range of a file is a hole, and the file has this size.
    Unmap { file: FileId, offset: u64, length: u64, size: u64, time: WallTime },
    /// An extended attribute has this value.
    SetXattr { file: FileId, name: Box<[u8]>, value: Box<[u8]>, time: WallTime },
    /// An extended attribute is gone.
    RemoveXattr { file: FileId, name: Box<[u8]>, time: WallTime },
    /// Bytes of a file that lie in one of these frames lie in another now.
    Relocate { file: FileId, extent: Extent, from: Vec<FrameAt> },
    /// A node without a name is gone.
    Drop { file: FileId },
}

impl NodeChange {
    /// Appends the change to a batch: its number, then its fields.
    pub(crate) fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.push(self.number());
        match self {
            Self::Make { file, body, place, time } => {
                number(bytes, file.0);
                body.encode(bytes);
                place.encode(bytes);
                moment(bytes, *time);
            }
            Self::Link { file, place, time } => {
                number(bytes, file.0);
                place.encode(bytes);
                moment(bytes, *time);
            }
            Self::Unname { place, time } => {
                place.encode(bytes);
                moment(bytes, *time);
            }
            Self::Move { from: one, to: other, time }
            | Self::Exchange { first: one, second: other, time } => {
                one.encode(bytes);
                other.encode(bytes);
                moment(bytes, *time);
            }
            Self::Set { file, attributes } => {
                number(bytes, file.0);
                attributes.encode(bytes);
            }
            Self::Map { file, extent, time } => {
                number(bytes, file.0);
                moment(bytes, *time);
                extent.encode(bytes);
            }
            Self::Unmap { file, offset, length, size, time } => {
                [file.0, *offset, *length, *size].iter().for_each(|field| number(bytes, *field));
                moment(bytes, *time);
            }
            Self::SetXattr { file, name, value, time } => {
                number(bytes, file.0);
                moment(bytes, *time);
                short(bytes, name);
                // A value has 64 KiB at most.
                bytes.extend_from_slice(&u32::try_from(value.len()).unwrap_or(0).to_le_bytes());
                bytes.extend_from_slice(value);
            }
            Self::RemoveXattr { file, name, time } => {
                number(bytes, file.0);
                moment(bytes, *time);
                short(bytes, name);
            }
            Self::Relocate { file, extent, from } => {
                number(bytes, file.0);
                extent.encode(bytes);
                bytes.extend_from_slice(&u32::try_from(from.len()).unwrap_or(0).to_le_bytes());
                for (segment, position) in from {
                    number(bytes, *segment);
                    number(bytes, *position);
                }
            }
            Self::Drop { file } => number(bytes, file.0),
        }
    }

    const fn number(&self) -> u8 {
        match self {
            Self::Make { .. } => 15,
            Self::Link { .. } => 16,
            Self::Unname { .. } => 17,
            Self::Move { .. } => 18,
            Self::Exchange { .. } => 19,
            Self::Set { .. } => 20,
            Self::Map { .. } => 21,
            Self::Unmap { .. } => 22,
            Self::SetXattr { .. } => 23,
            Self::RemoveXattr { .. } => 24,
            Self::Relocate { .. } => 25,
            Self::Drop { .. } => 26,
        }
    }

    /// Reads the fields of a change; `None` when the bytes are none.
    pub(crate) fn decode(number: u8, fields: &mut Fields<'_>) -> Option<Self> {
        Some(match number {
            15 => {
                let (file, body) = (FileId(fields.u64()?), NewBody::decode(fields)?);
                let place = EntryPlace::decode(fields)?;
                Self::Make { file, body, place, time: time(fields)? }
            }
            16 => {
                let (file, place) = (FileId(fields.u64()?), EntryPlace::decode(fields)?);
                Self::Link { file, place, time: time(fields)? }
            }
            17 => Self::Unname { place: EntryPlace::decode(fields)?, time: time(fields)? },
            18 => {
                let (from, to) = (EntryPlace::decode(fields)?, EntryPlace::decode(fields)?);
                Self::Move { from, to, time: time(fields)? }
            }
            19 => {
                let (first, second) = (EntryPlace::decode(fields)?, EntryPlace::decode(fields)?);
                Self::Exchange { first, second, time: time(fields)? }
            }
            20 => {
                let file = FileId(fields.u64()?);
                Self::Set { file, attributes: SetAttributes::decode(fields)? }
            }
            21 => {
                let (file, time) = (FileId(fields.u64()?), time(fields)?);
                Self::Map { file, time, extent: Extent::decode(fields)? }
            }
            22 => {
                let (file, offset) = (FileId(fields.u64()?), fields.u64()?);
                let (length, size) = (fields.u64()?, fields.u64()?);
                Self::Unmap { file, offset, length, size, time: time(fields)? }
            }
            23 => {
                let (file, time) = (FileId(fields.u64()?), time(fields)?);
                let name = decode_short(fields)?;
                let length = in_memory(u64::from(fields.u32()?));
                Self::SetXattr { file, name, value: fields.bytes(length)?.into(), time }
            }
            24 => {
                let (file, time) = (FileId(fields.u64()?), time(fields)?);
                Self::RemoveXattr { file, name: decode_short(fields)?, time }
            }
            25 => {
                let (file, extent) = (FileId(fields.u64()?), Extent::decode(fields)?);
                let from = list(fields, 16, |fields| Some((fields.u64()?, fields.u64()?)))?;
                Self::Relocate { file, extent, from }
            }
            26 => Self::Drop { file: FileId(fields.u64()?) },
            _ => return None,
        })
    }
}

impl EntryPlace {
    fn encode(&self, bytes: &mut Vec<u8>) {
        number(bytes, self.parent.0);
        short(bytes, self.name.as_bytes());
    }

    fn decode(fields: &mut Fields<'_>) -> Option<Self> {
        let (parent, name) = (FileId(fields.u64()?), decode_short(fields)?);
        Some(Self { parent, name: EntryName::try_from(&*name).ok()? })
    }
}

impl NewBody {
    fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.push(self.node_type.number());
        bytes.extend_from_slice(&self.mode.to_le_bytes());
        for field in [self.uid, self.gid, self.device] {
            bytes.extend_from_slice(&field.to_le_bytes());
        }
        // A target has 4095 bytes at most.
        bytes.extend_from_slice(&u16::try_from(self.target.len()).unwrap_or(0).to_le_bytes());
        bytes.extend_from_slice(&self.target);
    }

    fn decode(fields: &mut Fields<'_>) -> Option<Self> {
        let (node_type, mode) = (NodeType::from_number(fields.u8()?)?, fields.u16()?);
        let (uid, gid, device) = (fields.u32()?, fields.u32()?, fields.u32()?);
        let length = usize::from(fields.u16()?);
        let target: Box<[u8]> = fields.bytes(length)?.into();
        let is_link = node_type == NodeType::Symlink;
        let fits = mode <= MOST_MODE
            && target.is_empty() != is_link
            && target.len() <= LONGEST_TARGET
            && (device == 0 || node_type.is_device());
        fits.then_some(Self { node_type, mode, uid, gid, device, target })
    }
}

impl SetAttributes {
    /// Appends which are there, one bit each, then those.
    fn encode(&self, bytes: &mut Vec<u8>) {
        let Self { mode, uid, gid, size, accessed, modified, changed } = self;
        let are_there = [
            mode.is_some(),
            uid.is_some(),
            gid.is_some(),
            size.is_some(),
            accessed.is_some(),
            modified.is_some(),
            changed.is_some(),
        ];
        let bits = (0..).zip(are_there).map(|(bit, is_there)| u8::from(is_there) << bit);
        bytes.push(bits.sum());
        mode.iter().for_each(|mode| bytes.extend_from_slice(&mode.to_le_bytes()));
        for field in [uid, gid].into_iter().flatten() {
            bytes.extend_from_slice(&field.to_le_bytes());
        }
        size.iter().for_each(|size| number(bytes, *size));
        for time in [accessed, modified, changed].into_iter().flatten() {
            moment(bytes, *time);
        }
    }

    fn decode(fields: &mut Fields<'_>) -> Option<Self> {
        let bits = fields.u8()?;
        let is_there = |bit: u8| bits & 1 << bit != 0;
        let mut set = Self::default();
        if is_there(0) {
            set.mode = Some(fields.u16().filter(|mode| *mode <= MOST_MODE)?);
        }
        if is_there(1) {
            set.uid = Some(fields.u32()?);
        }
        if is_there(2) {
            set.gid = Some(fields.u32()?);
        }
        if is_there(3) {
            set.size = Some(fields.u64()?);
        }
        if is_there(4) {
            set.accessed = Some(time(fields)?);
        }
        if is_there(5) {
            set.modified = Some(time(fields)?);
        }
        if is_there(6) {
            set.changed = Some(time(fields)?);
        }
        (bits < 1 << 7).then_some(set)
    }
}

pub(crate) fn number(bytes: &mut Vec<u8>, number: u64) {
    bytes.extend_from_slice(&number.to_le_bytes());
}

pub(crate) fn moment(bytes: &mut Vec<u8>, time: WallTime) {
    bytes.extend_from_slice(&time.nanoseconds().to_le_bytes());
}

pub(crate) fn time(fields: &mut Fields<'_>) -> Option<WallTime> {
    fields.i64().map(WallTime::from_nanoseconds)
}

/// Appends at most 255 bytes behind their number.
pub(crate) fn short(bytes: &mut Vec<u8>, name: &[u8]) {
    bytes.push(u8::try_from(name.len()).unwrap_or(0));
    bytes.extend_from_slice(name);
}

pub(crate) fn decode_short(fields: &mut Fields<'_>) -> Option<Box<[u8]>> {
    let length = usize::from(fields.u8()?);
    fields.bytes(length).map(Into::into)
}
