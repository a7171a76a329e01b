//! An index: which rules or targets a question could be about, found without looking at the others.
//!
//! Each item is filed under its rarest demand. What is found is a superset: whoever asks checks each
//! candidate whole, so that two keys of one hash cost time and nothing else.

use crate::{Caller, OperationSet, Question, SecretPath, VaultName};
use smallvec::SmallVec;

/// The longest beginning or end of a part that is a key, in bytes.
const LONGEST_EDGE: usize = 63;

/// What a key is about. Keys of two kinds differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An operation, by its name.
    Operation,
    /// The uid of the request.
    User,
    /// The gid of the request.
    Group,
    /// Who logged in.
    Login,
    /// The path of the program.
    Program,
    /// The agent of the session.
    Agent,
    /// The vault.
    Vault,
    /// The first parts of the path, whole.
    Head,
    /// One part of the path, whole.
    Part,
    /// The beginning of one part.
    Prefix,
    /// The end of one part.
    Suffix,
    /// A folder somewhere below which something is meant.
    Below,
}

/// Something that a question or its caller shows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    kind: Kind,
    hash: u64,
    length: usize,
}

/// Keys of which a question shows one whenever a demand is met.
pub(crate) type Handle = SmallVec<[Key; 1]>;
/// Ways of finding one alternative, of which one is enough.
pub(crate) type Alternative = SmallVec<[Handle; 4]>;
/// A demand that is met by any of its alternatives; each must be found.
pub(crate) type Demand = SmallVec<[Alternative; 1]>;
/// An item by its number, and all its demands.
pub(crate) type Item = (usize, SmallVec<[Demand; 3]>);

/// Items by their keys.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// Those without a key: candidates for everything.
    everywhere: Vec<usize>,
    /// Where each bucket begins in `entries`, and at last their number.
    starts: Vec<u32>,
    entries: Vec<(u64, usize)>,
    /// The kinds and lengths that occur: nothing else is looked for.
    kinds: u32,
    prefixes: u64,
    suffixes: u64,
}

/// FNV-1a, which can be continued byte by byte.
#[derive(Clone, Copy)]
struct Hash(u64);

impl Hash {
    const EMPTY: Self = Self(0xcbf2_9ce4_8422_2325);

    const fn with(self, byte: u8) -> Self {
        Self((self.0 ^ byte as u64).wrapping_mul(0x0100_0000_01b3))
    }

    fn of<'a>(bytes: impl IntoIterator<Item = &'a u8>) -> Self {
        bytes.into_iter().fold(Self::EMPTY, |hash, byte| hash.with(*byte))
    }

    /// As it is kept: apart from the same bytes of another kind, and even in its upper bits.
    const fn of_kind(self, kind: Kind) -> u64 {
        let seed = (kind as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ seed).wrapping_mul(0xd6e8_feb8_6659_fd93);
        (mixed ^ mixed >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93)
    }
}

impl Key {
    fn of(kind: Kind, hash: Hash, length: usize) -> Self {
        Self { kind, hash: hash.of_kind(kind), length }
    }

    /// The key of some bytes, such as a name.
    pub(crate) fn bytes(kind: Kind, bytes: &[u8]) -> Self {
        Self::of(kind, Hash::of(bytes), bytes.len())
    }

    /// The key of a number.
    pub(crate) fn number(kind: Kind, number: u32) -> Self {
        Self::bytes(kind, &number.to_le_bytes())
    }

    /// The beginning of a part, cut to what is looked for.
    pub(crate) fn prefix(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..bytes.len().min(LONGEST_EDGE))?;
        (!bytes.is_empty()).then(|| Self::bytes(Kind::Prefix, bytes))
    }

    /// The end of a part, cut to what is looked for.
    pub(crate) fn suffix(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(bytes.len().saturating_sub(LONGEST_EDGE)..)?;
        let hash = Hash::of(bytes.iter().rev());
        (!bytes.is_empty()).then(|| Self::of(Kind::Suffix, hash, bytes.len()))
    }
}

