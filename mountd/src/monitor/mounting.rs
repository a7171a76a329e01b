//! Mounts: made, attached to a directory by descriptor, ended for good.

use super::message::{Manner, MonitorError, MonitorFault, Prepare, Prepared};
use super::mount_table::{MountEntry, mount_of, mounts};
use nix::unistd::{Uid, setfsuid};
use rustix::fs::{AtFlags, Mode, OFlags, Stat, fstat, openat, statat, unlinkat};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, UnmountFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, unmount,
};
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The filesystem type in mountinfo, by which a mount is known as a wardfs mount.
pub(crate) const TYPE: &str = "fuse.wardfs";
/// How far the kernel reads ahead where it keeps pages: a request for each event loop.
const READ_AHEAD_KIB: &[u8] = b"4096";

/// What getmntent(3) reads of a line.
const LONGEST_LINE: usize = 4095;
/// Room for what a line has besides source and path: type, options and numbers.
const OTHER_FIELDS: usize = 160;

/// A mount between preparation and end.
#[derive(Debug)]
pub(crate) struct Mounting {
    directory: OwnedFd,
    /// The mount itself, when we made it with our own privileges.
    mount: Option<OwnedFd>,
    path: PathBuf,
    source: String,
    manner: Manner,
    owner: u32,
    folder_to_remove: Option<(OwnedFd, OsString, Stat)>,
}

/// Where the top directory of a mount can be opened.
#[derive(Debug)]
pub(crate) enum Top {
    /// Through the mount itself.
    Mount(OwnedFd),
    /// By its path.
    Path(PathBuf),
}

impl Mounting {
    /// Makes a FUSE filesystem for `directory`; gives its FUSE descriptor.
    pub(crate) fn prepare(
        number: u64,
        wanted: &Prepare,
        directory: OwnedFd,
    ) -> Result<(Self, Prepared, OwnedFd), MonitorError> {
        let path = check_mountpoint(&directory, wanted)?;
        let source = format!("wardfs:{}:{}", wanted.instance, wanted.vault);
        let folder_to_remove =
            if wanted.made_directory { folder_of(&directory, &path) } else { None };
        let (mount, fuse) = if rustix::process::geteuid().is_root() {
            let made = make(&source, wanted.manner);
            let (mount, fuse) = made.map_err(|error| machine("/dev/fuse", &error))?;
            (Some(mount), fuse)
        } else {
            if !has_line_for_fusermount(&source, &path) {
                let shown = path.display().to_string();
                return Err(refuse(&shown, "has a path too long for fusermount3 to unmount it"));
            }
            (None, ask_fusermount(&source, &directory, wanted.manner)?)
        };
        let prepared = Prepared { mount: number, path: path.to_string_lossy().into_owned() };
        let Prepare { manner, owner, .. } = *wanted;
        let mounting = Self { directory, mount, path, source, manner, owner, folder_to_remove };
        Ok((mounting, prepared, fuse))
    }

    /// Shows it at its directory.
    pub(crate) fn attach(&self) -> Result<(), MonitorError> {
        self.show()?;
        if self.manner != Manner::AskAll {
            self.read_further_ahead();
        }
        Ok(())
    }

    fn show(&self) -> Result<(), MonitorError> {
        let Some(mount) = &self.mount else {
            return Ok(());
        };
        let flags =
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        move_mount(mount, "", &self.directory, "", flags).map_err(|errno| MonitorError {
            fault: MonitorFault::Machine,
            message: format!("cannot attach the mount at {} ({errno})", self.path.display()),
            next: "run the daemon as root outside a container, or use a private root".to_owned(),
        })
    }

    /// Has the kernel read ahead as much as all event loops can decrypt at once. An ordinary user may not; then it reads
    /// ahead as much as it does everywhere.
    fn read_further_ahead(&self) {
        let ours = mounts().into_iter().rev().find(|entry| entry.source == self.source);
        let Some(MountEntry { minor, .. }) = ours else { return };
        let setting = format!("/sys/class/bdi/0:{minor}/read_ahead_kb");
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        if let Ok(setting) = rustix::fs::open(setting, flags, Mode::empty()) {
            let _stays_as_it_is = rustix::io::write(&setting, READ_AHEAD_KIB);
        }
    }

