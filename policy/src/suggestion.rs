//! The word that was probably meant.

/// The one of `words` that `text` is a slip of; `None` when none is near enough.
pub fn nearest<'word>(
    text: &str,
    words: impl IntoIterator<Item = &'word str>,
) -> Option<&'word str> {
    // A slip or two, fewer in a short word: more would be a guess.
    let most = match text.chars().count() {
        0..=2 => 0,
        3..=5 => 1,
        6..=64 => 2,
        _ => return None,
    };
    let near = words.into_iter().map(|word| (distance(text, word), word));
    let near = near.filter(|(distance, _)| *distance <= most);
    near.min_by_key(|(distance, _)| *distance).map(|(_, word)| word)
}

/// How many letters must be put in, left out, changed or swapped with the next (the optimal string
/// alignment distance).
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=to.len()).collect();
    for (row, letter) in from.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, other) in to.iter().enumerate() {
            let at = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX);
            let changed = at(&above, column) + usize::from(letter != other);
            let mut least = changed.min(at(&above, column + 1) + 1).min(at(&current, column) + 1);
            let swaps = row > 0
                && column > 0
                && from.get(row - 1) == Some(other)
                && to.get(column - 1) == Some(letter);
            if swaps {
                least = least.min(at(&before, column - 1).saturating_add(1));
            }
            current.push(least);
        }
        before = std::mem::replace(&mut above, current);
    }
    above.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_finds_the_word_and_a_guess_finds_none() {
        let words = ["file.read", "file.write", "file.list", "lease", "uid", "gid"];
        let near = |text| nearest(text, words);
        assert_eq!(near("file.raed"), Some("file.read"));
        assert_eq!(near("flie.wriet"), Some("file.write"));
        assert_eq!(near("leese"), Some("lease"));
        assert_eq!(near("uidd"), Some("uid"));
        for stranger in ["", "ud", "colour", "file.exec", &"x".repeat(70)] {
            assert_eq!(near(stranger), None, "{stranger}");
        }
    }

    #[test]
    fn a_distance_counts_each_change_once() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", "abc"), 0);
        assert_eq!(distance("abcd", "acbd"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
