//! Secrets of other programs on their way into a vault: what would come, what comes, what does not.

use crate::client::Client;
use crate::command::IntoArguments;
use crate::output::{Report, count, escaped};
use crate::secret_reference::vault_name;
use crate::settings::Settings;
use crate::trouble::Trouble;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use ward_mountd::control::message::{
    Command, LONGEST_VALUE, Lifetime, Names, SecretText, Stored, Value,
};
use ward_policy::SecretPath;
use zeroize::Zeroizing;

/// The largest file that is looked into, in bytes.
pub(crate) const LARGEST_FILE: u64 = 4 << 20;
/// How deep folders are followed.
const DEEPEST: usize = 32;

/// A secret that could be imported.
#[derive(Debug)]
pub(crate) struct Found {
    /// Its name, below the folder that it goes to.
    pub(crate) name: String,
    pub(crate) content: Content,
    /// For how long from now on, when it has an end.
    pub(crate) lasts: Option<Lifetime>,
}

/// Where its value is.
#[derive(Debug)]
pub(crate) enum Content {
    /// Here.
    Read(Zeroizing<Vec<u8>>),
    /// In a file that a program decrypts.
    Sealed(PathBuf),
}

/// What is not imported.
#[derive(Debug, Serialize)]
pub(crate) struct LeftOut {
    name: String,
    why: String,
}

/// Everything that a source has.
#[derive(Debug, Default)]
pub(crate) struct Source {
    pub(crate) found: Vec<Found>,
    pub(crate) left_out: Vec<LeftOut>,
    /// What is worth a word.
    pub(crate) notes: Vec<String>,
}

/// What came of it.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Imported {
    /// Whether it was done; otherwise it would be.
    applied: bool,
    /// `VAULT:PATH` of each.
    imported: Vec<String>,
    /// Whole vaults that came.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) vaults: Vec<String>,
    left_out: Vec<LeftOut>,
    notes: Vec<String>,
    /// A policy that allows what an ACL did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) policy: Option<String>,
    /// Lines of a `ward.toml` for what else was set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) settings: Option<String>,
}

impl Imported {
    /// Notes what does not come.
    pub(crate) fn leave_out(&mut self, name: impl Into<String>, why: impl Into<String>) {
        self.left_out.push(LeftOut { name: name.into(), why: why.into() });
    }

    /// Notes what is worth a word.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// It, with the same for people.
    pub(crate) fn told(self) -> Report<Self> {
        let text = words(&self);
        Report::new(self, text)
    }
}

impl Source {
    /// Notes what does not come.
    pub(crate) fn leave_out(&mut self, name: impl Into<String>, why: impl Into<String>) {
        self.left_out.push(LeftOut { name: name.into(), why: why.into() });
    }

    /// Finds sealed files whose names end with `ending`. Links are not followed, and nothing hidden
    /// is a secret.
    pub(crate) fn walk(&mut self, folder: &Path, ending: &str) {
        self.walk_below(folder, "", ending, 0);
    }

