//! Allowed signers: whose keys sign approvals (`ssh-keygen(1)`, ALLOWED SIGNERS).
//!
//! A principal is the name of a client of the policy. Times are UTC, with or without a final `Z`.

use super::ssh_signature::{NAMESPACE, SshSignature};
use crate::owned_file::{self, OwnedFileError};
use crate::root::Root;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// The file's name in the root.
pub const ALLOWED_SIGNERS: &str = "allowed_signers";
/// The longest file, in bytes.
const LONGEST: u64 = 1 << 20;

/// The keys that sign approvals.
#[derive(Debug, Default)]
pub struct AllowedSigners(Vec<Signer>);

/// One line.
#[derive(Debug)]
struct Signer {
    principals: Vec<String>,
    namespaces: Option<Vec<String>>,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
    /// The key as the file has it: type and base64.
    words: String,
    key: Vec<u8>,
}

/// Why the file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum AllowedSignersError {
    /// It is not there, not ours, or no text.
    #[error(transparent)]
    File(#[from] OwnedFileError),
    /// A line says what cannot be understood.
    #[error("allowed_signers, line {line}, column {column}: {message}")]
    Fault {
        /// Counted from 1.
        line: usize,
        /// Counted from 1, in characters.
        column: usize,
        /// What is wrong.
        message: String,
    },
}

/// Why a key speaks for nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignerError {
    /// No line has it.
    #[error("the key is not in allowed_signers")]
    Unknown,
    /// Its line is about other uses.
    #[error("the key is in allowed_signers, but not for {NAMESPACE:?}")]
    Namespace,
    /// Its time has not come, or is over.
    #[error("the key is in allowed_signers, but not valid at this time")]
    Time,
}

impl AllowedSigners {
    /// Those of a root; the file must be of root or ours, and writable by nobody else.
    ///
    /// # Errors
    /// See [`AllowedSignersError`].
    pub fn load(root: &Root) -> Result<Self, AllowedSignersError> {
        Self::parse(&owned_file::read(root, ALLOWED_SIGNERS, LONGEST)?)
    }

    /// Reads the text of the file.
    ///
    /// # Errors
    /// The first line that says what cannot be understood.
    pub fn parse(text: &str) -> Result<Self, AllowedSignersError> {
        let lines = text.lines().enumerate().filter(|(_, line)| {
            let line = line.trim_start();
            !line.is_empty() && !line.starts_with('#')
        });
        let signers = lines.map(|(number, line)| {
            Signer::parse(line).map_err(|(rest, message)| {
                let column = line.chars().count() - rest.trim_end().chars().count() + 1;
                AllowedSignersError::Fault { line: number + 1, column, message }
            })
        });
        signers.collect::<Result<_, _>>().map(Self)
    }

    /// For whom the key of `signature` speaks at `time`.
    ///
    /// # Errors
    /// For nobody.
    pub fn principals(
        &self,
        signature: &SshSignature,
        time: Timestamp,
    ) -> Result<Vec<&str>, SignerError> {
        let mut why = SignerError::Unknown;
        let mut principals = Vec::new();
        for signer in self.0.iter().filter(|signer| signer.key == signature.key()) {
            match signer.counts(time) {
                Ok(()) => principals.extend(signer.principals.iter().map(String::as_str)),
                Err(reason) => why = reason,
            }
        }
        if principals.is_empty() { Err(why) } else { Ok(principals) }
    }

    /// The keys that speak for one of `principals` at `time`, as lines of `ssh-keygen`.
    pub fn keys_of(&self, is_meant: impl Fn(&str) -> bool, time: Timestamp) -> Vec<String> {
        let meant = self.0.iter().filter(|signer| {
            signer.counts(time).is_ok() && signer.principals.iter().any(|name| is_meant(name))
        });
        meant.map(|signer| signer.words.clone()).collect()
    }
}

/// What is left of the line at the fault, and what is wrong.
type LineFault<'line> = (&'line str, String);

