//! A template: a command line in one text, with a place in it. Split into words as shells do, and by
//! no shell: nothing in it is expanded.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// What stands for the secret.
pub const SECRET: &str = "{secret}";
/// What stands for the path of its file.
pub const FILE: &str = "{file}";
/// Stands for a secret that is not known yet: no host has such a name.
pub(super) const STAND_IN: &str = "ward-secret-stands-here";

/// A template that a policy names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Template {
    text: String,
    words: Vec<String>,
}

/// A text is no template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A quote has no end.
    #[error("the template has a quote without its end")]
    OpenQuote,
    /// Its last character is a backslash.
    #[error("the template ends with a backslash")]
    OpenEscape,
    /// There is no word.
    #[error("the template is empty")]
    Empty,
    /// There is no place.
    #[error("the template has no {0}")]
    NoPlace(&'static str),
    /// The place is in the name of the program.
    #[error("the template has {0} in its first word, which is the command")]
    InCommand(&'static str),
    /// Of a word of a command line.
    #[error("the template has a control character")]
    Control,
}

impl Template {
    /// Its words.
    pub fn words(&self) -> &[String] {
        &self.words
    }
}

impl TryFrom<String> for Template {
    type Error = TemplateError;

    fn try_from(text: String) -> Result<Self, TemplateError> {
        let words = split(&text)?;
        let place = if words.iter().any(|word| word.contains(FILE)) { FILE } else { SECRET };
        check(&words, place)?;
        Ok(Self { text, words })
    }
}

impl From<Template> for String {
    fn from(template: Template) -> Self {
        template.text
    }
}

/// The words with `place` replaced. Wiped when dropped.
pub fn fill(words: &[String], place: &str, by: &str) -> Zeroizing<Vec<String>> {
    Zeroizing::new(words.iter().map(|word| filled(word, place, by)).collect())
}

/// Made at once in its whole length, so that no copy of a part stays behind.
fn filled(word: &str, place: &str, by: &str) -> String {
    let places = word.matches(place).count();
    let mut text = String::with_capacity(word.len() + places * by.len());
    for (number, part) in word.split(place).enumerate() {
        text.push_str(if number == 0 { "" } else { by });
        text.push_str(part);
    }
    text
}

/// Whether words are a template with this place.
pub(super) fn check(words: &[String], place: &'static str) -> Result<(), TemplateError> {
    let Some((command, rest)) = words.split_first() else { return Err(TemplateError::Empty) };
    if words.iter().any(|word| word.chars().any(char::is_control)) {
        return Err(TemplateError::Control);
    }
    if let Some(place) = [SECRET, FILE].into_iter().find(|place| command.contains(place)) {
        return Err(TemplateError::InCommand(place));
    }
    if rest.iter().any(|word| word.contains(place)) {
        return Ok(());
    }
    Err(TemplateError::NoPlace(place))
}

/// The words of a text: spaces part them, quotes and backslashes keep them together (POSIX shells, 2.2).
///
/// # Errors
/// A quote or a backslash without its end.
pub fn split(text: &str) -> Result<Vec<String>, TemplateError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            ' ' | '\t' | '\n' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next().ok_or(TemplateError::OpenQuote)? {
                        '\'' => break,
                        quoted => word.push(quoted),
                    }
                }
            }
            '"' => quoted(&mut characters, word.get_or_insert_default())?,
            '\\' => {
                let escaped = characters.next().ok_or(TemplateError::OpenEscape)?;
                word.get_or_insert_default().push(escaped);
            }
            plain => word.get_or_insert_default().push(plain),
        }
    }
    words.extend(word);
    Ok(words)
}

fn quoted(characters: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), TemplateError> {
    loop {
        match characters.next().ok_or(TemplateError::OpenQuote)? {
            '"' => return Ok(()),
            '\\' => match characters.next().ok_or(TemplateError::OpenQuote)? {
                escaped @ ('"' | '\\' | '$' | '`') => word.push(escaped),
                plain => word.extend(['\\', plain]),
            },
            plain => word.push(plain),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Result<Vec<String>, TemplateError> {
        split(text)
    }

    #[test]
    fn words_are_split_as_shells_do_and_nothing_is_expanded() {
        let text = r#"curl  -H 'X-Key: {secret}' "a \"b\" \n" c\ d '' $HOME `id` *"#;
        let split =
            ["curl", "-H", "X-Key: {secret}", r#"a "b" \n"#, "c d", "", "$HOME", "`id`", "*"];
        assert_eq!(words(text).unwrap(), split);
        assert_eq!(words("a 'b"), Err(TemplateError::OpenQuote));
        assert_eq!(words("a \"b"), Err(TemplateError::OpenQuote));
        assert_eq!(words("a \\"), Err(TemplateError::OpenEscape));
    }

    #[test]
    fn a_template_has_its_place_and_not_in_the_command() {
        let read = |text: &str| Template::try_from(text.to_owned()).map(|_| ());
        assert_eq!(read("curl -u me:{secret} x"), Ok(()));
        assert_eq!(read("curl -d @{file} x"), Ok(()));
        assert_eq!(read("curl x"), Err(TemplateError::NoPlace(SECRET)));
        assert_eq!(read("{secret} x"), Err(TemplateError::InCommand(SECRET)));
        assert_eq!(read(" "), Err(TemplateError::Empty));
    }

    #[test]
    fn a_secret_stays_in_its_word_and_is_not_filled_itself() {
        let words = ["a".to_owned(), "x{secret}y{secret}".to_owned()];
        assert_eq!(*fill(&words, SECRET, "1 '{secret}'"), ["a", "x1 '{secret}'y1 '{secret}'"]);
    }
}
