//! What the machine says of itself in `/proc`, and what of it matters.

use super::{Finding, Grade};

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
        }
    }

    /// What of it matters.
    pub(super) fn findings(&self) -> Vec<Finding> {
        [self.kernel(), self.yama(), self.cgroup(), self.fusectl(), self.timeout()]
            .into_iter()
            .flatten()
            .collect()
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
            means: "the end of a busy mount of a private root takes effect, but the connection stays until its files are closed",
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
    }
}
