//! A cgroup of a session's own: the kernel keeps in it whatever its processes start, and only root
//! moves a process in or out (cgroups(7)).
//!
//! The hierarchy that systemd names in v1 is not used: it gives users parts of it to write in, and
//! in v1 who may write in one place may move his processes there from any other. In v2 it takes the
//! right to write above both.

use super::ancestry::Member;
use super::mount_table::{MountEntry, mounts};
use std::io;
use std::path::{Path, PathBuf};

/// A hierarchy that can hold sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Hierarchy {
    kind: Kind,
    top: PathBuf,
}

/// In the order in which they are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// cgroup v2: it ends all processes of a cgroup at once.
    Unified,
    /// v1: it stops all of them, so that they can be ended one by one.
    Freezer,
    /// v1: it keeps them from making more.
    Pids,
}

/// The cgroup of a session. It stays until it is removed.
#[derive(Debug)]
pub(super) struct SessionCgroup {
    kind: Kind,
    directory: PathBuf,
    /// As `/proc/<pid>/cgroup` tells it.
    path: String,
}

impl SessionCgroup {
    /// Makes a cgroup and moves `process` into it, in the first hierarchy that lets us.
    pub(super) fn around(process: u32, instance: &str, session: &str) -> Option<Self> {
        hierarchies().iter().find_map(|hierarchy| {
            let cgroup = hierarchy.make(instance, session).ok()?;
            if cgroup.write("cgroup.procs", &process.to_string()).is_ok() && cgroup.has(process) {
                return Some(cgroup);
            }
            cgroup.remove();
            None
        })
    }

    /// How it is called where sessions are listed.
    pub(super) const fn word(&self) -> &'static str {
        match self.kind {
            Kind::Unified => "cgroup v2",
            Kind::Freezer | Kind::Pids => "cgroup v1",
        }
    }

    /// Whether what `/proc/<pid>/cgroup` says is of a process within it.
    pub(super) fn holds(&self, text: &[u8]) -> bool {
        text.split(|byte| *byte == b'\n').any(|line| {
            let mut parts = line.splitn(3, |byte| *byte == b':');
            let (Some(_number), Some(names), Some(path)) =
                (parts.next(), parts.next(), parts.next())
            else {
                return false;
            };
            let rest = path.strip_prefix(self.path.as_bytes());
            self.kind.is_among(names)
                && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
        })
    }

    /// The processes in it.
    pub(super) fn members(&self) -> Vec<Member> {
        let text = std::fs::read_to_string(self.directory.join("cgroup.procs"));
        let text = text.unwrap_or_default();
        let members = text.lines().filter_map(|line| Member::numbered(line.parse().ok()?));
        // Asked of the number once the descriptor is ours: it is that of the process in here.
        members.filter(|member| self.has(member.process.number)).collect()
    }

    /// Keeps its processes from making more; v2 ends them all with it.
    pub(super) fn stop(&self) {
        let (file, word) = match self.kind {
            Kind::Unified => ("cgroup.kill", "1"),
            Kind::Freezer => ("freezer.state", "FROZEN"),
            Kind::Pids => ("pids.max", "0"),
        };
        // What could not be stopped is ended one by one, as often as it takes.
        let _goes_on = self.write(file, word);
    }

    /// Lets what was killed end.
    pub(super) fn let_go(&self) {
        match self.kind {
            Kind::Freezer => {
                let _stays_stopped = self.write("freezer.state", "THAWED");
            }
            Kind::Unified | Kind::Pids => {}
        }
    }

    /// Removes it; whether it is gone. It stays while a process is in it.
    pub(super) fn remove(&self) -> bool {
        let removed = std::fs::remove_dir(&self.directory);
        removed.is_ok() || !self.directory.exists()
    }

    fn has(&self, process: u32) -> bool {
        std::fs::read(format!("/proc/{process}/cgroup")).is_ok_and(|text| self.holds(&text))
    }

    fn write(&self, file: &str, word: &str) -> io::Result<()> {
        write(&self.directory.join(file), word)
    }
}

