//! A pattern: which secrets, or which programs, a rule speaks of.
//!
//! Bytes and segments; never looks at a file. Time grows with pattern times path, not faster.

use crate::index::{Alternative, Demand, Key, Kind};
use crate::{SecretPath, VaultName};

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

/// Segments to match one by one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Glob(Vec<Segment>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    /// `**`: zero or more whole segments.
    Any,
    /// One segment, with `*` and `?` inside it.
    One(Box<[u8]>),
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
            Self::AnyOf(patterns) => patterns.iter().any(|pattern| {
                pattern.is_of(vault) && pattern.glob.rests_below(folder).next().is_some()
            }),
        }
    }

    /// Whether they match every name below `folder`.
    pub(crate) fn fill_below(&self, vault: &VaultName, folder: Option<&SecretPath>) -> bool {
        match self {
            Self::Anything => true,
            Self::AnyOf(patterns) => patterns.iter().any(|pattern| {
                pattern.is_of(vault) && pattern.glob.rests_below(folder).any(is_everything)
            }),
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
        let mut handles: Alternative = self.vault_key().into_iter().map(|key| vec![key]).collect();
        // A whole vault is asked about without a path.
        if self.is_whole_vault {
            return handles;
        }
        let head = self.glob.head();
        if !head.is_empty() {
            handles.push(vec![Key::bytes(Kind::Head, &head.join(&b'/'))]);
        }
        for segment in &self.glob.0 {
            let Segment::One(text) = segment else { continue };
            match literal_edges(text) {
                None => handles.push(vec![Key::bytes(Kind::Part, text)]),
                Some((start, end)) => {
                    let edges = [Key::prefix(start), Key::suffix(end)];
                    handles.extend(edges.into_iter().flatten().map(|key| vec![key]));
                }
            }
        }
        handles
    }

    fn handles_of_folder(&self) -> Alternative {
        let mut handles: Alternative = self.vault_key().into_iter().map(|key| vec![key]).collect();
        let head = self.glob.head();
        if !head.is_empty() {
            // Every folder above its literal parts, and what lies below them all.
            let above = (0..head.len()).filter_map(|count| head.get(..count));
            let above = above.map(|parts| Key::bytes(Kind::Below, &parts.join(&b'/')));
            let own = Key::bytes(Kind::Head, &head.join(&b'/'));
            handles.push(above.chain([own]).collect());
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

impl Glob {
    /// Reads a pattern of relative paths.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let fault = |message: &str| Err(format!("bad pattern {text:?}: {message}"));
        if text.is_empty() {
            return fault("it is empty; write * for any name");
        }
        let forbidden = |character: char| "[]{}\\".contains(character);
        if let Some(character) = text.chars().find(|character| forbidden(*character)) {
            return fault(&format!("'{character}' has no meaning here; write ? for it"));
        }
        if text.chars().any(char::is_control) {
            return fault("it has a control character, which no name has; remove it");
        }
        let mut segments = Vec::new();
        for part in text.split('/') {
            segments.push(match part {
                "" => return fault("it has an empty part; use single slashes, none at the ends"),
                "." | ".." => return fault("a part is '.' or '..'; names cannot climb"),
                "**" => Segment::Any,
                _ if part.contains("**") => return fault("'**' must be a part of its own; use *"),
                _ => Segment::One(part.as_bytes().into()),
            });
        }
        // A final `**` is at least one segment.
        if segments.last() == Some(&Segment::Any) {
            segments.push(Segment::One(b"*".as_slice().into()));
        }
        Ok(Self(segments))
    }

    /// Reads a pattern of absolute paths, as programs have.
    pub(crate) fn parse_absolute(text: &str) -> Result<Self, String> {
        let relative = text.strip_prefix('/').ok_or_else(|| {
            format!("bad pattern {text:?}: a program's path starts with '/'; write it in full")
        })?;
        Self::parse(relative)
    }

    /// Whether it matches a relative path.
    pub(crate) fn matches(&self, path: &[u8]) -> bool {
        matches_row(&self.0, path.split(|byte| *byte == b'/'), Segment::is_any, |segment, part| {
            segment.takes(part)
        })
    }

    /// Whether it matches an absolute path.
    pub(crate) fn matches_absolute(&self, path: &[u8]) -> bool {
        path.strip_prefix(b"/").is_some_and(|path| self.matches(path))
    }

    /// The key of an absolute path that is written in full.
    pub(crate) fn literal(&self) -> Option<Vec<u8>> {
        let parts = self.head();
        (parts.len() == self.0.len()).then(|| [b"/".as_slice(), &parts.join(&b'/')].concat())
    }

    /// The parts at its beginning that are written in full.
    fn head(&self) -> Vec<&[u8]> {
        let literal = |segment: &'_ Segment| match segment {
            Segment::One(text) if literal_edges(text).is_none() => true,
            Segment::One(_) | Segment::Any => false,
        };
        let parts = self.0.iter().take_while(|segment| literal(segment));
        parts.map(Segment::text).collect()
    }

    /// Whether it surely matches all that `narrow` matches. May say no where yes were true.
    fn covers(&self, narrow: &Self) -> bool {
        matches_row(&self.0, narrow.0.iter(), Segment::is_any, |wide, narrow| {
            matches!((wide, narrow), (Segment::One(wide), Segment::One(narrow))
                if &**wide == b"*" || wide == narrow)
        })
    }

    /// What is left of the pattern after `folder`, in each way that leaves something.
    fn rests_below<'glob>(
        &'glob self,
        folder: Option<&SecretPath>,
    ) -> impl Iterator<Item = &'glob [Segment]> {
        let mut rests = vec![self.0.as_slice()];
        for part in folder.into_iter().flat_map(SecretPath::parts) {
            rests =
                rests.into_iter().flat_map(skips).filter_map(|rest| after(rest, part)).collect();
            rests.sort_unstable_by_key(|rest| rest.len());
            rests.dedup_by_key(|rest| rest.len());
        }
        rests.into_iter().filter(|rest| !rest.is_empty())
    }
}

