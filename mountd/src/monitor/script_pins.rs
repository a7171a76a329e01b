//! Scripts of interpreters that read them and close them: pinned before the first instruction.
//!
//! `ward run` has the interpreter stand still right after exec(2) (ptrace(2)), and asks. Nothing of it
//! has run then, so arguments and environment are still those of exec, and say what it will read: a
//! file that only root can change, or a sealed copy that nobody can. The pin is for that process and
//! that program alone: what it forks or becomes has none.

use super::attest::{Believed, believe, gone, is_alive, is_same_program, no_process};
use super::environment::{Environment, LIBRARIES};
use super::executable::{Programs, stem_of};
use super::file_view::{FileView, Folders};
use super::hashes::{Hash, Hashing};
use super::message::{MonitorError, MonitorFault, PinScript};
use super::path_walk::Last;
use super::proc::{Proc, Stat, Status};
use super::script::{KnownScript, LARGEST, shell_script};
use rustix::fs::{CWD, SealFlags, fcntl_get_seals, fstatfs, readlinkat};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use ward_policy::{Doubt, Grade, Script};

/// `TMPFS_MAGIC` (statfs(2)): what holds `memfd_create(2)`.
const TMPFS: u64 = 0x0102_1994;
/// Where a process finds its own open files.
const OWN_FILES: [&[u8]; 2] = [b"/proc/self/fd/", b"/dev/fd/"];

/// How many folders and links may lie on the way to a script.
const MOST_STEPS: usize = 64;

/// The scripts that are pinned now.
#[derive(Debug, Default)]
pub(super) struct ScriptPins {
    /// Guards the table only.
    pins: Mutex<BTreeMap<u32, Pin>>,
}

#[derive(Debug)]
struct Pin {
    process: OwnedFd,
    image: OwnedFd,
    known: KnownScript,
}

impl ScriptPins {
    /// What was pinned to a process, if it still runs that program.
    pub(super) fn of(&self, process: u32) -> Option<KnownScript> {
        self.pins().get(&process).filter(|pin| pin.holds()).map(|pin| pin.known.clone())
    }

    /// Pins what the process is about to run.
    ///
    /// # Errors
    /// Who asks is not our own `ward`, or does not hold the process; what it will run cannot be told.
    pub(super) fn pin(wanted: &PinScript, programs: &Programs) -> Result<Script, MonitorError> {
        let mut folders = Folders::default();
        if !is_our_ward(wanted.holder, programs, &mut folders) {
            return Err(refusal("who asks is not the ward of this daemon, unchanged and of root"));
        }
        let proc = Proc::open(wanted.process).map_err(gone)?;
        let number = i32::try_from(wanted.process).ok().and_then(Pid::from_raw);
        let number = number.ok_or_else(|| no_process("no such process"))?;
        let process =
            pidfd_open(number, PidfdFlags::empty()).map_err(|errno| gone(errno.into()))?;
        let image = proc.open_file("pagemap").map_err(gone)?;
        let status = Status::parse(&proc.text("status").map_err(gone)?);
        let is_held = status.is_some_and(|status| status.tracer == wanted.holder)
            && Stat::of(&proc).is_some_and(|stat| stat.state == 't');
        if !is_held {
            return Err(refusal("the process is not held by who asks"));
        }
        let known = programs.script_to_be_run(&proc, &mut folders)?;
        let script = known.script.clone();
        let pin = Pin { process, image, known };
        if !pin.holds() {
            return Err(no_process("it ended while it was looked at"));
        }
        let mut pins = programs.pins.pins();
        pins.retain(|_, pin| pin.holds());
        pins.insert(wanted.process, pin);
        Ok(script)
    }

