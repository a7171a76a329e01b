//! A glob: a path written with `*`, `?` and `**`.
//!
//! Bytes and segments; never looks at a file. Time grows with pattern times path, not faster.

use crate::SecretPath;

/// Segments to match one by one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Glob {
    pub(crate) segments: Vec<Segment>,
    /// The segments at its beginning that are written in full, as they stand in a path.
    pub(crate) head: Box<[u8]>,
    form: Form,
}

/// What a pattern comes to: the usual ones take one comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// All of it is written in full.
    Literal,
    /// `a/b/**`: what lies below its head.
    Below,
    /// `**/NAME`: the last part alone counts.
    Name,
    /// Anything else.
    Other,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    /// `**`: zero or more whole segments.
    Any,
    /// One segment that is written in full.
    Literal(Box<[u8]>),
    /// One segment with `*` and `?` inside it.
    Wild(Wild),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wild {
    text: Box<[u8]>,
    /// How much is written in full before the first `*` or `?`, and after the last.
    start: usize,
    end: usize,
    /// Whether one `*` is all there is between.
    is_one_star: bool,
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
                _ => Segment::of(part.as_bytes()),
            });
        }
        // A final `**` is at least one segment.
        if segments.last() == Some(&Segment::Any) {
            segments.push(Segment::of(b"*"));
        }
        let literals = segments.iter().map_while(|segment| match segment {
            Segment::Literal(text) => Some(&**text),
            Segment::Any | Segment::Wild(_) => None,
        });
        let literals: Vec<&[u8]> = literals.collect();
        let (head, rest) = (literals.join(&b'/').into(), segments.get(literals.len()..));
        let form = match (literals.len(), rest.unwrap_or_default()) {
            (_, []) => Form::Literal,
            (0, [Segment::Any, last]) if !last.is_any() => Form::Name,
            (1.., [Segment::Any, last]) if last.is_star() => Form::Below,
            _ => Form::Other,
        };
        Ok(Self { segments, head, form })
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
        let last_part = || path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        let takes_last = || self.segments.last().is_some_and(|segment| segment.takes(last_part()));
        match self.form {
            Form::Literal => *path == *self.head,
            Form::Below => {
                path.strip_prefix(&*self.head).is_some_and(|rest| rest.starts_with(b"/"))
            }
            Form::Name => takes_last(),
            // What most fail at comes first: where it begins, and how it ends.
            Form::Other => path.starts_with(&self.head) && takes_last() && self.matches_parts(path),
        }
    }

    fn matches_parts(&self, path: &[u8]) -> bool {
        let parts = path.split(|byte| *byte == b'/');
        matches_row(&self.segments, parts, Segment::is_any, |segment, part| segment.takes(part))
    }

    /// Whether it matches an absolute path.
    pub(crate) fn matches_absolute(&self, path: &[u8]) -> bool {
        path.strip_prefix(b"/").is_some_and(|path| self.matches(path))
    }

    /// The absolute path that is written in full.
    pub(crate) fn literal(&self) -> Option<Vec<u8>> {
        (self.form == Form::Literal).then(|| [b"/".as_slice(), &self.head].concat())
    }

    /// The one word that is written in full.
    pub(crate) fn word(&self) -> Option<&[u8]> {
        (self.form == Form::Literal).then_some(&*self.head)
    }

    /// Whether it surely matches all that `narrow` matches. May say no where yes were true.
    pub(crate) fn covers(&self, narrow: &Self) -> bool {
        let (wide, narrow) = (&self.segments, narrow.segments.iter());
        matches_row(wide, narrow, Segment::is_any, |wide, narrow| {
            !narrow.is_any() && (wide.is_star() || wide == *narrow)
        })
    }

    /// Whether it may match some name below `folder` (`None`: everything).
    pub(crate) fn reaches_below(&self, folder: Option<&SecretPath>) -> bool {
        self.rests_below(folder).next().is_some()
    }

    /// Whether it matches every name below `folder`.
    pub(crate) fn fills_below(&self, folder: Option<&SecretPath>) -> bool {
        self.rests_below(folder).any(is_everything)
    }

    /// What is left of the pattern after `folder`, in each way that leaves something.
    fn rests_below<'glob>(
        &'glob self,
        folder: Option<&SecretPath>,
    ) -> impl Iterator<Item = &'glob [Segment]> {
        let mut rests = vec![self.segments.as_slice()];
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

    fn of(text: &[u8]) -> Self {
        let is_wild = |byte: &u8| matches!(byte, b'*' | b'?');
        let places = text.iter().position(is_wild).zip(text.iter().rposition(is_wild));
        let Some((first, last)) = places else {
            return Self::Literal(text.into());
        };
        Self::Wild(Wild {
            text: text.into(),
            start: first,
            end: text.len() - last - 1,
            is_one_star: first == last && text.get(first) == Some(&b'*'),
        })
    }

    /// `*`: any one part.
    fn is_star(&self) -> bool {
        matches!(self, Self::Wild(wild) if *wild.text == *b"*")
    }

    fn takes(&self, part: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Literal(text) => **text == *part,
            Self::Wild(wild) => wild.takes(part),
        }
    }
}

impl Wild {
    pub(crate) fn start(&self) -> &[u8] {
        self.text.get(..self.start).unwrap_or_default()
    }

    pub(crate) fn end(&self) -> &[u8] {
        self.text.get(self.text.len() - self.end..).unwrap_or_default()
    }

    fn takes(&self, part: &[u8]) -> bool {
        part.len() >= self.start + self.end
            && part.starts_with(self.start())
            && part.ends_with(self.end())
            && (self.is_one_star
                || matches_row(
                    &self.text,
                    part.iter(),
                    |byte| *byte == b'*',
                    |wanted, byte| *wanted == b'?' || wanted == *byte,
                ))
    }
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
    rest.split_last().is_some_and(|(last, others)| {
        last.is_star() && !others.is_empty() && others.iter().all(Segment::is_any)
    })
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
}
