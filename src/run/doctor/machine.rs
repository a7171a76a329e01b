//! What the machine says of itself in `/proc` and `/sys`, and what of it matters.

use super::{Finding, Grade};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use nix::unistd::Uid;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The oldest kernel that has all that is needed (a pidfd of a thread, `pidfd_open(2)`).
const OLDEST: (u32, u32) = (6, 9);

/// What was read. Absent is what this kernel has not.
#[derive(Debug, Default)]
pub(super) struct Machine {
    /// `kernel.osrelease`.
    release: String,
    /// `kernel.yama.ptrace_scope`.
    ptrace_scope: Option<u32>,
    has_cgroup: bool,
    has_fusectl: bool,
    /// `fs.fuse.max_request_timeout` in seconds, 0 for none.
    request_timeout: u32,
    /// Where memory is swapped to in clear.
    swaps: Vec<String>,
    /// Whether every user may make user namespaces.
    has_open_namespaces: bool,
    /// `kernel.core_pattern`, when a program that crashes leaves its memory there.
    core_pattern: Option<String>,
    /// Whether the clock follows another; absent where the kernel does not tell.
    is_synchronised: Option<bool>,
}

impl Machine {
    pub(super) fn read() -> Self {
        let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let number = |path: &str| text(path).trim().parse().ok();
        let mounts = text("/proc/self/mounts");
        let has = |kind: &str| {
            mounts.lines().any(|line| line.split(' ').nth(2).is_some_and(|word| word == kind))
        };
        Self {
            release: text("/proc/sys/kernel/osrelease").trim().to_owned(),
            ptrace_scope: number("/proc/sys/kernel/yama/ptrace_scope"),
            has_cgroup: has("cgroup2"),
            has_fusectl: has("fusectl"),
            request_timeout: number("/proc/sys/fs/fuse/max_request_timeout").unwrap_or(0),
            swaps: swaps(&text("/proc/swaps")),
            has_open_namespaces: number("/proc/sys/user/max_user_namespaces").unwrap_or(0) > 0
                && number("/proc/sys/kernel/unprivileged_userns_clone") != Some(0)
                && number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") != Some(1),
            core_pattern: leaves_cores(text("/proc/sys/kernel/core_pattern").trim()),
            is_synchronised: ward_mountd::clock_is_synchronised(),
        }
    }

    /// What of it matters.
    pub(super) fn findings(&self) -> Vec<Finding> {
        let findings = [
            self.kernel(),
            self.yama(),
            self.cgroup(),
            self.fusectl(),
            self.timeout(),
            self.swap(),
            self.user_namespaces(),
            self.cores(),
            self.clock(),
        ];
        findings.into_iter().flatten().collect()
    }

    fn kernel(&self) -> Option<Finding> {
        let mut numbers = self.release.split(['.', '-', '+']).map(str::parse::<u32>);
        let version = (numbers.next()?.ok()?, numbers.next()?.ok()?);
        (version < OLDEST).then(|| Finding {
            name: "kernel",
            grade: Grade::Bad,
            found: format!("Linux {} is older than 6.9", self.release),
            means: "callers cannot be told apart by thread, so every open is refused",
            next: "take a newer kernel; Debian 12 has one in backports".to_owned(),
        })
    }

    fn yama(&self) -> Option<Finding> {
        let found = match self.ptrace_scope {
            None => "this kernel has no Yama",
            Some(0) => "Yama is off: kernel.yama.ptrace_scope is 0",
            Some(_) => return None,
        };
        Some(Finding {
            name: "yama",
            grade: Grade::Bad,
            found: found.to_owned(),
            means: "a program can put code into another one of its uid, also into one that may open a secret",
            next: match self.ptrace_scope {
                None => {
                    "take a kernel with CONFIG_SECURITY_YAMA, and give agents uids of their own"
                }
                Some(_) => "sudo sysctl kernel.yama.ptrace_scope=1",
            }
            .to_owned(),
        })
    }

    fn cgroup(&self) -> Option<Finding> {
        (!self.has_cgroup).then(|| Finding {
            name: "cgroup",
            grade: Grade::Note,
            found: "cgroup v2 is not mounted".to_owned(),
            means: "processes are told apart by their parents and session alone",
            next: "mount it, as systemd does: mount -t cgroup2 none /sys/fs/cgroup".to_owned(),
        })
    }

