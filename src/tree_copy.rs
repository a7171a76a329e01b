//! A copy of a tree of files, as much of it as the other side can hold, with a report of the rest.
//!
//! Every name is opened relative to its directory and no link is followed, so nobody leads the copy
//! elsewhere; a name that is there already is never replaced.

mod attributes;
mod content;

use crate::trouble::Trouble;
use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, fstat, mkdirat, openat, readlinkat, statat,
};
use rustix::io::Errno;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, CString};
use std::fmt::Write as _;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use ward_mountd::control::message::FailureCode;

/// What the other side can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fidelity {
    /// Content and time of files, and folders: a vault of kind `secrets`.
    Values,
    /// Everything a file system holds.
    Everything,
}

/// What of a tree is copied.
#[derive(Clone, Debug)]
pub(crate) struct Extent {
    /// What the other side can hold.
    pub(crate) fidelity: Fidelity,
    /// Files that are only shown there and kept elsewhere.
    pub(crate) elsewhere: BTreeSet<PathBuf>,
}

/// What came and what did not.
#[derive(Debug, Default, Serialize)]
pub(crate) struct CopyReport {
    /// The vault.
    pub(crate) vault: String,
    /// Files that came.
    pub(crate) files: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// Directories that came, the top one not among them.
    pub(crate) directories: u64,
    /// Symbolic links, further names of files, fifos, sockets and devices that came.
    pub(crate) others: u64,
    /// What did not come, and why.
    pub(crate) left_out: Vec<LeftOut>,
    /// What came without all that belonged to it: what was lost, and how often.
    pub(crate) not_kept: BTreeMap<String, u64>,
    /// Files that are only shown there and kept elsewhere.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) elsewhere: Vec<String>,
}

/// Something that did not come.
#[derive(Debug, Serialize)]
pub(crate) struct LeftOut {
    /// Its path; bytes that are no UTF-8 are replaced.
    pub(crate) path: String,
    /// Why.
    pub(crate) why: String,
}

/// A copy on its way.
pub(crate) struct TreeCopy<'a> {
    fidelity: Fidelity,
    elsewhere: &'a BTreeSet<PathBuf>,
    /// The file system that is copied: what is mounted below it may be the very vault.
    device: u64,
    /// Where further names of a file are linked from.
    target: BorrowedFd<'a>,
    /// Files with several names, and the first of them that came.
    first_names: BTreeMap<(u64, u64), CString>,
    is_interrupted: &'a dyn Fn() -> bool,
    report: CopyReport,
}

/// A directory on both sides.
#[derive(Clone, Copy)]
struct Pair<'a> {
    source: BorrowedFd<'a>,
    target: BorrowedFd<'a>,
    path: &'a Path,
}

impl<'a> TreeCopy<'a> {
    /// Copies all below `source` to below `target`, until `is_interrupted` says so.
    pub(crate) fn run(
        (source, target): (BorrowedFd<'a>, BorrowedFd<'a>),
        extent: &'a Extent,
        is_interrupted: &'a dyn Fn() -> bool,
    ) -> Result<CopyReport, Trouble> {
        let report = CopyReport::default();
        let first_names = BTreeMap::new();
        let unreadable = |errno: Errno| {
            Trouble::new(FailureCode::Failed, format!("cannot read the source: {errno}"))
        };
        let device = fstat(source).map_err(unreadable)?.st_dev;
        let (fidelity, elsewhere) = (extent.fidelity, &extent.elsewhere);
        let mut copy =
            Self { fidelity, elsewhere, device, target, first_names, is_interrupted, report };
        let pair = Pair { source, target, path: Path::new("") };
        match copy.directory(pair) {
            Ok(()) => Ok(copy.report),
            Err(Errno::INTR) => {
                let came = copy.report.files;
                let message = format!("interrupted after {came} files; what came is there");
                Err(Trouble::new(FailureCode::Failed, message))
            }
            Err(errno) => Err(unreadable(errno)),
        }
    }

    /// Copies the entries of a directory in the order of their names.
    fn directory(&mut self, pair: Pair<'_>) -> Result<(), Errno> {
        let mut names: Vec<CString> = Vec::new();
        for entry in Dir::read_from(pair.source)? {
            let name = entry?.file_name().to_owned();
            if name.as_bytes() != b"." && name.as_bytes() != b".." {
                names.push(name);
            }
        }
        names.sort();
        for name in names {
            if (self.is_interrupted)() {
                return Err(Errno::INTR);
            }
            let path = pair.path.join(lossy(&name));
            match self.entry(pair, &name, &path) {
                Ok(()) => {}
                Err(Why::Errno(Errno::INTR)) => return Err(Errno::INTR),
                Err(why) => {
                    let path = path.display().to_string();
                    self.report.left_out.push(LeftOut { path, why: why.words() });
                }
            }
        }
        Ok(())
    }

    fn entry(&mut self, pair: Pair<'_>, name: &CStr, path: &Path) -> Result<(), Why> {
        let stat = statat(pair.source, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if stat.st_dev != self.device {
            return Err(Why::Words("another file system is mounted there"));
        }
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => self.subdirectory(pair, name, path, &stat),
            FileType::RegularFile => self.file(pair, name, path, &stat),
            FileType::Symlink => {
                self.must_hold_everything("a symbolic link, which a secrets vault does not hold")?;
                let to = readlinkat(pair.source, name, Vec::new())?;
                rustix::fs::symlinkat(to, pair.target, name)?;
                self.report.others += 1;
                self.settle_link(pair, name, &stat);
                Ok(())
            }
            kind @ (FileType::Fifo
            | FileType::Socket
            | FileType::CharacterDevice
            | FileType::BlockDevice) => {
                self.must_hold_everything("no regular file, which a secrets vault does not hold")?;
                let mode = Mode::from_raw_mode(stat.st_mode);
                rustix::fs::mknodat(pair.target, name, kind, mode, stat.st_rdev)?;
                self.report.others += 1;
                self.settle_link(pair, name, &stat);
                Ok(())
            }
            FileType::Unknown => Err(Why::Words("of a type that is not known")),
        }
    }

