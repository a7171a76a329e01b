//! What FUSE needs of the machine, and mounts that nobody serves.

use super::{Finding, Grade};
use nix::unistd::{AccessFlags, Uid, access};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const DEVICE: &str = "/dev/fuse";
/// Where programs lie that a daemon of an ordinary user finds.
const PLACES: [&str; 4] = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"];

/// What was seen.
#[derive(Debug)]
pub(super) struct Fuse {
    device: Device,
    /// Root mounts by itself; others have fusermount3 do it.
    is_root: bool,
    helper: Helper,
    /// Whether `AppArmor` has a profile for it.
    has_profile: bool,
    dead: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Device {
    Absent,
    Closed,
    Open,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Helper {
    Absent,
    /// Not set-user-id root.
    Plain,
    Privileged,
}

impl Fuse {
    pub(super) fn read() -> Self {
        let device = match access(DEVICE, AccessFlags::R_OK | AccessFlags::W_OK) {
            Ok(()) => Device::Open,
            Err(nix::errno::Errno::ENOENT) => Device::Absent,
            Err(_) => Device::Closed,
        };
        let is_root = Uid::effective().is_root();
        let enabled = std::fs::read_to_string("/sys/module/apparmor/parameters/enabled");
        let has_profile = enabled.is_ok_and(|text| text.starts_with('Y'))
            && Path::new("/etc/apparmor.d/fusermount3").exists();
        let dead = ward_mountd::dead_mounts();
        Self { device, is_root, helper: helper(), has_profile, dead }
    }

    pub(super) fn findings(&self) -> Vec<Finding> {
        [self.device(), self.fusermount(), self.apparmor(), self.dead()]
            .into_iter()
            .flatten()
            .collect()
    }

    fn device(&self) -> Option<Finding> {
        let (found, next) = match self.device {
            Device::Open => return None,
            Device::Absent => (
                "there is no /dev/fuse",
                "load the module: sudo modprobe fuse; in a container, give it the device",
            ),
            Device::Closed => {
                ("you may not open /dev/fuse", "as udev does on Debian: sudo chmod 666 /dev/fuse")
            }
        };
        Some(Finding {
            name: "fuse",
            grade: Grade::Bad,
            found: found.to_owned(),
            means: "no vault can be mounted",
            next: next.to_owned(),
        })
    }

    fn fusermount(&self) -> Option<Finding> {
        let (found, next) = match self.helper {
            _ if self.is_root => return None,
            Helper::Privileged => return None,
            Helper::Absent => ("there is no fusermount3", "sudo apt install fuse3"),
            Helper::Plain => (
                "fusermount3 is not set-user-id root, or lies on a file system without it",
                "sudo apt install --reinstall fuse3, or sudo chmod u+s /usr/bin/fusermount3",
            ),
        };
        Some(Finding {
            name: "fusermount3",
            grade: Grade::Bad,
            found: found.to_owned(),
            means: "a daemon of yours cannot mount, for an ordinary user has it do that",
            next: next.to_owned(),
        })
    }

    fn apparmor(&self) -> Option<Finding> {
        (self.has_profile && !self.is_root).then(|| Finding {
            name: "apparmor",
            grade: Grade::Note,
            found: "AppArmor has a profile for fusermount3".to_owned(),
            means: "it mounts where the profile lets it: below home directories, /run/user, /mnt, /media and /tmp, as it comes",
            next: "for another place: /etc/apparmor.d/local/fusermount3".to_owned(),
        })
    }

    fn dead(&self) -> Option<Finding> {
        let first = self.dead.first()?.display();
        Some(Finding {
            name: "dead-mounts",
            grade: Grade::Bad,
            found: match self.dead.len() {
                1 => format!("nobody serves the mount at {first}"),
                number => format!("nobody serves {number} mounts, such as that at {first}"),
            },
            means: "who looks there gets an error or hangs; they yield nothing",
            next: format!(
                "ward daemon start for its root, or: umount -l '{first}' (fusermount3 -uz, if it is yours)"
            ),
        })
    }
}

fn helper() -> Helper {
    let found = PLACES.iter().map(|place| Path::new(place).join("fusermount3"));
    let Some((path, metadata)) = found
        .filter_map(|path| std::fs::metadata(&path).ok().map(|metadata| (path, metadata)))
        .next()
    else {
        return Helper::Absent;
    };
    let is_set = metadata.mode() & 0o4000 != 0 && metadata.uid() == 0;
    let keeps_it = nix::sys::statvfs::statvfs(&path)
        .is_ok_and(|place| !place.flags().contains(nix::sys::statvfs::FsFlags::ST_NOSUID));
    if is_set && keeps_it { Helper::Privileged } else { Helper::Plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Fuse {
        Fuse {
            device: Device::Open,
            is_root: false,
            helper: Helper::Privileged,
            has_profile: false,
            dead: Vec::new(),
        }
    }

    fn names(fuse: &Fuse) -> Vec<(&'static str, Grade)> {
        fuse.findings().iter().map(|finding| (finding.name, finding.grade)).collect()
    }

    #[test]
    fn a_machine_that_mounts_is_no_finding_and_each_thing_that_is_missing_is_one() {
        assert_eq!(names(&good()), []);
        for device in [Device::Absent, Device::Closed] {
            assert_eq!(names(&Fuse { device, ..good() }), [("fuse", Grade::Bad)]);
        }
        for helper in [Helper::Absent, Helper::Plain] {
            assert_eq!(names(&Fuse { helper, ..good() }), [("fusermount3", Grade::Bad)]);
            assert_eq!(names(&Fuse { helper, is_root: true, ..good() }), [], "root needs none");
        }
        assert_eq!(names(&Fuse { has_profile: true, ..good() }), [("apparmor", Grade::Note)]);
        let dead = vec![PathBuf::from("/run/ward/a"), PathBuf::from("/run/ward/b")];
        let finding = Fuse { dead, ..good() }.findings().remove(0);
        assert_eq!((finding.name, finding.grade), ("dead-mounts", Grade::Bad));
        assert_eq!(finding.found, "nobody serves 2 mounts, such as that at /run/ward/a");
    }
}
