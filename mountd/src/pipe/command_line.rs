//! A command line under rules: every address in it is found, and is one of those that may be used.
//!
//! What is not understood counts as an address, or is refused.

use super::PipeError;
use super::address::{Address, AddressFault, UrlPrefix};
use super::known::Grammar;
use super::settings::{CommandName, CommandPolicy};
use super::template::FILE;

/// What is wrong with a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LineFault {
    #[error("has an address that cannot be compared: {0}")]
    Address(#[from] AddressFault),
    #[error("has an address that no prefix covers")]
    Outside,
    #[error("is an option that the command is not run with")]
    Denied,
    #[error("is an option that may take a value, and nothing is known of it")]
    Unknown,
    #[error("names a file that becomes a part of what is sent")]
    NamesFile,
}

/// The rules for one command.
#[derive(Debug)]
pub(super) struct LineRules<'a> {
    /// Every address is covered by one of each list.
    prefixes: Vec<Vec<UrlPrefix>>,
    requires_address: bool,
    denied: Vec<&'a str>,
    grammar: Option<&'static Grammar>,
}

impl<'a> LineRules<'a> {
    /// What the settings say, and besides that the environment.
    pub(super) fn new(
        name: &CommandName,
        policy: Option<&'a CommandPolicy>,
        said: Option<Vec<UrlPrefix>>,
    ) -> Self {
        let grammar = Grammar::of(name.as_str());
        let requires_address = said.is_some() || policy.is_some_and(|it| it.require_url);
        let of_file = policy.and_then(|policy| policy.url_prefixes.clone());
        let prefixes: Vec<_> = of_file.into_iter().chain(said).collect();
        let denied = match policy.and_then(|policy| policy.deny_options.as_ref()) {
            Some(denied) => denied.iter().map(String::as_str).collect(),
            None if prefixes.is_empty() => Vec::new(),
            None => grammar.map_or_else(Vec::new, |it| it.denied.to_vec()),
        };
        Self { prefixes, requires_address, denied, grammar }
    }

    /// Looks at the words of a command line.
    pub(super) fn check(&self, name: &CommandName, words: &[String]) -> Result<(), PipeError> {
        if self.prefixes.is_empty() && self.denied.is_empty() {
            return Ok(());
        }
        let mut line = Line { rules: self, addresses: 0 };
        let looked = match self.grammar {
            Some(grammar) => line.read(words, grammar),
            None => line.scan(words),
        };
        looked.map_err(|(place, fault)| PipeError::Line { place, fault })?;
        if self.requires_address && line.addresses == 0 {
            return Err(PipeError::NoAddress(name.clone()));
        }
        Ok(())
    }
}

/// A command line while it is looked at.
struct Line<'a> {
    rules: &'a LineRules<'a>,
    /// How many addresses were found.
    addresses: usize,
}

/// What is wrong, and with which word.
type Found = Result<(), (usize, LineFault)>;

