//! Access control lists (`acl(5)`), as the kernel keeps them in extended attributes.
//!
//! The kernel decides by them. Ours is what it leaves to a filesystem: a list and the mode say the
//! same, and a directory hands its default list down.

use ward_store::NodeType;

/// The list of a node.
pub(super) const ACCESS: &[u8] = b"system.posix_acl_access";
/// The list that a directory hands down.
pub(super) const DEFAULT: &[u8] = b"system.posix_acl_default";

/// The version of the form: 4 bytes, then 8 for each entry, little-endian.
const VERSION: [u8; 4] = 2_u32.to_le_bytes();
const ENTRY: usize = 8;
/// Tags of entries.
const OWNER: u16 = 0x01;
const GROUP: u16 = 0x04;
const MASK: u16 = 0x10;
const OTHERS: u16 = 0x20;

/// A list, as the kernel gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AccessList(Vec<Entry>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    tag: u16,
    permissions: u16,
    id: [u8; 4],
}

/// What a new node gets of the default list above it.
#[derive(Debug)]
pub(super) struct Inherited {
    pub(super) mode: u16,
    /// Its own list; `None` when the mode says all of it.
    pub(super) access: Option<AccessList>,
    /// What it hands down itself.
    pub(super) default: Option<AccessList>,
}

impl AccessList {
    /// Reads a list; `None` for what is none.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (entries, rest) = bytes.strip_prefix(&VERSION)?.as_chunks::<ENTRY>();
        let entry = |[tag, tag_high, permissions, permissions_high, id @ ..]: &[u8; ENTRY]| Entry {
            tag: u16::from_le_bytes([*tag, *tag_high]),
            permissions: u16::from_le_bytes([*permissions, *permissions_high]),
            id: *id,
        };
        rest.is_empty().then(|| Self(entries.iter().map(entry).collect()))
    }

    /// The list as the kernel takes it.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let entry = |entry: &Entry| {
            let [tag, tag_high] = entry.tag.to_le_bytes();
            let [permissions, permissions_high] = entry.permissions.to_le_bytes();
            let [a, b, c, d] = entry.id;
            [tag, tag_high, permissions, permissions_high, a, b, c, d]
        };
        VERSION.into_iter().chain(self.0.iter().flat_map(entry)).collect()
    }

    /// Whether it says no more than a mode can.
    pub(super) fn is_mode(&self) -> bool {
        self.0.iter().all(|entry| matches!(entry.tag, OWNER | GROUP | OTHERS))
    }

    /// The nine permission bits that say the same, as far as they can.
    pub(super) fn mode(&self) -> u16 {
        let of = |tag| self.0.iter().find(|entry| entry.tag == tag);
        let bits = |entry: Option<&Entry>| entry.map_or(0, |entry| entry.permissions & 7);
        bits(of(OWNER)) << 6 | bits(of(self.class())) << 3 | bits(of(OTHERS))
    }

    /// The list after its node got another mode.
    pub(super) fn with_mode(mut self, mode: u16) -> Self {
        self.change_classes(|_, bits| bits, mode);
        self
    }

    /// What a node with this default list above it gets, when it asks for `mode`.
    pub(super) fn hand_down(self, node_type: NodeType, mode: u16) -> Inherited {
        let mut own = self.clone();
        own.change_classes(|permissions, bits| permissions & bits, mode);
        Inherited {
            mode: mode & !0o777 | own.mode(),
            access: (!own.is_mode()).then_some(own),
            default: (node_type == NodeType::Directory).then_some(self),
        }
    }

    /// The entry that the group bits of a mode stand for.
    fn class(&self) -> u16 {
        if self.0.iter().any(|entry| entry.tag == MASK) { MASK } else { GROUP }
    }

    fn change_classes(&mut self, change: impl Fn(u16, u16) -> u16, mode: u16) {
        let class = self.class();
        for entry in &mut self.0 {
            let bits = match entry.tag {
                OWNER => mode >> 6 & 7,
                OTHERS => mode & 7,
                tag if tag == class => mode >> 3 & 7,
                _ => continue,
            };
            entry.permissions = change(entry.permissions, bits);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[(u16, u16)]) -> AccessList {
        let entry = |(tag, permissions): &(u16, u16)| Entry {
            tag: *tag,
            permissions: *permissions,
            id: [255; 4],
        };
        AccessList(entries.iter().map(entry).collect())
    }

    #[test]
    fn a_list_survives_its_form() {
        let full = list(&[(OWNER, 7), (2, 6), (GROUP, 5), (MASK, 4), (OTHERS, 0)]);
        assert_eq!(AccessList::parse(&full.bytes()), Some(full));
        assert_eq!(AccessList::parse(b"\x01\0\0\0"), None);
        assert_eq!(AccessList::parse(b"\x02\0\0\0\x01\0"), None);
    }

    #[test]
    fn group_bits_stand_for_the_mask_where_there_is_one() {
        let plain = list(&[(OWNER, 7), (GROUP, 5), (OTHERS, 1)]);
        assert_eq!((plain.mode(), plain.is_mode()), (0o751, true));
        let full = list(&[(OWNER, 7), (2, 6), (GROUP, 5), (MASK, 4), (OTHERS, 0)]);
        assert_eq!((full.mode(), full.is_mode()), (0o740, false));
        let changed = full.with_mode(0o623);
        assert_eq!(changed, list(&[(OWNER, 6), (2, 6), (GROUP, 5), (MASK, 2), (OTHERS, 3)]));
    }

    #[test]
    fn a_default_list_is_handed_down_within_the_mode_asked_for() {
        let default = list(&[(OWNER, 7), (2, 7), (GROUP, 7), (MASK, 7), (OTHERS, 5)]);
        let file = default.clone().hand_down(NodeType::File, 0o2640);
        assert_eq!((file.mode, file.default), (0o2640, None));
        let own = list(&[(OWNER, 6), (2, 7), (GROUP, 7), (MASK, 4), (OTHERS, 0)]);
        assert_eq!(file.access, Some(own));
        let folder = default.clone().hand_down(NodeType::Directory, 0o777);
        assert_eq!((folder.mode, folder.default), (0o775, Some(default)));
        let plain = list(&[(OWNER, 7), (GROUP, 0), (OTHERS, 0)]).hand_down(NodeType::File, 0o666);
        assert_eq!((plain.mode, plain.access), (0o600, None));
    }
}