    fn walk_below(&mut self, folder: &Path, above: &str, ending: &str, depth: usize) {
        let listed = match std::fs::read_dir(folder) {
            Ok(listed) => listed,
            Err(error) => return self.leave_out(shown(above), format!("cannot be read: {error}")),
        };
        let mut entries: Vec<_> = listed.filter_map(Result::ok).collect();
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let Ok(name) = entry.file_name().into_string() else {
                self.leave_out(entry.file_name().to_string_lossy(), "its name is no text");
                continue;
            };
            if name.starts_with('.') {
                continue;
            }
            let path = if above.is_empty() { name } else { format!("{above}/{name}") };
            let Ok(about) = entry.path().symlink_metadata() else {
                self.leave_out(path, "it cannot be looked at");
                continue;
            };
            if about.is_symlink() {
                self.leave_out(path, "it is a link, which is not followed");
            } else if about.is_dir() && depth == DEEPEST {
                self.leave_out(path, "it lies too deep");
            } else if about.is_dir() {
                self.walk_below(&entry.path(), &path, ending, depth + 1);
            } else if let Some(name) = path.strip_suffix(ending) {
                if !about.is_file() {
                    self.leave_out(name, "it is no file");
                } else if about.len() > LARGEST_FILE {
                    self.leave_out(name, "its file is over 4 MiB long");
                } else {
                    let content = Content::Sealed(entry.path());
                    self.found.push(Found { name: name.to_owned(), content, lasts: None });
                }
            }
        }
    }

    /// Imports what can be, or says what would be. `open` decrypts a sealed file.
    pub(crate) fn bring(
        mut self,
        into: &IntoArguments,
        settings: &Settings,
        open: impl Fn(&Path) -> Result<Zeroizing<Vec<u8>>, String>,
    ) -> Result<Imported, Trouble> {
        let vault = vault_name(&into.vault)?;
        let mut client = Client::connect(settings)?;
        let list = Command::List { vault: vault.clone() };
        let names: Names = client.ask_unlocked(list, None, &vault, &into.unlock)?;
        let there: BTreeSet<String> = names.names.into_iter().map(|name| name.path).collect();
        let mut imported = Vec::new();
        for Found { name, content, lasts } in std::mem::take(&mut self.found) {
            let path = match &into.at {
                Some(at) => format!("{at}/{name}"),
                None => name.clone(),
            };
            if let Err(error) = SecretPath::try_from(path.as_str()) {
                self.leave_out(name, error.to_string());
                continue;
            }
            if there.contains(&path) && !into.replace {
                self.leave_out(name, format!("{vault}:{path} is there; say --replace"));
                continue;
            }
            if into.apply {
                let value = match content {
                    Content::Read(value) => Ok(value),
                    Content::Sealed(file) => open(&file),
                };
                let stored = value.and_then(|value| {
                    store(&mut client, (&vault, &path), (&value, lasts), into.replace)
                });
                if let Err(why) = stored {
                    self.leave_out(name, why);
                    continue;
                }
            }
            imported.push(format!("{vault}:{path}"));
        }
        let Self { left_out, notes, .. } = self;
        Ok(Imported { applied: into.apply, imported, left_out, notes, ..Imported::default() })
    }
}

fn store(
    client: &mut Client,
    (vault, path): (&str, &str),
    (value, ttl): (&[u8], Option<Lifetime>),
    replace: bool,
) -> Result<(), String> {
    if value.len() > LONGEST_VALUE {
        return Err(format!("its value is over {LONGEST_VALUE} bytes long"));
    }
    let value = Value::Bytes(SecretText(STANDARD.encode(value)));
    let (vault, path) = (vault.to_owned(), path.to_owned());
    let command = Command::Set { vault, path, value, ttl, replace };
    let stored: Result<Stored, Trouble> = client.ask(command);
    stored.map(drop).map_err(|trouble| trouble.failure.message)
}

fn words(imported: &Imported) -> String {
    let Imported { applied, imported: names, vaults, left_out, notes, policy, settings } = imported;
    let number = u64::try_from(names.len()).unwrap_or(u64::MAX);
    let done = if *applied { "imported" } else { "would import" };
    let mut text = format!("{done} {}\n", count(number, "secret"));
    for name in names {
        // Writing to a String does not fail.
        let _always_room = writeln!(text, "  {}", escaped(name));
    }
    for vault in vaults {
        let _always_room = writeln!(text, "{done} the vault {}", escaped(vault));
    }
    if !left_out.is_empty() {
        text.push_str("left out\n");
    }
    for LeftOut { name, why } in left_out {
        let _always_room = writeln!(text, "  {}: {}", escaped(name), escaped(why));
    }
    for note in notes {
        let _always_room = writeln!(text, "note: {}", escaped(note));
    }
    for (file, lines) in [("ward.toml", settings), ("policy.toml", policy)] {
        if let Some(lines) = lines {
            let _always_room =
                writeln!(text, "\nfor {file}, when you have read it:\n\n{}", lines.trim_end());
        }
    }
    if !applied {
        text.push_str("nothing was done; say --apply to import\n");
    }
    text
}

fn shown(path: &str) -> &str {
    if path.is_empty() { "the folder itself" } else { path }
}
