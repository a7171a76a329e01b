//! A filter: which entries somebody wants to see.

use crate::{Entry, EventType, Outcome, Timestamp};
use ward_policy::{RequestId, UserId, VaultName};

/// Which entries to show; what is absent lets everything through.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this vault.
    pub vault: Option<VaultName>,
    /// About a path like this.
    pub path: Option<PathGlob>,
    /// By this user.
    pub uid: Option<UserId>,
    /// Decided so.
    pub decision: Option<Outcome>,
    /// Of this kind.
    pub event: Option<EventType>,
    /// About this request or refusal.
    pub request: Option<RequestId>,
    /// At this time or later.
    pub since: Option<Timestamp>,
    /// Before this time.
    pub until: Option<Timestamp>,
    /// After this entry; what a follower has seen.
    pub after: Option<u64>,
    /// Only so many, the last ones.
    pub last: Option<usize>,
}

impl Filter {
    /// Whether the entry is wanted, as far as its own facts go.
    pub fn matches(&self, entry: &Entry<'_>) -> bool {
        let actor = entry.actor.as_ref();
        let is_about = |request: &RequestId| {
            let text = request.0.to_string();
            [&entry.request, &entry.approval].into_iter().flatten().any(|id| *id == text)
        };
        let has_path = |glob: &PathGlob| {
            [&entry.path, &entry.to].into_iter().flatten().any(|path| glob.matches(path))
        };
        self.vault.as_ref().is_none_or(|vault| entry.vault.as_deref() == Some(vault.as_str()))
            && self.path.as_ref().is_none_or(has_path)
            && self.uid.is_none_or(|uid| actor.is_some_and(|actor| actor.uid == uid.0))
            && self.decision.is_none_or(|each| entry.decision.as_deref() == Some(each.name()))
            && self.event.is_none_or(|event| entry.event_type == event)
            && self.request.as_ref().is_none_or(is_about)
            && self.since.is_none_or(|since| entry.ts >= since)
            && self.until.is_none_or(|until| entry.ts < until)
            && self.after.is_none_or(|after| entry.seq.0 > after)
    }
}

/// A pattern for paths as the log shows them: `*` is any text within one part, `**` any text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathGlob(Box<str>);

impl PathGlob {
    /// Every text is a pattern; one without `*` matches only itself.
    pub fn new(pattern: &str) -> Self {
        Self(pattern.into())
    }

    /// Whether the whole of `path` is like the pattern.
    pub fn matches(&self, path: &str) -> bool {
        is_like(self.0.as_bytes(), path.as_bytes())
    }
}

/// Goes back only to the last `*` and the last `**`, so the work is bounded by the product of the
/// lengths however many stars there are.
fn is_like(pattern: &[u8], path: &[u8]) -> bool {
    let mut at = (0, 0);
    let mut retry_part: Option<(usize, usize)> = None;
    let mut retry_any: Option<(usize, usize)> = None;
    loop {
        let (in_pattern, in_path) = at;
        let rest = pattern.get(in_pattern..).unwrap_or_default();
        if rest.starts_with(b"**") {
            at.0 += 2;
            (retry_any, retry_part) = (Some((at.0, in_path)), None);
            continue;
        }
        if rest.starts_with(b"*") {
            at.0 += 1;
            retry_part = Some((at.0, in_path));
            continue;
        }
        match (rest.first(), path.get(in_path)) {
            (None, None) => return true,
            (Some(wanted), Some(found)) if wanted == found => {
                at = (in_pattern + 1, in_path + 1);
                continue;
            }
            (_, _) => {}
        }
        let within_part =
            retry_part.filter(|(_, path_at)| path.get(*path_at).is_some_and(|byte| *byte != b'/'));
        if let Some((pattern_at, path_at)) = within_part {
            at = (pattern_at, path_at + 1);
            retry_part = Some(at);
        } else if let Some((pattern_at, path_at)) =
            retry_any.filter(|(_, path_at)| *path_at < path.len())
        {
            at = (pattern_at, path_at + 1);
            (retry_any, retry_part) = (Some(at), None);
        } else {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_star_stays_within_a_part_and_two_do_not() {
        for (pattern, path, is_match) in [
            ("db/password", "db/password", true),
            ("db/password", "db/password2", false),
            ("db/*", "db/password", true),
            ("db/*", "db/a/b", false),
            ("db/**", "db/a/b", true),
            ("**/key", "a/b/key", true),
            ("*/key", "a/b/key", false),
            ("**", "anything/at/all", true),
            ("**a*b/c", "xa/yab/ab/c", true),
            ("*a*", "bcd", false),
            ("", "a", false),
        ] {
            assert_eq!(PathGlob::new(pattern).matches(path), is_match, "{pattern} {path}");
        }
    }

    #[test]
    fn many_stars_take_no_time() {
        let pattern = "**a*".repeat(200);
        assert!(!PathGlob::new(&pattern).matches(&"a/b".repeat(60)));
    }
}