    fn fusectl(&self) -> Option<Finding> {
        (!self.has_fusectl).then(|| Finding {
            name: "fusectl",
            grade: Grade::Note,
            found: "fusectl is not mounted".to_owned(),
            means: "the end of a busy mount of a private root takes effect, but its vault neither locks nor opens again until its files are closed",
            next: "sudo mount -t fusectl none /sys/fs/fuse/connections".to_owned(),
        })
    }

    fn timeout(&self) -> Option<Finding> {
        (self.request_timeout > 0).then(|| Finding {
            name: "request-timeout",
            grade: Grade::Note,
            found: format!("fs.fuse.max_request_timeout is {} s", self.request_timeout),
            means: "an open waits for a human at most half of it",
            next: "sudo sysctl fs.fuse.max_request_timeout=0, when humans take longer".to_owned(),
        })
    }

    fn swap(&self) -> Option<Finding> {
        (!self.swaps.is_empty()).then(|| Finding {
            name: "swap",
            grade: Grade::Bad,
            found: format!("memory is swapped in clear to {}", self.swaps.join(", ")),
            means: "what programs have read from a mount may come to lie on that disk",
            next: "encrypt it with a new key each boot (crypttab(5): /dev/urandom swap), or: sudo swapoff -a"
                .to_owned(),
        })
    }

    fn user_namespaces(&self) -> Option<Finding> {
        self.has_open_namespaces.then(|| Finding {
            name: "user-namespaces",
            grade: Grade::Note,
            found: "every user may make user namespaces".to_owned(),
            means: "more of the kernel is open to attack by any program, and whoever is root is stopped by nothing here",
            next: "where neither browsers nor containers need them: sudo sysctl user.max_user_namespaces=0"
                .to_owned(),
        })
    }

    fn cores(&self) -> Option<Finding> {
        let pattern = self.core_pattern.as_ref()?;
        Some(Finding {
            name: "core-pattern",
            grade: Grade::Note,
            found: format!("programs that crash leave their memory: kernel.core_pattern is {pattern}"),
            means: "with what they have read from a mount; the daemon itself leaves none",
            next: "ulimit -c 0 for programs that read secrets; where a program takes them all: sudo sysctl 'kernel.core_pattern=|/bin/false'"
                .to_owned(),
        })
    }

    fn clock(&self) -> Option<Finding> {
        (self.is_synchronised == Some(false)).then(|| Finding {
            name: "clock",
            grade: Grade::Note,
            found: "the clock follows no other (the kernel's STA_UNSYNC)".to_owned(),
            means: "times in the log and hours of the policy may be wrong; deadlines are not, they have a clock of their own",
            next: "sudo timedatectl set-ntp true, or install chrony".to_owned(),
        })
    }
}

/// That a daemon started by us could lock little memory. Root lifts the limit itself.
pub(super) fn locked_memory() -> Option<Finding> {
    let (limit, _) = getrlimit(Resource::RLIMIT_MEMLOCK).ok()?;
    (limit != RLIM_INFINITY && !Uid::effective().is_root()).then(|| Finding {
        name: "locked-memory",
        grade: Grade::Note,
        found: format!("a daemon that you start may lock {} KiB of memory", limit / 1024),
        means: "keys and replies are locked as far as that goes, other memory of it may be swapped to disk",
        next: "raise the limit: ulimit -l unlimited, or memlock in /etc/security/limits.conf"
            .to_owned(),
    })
}

/// Where `/proc/swaps` says that memory goes, and it is not encrypted there.
fn swaps(table: &str) -> Vec<String> {
    let places = table.lines().skip(1).filter_map(|line| line.split_whitespace().next());
    places.filter(|place| !is_closed(Path::new(place))).map(str::to_owned).collect()
}

/// Whether what is written there is encrypted, or stays in memory.
fn is_closed(place: &Path) -> bool {
    let Ok(metadata) = std::fs::metadata(place) else { return false };
    // A file is as its file system is.
    let number = if metadata.rdev() == 0 { metadata.dev() } else { metadata.rdev() };
    let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
    is_closed_device(Path::new(&format!("/sys/dev/block/{major}:{minor}")))
}