impl Index {
    /// Files each item, by its number, under the rarest of its demands.
    pub(crate) fn of(items: &[Item]) -> Self {
        let keys =
            items.iter().flat_map(|(_, demands)| demands.iter().flatten().flatten().flatten());
        let mut hashes: Vec<u64> = keys.map(|key| key.hash).collect();
        hashes.sort_unstable();
        let count = |hash: u64| {
            let before = hashes.partition_point(|other| *other < hash);
            hashes.partition_point(|other| *other <= hash) - before
        };
        let rarity = |handle: &&Handle| -> usize { handle.iter().map(|key| count(key.hash)).sum() };
        let mut index = Self::default();
        let mut entries = Vec::new();
        for (number, demands) in items {
            let number = *number;
            // A demand with an alternative that shows no key finds nothing.
            let found = demands.iter().filter_map(|demand| {
                let rarest = demand.iter().map(|handles| handles.iter().min_by_key(rarity));
                rarest.collect::<Option<Vec<&Handle>>>()
            });
            match found.min_by_key(|handles| handles.iter().map(rarity).sum::<usize>()) {
                Some(handles) => {
                    let keys = handles.into_iter().flatten();
                    entries.extend(keys.map(|key| (index.note(*key), number)));
                }
                None => index.everywhere.push(number),
            }
        }
        entries.sort_unstable();
        entries.dedup();
        index.spread(entries);
        index
    }

    fn note(&mut self, key: Key) -> u64 {
        self.kinds |= 1 << key.kind as u32;
        if key.kind == Kind::Prefix {
            self.prefixes |= 1 << key.length;
        }
        if key.kind == Kind::Suffix {
            self.suffixes |= 1 << key.length;
        }
        key.hash
    }

    /// Lays sorted entries out by buckets.
    fn spread(&mut self, entries: Vec<(u64, usize)>) {
        let buckets = (entries.len() * 2).next_power_of_two();
        let bits = buckets.trailing_zeros();
        let mut next = 0;
        for bucket in 0..buckets {
            self.starts.push(u32::try_from(next).unwrap_or(u32::MAX));
            while entries.get(next).is_some_and(|(hash, _)| bucket_of(*hash, bits) == bucket) {
                next += 1;
            }
        }
        self.starts.push(u32::try_from(next).unwrap_or(u32::MAX));
        self.entries = entries;
    }

    /// Calls `visit` with every item that the question could be about, some more than once.
    pub(crate) fn visit(
        &self,
        caller: &Caller,
        question: &Question<'_>,
        operations: OperationSet,
        mut visit: impl FnMut(usize),
    ) {
        self.visit_caller(caller, operations, &mut visit);
        self.visit_place(question, visit);
    }

    /// The same by vault and path alone.
    pub(crate) fn visit_place(&self, question: &Question<'_>, mut visit: impl FnMut(usize)) {
        self.everywhere.iter().for_each(|item| visit(*item));
        if let Some(vault) = question.vault.filter(|_| self.has(Kind::Vault)) {
            self.find(Kind::Vault, Hash::of(vault.as_str().as_bytes()), &mut visit);
        }
        let Some(path) = question.path else { return };
        if self.has(Kind::Head) {
            self.visit_heads(path.as_bytes(), &mut visit);
        }
        if self.has(Kind::Part) || self.has(Kind::Prefix) || self.has(Kind::Suffix) {
            path.parts().for_each(|part| self.visit_part(part, &mut visit));
        }
    }

    /// Calls `visit` with every item that some name below `folder` could be about.
    pub(crate) fn visit_below(
        &self,
        caller: &Caller,
        (vault, folder): (&VaultName, Option<&SecretPath>),
        operations: OperationSet,
        mut visit: impl FnMut(usize),
    ) {
        self.visit_caller(caller, operations, &mut visit);
        self.everywhere.iter().for_each(|item| visit(*item));
        if self.has(Kind::Vault) {
            self.find(Kind::Vault, Hash::of(vault.as_str().as_bytes()), &mut visit);
        }
        let folder = folder.map(SecretPath::as_bytes).unwrap_or_default();
        self.find(Kind::Below, Hash::of(folder), &mut visit);
        self.visit_heads(folder, &mut visit);
    }

    fn visit_caller(
        &self,
        caller: &Caller,
        operations: OperationSet,
        visit: &mut impl FnMut(usize),
    ) {
        if self.has(Kind::Operation) {
            for operation in operations.iter() {
                self.find(Kind::Operation, Hash::of(operation.name().as_bytes()), visit);
            }
        }
        let number = |number: u32| Hash::of(&number.to_le_bytes());
        if self.has(Kind::User) {
            self.find(Kind::User, number(caller.uid.0), visit);
        }
        if self.has(Kind::Group) {
            self.find(Kind::Group, number(caller.gid.0), visit);
        }
        if let Some(user) = caller.login_uid.filter(|_| self.has(Kind::Login)) {
            self.find(Kind::Login, number(user.0), visit);
        }
        for name in caller.agent_names().filter(|_| self.has(Kind::Agent)) {
            self.find(Kind::Agent, Hash::of(name.as_str().as_bytes()), visit);
        }
        let program = caller.executable.as_ref().and_then(|program| program.path.as_deref());
        if let Some(program) = program.filter(|_| self.has(Kind::Program)) {
            self.find(Kind::Program, Hash::of(program), visit);
        }
    }

