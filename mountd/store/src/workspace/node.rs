//! A node: a file, directory, link or special file, whatever names it has.

use crate::wall_time::WallTime;
use crate::workspace::extents::Extents;
use crate::workspace::table::Row;
use ward_policy::FileId;

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeType {
    /// Has bytes.
    File,
    /// Has entries.
    Directory,
    /// Has a target.
    Symlink,
    /// A pipe with a name.
    Fifo,
    /// A socket with a name.
    Socket,
    /// A device that is read and written byte by byte.
    CharacterDevice,
    /// A device that is read and written block by block.
    BlockDevice,
}

/// What is known about a node without opening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeAttributes {
    /// Its number.
    pub file: FileId,
    /// What it is.
    pub node_type: NodeType,
    /// Permission bits, set-id and sticky bits: 07777.
    pub mode: u16,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Names of it; of a directory 2 and one for each directory in it; 0 when it has no name left.
    pub links: u32,
    /// Bytes of a file, holes among them, or of the target of a link; else 0.
    pub size: u64,
    /// Bytes of a file that are no hole.
    pub allocated: u64,
    /// Which device a device is; else 0.
    pub device: u32,
    /// When it was read, as its user says.
    pub accessed: WallTime,
    /// When its content or entries changed, or what its user set.
    pub modified: WallTime,
    /// When anything of it changed.
    pub changed: WallTime,
    /// When it was made.
    pub created: WallTime,
}

/// What a new node is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewNode<'target> {
    /// What it is.
    pub node_type: NodeType,
    /// Permission bits, set-id and sticky bits: 07777.
    pub mode: u16,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Which device a device is; else 0.
    pub device: u32,
    /// Where a link points: 1 to 4095 bytes; else empty.
    pub target: &'target [u8],
}

/// What is to be set of a node; what is `None` stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetAttributes {
    /// Permission bits, set-id and sticky bits: 07777.
    pub mode: Option<u16>,
    /// Its owner.
    pub uid: Option<u32>,
    /// Its group.
    pub gid: Option<u32>,
    /// Bytes of a file: cut, or a hole added.
    pub size: Option<u64>,
    /// When it was read.
    pub accessed: Option<WallTime>,
    /// When its content changed.
    pub modified: Option<WallTime>,
    /// When anything of it changed.
    pub changed: Option<WallTime>,
}

/// The name and the value of an extended attribute.
pub(crate) type Xattr = (Box<[u8]>, Box<[u8]>);

/// A name of a node: the directory, and the cookie of the entry in it.
pub(crate) type NameAt = (FileId, u64);

/// A node as the tree keeps it.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) file: FileId,
    pub(crate) size: u64,
    pub(crate) accessed: WallTime,
    pub(crate) modified: WallTime,
    pub(crate) changed: WallTime,
    pub(crate) created: WallTime,
    /// Its first name; none for the top directory and for what has lost all names.
    pub(crate) name: Option<NameAt>,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) links: u32,
    pub(crate) mode: u16,
    pub(crate) body: Body,
    /// What few nodes have.
    pub(crate) more: Option<Box<More>>,
}

/// What makes a node what it is.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    File(Extents),
    Directory,
    Symlink(Box<[u8]>),
    /// Its type and device number.
    Special(NodeType, u32),
}

/// What few nodes have.
#[derive(Clone, Debug, Default)]
pub(crate) struct More {
    pub(crate) names: Vec<NameAt>,
    /// In the order of their names.
    pub(crate) xattrs: Vec<Xattr>,
}

impl NodeType {
    /// Its number on disk.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::File => 1,
            Self::Directory => 2,
            Self::Symlink => 3,
            Self::Fifo => 4,
            Self::Socket => 5,
            Self::CharacterDevice => 6,
            Self::BlockDevice => 7,
        }
    }

    pub(crate) const fn is_device(self) -> bool {
        matches!(self, Self::CharacterDevice | Self::BlockDevice)
    }

    /// The type of that number.
    pub(crate) const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::File,
            2 => Self::Directory,
            3 => Self::Symlink,
            4 => Self::Fifo,
            5 => Self::Socket,
            6 => Self::CharacterDevice,
            7 => Self::BlockDevice,
            _ => return None,
        })
    }
}

impl Body {
    /// The body of a new node.
    pub(crate) fn new(node_type: NodeType, device: u32, target: &[u8]) -> Self {
        match node_type {
            NodeType::File => Self::File(Extents::none()),
            NodeType::Directory => Self::Directory,
            NodeType::Symlink => Self::Symlink(target.into()),
            NodeType::Fifo
            | NodeType::Socket
            | NodeType::CharacterDevice
            | NodeType::BlockDevice => Self::Special(node_type, device),
        }
    }
}

impl Node {
    pub(crate) const fn node_type(&self) -> NodeType {
        match &self.body {
            Body::File(_) => NodeType::File,
            Body::Directory => NodeType::Directory,
            Body::Symlink(_) => NodeType::Symlink,
            Body::Special(node_type, _) => *node_type,
        }
    }

    pub(crate) const fn is_directory(&self) -> bool {
        matches!(self.body, Body::Directory)
    }

    pub(crate) const fn device(&self) -> u32 {
        if let Body::Special(_, device) = self.body { device } else { 0 }
    }

    pub(crate) const fn extents(&self) -> Option<&Extents> {
        if let Body::File(extents) = &self.body { Some(extents) } else { None }
    }

    /// Where a link points.
    pub(crate) const fn target(&self) -> Option<&[u8]> {
        if let Body::Symlink(target) = &self.body { Some(target) } else { None }
    }

    pub(crate) fn attributes(&self) -> NodeAttributes {
        NodeAttributes {
            file: self.file,
            node_type: self.node_type(),
            mode: self.mode,
            uid: self.uid,
            gid: self.gid,
            links: self.links,
            size: self.size,
            allocated: self.extents().map_or(0, Extents::bytes),
            device: self.device(),
            accessed: self.accessed,
            modified: self.modified,
            changed: self.changed,
            created: self.created,
        }
    }

    /// All its names.
    pub(crate) fn names(&self) -> impl Iterator<Item = NameAt> {
        let others = self.more.iter().flat_map(|more| more.names.iter());
        self.name.into_iter().chain(others.copied())
    }

    pub(crate) fn add_name(&mut self, name: NameAt) {
        match self.name {
            None => self.name = Some(name),
            Some(_) => self.more.get_or_insert_default().names.push(name),
        }
    }

    pub(crate) fn remove_name(&mut self, name: NameAt) {
        let others = self.more.as_mut().map(|more| &mut more.names);
        if self.name == Some(name) {
            self.name = others.and_then(Vec::pop);
        } else if let Some(others) = others {
            others.retain(|other| *other != name);
        }
        self.forget_nothing();
    }

    pub(crate) fn xattrs(&self) -> &[Xattr] {
        self.more.as_ref().map_or(&[], |more| &more.xattrs)
    }

    /// Gives memory back that holds nothing.
    pub(crate) fn forget_nothing(&mut self) {
        if self.more.as_ref().is_some_and(|more| more.names.is_empty() && more.xattrs.is_empty()) {
            self.more = None;
        }
    }
}

impl Row for Node {
    type Key = FileId;

    fn key(&self) -> FileId {
        self.file
    }
}