impl Line<'_> {
    /// A command line of which nothing is known.
    fn scan(&mut self, words: &[String]) -> Found {
        for (place, word) in words.iter().enumerate().skip(1) {
            let looked = self.option(word, None).and_then(|()| self.value(word));
            looked.and_then(|()| self.embedded(word)).map_err(|fault| (place, fault))?;
        }
        Ok(())
    }

    /// A command line that is understood.
    fn read(&mut self, words: &[String], grammar: &Grammar) -> Found {
        let mut rest = words.iter().enumerate().skip(1);
        let mut has_options = true;
        while let Some((place, word)) = rest.next() {
            let here = |fault| (place, fault);
            if !has_options || !word.starts_with('-') {
                self.address(word).and_then(|()| self.embedded(word)).map_err(here)?;
                continue;
            }
            if word == "--" {
                has_options = false;
                continue;
            }
            self.option(word, Some(grammar)).map_err(here)?;
            // What takes a value takes it even if that looks like an option, and counts on from there.
            let next = rest.clone().next().is_some_and(|(_, word)| word.starts_with('-'));
            if next && !grammar.is_known(word) {
                return Err(here(LineFault::Unknown));
            }
            let (takes, attached) = match grammar.value_of(word) {
                Some(told) => told,
                None if self.rules.prefixes.is_empty() => continue,
                None => return Err(here(LineFault::Unknown)),
            };
            let value = match (takes, attached) {
                (None, _) => None,
                (Some(_), Some(value)) => Some((place, value)),
                (Some(_), None) => rest.next().map(|(place, value)| (place, value.as_str())),
            };
            let Some((place, value)) = value else { continue };
            let here = |fault| (place, fault);
            if takes.is_some_and(|option| grammar.addresses.contains(&option)) {
                self.address(value).map_err(here)?;
            } else {
                let names_file = takes.is_some_and(|option| grammar.files.contains(&option));
                let file = value.find('@').filter(|_| names_file && !value.contains('='));
                let file = file.and_then(|at| value.get(at..)).unwrap_or(value);
                self.value(file).and_then(|()| self.embedded(value)).map_err(here)?;
            }
        }
        Ok(())
    }

    /// An option must not be a denied one, nor the beginning of one.
    fn option(&self, word: &str, grammar: Option<&Grammar>) -> Result<(), LineFault> {
        let is_denied = |denied: &str| match (denied.strip_prefix("--"), word.strip_prefix("--")) {
            (Some(denied), Some(word)) => {
                let name = word.split('=').next().unwrap_or_default();
                let is_another = grammar.is_some_and(|it| it.long.contains(&&*format!("--{name}")));
                match denied.strip_suffix('*') {
                    Some(begin) => {
                        name.starts_with(begin) || (!is_another && begin.starts_with(name))
                    }
                    None => name == denied || (!is_another && denied.starts_with(name)),
                }
            }
            (None, None) => match (denied.strip_prefix('-'), word.strip_prefix('-')) {
                (Some(denied), Some(word)) if denied.chars().count() == 1 => {
                    letters(word, grammar).contains(denied)
                }
                (Some(denied), Some(word)) => word.split('=').next() == Some(denied),
                (Some(_), None) | (None, _) => false,
            },
            (Some(_), None) | (None, Some(_)) => false,
        };
        let is_option = word.len() > 1 && word != "--" && word.starts_with('-');
        if is_option && self.rules.denied.iter().any(|denied| is_denied(denied)) {
            return Err(LineFault::Denied);
        }
        Ok(())
    }

    /// A value must not have the command read a file, where that is denied.
    fn value(&self, value: &str) -> Result<(), LineFault> {
        let value = value.replace(&format!("@{FILE}"), "").replace(&format!("<{FILE}"), "");
        let names_file = value.starts_with('@') || value.contains("=@") || value.contains("=<");
        if names_file && self.rules.denied.contains(&"@") {
            return Err(LineFault::NamesFile);
        }
        Ok(())
    }

    /// The whole text is an address, with or without its scheme.
    fn address(&mut self, text: &str) -> Result<(), LineFault> {
        if self.rules.prefixes.is_empty() {
            return Ok(());
        }
        let address = if text.contains("://") {
            Address::parse(text)?
        } else {
            Address::parse(&format!("http://{text}"))?
        };
        self.covered(&address)
    }

    /// Every address within a text, wherever it begins.
    fn embedded(&mut self, text: &str) -> Result<(), LineFault> {
        if self.rules.prefixes.is_empty() {
            return Ok(());
        }
        for (colon, _) in text.match_indices(':') {
            let (before, after) = text.split_at(colon);
            let lower = before.to_ascii_lowercase();
            let scheme = ["https", "http"].into_iter().find(|it| lower.ends_with(it));
            let is_other = before.ends_with(|it: char| it.is_ascii_alphanumeric());
            match scheme {
                Some(scheme) if after.starts_with(":/") || after.starts_with(":\\") => {
                    let begin = colon - scheme.len();
                    let text = text.get(begin..).unwrap_or_default();
                    let whole = if begin == 0 { text } else { up_to_end(text)? };
                    self.covered(&Address::parse(whole)?)?;
                }
                None if is_other && after.starts_with("://") => {
                    return Err(AddressFault::Scheme.into());
                }
                Some(_) | None => {}
            }
        }
        Ok(())
    }

    fn covered(&mut self, address: &Address) -> Result<(), LineFault> {
        self.addresses += 1;
        let is_covered = |prefixes: &Vec<UrlPrefix>| prefixes.iter().any(|it| it.covers(address));
        if self.rules.prefixes.iter().all(is_covered) { Ok(()) } else { Err(LineFault::Outside) }
    }
}

impl Grammar {
    /// Whether it is known if an option takes the word after it.
    fn is_known(&self, word: &str) -> bool {
        let is_listed = || self.long.contains(&word) || self.flags.contains(&word);
        !word.starts_with("--") || word.contains('=') || word.starts_with("--no-") || is_listed()
    }

    /// Which option of a word takes a value, and the value if it is in the same word; `None` when that
    /// cannot be told.
    fn value_of<'w>(&self, word: &'w str) -> Option<(Option<&'w str>, Option<&'w str>)> {
        if word.starts_with("--") {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (word, None),
            };
            let takes = self.long.contains(&name).then_some(name);
            // What is not known, with a value: it may be an address.
            return (takes.is_some() || value.is_none()).then_some((takes, value));
        }
        let letters = word.strip_prefix('-')?;
        let Some(at) = letters.find(|letter| self.letters.contains(letter)) else {
            return Some((None, None));
        };
        let (flags, value) = letters.split_at(at + 1);
        let option = flags.get(at..)?;
        Some((Some(option), (!value.is_empty()).then_some(value)))
    }
}

/// The letters of a word that are options: without a value at its end, where that can be told.
fn letters<'w>(word: &'w str, grammar: Option<&Grammar>) -> &'w str {
    let takes = |letter: char| grammar.is_some_and(|it| it.letters.contains(letter));
    let end = word.char_indices().find(|(_, letter)| takes(*letter));
    end.map_or(word, |(at, letter)| word.get(..at + letter.len_utf8()).unwrap_or(word))
}

/// An address within other text ends where no URL goes on; what follows must not reach back into it.
fn up_to_end(text: &str) -> Result<&str, LineFault> {
    let ends = |it: char| it.is_whitespace() || "\"'<>`,)]}".contains(it);
    let Some(end) = text.find(ends) else { return Ok(text) };
    let (address, rest) = text.split_at(end);
    let has_path = address.splitn(4, '/').count() == 4;
    let lower = rest.to_ascii_lowercase();
    if !has_path || ["..", "%2e", "\\"].iter().any(|it| lower.contains(it)) {
        return Err(AddressFault::Ambiguous.into());
    }
    Ok(address)
}