    fn visit_heads(&self, path: &[u8], visit: &mut impl FnMut(usize)) {
        let mut hash = Hash::EMPTY;
        for byte in path {
            if *byte == b'/' {
                self.find(Kind::Head, hash, visit);
            }
            hash = hash.with(*byte);
        }
        self.find(Kind::Head, hash, visit);
    }

    fn visit_part(&self, part: &[u8], visit: &mut impl FnMut(usize)) {
        let is_meant = |lengths: u64, length: usize| {
            length < LONGEST_EDGE && lengths & (1 << (length + 1)) != 0
        };
        let mut hash = Hash::EMPTY;
        for (place, byte) in part.iter().enumerate() {
            hash = hash.with(*byte);
            if is_meant(self.prefixes, place) {
                self.find(Kind::Prefix, hash, visit);
            }
        }
        if self.has(Kind::Part) {
            self.find(Kind::Part, hash, visit);
        }
        if self.has(Kind::Suffix) {
            let mut hash = Hash::EMPTY;
            for (place, byte) in part.iter().rev().take(LONGEST_EDGE).enumerate() {
                hash = hash.with(*byte);
                if is_meant(self.suffixes, place) {
                    self.find(Kind::Suffix, hash, visit);
                }
            }
        }
    }

    const fn has(&self, kind: Kind) -> bool {
        self.kinds & (1 << kind as u32) != 0
    }

    fn find(&self, kind: Kind, hash: Hash, visit: &mut impl FnMut(usize)) {
        let hash = hash.of_kind(kind);
        let bits = (self.starts.len() - 1).trailing_zeros();
        let bucket = bucket_of(hash, bits);
        let (Some(from), Some(to)) = (self.starts.get(bucket), self.starts.get(bucket + 1)) else {
            return;
        };
        let found = self.entries.get(*from as usize..*to as usize).unwrap_or_default();
        for (entry, item) in found {
            if *entry == hash {
                visit(*item);
            }
        }
    }
}

/// The upper bits, so that sorted hashes are sorted by bucket.
fn bucket_of(hash: u64, bits: u32) -> usize {
    usize::try_from(hash.checked_shr(64 - bits).unwrap_or(0)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::Pattern;
    use crate::pattern::Patterns;

    fn index(patterns: &[&str]) -> Index {
        let item = |(number, text): (usize, &&str)| {
            let pattern = Patterns::AnyOf(vec![Pattern::parse(text).unwrap()]);
            (number, pattern.demand_of_name().into_iter().collect())
        };
        Index::of(&patterns.iter().enumerate().map(item).collect::<Vec<_>>())
    }

    fn found(index: &Index, path: &str) -> Vec<usize> {
        let path = SecretPath::try_from(path).unwrap();
        let vault = VaultName::try_from("work").unwrap();
        let question = Question { vault: Some(&vault), path: Some(&path), ..Question::default() };
        let mut found = Vec::new();
        index.visit_place(&question, |item| found.push(item));
        found.sort_unstable();
        found.dedup();
        found
    }

    #[test]
    fn only_what_shares_a_key_with_the_path_is_found() {
        let patterns = ["a/b", "a/**", "**/env", "**/key-*", "**/*.pem", "home:x/*", "**", "?"];
        let index = index(&patterns);
        assert_eq!(found(&index, "a/b"), [0, 1, 6, 7]);
        assert_eq!(found(&index, "a/c/env"), [1, 2, 6, 7]);
        assert_eq!(found(&index, "z/key-1.pem"), [3, 4, 6, 7]);
        assert_eq!(found(&index, "z/key"), [6, 7]);
        assert_eq!(found(&index, "zz"), [6, 7]);
    }

    #[test]
    fn a_beginning_of_any_length_finds_its_pattern() {
        for length in [1, 62, 63, 64, 200] {
            let stem = "k".repeat(length);
            let edges = index(&[&format!("**/{stem}*"), &format!("**/*{stem}")]);
            for more in ["", "x"] {
                let path = format!("a/{more}{stem}{more}");
                let expected = usize::from(more.is_empty()) + 1;
                assert!(found(&edges, &format!("a/{stem}{more}")).contains(&0), "{length}");
                assert!(found(&edges, &format!("a/{more}{stem}")).contains(&1), "{length}");
                assert!(found(&edges, &path).len() <= expected, "{length}");
            }
        }
    }

    #[test]
    fn an_index_of_nothing_finds_nothing() {
        assert_eq!(found(&Index::of(&[]), "a"), [0; 0]);
    }
}