    fn subdirectory(
        &mut self,
        pair: Pair<'_>,
        name: &CStr,
        path: &Path,
        stat: &Stat,
    ) -> Result<(), Why> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let source = openat(pair.source, name, flags, Mode::empty())?;
        match mkdirat(pair.target, name, Mode::RWXU) {
            Ok(()) => self.report.directories += 1,
            // A folder that is there already takes what comes.
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
        let target = openat(pair.target, name, flags, Mode::empty())?;
        self.directory(Pair { source: source.as_fd(), target: target.as_fd(), path })?;
        if self.elsewhere.iter().any(|file| file.starts_with(path))
            && rustix::fs::unlinkat(pair.target, name, AtFlags::REMOVEDIR).is_ok()
        {
            // Nothing of it is kept here.
            self.report.directories = self.report.directories.saturating_sub(1);
            return Ok(());
        }
        self.settle((source.as_fd(), target.as_fd()), stat);
        // Last: what was made in it changed its times.
        self.set_times(pair.target, name, stat);
        Ok(())
    }

    fn file(&mut self, pair: Pair<'_>, name: &CStr, path: &Path, stat: &Stat) -> Result<(), Why> {
        // A human would be asked for each.
        if self.elsewhere.contains(path) {
            self.report.elsewhere.push(path.display().to_string());
            return Ok(());
        }
        if stat.st_nlink > 1 {
            match (self.fidelity, self.first_names.get(&(stat.st_dev, stat.st_ino))) {
                (Fidelity::Values, _) => self.lose("link to another name"),
                (Fidelity::Everything, Some(first)) => {
                    rustix::fs::linkat(self.target, first, pair.target, name, AtFlags::empty())?;
                    self.report.others += 1;
                    return Ok(());
                }
                (Fidelity::Everything, None) => {}
            }
        }
        // NONBLOCK: a fifo put in its place meanwhile does not hold us.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let source = openat(pair.source, name, flags, Mode::empty())?;
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let target = openat(pair.target, name, flags, Mode::RUSR | Mode::WUSR)?;
        match self.fill((&source, target), stat) {
            Ok(bytes) => self.report.bytes += bytes,
            Err(errno) => {
                // Half a file is none.
                let _stays_behind = rustix::fs::unlinkat(pair.target, name, AtFlags::empty());
                return Err(errno.into());
            }
        }
        self.report.files += 1;
        self.set_times(pair.target, name, stat);
        if stat.st_nlink > 1
            && let Ok(first) = CString::new(path.as_os_str().as_encoded_bytes())
        {
            self.first_names.insert((stat.st_dev, stat.st_ino), first);
        }
        Ok(())
    }

    /// Content and attributes of a new file; closing it can still fail.
    fn fill(&mut self, (source, target): (&OwnedFd, OwnedFd), stat: &Stat) -> Result<u64, Errno> {
        let bytes = content::copy(source.as_fd(), target.as_fd(), self.fidelity)?;
        self.settle((source.as_fd(), target.as_fd()), stat);
        nix::unistd::close(target).map_err(|errno| Errno::from_raw_os_error(errno as i32))?;
        Ok(bytes)
    }

    fn must_hold_everything(&self, otherwise: &'static str) -> Result<(), Why> {
        match self.fidelity {
            Fidelity::Everything => Ok(()),
            Fidelity::Values => Err(Why::Words(otherwise)),
        }
    }

    /// Notes that something of an entry did not come with it.
    fn lose(&mut self, what: &str) {
        *self.report.not_kept.entry(what.to_owned()).or_default() += 1;
    }
}

impl CopyReport {
    /// The report in words; foreign names are escaped.
    pub(crate) fn words(&self, done: &str) -> String {
        use crate::output::{bytes, count, escaped};
        let mut text = format!(
            "{done} {} ({}), {}, {} others\n",
            count(self.files, "file"),
            bytes(self.bytes),
            if self.directories == 1 {
                "1 directory".to_owned()
            } else {
                format!("{} directories", self.directories)
            },
            self.others
        );
        for (what, number) in &self.not_kept {
            // Writing into a string cannot fail.
            let _written = writeln!(text, "not kept: {what}, {}", count(*number, "time"));
        }
        for path in &self.elsewhere {
            let _written = writeln!(text, "kept elsewhere: {}", escaped(path));
        }
        for LeftOut { path, why } in &self.left_out {
            let _written = writeln!(text, "left out: {}: {}", escaped(path), escaped(why));
        }
        text
    }
}

/// Why an entry did not come.
#[derive(Debug)]
enum Why {
    Errno(Errno),
    Words(&'static str),
}

impl Why {
    fn words(&self) -> String {
        match self {
            Self::Errno(Errno::EXIST) => "there is something of that name already".to_owned(),
            Self::Errno(errno) => std::io::Error::from(*errno).to_string(),
            Self::Words(words) => (*words).to_owned(),
        }
    }
}

impl From<Errno> for Why {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

/// Opens a directory to copy from or to; no link at its end is followed.
pub(crate) fn open_directory(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(CWD, path, flags, Mode::empty())
}

fn lossy(name: &CStr) -> PathBuf {
    use std::os::unix::ffi::OsStrExt as _;
    PathBuf::from(std::ffi::OsStr::from_bytes(name.to_bytes()))
}