impl Segment {
    const fn is_any(&self) -> bool {
        matches!(self, Self::Any)
    }

    fn text(&self) -> &[u8] {
        match self {
            Self::Any => b"**",
            Self::One(text) => text,
        }
    }

    fn takes(&self, part: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::One(pattern) => matches_row(
                pattern,
                part.iter(),
                |byte| *byte == b'*',
                |wanted, byte| *wanted == b'?' || wanted == *byte,
            ),
        }
    }
}

/// What is written in full before the first `*` or `?` and after the last; `None` when all of it is.
fn literal_edges(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let is_wild = |byte: &u8| matches!(byte, b'*' | b'?');
    let start = text.get(..text.iter().position(is_wild)?)?;
    let end = text.get(text.iter().rposition(is_wild)? + 1..)?;
    Some((start, end))
}

/// `rest`, and `rest` with its leading `**` taken as nothing.
fn skips(rest: &[Segment]) -> impl Iterator<Item = &[Segment]> {
    let skipped = rest.iter().take_while(|segment| segment.is_any()).count();
    (0..=skipped).filter_map(move |count| rest.get(count..))
}

/// What is left of `rest` when its first segment takes `part`; a `**` stays.
fn after<'glob>(rest: &'glob [Segment], part: &[u8]) -> Option<&'glob [Segment]> {
    let (first, remaining) = rest.split_first()?;
    if first.is_any() { Some(rest) } else { first.takes(part).then_some(remaining) }
}

/// Whether the rest of a pattern takes every path: `**`.
fn is_everything(rest: &[Segment]) -> bool {
    matches!(rest.split_last(), Some((Segment::One(last), others))
        if &**last == b"*" && !others.is_empty() && others.iter().all(Segment::is_any))
}