    fn pins(&self) -> MutexGuard<'_, BTreeMap<u32, Pin>> {
        self.pins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pin {
    fn holds(&self) -> bool {
        is_alive(&self.process) && is_same_program(&self.image)
    }
}

impl Programs {
    /// The script that a process will run that has not begun.
    fn script_to_be_run(
        &self,
        proc: &Proc,
        folders: &mut Folders,
    ) -> Result<KnownScript, MonitorError> {
        let looked = self.look(proc, folders, Hashing::Known);
        let path = looked.executable.and_then(|executable| executable.path);
        let stem = path.as_deref().map(stem_of).unwrap_or_default();
        let environment = Environment::new(proc.bytes("environ").map_err(gone)?);
        let steered = environment.doubts(folders).into_iter().find_map(|doubt| {
            let (Doubt::PathVariable(name) | Doubt::LoaderVariable(name)) = doubt else {
                return None;
            };
            (name != LIBRARIES).then_some(name)
        });
        if let Some(name) = steered {
            return Err(refusal(&format!("{name} is set")));
        }
        if environment.steers_shells() {
            return Err(refusal("a variable makes shells run something else first"));
        }
        let named = script_of(stem, &proc.bytes("cmdline").map_err(gone)?).ok_or_else(|| {
            refusal("its arguments name no script that alone decides what it runs")
        })?;
        if let Some(number) = OWN_FILES.iter().find_map(|folder| named.strip_prefix(*folder)) {
            return self
                .sealed_script(proc, number)
                .ok_or_else(|| refusal("its script is no copy that is sealed against change"));
        }
        let ours = Proc::open(std::process::id()).map_err(gone)?;
        if proc.namespace("mnt").ok() != ours.namespace("mnt").ok()
            || proc.link("root").ok().as_deref() != Some(b"/")
        {
            return Err(refusal("the process has a view of the files of its own"));
        }
        let mut path = PathBuf::from(OsString::from_vec(proc.link("cwd").map_err(gone)?));
        path.push(OsStr::from_bytes(&named));
        let (path, place, view) = self
            .follow(proc, &path, folders)
            .ok_or_else(|| refusal("others than root can change its script before it is read"))?;
        let path = path.into_os_string().into_vec();
        self.known_script(proc, place.as_fd(), &view, path, folders)
            .filter(|known| !known.is_changeable)
            .ok_or_else(|| refusal("its script cannot be read, can be changed, or is too large"))
    }

    /// Walks to a file along folders and links that only root can change; `None` when there is
    /// another on the way, or when nobody has looked at one of them lately.
    fn follow(
        &self,
        proc: &Proc,
        path: &Path,
        folders: &mut Folders,
    ) -> Option<(PathBuf, OwnedFd, FileView)> {
        let words = |path: &Path| -> Vec<OsString> {
            path.components().rev().map(|word| word.as_os_str().to_owned()).collect()
        };
        let mut rest = words(path);
        let mut at = PathBuf::from("/");
        for _ in 0..MOST_STEPS {
            let word = rest.pop()?;
            if word == ".." {
                at.pop();
                continue;
            }
            let next = at.join(word);
            let place = folders.walk.find(CWD, next.as_os_str().as_bytes(), Last::Itself).ok()?;
            let view = FileView::of(place.as_fd()).ok()?;
            if self.kinds.strange(proc, place.as_fd(), &view).is_some()
                || folders.let_others_change(next.as_os_str().as_bytes(), &view)
            {
                return None;
            }
            if view.is_link() {
                rest.extend(words(Path::new(OsStr::from_bytes(
                    readlinkat(&place, "", Vec::new()).ok()?.as_bytes(),
                ))));
            } else if rest.is_empty() {
                return Some((next, place, view));
            } else {
                at = next;
            }
        }
        None
    }

