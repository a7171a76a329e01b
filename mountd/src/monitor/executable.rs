//! The program behind an exe link: opened once, and only what was opened is believed.
//!
//! A process in its own mount namespace shows any path it likes, so the path counts only when it
//! leads to the same file in our namespace.

use super::file_view::{FileView, Folders};
use super::filesystem_kind::FilesystemKinds;
use super::hashes::{Hash, Hashes, Hashing};
use super::line::Lines;
use super::proc::Proc;
use super::script_pins::ScriptPins;
use std::os::fd::AsFd;
use ward_policy::{Doubt, Executable};

/// Programs that run what they are told to: their own hash says little.
const INTERPRETERS: [&str; 28] = [
    "Rscript", "awk", "bash", "bun", "busybox", "dash", "deno", "fish", "gawk", "guile", "java",
    "julia", "ksh", "lua", "luajit", "mawk", "node", "nodejs", "perl", "php", "pwsh", "pypy",
    "python", "ruby", "sh", "tclsh", "wish", "zsh",
];
/// What the dynamic loader's name begins with, which runs any program it is given.
const LOADER: &[u8] = b"ld-";

/// What was seen of a program.
#[derive(Debug)]
pub(super) struct Looked {
    pub(super) executable: Option<Executable>,
    /// Whether it has no hash because nobody has read it yet.
    pub(super) is_unread: bool,
    pub(super) doubts: Vec<Doubt>,
}

/// What looking at programs takes.
#[derive(Debug, Default)]
pub(crate) struct Programs {
    pub(super) hashes: Hashes,
    pub(super) kinds: FilesystemKinds,
    pub(super) pins: ScriptPins,
    pub(super) lines: Lines,
}

impl Programs {
    /// Looks at the program of a process.
    pub(super) fn look(&self, proc: &Proc, folders: &mut Folders, hashing: Hashing) -> Looked {
        let none = |doubt| Looked { executable: None, is_unread: false, doubts: vec![doubt] };
        let (Ok(program), Ok(link)) = (proc.open_place("exe"), proc.link("exe")) else {
            return none(Doubt::UnreadableProgram);
        };
        let Ok(view) = FileView::of(program.as_fd()) else {
            return none(Doubt::UnreadableProgram);
        };
        let mut executable =
            Executable { path: None, device: view.device, inode: view.inode, sha256: None };
        if let Some(kind) = self.kinds.strange(proc, program.as_fd(), &view) {
            let doubts = vec![Doubt::Filesystem(kind.to_string())];
            return Looked { executable: Some(executable), is_unread: false, doubts };
        }
        let mut doubts = Vec::new();
        if folders.lead_to(&link, &view) {
            if folders.let_others_change(&link, &view) {
                doubts.push(Doubt::Changeable);
            }
            if is_interpreter(&link) {
                doubts.push(Doubt::Interpreter);
            }
            executable.path = Some(link.into());
        } else {
            doubts.push(Doubt::OtherProgram);
        }
        let hash = self.hashes.of(program.as_fd(), &view, hashing);
        if let Hash::Known(digest) = hash {
            executable.sha256 = Some(digest);
        }
        Looked { executable: Some(executable), is_unread: hash == Hash::Unread, doubts }
    }
}

/// The last part of a path.
pub(super) fn name_of(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

/// The name of a program without its version: `python` of `python3.11`.
pub(super) fn stem_of(path: &[u8]) -> &[u8] {
    let name = name_of(path);
    let end = name.iter().position(|byte| byte.is_ascii_digit() || *byte == b'.' || *byte == b'-');
    name.get(..end.unwrap_or(name.len())).unwrap_or_default()
}

fn is_interpreter(path: &[u8]) -> bool {
    let stem = stem_of(path);
    name_of(path).starts_with(LOADER)
        || INTERPRETERS.iter().any(|interpreter| interpreter.as_bytes() == stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interpreters_are_known_in_every_version_of_theirs() {
        for path in [
            "/bin/sh",
            "/usr/bin/python3.12",
            "/usr/bin/python",
            "/opt/node-22",
            "/bin/busybox",
            "/usr/bin/perl5.36.0",
            "/lib64/ld-linux-x86-64.so.2",
        ] {
            assert!(is_interpreter(path.as_bytes()), "{path}");
        }
        for path in ["/usr/bin/cat", "/usr/bin/ssh", "/opt/claude", "/usr/bin/sha256sum"] {
            assert!(!is_interpreter(path.as_bytes()), "{path}");
        }
        assert!(INTERPRETERS.is_sorted());
    }

    #[test]
    fn a_program_is_seen_with_its_path_and_its_hash_once_it_was_read() {
        let proc = Proc::open(std::process::id()).unwrap();
        let programs = Programs::default();
        let mut folders = Folders::default();
        let looked = programs.look(&proc, &mut folders, Hashing::Now);
        let program = looked.executable.unwrap();
        let ours = std::env::current_exe().unwrap();
        assert_eq!(program.path.unwrap(), ours.as_os_str().as_encoded_bytes().into());
        assert!(program.sha256.is_some() && !looked.is_unread);
    }
}
