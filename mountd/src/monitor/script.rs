//! The script that a shell runs: told where the shell holds it open. What other interpreters run is
//! known by `script_pins.rs` alone.
//!
//! bash keeps its script at descriptor 255, dash at the first that is free from 10 on. The first argument must be that same file, so
//! that a descriptor alone is no claim, and no variable may make the shell run something else first.
//! Other interpreters read their script and close it: nobody can say any more what they run.

use super::executable::{Programs, stem_of};
use super::file_view::{FileView, Folders};
use super::hashes::{Hash, Hashing};
use super::path_walk::Last;
use super::proc::Proc;
use std::os::fd::{AsFd, BorrowedFd};
use ward_policy::Script;

/// Options that change nothing of what a shell runs.
const HARMLESS: &[u8] = b"eux";

/// The largest script that is known, in bytes: it is read while others wait.
pub(super) const LARGEST: u64 = 1 << 20;

/// A script, and whether somebody else than root can change it.
#[derive(Clone, Debug)]
pub(super) struct KnownScript {
    pub(super) script: Script,
    pub(super) is_changeable: bool,
}

impl Programs {
    /// The script of a shell whose program lies at `program`; `None` for what is no shell, and for a
    /// shell that was told what to do in another way.
    pub(super) fn script(
        &self,
        proc: &Proc,
        program: &[u8],
        folders: &mut Folders,
    ) -> Option<KnownScript> {
        let mut descriptors = match stem_of(program) {
            b"bash" => 255..=255,
            b"dash" | b"sh" => 10..=19,
            _ => return None,
        };
        let named = shell_script(&proc.bytes("cmdline").ok()?)?;
        let stands_in = proc.open_place("cwd").ok()?;
        let meant = FileView::of(
            folders.walk.find(stands_in.as_fd(), &named, Last::Followed).ok()?.as_fd(),
        )
        .ok()?;
        let (descriptor, held, view) = descriptors.find_map(|number: u32| {
            let descriptor = format!("fd/{number}");
            let held = proc.open_place(&descriptor).ok()?;
            let view = FileView::of(held.as_fd()).ok()?;
            view.is_file_of(&meant).then_some((descriptor, held, view))
        })?;
        self.known_script(proc, held.as_fd(), &view, proc.link(&descriptor).ok()?, folders)
    }

    /// The script at a place that a process sees, when all of it can be believed.
    pub(super) fn known_script(
        &self,
        proc: &Proc,
        place: BorrowedFd<'_>,
        view: &FileView,
        path: Vec<u8>,
        folders: &mut Folders,
    ) -> Option<KnownScript> {
        let is_local = self.kinds.strange(proc, place, view).is_none();
        if !(is_local && view.size <= LARGEST && folders.lead_to(&path, view)) {
            return None;
        }
        let Hash::Known(sha256) = self.hashes.of(place, view, Hashing::Now) else {
            return None;
        };
        let is_changeable = folders.let_others_change(&path, view);
        Some(KnownScript { script: Script { path: path.into(), sha256 }, is_changeable })
    }
}

/// The script among the arguments of a shell: the first, or the second after harmless options.
pub(super) fn shell_script(arguments: &[u8]) -> Option<Vec<u8>> {
    let mut arguments = arguments.split(|byte| *byte == 0).skip(1);
    let first = arguments.next()?;
    let script = match first.strip_prefix(b"-") {
        None => first,
        Some(letters) => {
            let is_harmless = !letters.is_empty() && letters.iter().all(|it| HARMLESS.contains(it));
            is_harmless.then(|| arguments.next())??
        }
    };
    let is_path = !script.is_empty() && !script.starts_with(b"-") && !script.starts_with(b"+");
    is_path.then(|| script.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_is_the_first_argument_or_follows_options_that_change_nothing() {
        let told = |words: &[u8]| shell_script(words).map(|it| String::from_utf8(it).unwrap());
        assert_eq!(told(b"sh\0/a.sh\0x\0").as_deref(), Some("/a.sh"));
        assert_eq!(told(b"sh\0-eu\0a.sh\0").as_deref(), Some("a.sh"));
        for words in [
            b"sh\0".as_slice(),
            b"sh\0-c\0id\0",
            b"sh\0-s\0",
            b"sh\0-e\0-c\0id\0",
            b"bash\0-\0a\0",
            b"bash\0--rcfile\0x\0",
            b"sh\0+x\0a\0",
            b"sh\0\0",
        ] {
            assert_eq!(told(words), None, "{words:?}");
        }
    }
}
