//! Patterns as the reference evaluator understands them.

/// Meaning 4, by trying everything.
fn glob(pattern: &[&str], path: &[&str]) -> bool {
    match pattern {
        [] => path.is_empty(),
        ["**"] => !path.is_empty(),
        ["**", rest @ ..] => (0..=path.len()).any(|skip| glob(rest, &path[skip..])),
        [first, rest @ ..] => {
            !path.is_empty() && word(first.as_bytes(), path[0].as_bytes()) && glob(rest, &path[1..])
        }
    }
}

fn word(pattern: &[u8], text: &[u8]) -> bool {
    match pattern {
        [] => text.is_empty(),
        [b'*', rest @ ..] => (0..=text.len()).any(|skip| word(rest, &text[skip..])),
        [first, rest @ ..] => {
            !text.is_empty() && (*first == b'?' || *first == text[0]) && word(rest, &text[1..])
        }
    }
}

pub(super) fn names(pattern: &str, path: &str) -> bool {
    let pattern: Vec<_> = pattern.split('/').collect();
    glob(&pattern, &path.split('/').collect::<Vec<_>>())
}

fn pattern_matches(pattern: &str, vault: Option<&str>, path: Option<&str>) -> bool {
    let Some(vault) = vault else {
        return !pattern.contains(':') && path.is_some_and(|path| names(pattern, path));
    };
    let (own, rest) = pattern.split_once(':').unwrap_or((vault, pattern));
    own == vault
        && match path {
            None => rest == "*" || rest == "**",
            Some(path) => names(rest, path),
        }
}

pub(super) fn patterns_match<T: AsRef<str>>(
    patterns: &[T],
    vault: Option<&str>,
    path: Option<&str>,
) -> bool {
    let is_anything = patterns.len() == 1 && patterns[0].as_ref() == "*";
    is_anything || patterns.iter().any(|pattern| pattern_matches(pattern.as_ref(), vault, path))
}
