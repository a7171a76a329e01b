//! The tree: one hash over all entries (RFC 6962), by which a single entry can be proved.
//!
//! A leaf is the bytes of one entry. The chain shows where a log was changed; the tree shows that
//! an entry is in it, or that one head continues another, in a few hashes.

use crate::chain::hex;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;
use ward_policy::Digest;

/// The hash of a part of the tree, or of all of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TreeHash([u8; 32]);

impl TreeHash {
    /// SHA-256(0x00, the bytes of an entry).
    pub(crate) fn leaf(entry: &[u8]) -> Self {
        Self(Sha256::new_with_prefix([0]).chain_update(entry).finalize().into())
    }

    /// SHA-256(0x01, left, right).
    pub(crate) fn node(left: Self, right: Self) -> Self {
        let mut joined = [1; 65];
        joined[1..33].copy_from_slice(&left.0);
        joined[33..].copy_from_slice(&right.0);
        Self(Sha256::digest(joined).into())
    }

    /// The root of a tree without a leaf: SHA-256 of nothing.
    pub(crate) fn of_nothing() -> Self {
        Self(Sha256::digest([]).into())
    }

    /// The hash with these bytes.
    pub(crate) const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// As base64, the way that notes and proofs write it.
    pub fn to_base64(self) -> String {
        STANDARD.encode(self.0)
    }

    /// The hash with this base64.
    pub(crate) fn from_base64(text: &str) -> Option<Self> {
        STANDARD.decode(text).ok()?.try_into().ok().map(Self)
    }
}

impl fmt::Display for TreeHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        Digest::from_bytes(self.0).fmt(formatter)
    }
}

impl fmt::Debug for TreeHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Serialize for TreeHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(std::str::from_utf8(&hex(&self.0)).unwrap_or_default())
    }
}

impl<'de> Deserialize<'de> for TreeHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digest = Digest::from_hex(&text).ok_or_else(|| serde::de::Error::custom("no hash"))?;
        Ok(Self(*digest.as_bytes()))
    }
}

/// A tree, of which only the right edge is kept: the roots of its full parts, the largest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Frontier {
    size: u64,
    nodes: Vec<TreeHash>,
}

impl Frontier {
    /// The tree of `size` leaves with these full parts; `None` when their number does not fit.
    pub(crate) fn from_parts(size: u64, nodes: Vec<TreeHash>) -> Option<Self> {
        (nodes.len() == usize::try_from(size.count_ones()).ok()?).then_some(Self { size, nodes })
    }

    /// How many leaves it has.
    pub(crate) const fn size(&self) -> u64 {
        self.size
    }

    /// The roots of its full parts, the largest first: one for each bit of the size.
    pub(crate) fn nodes(&self) -> &[TreeHash] {
        &self.nodes
    }

    /// Adds a leaf.
    pub(crate) fn push(&mut self, leaf: TreeHash) {
        let mut node = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.nodes.pop() {
                node = TreeHash::node(left, node);
            }
        }
        self.nodes.push(node);
        self.size += 1;
    }

    /// The hash over all leaves.
    pub(crate) fn root(&self) -> TreeHash {
        let joined =
            self.nodes.iter().rev().copied().reduce(|right, left| TreeHash::node(left, right));
        joined.unwrap_or_else(TreeHash::of_nothing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6962, section 2.1, word by word.
    fn root_of(leaves: &[Vec<u8>]) -> TreeHash {
        match leaves {
            [] => TreeHash::of_nothing(),
            [leaf] => TreeHash::leaf(leaf),
            _ => {
                let left = leaves.len().next_power_of_two() / 2;
                TreeHash::node(root_of(&leaves[..left]), root_of(&leaves[left..]))
            }
        }
    }

    #[test]
    fn the_root_is_that_of_the_rfc_at_every_size() {
        let leaves: Vec<Vec<u8>> = (0..200_u8).map(|number| vec![number; 3]).collect();
        let mut tree = Frontier::default();
        for (size, leaf) in leaves.iter().enumerate() {
            assert_eq!(tree.root(), root_of(&leaves[..size]));
            assert_eq!(tree.nodes().len(), usize::try_from(tree.size().count_ones()).unwrap());
            tree.push(TreeHash::leaf(leaf));
        }
    }

    #[test]
    fn a_tree_goes_on_from_its_parts() {
        let mut tree = Frontier::default();
        (0..21_u8).for_each(|number| tree.push(TreeHash::leaf(&[number])));
        let mut again = Frontier::from_parts(tree.size(), tree.nodes().to_vec()).unwrap();
        tree.push(TreeHash::leaf(b"x"));
        again.push(TreeHash::leaf(b"x"));
        assert_eq!(tree, again);
        assert_eq!(Frontier::from_parts(22, tree.nodes()[1..].to_vec()), None);
    }
}