impl Signer {
    fn parse(line: &str) -> Result<Self, LineFault<'_>> {
        let (names, rest) = word(line.trim_start());
        let mut signer = Self {
            principals: principals(names).map_err(|message| (line.trim_start(), message))?,
            namespaces: None,
            from: None,
            until: None,
            words: String::new(),
            key: Vec::new(),
        };
        let (options, after) = word(rest);
        if options.is_empty() {
            return Err((rest, "the key is missing".to_owned()));
        }
        let rest = if is_key_type(options) {
            rest
        } else {
            signer.read_options(options).map_err(|message| (rest, message))?;
            after
        };
        let (kind, after) = word(rest);
        if !is_key_type(kind) {
            return Err((rest, format!("{kind:?} is no type of a key and no option")));
        }
        let (base64, _comment) = word(after);
        let key = STANDARD.decode(base64).ok().filter(|key| {
            super::wire::Wire(key).string().is_some_and(|name| name == kind.as_bytes())
        });
        let key = key.ok_or_else(|| (after, format!("this is no key of the type {kind}")))?;
        Ok(Self { words: format!("{kind} {base64}"), key, ..signer })
    }

    fn read_options(&mut self, text: &str) -> Result<(), String> {
        for option in split_outside_quotes(text) {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
            match (name.to_ascii_lowercase().as_str(), value) {
                ("namespaces", Some(value)) => {
                    self.namespaces = Some(value.split(',').map(str::to_owned).collect());
                }
                ("valid-after", Some(value)) => self.from = Some(read_time(value)?),
                ("valid-before", Some(value)) => self.until = Some(read_time(value)?),
                ("cert-authority", _) => {
                    return Err("certificates are not taken; name the keys themselves".to_owned());
                }
                _ => {
                    return Err(format!(
                        "{option:?} is not known here; use namespaces=\"..\", \
                         valid-after=\"..\" or valid-before=\"..\""
                    ));
                }
            }
        }
        Ok(())
    }

    fn counts(&self, time: Timestamp) -> Result<(), SignerError> {
        let is_for_us = self.namespaces.as_ref().is_none_or(|patterns| {
            let is_one = |pattern: &String| matches(pattern.as_bytes(), NAMESPACE.as_bytes());
            patterns.iter().any(is_one)
        });
        if !is_for_us {
            return Err(SignerError::Namespace);
        }
        let is_early = self.from.is_some_and(|from| time < from);
        let is_late = self.until.is_some_and(|until| time >= until);
        if is_early || is_late { Err(SignerError::Time) } else { Ok(()) }
    }
}

/// The first word, in which blanks within quotes do not count, and the rest.
fn word(text: &str) -> (&str, &str) {
    let mut is_quoted = false;
    let end = text.find(|each: char| {
        is_quoted ^= each == '"';
        !is_quoted && each.is_ascii_whitespace()
    });
    let (word, rest) = text.split_at(end.unwrap_or(text.len()));
    (word, rest.trim_start())
}

fn split_outside_quotes(text: &str) -> Vec<&str> {
    let mut is_quoted = false;
    let is_border = |each: char| {
        is_quoted ^= each == '"';
        !is_quoted && each == ','
    };
    text.split(is_border).collect()
}

fn principals(text: &str) -> Result<Vec<String>, String> {
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let names = text.split(',').map(|name| {
        let is_pattern = name.contains(['*', '?', '!']);
        if name.is_empty() || is_pattern {
            return Err(format!("{name:?} must be the name of a client; patterns are not taken"));
        }
        Ok(name.to_owned())
    });
    names.collect()
}

fn is_key_type(word: &str) -> bool {
    ["ssh-", "ecdsa-", "sk-ssh-", "sk-ecdsa-"].iter().any(|start| word.starts_with(start))
        && !word.contains(['=', '"'])
}

/// `YYYYMMDD[HHMM[SS]][Z]`.
fn read_time(text: &str) -> Result<Timestamp, String> {
    let wrong = || format!("{text:?} is no time; write YYYYMMDD or YYYYMMDDHHMM[SS], in UTC");
    let digits = text.strip_suffix('Z').unwrap_or(text);
    if !matches!(digits.len(), 8 | 12 | 14) {
        return Err(wrong());
    }
    let whole = format!("{digits:0<14}");
    let time = DateTime::strptime("%Y%m%d%H%M%S", whole).map_err(|_| wrong())?;
    TimeZone::UTC.to_timestamp(time).map_err(|_| wrong())
}

/// Whether `text` is one that `pattern` stands for, with `*` and `?`.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => {
            matches(rest, text)
                || text.split_first().is_some_and(|(_, text)| matches(pattern, text))
        }
        ([b'?', pattern @ ..], [_, text @ ..]) => matches(pattern, text),
        ([first, pattern @ ..], [same, text @ ..]) => first == same && matches(pattern, text),
        ([], [_, ..]) | ([_, ..], []) => false,
    }
}