/// Removes the cgroups that sessions of `instance` left, but those in which something still runs.
pub(super) fn remove_left_over(instance: &str) {
    for Hierarchy { top, .. } in hierarchies() {
        let folder = top.join(folder_of(instance));
        let left = std::fs::read_dir(&folder).into_iter().flatten();
        for session in left.filter_map(|entry| entry.ok()) {
            // A file of the cgroup itself, or one in which something runs.
            let _stays = std::fs::remove_dir(session.path());
        }
        let _stays = std::fs::remove_dir(&folder);
    }
}

impl Hierarchy {
    fn make(&self, instance: &str, session: &str) -> io::Result<SessionCgroup> {
        let path = format!("/{}/{session}", folder_of(instance));
        let directory = self.top.join(folder_of(instance)).join(session);
        std::fs::create_dir_all(&directory)?;
        Ok(SessionCgroup { kind: self.kind, directory, path })
    }
}

impl Kind {
    fn is_among(self, names: &[u8]) -> bool {
        let has = |name: &[u8]| names.split(|byte| *byte == b',').any(|each| each == name);
        match self {
            Self::Unified => names.is_empty(),
            Self::Freezer => has(b"freezer"),
            Self::Pids => has(b"pids"),
        }
    }

    fn of_mount(kind: &str, options: &str) -> Option<Self> {
        let has = |name: &str| options.split(',').any(|each| each == name);
        match kind {
            "cgroup2" => Some(Self::Unified),
            "cgroup" if has("freezer") => Some(Self::Freezer),
            "cgroup" if has("pids") => Some(Self::Pids),
            _ => None,
        }
    }
}

/// Where cgroups can be made that nobody but root can leave: for a daemon of root.
fn hierarchies() -> Vec<Hierarchy> {
    if !rustix::process::geteuid().is_root() {
        return Vec::new();
    }
    let of_mount = |entry: MountEntry| {
        let kind = Kind::of_mount(&entry.kind, &entry.options)?;
        (entry.root == Path::new("/")).then_some(Hierarchy { kind, top: entry.path })
    };
    let mut hierarchies: Vec<Hierarchy> = mounts().into_iter().filter_map(of_mount).collect();
    hierarchies.sort_by_key(|hierarchy| hierarchy.kind);
    hierarchies
}

fn folder_of(instance: &str) -> String {
    format!("wardfs-{instance}")
}

/// A file of the kernel's: it is there already, and takes each write as it comes.
fn write(path: &Path, word: &str) -> io::Result<()> {
    use std::io::Write as _;
    std::fs::OpenOptions::new().write(true).open(path)?.write_all(word.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_in_a_cgroup_by_the_line_of_its_hierarchy_and_by_a_whole_part_of_the_path() {
        let cgroup = |kind| SessionCgroup {
            kind,
            directory: PathBuf::from("/nowhere"),
            path: "/wardfs-1/2".to_owned(),
        };
        let unified = cgroup(Kind::Unified);
        assert!(unified.holds(b"4:freezer:/\n0::/wardfs-1/2\n"));
        assert!(unified.holds(b"0::/wardfs-1/2/below\n"));
        for other in ["0::/wardfs-1/23\n", "0::/x/wardfs-1/2\n", "4:pids:/wardfs-1/2\n0::/\n", ""] {
            assert!(!unified.holds(other.as_bytes()), "{other}");
        }
        let freezer = cgroup(Kind::Freezer);
        assert!(freezer.holds(b"5:cpu,freezer:/wardfs-1/2\n0::/\n"));
        assert!(!freezer.holds(b"5:freezer:/\n1:name=freezer:/wardfs-1/2\n0::/wardfs-1/2\n"));
    }

    #[test]
    fn the_unified_hierarchy_comes_first_and_that_of_systemd_never() {
        assert_eq!(Kind::of_mount("cgroup2", "rw"), Some(Kind::Unified));
        assert_eq!(Kind::of_mount("cgroup", "rw,freezer"), Some(Kind::Freezer));
        assert_eq!(Kind::of_mount("cgroup", "rw,cpu,pids"), Some(Kind::Pids));
        assert_eq!(Kind::of_mount("cgroup", "rw,xattr,name=systemd"), None);
        assert_eq!(Kind::of_mount("tmpfs", "freezer"), None);
        assert!(Kind::Unified < Kind::Freezer);
    }
}