    /// Where its top directory can be opened.
    pub(crate) fn top(&self) -> Result<Top, MonitorError> {
        match &self.mount {
            Some(mount) => {
                let mount = mount.try_clone().map_err(|error| machine("a descriptor", &error))?;
                Ok(Top::Mount(mount))
            }
            None => {
                let now = all_of(&self.source).next_back().map(|entry| entry.path);
                Ok(Top::Path(now.unwrap_or_else(|| self.path.clone())))
            }
        }
    }

    /// Takes it out of the tree, cuts every open descriptor, and removes the directory if asked to.
    pub(crate) fn end(self) -> Result<(), MonitorError> {
        let ended = match &self.mount {
            // MNT_FORCE aborts the connection, MNT_DETACH then takes it out even while it is busy.
            Some(mount) => unmount(
                format!("/proc/self/fd/{}", mount.as_raw_fd()),
                UnmountFlags::FORCE | UnmountFlags::DETACH,
            )
            .map_err(io::Error::from),
            None => all_of(&self.source).map(|it| end_by_fusermount(&it)).fold(Ok(()), Result::and),
        };
        if let Some(folder) = &self.folder_to_remove {
            self.as_owner(|| remove_if_same(folder));
        }
        ended.map_err(|error| MonitorError {
            fault: MonitorFault::Machine,
            message: format!("cannot unmount {} ({error})", self.path.display()),
            next: format!("umount -l {}", self.path.display()),
        })
    }

    /// Does `work` with the rights to files of the user who mounted it, and of nobody else.
    fn as_owner(&self, work: impl FnOnce()) {
        let ours = setfsuid(Uid::from_raw(self.owner));
        work();
        // Gives back our own rights, with what belongs to them (capabilities(7)).
        setfsuid(ours);
    }
}

impl Top {
    /// Has the kernel write back what it keeps of changes; it has handed all of it over then, though
    /// not waited for our answers.
    pub(crate) fn write_back(self) -> Result<(), MonitorError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let top = match &self {
            Self::Mount(mount) => openat(mount, ".", flags, Mode::empty()),
            Self::Path(path) => rustix::fs::open(path, flags, Mode::empty()),
        };
        let written = top.and_then(rustix::fs::syncfs);
        written.map_err(|errno| machine("writing back", &errno.into()))
    }
}

/// Ends every mount of `instance` that an earlier daemon left; the paths.
pub(crate) fn clean_up(instance: &str) -> Vec<String> {
    let source = format!("wardfs:{instance}:");
    let stale = mounts()
        .into_iter()
        .filter(|entry| entry.kind == TYPE && entry.source.starts_with(&source));
    stale
        .filter(|entry| {
            if rustix::process::geteuid().is_root() {
                unmount(&entry.path, UnmountFlags::FORCE | UnmountFlags::DETACH).is_ok()
            } else {
                end_by_fusermount(entry).is_ok()
            }
        })
        .map(|entry| entry.path.to_string_lossy().into_owned())
        .collect()
}

/// Checks everything on the descriptor; the path is only what the kernel says of it.
fn check_mountpoint(directory: &OwnedFd, wanted: &Prepare) -> Result<PathBuf, MonitorError> {
    let link = rustix::fs::readlinkat(
        rustix::fs::CWD,
        format!("/proc/self/fd/{}", directory.as_raw_fd()),
        Vec::new(),
    );
    let path = link.map(|link| PathBuf::from(OsString::from_vec(link.into_bytes())));
    let path =
        path.map_err(|errno| refuse("the mountpoint", &format!("cannot be read ({errno})")))?;
    let shown = path.display().to_string();
    // First of all, since to look at a directory of our own mount is to ask ourselves.
    let Some(entry) = mount_of(directory.as_fd()) else {
        return Err(refuse(&shown, "lies in another mount namespace than the daemon's"));
    };
    if entry.kind == TYPE {
        return Err(refuse(&shown, "lies in a mount of wardfs"));
    }
    let stat =
        fstat(directory).map_err(|errno| refuse(&shown, &format!("cannot be read ({errno})")))?;
    if rustix::fs::FileType::from_raw_mode(stat.st_mode) != rustix::fs::FileType::Directory {
        return Err(refuse(&shown, "is no directory"));
    }
    if path.parent().is_none_or(|parent| parent == Path::new("/")) {
        return Err(refuse(&shown, "is a top-level directory, where a dead mount would hang ls /"));
    }
    if stat.st_uid != wanted.owner {
        return Err(refuse(&shown, &format!("belongs to uid {}, not to you", stat.st_uid)));
    }
    if !is_empty(directory.as_fd()).unwrap_or(false) {
        return Err(refuse(&shown, "is not empty"));
    }
    Ok(path)
}

