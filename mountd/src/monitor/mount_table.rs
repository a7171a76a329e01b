//! The mount table, as `/proc/self/mountinfo` tells it (`proc_pid_mountinfo(5)`).

use super::mounting::TYPE;
use crossbeam_channel::bounded;
use std::ffi::OsString;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a mount may take to answer before it counts as dead.
const PATIENCE: Duration = Duration::from_secs(1);

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MountEntry {
    pub(crate) id: u64,
    pub(crate) minor: u32,
    /// Which part of its filesystem it shows.
    pub(crate) root: PathBuf,
    pub(crate) path: PathBuf,
    pub(crate) kind: String,
    pub(crate) source: String,
    /// Those of the filesystem, not of this mount of it.
    pub(crate) options: String,
}

/// Every mount of our namespace, in the order of the table.
pub(crate) fn mounts() -> Vec<MountEntry> {
    let table = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
    table.split(|byte| *byte == b'\n').filter_map(parse).collect()
}

/// Mounts of wardfs that nobody serves: to look at one fails for want of a connection, or has no
/// answer in time.
pub fn dead_mounts() -> Vec<PathBuf> {
    let ours = mounts().into_iter().filter(|entry| entry.kind == TYPE);
    ours.map(|entry| entry.path).filter(|path| is_dead(path)).collect()
}

fn is_dead(path: &Path) -> bool {
    let (told, answer) = bounded(1);
    let place = path.to_owned();
    let look = move || {
        let looked = std::fs::symlink_metadata(place);
        let is_cut = looked.is_err_and(|it| it.raw_os_error() == Some(libc::ENOTCONN));
        let _gave_up_waiting = told.send(is_cut);
    };
    // Who hangs there ends with this process.
    let started = std::thread::Builder::new().name("look".to_owned()).spawn(look);
    started.is_ok() && answer.recv_timeout(PATIENCE).unwrap_or(true)
}

/// The mount that a directory lies in; `None` when it is in another namespace.
pub(crate) fn mount_of(directory: BorrowedFd<'_>) -> Option<MountEntry> {
    use rustix::fs::{AtFlags, StatxFlags, statx};
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let stat = statx(directory, "", flags, StatxFlags::MNT_ID).ok()?;
    mounts().into_iter().find(|entry| entry.id == stat.stx_mnt_id)
}

/// `36 35 98:0 /root /path options tags... - type source options`.
fn parse(line: &[u8]) -> Option<MountEntry> {
    let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let dash = words.iter().position(|word| *word == b"-")?;
    let text =
        |index: usize| -> Option<String> { String::from_utf8(unescape(words.get(index)?)).ok() };
    Some(MountEntry {
        id: text(0)?.parse().ok()?,
        minor: text(2)?.split_once(':')?.1.parse().ok()?,
        root: PathBuf::from(OsString::from_vec(unescape(words.get(3)?))),
        path: PathBuf::from(OsString::from_vec(unescape(words.get(4)?))),
        kind: text(dash + 1)?,
        source: text(dash + 2)?,
        options: text(dash + 3).unwrap_or_default(),
    })
}

/// Blank, tab, newline, backslash and `#` stand there as a backslash and three octal digits.
fn unescape(word: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((first, after)) = rest.split_first() {
        let octal = after
            .get(..3)
            .filter(|_| *first == b'\\')
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        plain.push(octal.unwrap_or(*first));
        rest = after.get(if octal.is_some() { 3 } else { 0 }..).unwrap_or_default();
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_mountinfo_is_read_with_its_escapes() {
        let line = br"36 35 0:52 / /home/a\040b rw,noatime master:1 - fuse.wardfs wardfs:1:x rw";
        let entry = parse(line).unwrap();
        assert_eq!((entry.id, entry.minor), (36, 52));
        assert_eq!(entry.path, PathBuf::from("/home/a b"));
        assert_eq!((entry.kind.as_str(), entry.source.as_str()), ("fuse.wardfs", "wardfs:1:x"));
        assert_eq!((entry.root, entry.options.as_str()), (PathBuf::from("/"), "rw"));
        assert_eq!(parse(b"nonsense"), None);
    }
}
