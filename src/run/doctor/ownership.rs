//! Who owns what a root holds, and who else could reach it.

use super::{Finding, Grade};
use std::collections::BTreeSet;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use toml::Table;
use ward_mountd::root::MARK;

/// How many entries are named.
const NAMED: usize = 3;
/// What others may do to a directory or file, of its mode.
const OTHERS: u32 = 0o077;
const OTHERS_WRITE: u32 = 0o022;
/// A directory where nobody may take away what is another's.
const STICKY: u32 = 0o1000;

/// What was seen.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ownership {
    /// What does not belong to the owner of the root, or is open to others; in words.
    open: BTreeSet<String>,
    /// Directories above that others can change.
    above: Vec<PathBuf>,
    /// The file of the sidecar's token, where others can read it; and how.
    token: Option<(PathBuf, String)>,
    /// Whether there was something that may not be looked at.
    is_partial: bool,
}

impl Ownership {
    pub(super) fn of(root: &Path) -> io::Result<Self> {
        let top = std::fs::symlink_metadata(root)?;
        let mut seen = Self::default();
        if top.mode() & OTHERS_WRITE != 0 {
            seen.open.insert(format!("{}, which others may change", root.display()));
        }
        seen.look_into(root, top.uid());
        seen.token = token_file(root).and_then(|file| {
            let metadata = std::fs::metadata(&file).ok()?;
            let what = openness(&metadata, top.uid())?;
            Some((file, what))
        });
        for folder in root.ancestors().skip(1).filter(|folder| folder.is_absolute()) {
            let metadata = std::fs::metadata(folder)?;
            let is_of_another = ![0, top.uid()].contains(&metadata.uid());
            let is_open = metadata.mode() & OTHERS_WRITE != 0 && metadata.mode() & STICKY == 0;
            if is_of_another || is_open {
                seen.above.push(folder.to_owned());
            }
        }
        Ok(seen)
    }

    fn look_into(&mut self, folder: &Path, owner: u32) {
        let Ok(entries) = std::fs::read_dir(folder) else {
            self.is_partial = true;
            return;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            // What ends meanwhile is nobody's.
            let Ok(metadata) = std::fs::symlink_metadata(&path) else { continue };
            if let Some(what) = openness(&metadata, owner) {
                self.open.insert(format!("{}, which {what}", path.display()));
            }
            if metadata.is_dir() {
                self.look_into(&path, owner);
            }
        }
    }

    pub(super) fn findings(&self, root: &Path) -> Vec<Finding> {
        let root = root.display();
        let mut findings = Vec::new();
        if !self.open.is_empty() {
            let named: Vec<&str> = self.open.iter().take(NAMED).map(String::as_str).collect();
            findings.push(Finding {
                name: "ownership",
                grade: Grade::Bad,
                found: match self.open.len() - named.len() {
                    0 => named.join("; "),
                    more => format!("{}; and {more} more", named.join("; ")),
                },
                means: "all that a root holds is for its owner alone: others could read keys and names, or change them",
                // The control socket is for others.
                next: format!(
                    "chmod go-w {root} && find {root}/* -not -type s -exec chown --reference={root} {{}} + -exec chmod go-rwx {{}} +; then see who was there"
                ),
            });
        }
        if let Some(folder) = self.above.first() {
            findings.push(Finding {
                name: "above-root",
                grade: Grade::Bad,
                found: format!("others can change {}, in which the root lies", folder.display()),
                means: "they can put another root in its place",
                next: format!("chmod go-w {}, or move the root", folder.display()),
            });
        }
        if let Some((file, what)) = &self.token {
            let file = file.display();
            findings.push(Finding {
                name: "token",
                grade: Grade::Bad,
                found: format!("the token of [sidecar] is in {file}, which {what}"),
                means: "others can read it and show it, and the daemon does not start with it",
                next: format!("chown --reference={root} {file} && chmod 600 {file}; then put another token into it"),
            });
        }
        if self.is_partial {
            findings.push(Finding {
                name: "ownership-unseen",
                grade: Grade::Note,
                found: format!("you may not look at all of {root}"),
                means: "whether its files are closed to others is not known",
                next: "ask as the owner of the root: sudo ward doctor".to_owned(),
            });
        }
        findings
    }
}

/// What is wrong with a file that is for `owner` alone, in words.
fn openness(metadata: &Metadata, owner: u32) -> Option<String> {
    if metadata.uid() != owner {
        return Some(format!("belongs to uid {}", metadata.uid()));
    }
    let is_open = !metadata.file_type().is_socket() && metadata.mode() & OTHERS != 0;
    is_open.then(|| format!("has mode {:o}", metadata.mode() & 0o7777))
}

/// The file that `[sidecar]` names, where we may read the settings.
fn token_file(root: &Path) -> Option<PathBuf> {
    let settings: Table = toml::from_str(&std::fs::read_to_string(root.join(MARK)).ok()?).ok()?;
    settings.get("sidecar")?.get("token_file")?.as_str().map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;

    fn set(path: &Path, mode: u32) {
        std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_others_may_read_or_change_is_named_and_what_is_closed_is_not() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("root");
        std::fs::create_dir_all(root.join("keys")).unwrap();
        std::fs::File::create(root.join("keys/default")).unwrap();
        for (path, mode) in [("", 0o711), ("keys", 0o700), ("keys/default", 0o600)] {
            set(&root.join(path), mode);
        }
        assert_eq!(Ownership::of(&root).unwrap(), Ownership::default());
        let token = place.path().join("token");
        std::fs::File::create(&token).unwrap();
        set(&token, 0o604);
        let named = format!("[sidecar]\ntoken_file = {token:?}\n");
        let mut file = std::fs::File::create(root.join("ward.toml")).unwrap();
        file.write_all(named.as_bytes()).unwrap();
        set(&root.join("ward.toml"), 0o600);
        let findings = Ownership::of(&root).unwrap().findings(&root);
        assert_eq!((findings.len(), findings[0].name), (1, "token"));
        assert!(findings[0].found.ends_with("which has mode 604"), "{}", findings[0].found);
        set(&token, 0o600);
        set(&root.join("keys/default"), 0o640);
        set(place.path(), 0o777);
        let seen = Ownership::of(&root).unwrap();
        let findings = seen.findings(&root);
        let names: Vec<_> = findings.iter().map(|it| (it.name, it.grade)).collect();
        assert_eq!(names, [("ownership", Grade::Bad), ("above-root", Grade::Bad)]);
        let expected = format!("{}/keys/default, which has mode 640", root.display());
        assert_eq!(findings[0].found, expected);
        set(place.path(), 0o1777);
        assert!(Ownership::of(&root).unwrap().above.is_empty(), "as /tmp is");
    }
}