fn remove_if_same((parent, name, made): &(OwnedFd, OsString, Stat)) {
    let is_same = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| (stat.st_dev, stat.st_ino) == (made.st_dev, made.st_ino));
    if is_same {
        let _stays_if_not_empty = unlinkat(parent, name, AtFlags::REMOVEDIR);
    }
}

fn is_empty(directory: BorrowedFd<'_>) -> io::Result<bool> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let listing = openat(directory, ".", flags, Mode::empty())?;
    let mut entries = rustix::fs::Dir::new(listing)?;
    Ok(entries
        .all(|entry| entry.is_ok_and(|entry| matches!(entry.file_name().to_bytes(), b"." | b".."))))
}

fn folder_of(directory: &OwnedFd, path: &Path) -> Option<(OwnedFd, OsString, Stat)> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let parent = openat(directory, "..", flags, Mode::empty()).ok()?;
    Some((parent, path.file_name()?.to_owned(), fstat(directory).ok()?))
}

/// A new FUSE filesystem, mounted nowhere yet, and its FUSE descriptor.
fn make(source: &str, manner: Manner) -> io::Result<(OwnedFd, OwnedFd)> {
    let fuse = open_device()?;
    let context = fsopen("fuse", FsOpenFlags::FSOPEN_CLOEXEC)?;
    let options = [
        ("source", source),
        ("subtype", "wardfs"),
        ("fd", &fuse.as_raw_fd().to_string()),
        ("rootmode", "40000"),
        ("user_id", "0"),
        ("group_id", "0"),
    ];
    for (key, value) in options {
        fsconfig_set_string(&context, key, value)?;
    }
    fsconfig_set_flag(&context, "allow_other")?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOATIME;
    let attributes = match manner {
        Manner::AskAll => attributes | MountAttrFlags::MOUNT_ATTR_NOEXEC,
        Manner::Keep => attributes,
        Manner::KeepReadOnly => attributes | MountAttrFlags::MOUNT_ATTR_RDONLY,
    };
    if manner != Manner::AskAll {
        fsconfig_set_flag(&context, "default_permissions")?;
    }
    fsconfig_create(&context)?;
    let mount = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
    Ok((mount, fuse))
}

fn open_device() -> io::Result<OwnedFd> {
    Ok(rustix::fs::open("/dev/fuse", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?)
}

/// Has the setuid helper of the fuse3 package mount it, since we have no privileges ourselves.
fn ask_fusermount(
    source: &str,
    directory: &OwnedFd,
    manner: Manner,
) -> Result<OwnedFd, MonitorError> {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
    drop(open_device().map_err(|error| machine("/dev/fuse", &error))?);
    let socket = |error: io::Error| machine("a socket pair", &error);
    let pair = socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC);
    let (ours, theirs) = pair.map_err(|errno| socket(errno.into()))?;
    let manner = match manner {
        Manner::AskAll => "noexec",
        Manner::Keep => "default_permissions",
        Manner::KeepReadOnly => "default_permissions,ro",
    };
    let options = format!("fsname={source},subtype=wardfs,nosuid,nodev,noatime,{manner}");
    let mut command = Command::new("fusermount3");
    command
        .args(["-o", &options, "--", "."])
        .current_dir(format!("/proc/self/fd/{}", directory.as_raw_fd()))
        .env_clear()
        .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
        .env("_FUSE_COMMFD", "0")
        .stdin(Stdio::from(theirs))
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let output =
        command.output().map_err(|error| machine("fusermount3 (package fuse3)", &error))?;
    drop(command);
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(of_fusermount(said.trim(), is_apparmor_on()));
    }
    super::message::receive_descriptor(ours.as_fd()).map_err(|error| machine("fusermount3", &error))
}

