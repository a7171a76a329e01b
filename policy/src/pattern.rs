//! A pattern: which secrets a rule speaks of, in every vault or in one.

use crate::glob::{Glob, Segment};
use crate::index::{Alternative, Demand, Key, Kind};
use crate::{SecretPath, VaultName};
use smallvec::smallvec;

/// A list of patterns, of which one must match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Patterns {
    /// `["*"]`: anything at all, also what has neither path nor vault.
    Anything,
    /// Any of these.
    AnyOf(Vec<Pattern>),
}

/// `prod/db/*`, `work:ci/**`: secrets of every vault, or of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    vault: Option<VaultName>,
    /// Written `*` or `**`: speaks of a vault as a whole, too.
    is_whole_vault: bool,
    glob: Glob,
}

impl Patterns {
    /// Whether one of them matches what lies at `path` of `vault`.
    pub(crate) fn matches(&self, vault: Option<&VaultName>, path: Option<&SecretPath>) -> bool {
        match self {
            Self::Anything => true,
            Self::AnyOf(patterns) => patterns.iter().any(|pattern| pattern.matches(vault, path)),
        }
    }

    /// Whether one of them may match some name below `folder` (`None`: the top of the vault).
    pub(crate) fn reaches_below(&self, vault: &VaultName, folder: Option<&SecretPath>) -> bool {
        match self {
            Self::Anything => true,
            Self::AnyOf(patterns) => patterns
                .iter()
                .any(|pattern| pattern.is_of(vault) && pattern.glob.reaches_below(folder)),
        }
    }

    /// Whether they match every name below `folder`.
    pub(crate) fn fill_below(&self, vault: &VaultName, folder: Option<&SecretPath>) -> bool {
        match self {
            Self::Anything => true,
            Self::AnyOf(patterns) => patterns
                .iter()
                .any(|pattern| pattern.is_of(vault) && pattern.glob.fills_below(folder)),
        }
    }

    /// Whether they surely match all that `other` matches. May say no where yes were true.
    pub(crate) fn cover(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Anything, _) => true,
            (Self::AnyOf(_), Self::Anything) => false,
            (Self::AnyOf(wide), Self::AnyOf(narrow)) => {
                narrow.iter().all(|narrow| wide.iter().any(|wide| wide.covers(narrow)))
            }
        }
    }
}

impl Patterns {
    /// By what a name that they match is found; `None` when they match anything.
    pub(crate) fn demand_of_name(&self) -> Option<Demand> {
        match self {
            Self::Anything => None,
            Self::AnyOf(patterns) => Some(patterns.iter().map(Pattern::handles_of_name).collect()),
        }
    }

    /// By what a folder is found below which they may match a name.
    pub(crate) fn demand_of_folder(&self) -> Option<Demand> {
        match self {
            Self::Anything => None,
            Self::AnyOf(patterns) => {
                Some(patterns.iter().map(Pattern::handles_of_folder).collect())
            }
        }
    }
}

impl Pattern {
    /// Reads `[VAULT:]GLOB`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let first = text.split('/').next().unwrap_or_default();
        let (vault, names) = match first.split_once(':') {
            Some((vault, _)) => (Some(vault), text.get(vault.len() + 1..).unwrap_or_default()),
            None => (None, text),
        };
        let glob = Glob::parse(names)?;
        let vault = vault
            .map(VaultName::try_from)
            .transpose()
            .map_err(|error| format!("{error}; for a ':' in a first folder's name write ?"))?;
        Ok(Self { vault, is_whole_vault: matches!(names, "*" | "**"), glob })
    }

    fn matches(&self, vault: Option<&VaultName>, path: Option<&SecretPath>) -> bool {
        let names = |path: &SecretPath| self.glob.matches(path.as_bytes());
        match vault {
            Some(vault) => self.is_of(vault) && path.map_or(self.is_whole_vault, names),
            // A name outside of every vault, such as that of an agent.
            None => self.vault.is_none() && path.is_some_and(names),
        }
    }

    fn handles_of_name(&self) -> Alternative {
        let mut handles: Alternative =
            self.vault_key().into_iter().map(|key| smallvec![key]).collect();
        // A whole vault is asked about without a path.
        if self.is_whole_vault {
            return handles;
        }
        let head = &self.glob.head;
        if !head.is_empty() {
            handles.push(smallvec![Key::bytes(Kind::Head, head)]);
        }
        for segment in &self.glob.segments {
            match segment {
                Segment::Any => {}
                Segment::Literal(text) => handles.push(smallvec![Key::bytes(Kind::Part, text)]),
                Segment::Wild(wild) => {
                    let edges = [Key::prefix(wild.start()), Key::suffix(wild.end())];
                    handles.extend(edges.into_iter().flatten().map(|key| smallvec![key]));
                }
            }
        }
        handles
    }

    fn handles_of_folder(&self) -> Alternative {
        let mut handles: Alternative =
            self.vault_key().into_iter().map(|key| smallvec![key]).collect();
        let head = &self.glob.head;
        if !head.is_empty() {
            // Every folder above its literal parts, and what lies below them all.
            let slashes = head.iter().enumerate().filter(|(_, byte)| **byte == b'/');
            let above = [0].into_iter().chain(slashes.map(|(place, _)| place));
            let above = above.filter_map(|end| head.get(..end));
            let above = above.map(|folder| Key::bytes(Kind::Below, folder));
            handles.push(above.chain([Key::bytes(Kind::Head, head)]).collect());
        }
        handles
    }

    fn vault_key(&self) -> Option<Key> {
        self.vault.as_ref().map(|vault| Key::bytes(Kind::Vault, vault.as_str().as_bytes()))
    }

    fn is_of(&self, vault: &VaultName) -> bool {
        self.vault.as_ref().is_none_or(|own| own == vault)
    }

    fn covers(&self, narrow: &Self) -> bool {
        let is_of_same = self.vault.is_none() || self.vault == narrow.vault;
        let keeps_whole_vault = self.is_whole_vault || !narrow.is_whole_vault;
        is_of_same && keeps_whole_vault && self.glob.covers(&narrow.glob)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vault_before_a_colon_limits_a_pattern() {
        let vault = |name| VaultName::try_from(name).unwrap();
        let path = SecretPath::try_from("a/b").unwrap();
        let in_work = Pattern::parse("work:a/*").unwrap();
        assert!(in_work.matches(Some(&vault("work")), Some(&path)));
        assert!(!in_work.matches(Some(&vault("home")), Some(&path)));
        assert!(!in_work.matches(None, Some(&path)));
        let colon = Pattern::parse("a/x:*").unwrap();
        let odd = SecretPath::try_from("a/x:y").unwrap();
        assert!(colon.matches(Some(&vault("work")), Some(&odd)));
    }

    #[test]
    fn what_a_pattern_covers_it_matches() {
        for (wide, narrow) in
            [("**", "a/*"), ("a/**", "a/b/**"), ("*/b", "a/b"), ("**/b", "**/a/b"), ("a", "a")]
        {
            let (wide, narrow) = (Pattern::parse(wide).unwrap(), Pattern::parse(narrow).unwrap());
            assert!(wide.covers(&narrow), "{wide:?} {narrow:?}");
        }
        for (wide, narrow) in
            [("a/*", "a/**"), ("a/*", "**"), ("**/b", "**"), ("work:**", "**"), ("**/*", "*")]
        {
            let (wide, narrow) = (Pattern::parse(wide).unwrap(), Pattern::parse(narrow).unwrap());
            assert!(!wide.covers(&narrow), "{wide:?} {narrow:?}");
        }
    }
}