    /// An open file of the process that nobody can change any more. It has no path to be known by,
    /// and the folder it came from may be anybody's.
    fn sealed_script(&self, proc: &Proc, number: &[u8]) -> Option<KnownScript> {
        let number: u32 = std::str::from_utf8(number).ok()?.parse().ok()?;
        let name = format!("fd/{number}");
        let place = proc.open_place(&name).ok()?;
        let view = FileView::of(place.as_fd()).ok()?;
        let is_memory = u64::try_from(fstatfs(&place).ok()?.f_type) == Ok(TMPFS)
            && proc.link(&name).ok()?.starts_with(b"/memfd:");
        if !(is_memory && view.is_regular() && view.size <= LARGEST) {
            return None;
        }
        let all = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW;
        if !fcntl_get_seals(proc.open_file(&name).ok()?).ok()?.contains(all) {
            return None;
        }
        let Hash::Known(sha256) = self.hashes.of(place.as_fd(), &view, Hashing::Now) else {
            return None;
        };
        Some(KnownScript { script: Script { path: Box::default(), sha256 }, is_changeable: true })
    }
}

/// Whether an interpreter can be told what script it runs; for a program that lies at `path`.
#[must_use]
pub fn takes_script(path: &Path) -> bool {
    let stem = stem_of(path.as_os_str().as_bytes());
    matches!(stem, b"bash" | b"dash" | b"sh" | b"node" | b"nodejs" | b"perl" | b"pypy" | b"python")
}

/// The script among the arguments of an interpreter, where nothing before it makes it run, or look
/// for, anything else.
fn script_of(stem: &[u8], arguments: &[u8]) -> Option<Vec<u8>> {
    let mut words = arguments.split(|byte| *byte == 0).skip(1);
    match stem {
        b"bash" | b"dash" | b"sh" => shell_script(arguments),
        b"perl" | b"node" | b"nodejs" => plain(words.next()?),
        // Isolated: else packages of the user and files beside the script come first.
        b"python" | b"pypy" => {
            let isolates = |word: &[u8]| {
                word.strip_prefix(b"-").is_some_and(|letters| {
                    letters.contains(&b'I') && letters.iter().all(|it| b"BEIPsu".contains(it))
                })
            };
            isolates(words.next()?).then(|| plain(words.next()?)).flatten()
        }
        _ => None,
    }
}

fn plain(word: &[u8]) -> Option<Vec<u8>> {
    (!word.is_empty() && !word.starts_with(b"-")).then(|| word.to_vec())
}

/// Whether a process runs the `ward` that belongs to this daemon, and nothing speaks against it.
fn is_our_ward(process: u32, programs: &Programs, folders: &mut Folders) -> bool {
    let Ok(ours) = std::env::current_exe().map(|path| path.with_file_name("ward")) else {
        return false;
    };
    let ours = folders.view(ours.as_os_str().as_bytes());
    let Ok(proc) = Proc::open(process) else {
        return false;
    };
    let status = proc.text("status").ok().and_then(|text| Status::parse(&text));
    let (Ok(ours), Some(status)) = (ours, status) else {
        return false;
    };
    let Believed { looked, .. } = believe(&proc, &status, programs, folders, Hashing::Known);
    let its = looked.executable.map(|executable| (executable.device, executable.inode));
    its == Some((ours.device, ours.inode)) && Grade::of(&looked.doubts) == Grade::Verified
}

fn refusal(why: &str) -> MonitorError {
    MonitorError {
        fault: MonitorFault::Script,
        message: format!("the script cannot be pinned: {why}"),
        next: "run a script that only root can change, by its interpreter (python3 -I); or give \
               ward run --script FILE, and name FILE in the command"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_what_alone_decides_what_its_interpreter_runs() {
        let told = |stem: &str, words: &[u8]| {
            script_of(stem.as_bytes(), words).map(|it| String::from_utf8(it).unwrap())
        };
        assert_eq!(told("python", b"python3\0-I\0/a.py\0x\0").as_deref(), Some("/a.py"));
        assert_eq!(told("python", b"python3\0-IBu\0a.py\0").as_deref(), Some("a.py"));
        assert_eq!(told("perl", b"perl\0a.pl\0-x\0").as_deref(), Some("a.pl"));
        assert_eq!(told("node", b"node\0a.js\0").as_deref(), Some("a.js"));
        assert_eq!(told("dash", b"sh\0-e\0a.sh\0").as_deref(), Some("a.sh"));
        for (stem, words) in [
            ("python", b"python3\0a.py\0".as_slice()),
            ("python", b"python3\0-I\0-c\0pass\0"),
            ("python", b"python3\0-Ic\0pass\0"),
            ("python", b"python3\0-Im\0json\0"),
            ("python", b"python3\0-I\0-\0"),
            ("python", b"python3\0-I\0\0"),
            ("python", b"python3\0-I\0"),
            ("perl", b"perl\0-Mevil\0a.pl\0"),
            ("node", b"node\0--require\0x\0a.js\0"),
            ("ruby", b"ruby\0a.rb\0"),
            ("", b"\0a\0"),
        ] {
            assert_eq!(told(stem, words), None, "{words:?}");
        }
        assert!(takes_script(Path::new("/usr/bin/python3.11")));
        assert!(!takes_script(Path::new("/usr/bin/sudo")));
    }
}