/// Why fusermount3 did not mount, as far as its words tell.
fn of_fusermount(said: &str, apparmor: bool) -> MonitorError {
    let next = if said.contains("user_allow_other") {
        "have root add the line user_allow_other to /etc/fuse.conf"
    } else if said.contains("mount_max") {
        "end a mount, or have root raise mount_max in /etc/fuse.conf"
    } else if said.contains("Permission denied") && apparmor {
        "AppArmor's profile of fusermount3 may keep it from mounting there: mount below your home or \
         /run/user, or have root permit the place in /etc/apparmor.d/local/fusermount3"
    } else if said.contains("Operation not permitted") {
        "see that fusermount3 is set-user-id root (chmod u+s), and is not run with no_new_privs, as in \
         some containers"
    } else {
        "see that the package fuse3 is installed and lets you mount"
    };
    MonitorError {
        fault: MonitorFault::Machine,
        message: format!("cannot mount: fusermount3: {said}"),
        next: next.to_owned(),
    }
}

fn is_apparmor_on() -> bool {
    let enabled = std::fs::read_to_string("/sys/module/apparmor/parameters/enabled");
    enabled.is_ok_and(|text| text.starts_with('Y'))
}

/// Where a source is mounted by now: a folder above may have got another name.
fn all_of(source: &str) -> impl DoubleEndedIterator<Item = MountEntry> {
    mounts().into_iter().filter(move |entry| entry.source == source && entry.kind == TYPE)
}

/// Whether fusermount3 finds the mount again. It does so by its line in `/proc/mounts`, of which
/// getmntent(3) reads no more than [`LONGEST_LINE`] bytes.
fn has_line_for_fusermount(source: &str, path: &Path) -> bool {
    let escaped = |byte: &u8| if b" \t\n\\#".contains(byte) { 4 } else { 1 };
    let path: usize = path.as_os_str().as_bytes().iter().map(escaped).sum();
    source.len() + path + OTHER_FIELDS <= LONGEST_LINE
}

fn end_by_fusermount(entry: &MountEntry) -> io::Result<()> {
    let status = Command::new("fusermount3")
        .args(["-u", "-z", "--"])
        .arg(&entry.path)
        .env_clear()
        .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    let abort = format!("/sys/fs/fuse/connections/{}/abort", entry.minor);
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    if let Ok(abort) = rustix::fs::open(abort, flags, Mode::empty()) {
        let _gone_already = rustix::io::write(&abort, b"1");
    }
    if status.success() { Ok(()) } else { Err(io::Error::other("fusermount3 -u failed")) }
}

fn refuse(path: &str, why: &str) -> MonitorError {
    MonitorError {
        fault: MonitorFault::Mountpoint,
        message: format!("cannot mount at {path}: it {why}"),
        next: "name an empty directory of your own, such as ~/secrets".to_owned(),
    }
}

fn machine(what: &str, error: &io::Error) -> MonitorError {
    let next = if what == "/dev/fuse" && error.kind() == io::ErrorKind::PermissionDenied {
        "let users open it, as udev does on Debian: sudo chmod 666 /dev/fuse"
    } else if what == "/dev/fuse" {
        "load the fuse module (modprobe fuse), or give the container /dev/fuse"
    } else {
        "see that the package fuse3 is installed and lets you mount"
    };
    MonitorError {
        fault: MonitorFault::Machine,
        message: format!("cannot mount: {what}: {error}"),
        next: next.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_of_fusermount_has_its_own_next_step() {
        let next = |said, apparmor| of_fusermount(said, apparmor).next;
        let denied = "fusermount3: mount failed: Permission denied";
        assert!(next(denied, true).contains("/etc/apparmor.d/local/fusermount3"));
        assert!(!next(denied, false).contains("AppArmor"));
        let other = "fusermount3: option allow_other only allowed if 'user_allow_other' is set in \
                     /etc/fuse.conf";
        assert!(next(other, true).contains("user_allow_other to /etc/fuse.conf"));
        assert!(next("too many mounts: mount_max", true).contains("end a mount"));
        let setuid = "fusermount3: mount failed: Operation not permitted";
        assert!(next(setuid, true).contains("chmod u+s"));
    }
}