/// Matches a row of items against a pattern in which `is_star` elements take any run of items.
///
/// After a mismatch only the last star takes one more: what an earlier one could take, the last
/// can take as well. So the time is at most pattern times items.
fn matches_row<P, I, T>(
    pattern: &[P],
    mut items: I,
    is_star: impl Fn(&P) -> bool,
    takes: impl Fn(&P, &T) -> bool,
) -> bool
where
    I: Iterator<Item = T> + Clone,
{
    let mut rest = pattern;
    let mut retry: Option<(&[P], I)> = None;
    loop {
        if let Some((star, remaining)) = rest.split_first()
            && is_star(star)
        {
            rest = remaining;
            retry = Some((remaining, items.clone()));
            continue;
        }
        let mut ahead = items.clone();
        match (rest.split_first(), ahead.next()) {
            (None, None) => return true,
            (Some((wanted, remaining)), Some(item)) if takes(wanted, &item) => {
                rest = remaining;
                items = ahead;
            }
            (_, None) => return false,
            (_, Some(_)) => {
                let Some((after_star, from)) = &mut retry else {
                    return false;
                };
                from.next();
                rest = after_star;
                items = from.clone();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &[u8]) -> bool {
        Glob::parse(pattern).unwrap().matches(path)
    }

    #[test]
    fn a_pattern_matches_what_the_design_says() {
        for (pattern, path, expected) in [
            ("a/b", "a/b", true),
            ("a/b", "a/B", false),
            ("a/b", "a", false),
            ("a/b", "a/b/c", false),
            ("a/*", "a/b", true),
            ("a/*", "a/b/c", false),
            ("a/*", "a", false),
            ("*", "a/b", false),
            ("a*", "a", true),
            ("a*c*e", "abcde", true),
            ("a*c*e", "abcd", false),
            ("?", "ab", false),
            ("a?c", "abc", true),
            ("a?c", "a/c", false),
            ("**", "a", true),
            ("**", "a/b/c", true),
            ("a/**", "a", false),
            ("a/**", "a/b/c", true),
            ("**/b", "b", true),
            ("**/b", "a/x/b", true),
            ("**/b", "a/xb", false),
            ("a/**/b", "a/b", true),
            ("a/**/b", "a/x/y/b", true),
            ("a/**/b/**", "a/b", false),
            ("a/**/b/**", "a/b/b", true),
            ("**/a/**/a", "a/x/a/y/a", true),
            ("**/**", "a", true),
            ("ci/*/env", "ci/app/env", true),
            ("ci/*/env", "ci/app/x/env", false),
            ("**/root-ca*", "prod/root-ca.key", true),
        ] {
            assert_eq!(matches(pattern, path.as_bytes()), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn a_pattern_is_about_bytes() {
        assert!(matches("*", b"\xff\xfe"));
        assert!(matches("?b", b"\xffb"));
        assert!(matches("??", "\u{e4}".as_bytes()));
        assert!(!matches("?", "\u{e4}".as_bytes()));
    }

    #[test]
    fn a_program_is_named_by_its_whole_path() {
        let program = Glob::parse_absolute("/usr/bin/claude*").unwrap();
        assert!(program.matches_absolute(b"/usr/bin/claude-2"));
        for other in [b"/opt/usr/bin/claude".as_slice(), b"usr/bin/claude", b"/usr/bin/x/claude"] {
            assert!(!program.matches_absolute(other));
        }
        let (none, root): (&[u8], &[u8]) = (b"", b"/");
        assert!(!program.matches_absolute(none) && !program.matches_absolute(root));
    }

    /// Takes for ever when each star multiplies the work.
    #[test]
    fn many_stars_cost_no_more_than_their_number() {
        let name = [b"a".repeat(250), b"c".to_vec()].concat();
        assert!(!matches(&"*a".repeat(100), &name));
        assert!(!matches("*a*a*a*a*a*a*a*a*a*a*a*a*b", &name));
        let path = b"a/".repeat(2000);
        assert!(!matches(&format!("{}b", "**/a/".repeat(500)), &path));
        assert!(!matches(&format!("{}b", "**/*a*/".repeat(100)), &path));
    }

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