fn is_closed_device(device: &Path) -> bool {
    let name = std::fs::canonicalize(device).unwrap_or_default();
    let is_memory = name.file_name().is_some_and(|name| name.to_string_lossy().starts_with("zram"));
    let kind = std::fs::read_to_string(device.join("dm/uuid")).unwrap_or_default();
    if is_memory || kind.starts_with("CRYPT-") {
        return true;
    }
    let below = std::fs::read_dir(device.join("slaves")).into_iter().flatten().flatten();
    let below: Vec<_> = below.map(|entry| entry.path()).collect();
    !below.is_empty() && below.iter().all(|device| is_closed_device(device))
}

/// The pattern, when by it memory of programs comes to lie somewhere.
fn leaves_cores(pattern: &str) -> Option<String> {
    let takes_all = pattern.starts_with('|');
    let is_off = pattern.is_empty()
        || ["|/bin/false", "|/bin/true", "|/usr/bin/false", "|/usr/bin/true"].contains(&pattern);
    let limit = getrlimit(Resource::RLIMIT_CORE).map_or(0, |(soft, _)| soft);
    (!is_off && (takes_all || limit > 0)).then(|| pattern.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Machine {
        Machine {
            release: "6.18.44-cloud".to_owned(),
            ptrace_scope: Some(1),
            has_cgroup: true,
            has_fusectl: true,
            request_timeout: 0,
            swaps: Vec::new(),
            has_open_namespaces: false,
            core_pattern: None,
            is_synchronised: Some(true),
        }
    }

    fn names(machine: &Machine) -> Vec<(&'static str, Grade)> {
        machine.findings().iter().map(|finding| (finding.name, finding.grade)).collect()
    }

    #[test]
    fn a_machine_that_has_all_is_no_finding() {
        assert_eq!(names(&good()), []);
    }

    #[test]
    fn each_thing_that_is_missing_is_named() {
        let old = Machine { release: "6.8.12+deb".to_owned(), ..good() };
        assert_eq!(names(&old), [("kernel", Grade::Bad)]);
        for release in ["6.9", "6.9.0", "7.0-rc1"] {
            assert_eq!(names(&Machine { release: release.to_owned(), ..good() }), []);
        }
        for ptrace_scope in [None, Some(0)] {
            assert_eq!(names(&Machine { ptrace_scope, ..good() }), [("yama", Grade::Bad)]);
        }
        let bare = Machine { has_cgroup: false, has_fusectl: false, ..good() };
        assert_eq!(names(&bare), [("cgroup", Grade::Note), ("fusectl", Grade::Note)]);
        let timed = Machine { request_timeout: 60, ..good() };
        assert_eq!(names(&timed), [("request-timeout", Grade::Note)]);
        let swapping = Machine { swaps: vec!["/dev/sda2".to_owned()], ..good() };
        assert_eq!(names(&swapping), [("swap", Grade::Bad)]);
        let open = Machine { has_open_namespaces: true, ..good() };
        assert_eq!(names(&open), [("user-namespaces", Grade::Note)]);
        let core_pattern = Some("|/usr/lib/systemd/systemd-coredump %P".to_owned());
        assert_eq!(names(&Machine { core_pattern, ..good() }), [("core-pattern", Grade::Note)]);
        let free = Machine { is_synchronised: Some(false), ..good() };
        assert_eq!(names(&free), [("clock", Grade::Note)]);
        assert_eq!(names(&Machine { is_synchronised: None, ..good() }), [], "who knows");
    }

    #[test]
    fn swap_on_a_plain_disk_is_told_and_a_program_that_takes_cores_too() {
        assert_eq!(swaps("Filename\tType\tSize\tUsed\tPriority\n"), Vec::<String>::new());
        let table = "Filename Type Size Used Priority\n/no/such/disk partition 1 0 -2\n";
        assert_eq!(swaps(table), ["/no/such/disk"], "what cannot be looked at is not closed");
        let pipe = "|/usr/share/apport/apport %p";
        assert_eq!(leaves_cores(pipe).as_deref(), Some(pipe));
        assert_eq!((leaves_cores("|/bin/false"), leaves_cores("")), (None, None));
    }
}
