//! Attributes of a workspace, as the kernel is shown them and as it sets them.

use super::{Errno, WorkspaceFilesystem};
use crate::handle_table::HandleId;
use crate::pipeline::NodeChange;
use crate::{errno, place::Access};
use fuser::{FileAttr, FileHandle, FileType, INodeNo, TimeOrNow};
use std::time::{Duration, SystemTime};
use ward_policy::FileId;
use ward_store::{NodeAttributes, NodeType, SetAttributes, WallTime};

/// The size of a block in stat(2).
const BLOCK: u64 = 512;
/// The size of reads and writes that costs least.
pub(super) const BEST_BLOCK: u32 = 4096;
/// The mode bits that a change of owner or content takes away.
const SET_UID: u16 = 0o4000;
const SET_GID: u16 = 0o2000;
const GROUP_EXECUTES: u16 = 0o0010;

/// What a SETATTR asks for.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) mode: Option<u32>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) size: Option<u64>,
    pub(super) accessed: Option<TimeOrNow>,
    pub(super) modified: Option<TimeOrNow>,
    pub(super) changed: Option<SystemTime>,
    pub(super) handle: Option<FileHandle>,
}

impl Change {
    /// Whether it sets times alone, and not that of access: then it may be the kernel that writes
    /// back what it kept of writes that are decided, and nobody is asked.
    const fn is_of_kept_times(&self) -> bool {
        self.mode.is_none()
            && self.uid.is_none()
            && self.gid.is_none()
            && self.size.is_none()
            && self.accessed.is_none()
    }

    /// What is set of a node that is `before` now.
    fn attributes(&self, before: &NodeAttributes, uid: u32, now: WallTime) -> SetAttributes {
        let time = |time: TimeOrNow| match time {
            TimeOrNow::SpecificTime(time) => wall_time_of(time),
            TimeOrNow::Now => now,
        };
        let is_new_owner = self.uid.is_some() || self.gid.is_some();
        let loses_privilege = before.node_type != NodeType::Directory
            && (is_new_owner || self.size.is_some() && uid != 0);
        let kept = loses_privilege.then(|| without_privilege(before.mode)).flatten();
        SetAttributes {
            mode: self.mode.map(permissions).or(kept),
            uid: self.uid,
            gid: self.gid,
            size: self.size,
            accessed: self.accessed.map(time),
            modified: self.modified.map(time),
            changed: self.changed.map(wall_time_of),
        }
    }
}

impl WorkspaceFilesystem {
    pub(super) fn attributes(&self, file: FileId) -> Result<FileAttr, Errno> {
        self.vault().node(file).map(|node| shown(&node)).ok_or(errno::ENDED)
    }

    pub(super) fn change_attributes(
        &self,
        request: &fuser::Request,
        inode: INodeNo,
        change: &Change,
    ) -> Result<FileAttr, Errno> {
        let file = FileId(inode.0);
        let before = self.vault().node(file).ok_or(errno::ENDED)?;
        let uid = request.uid();
        let handle = change.handle.map(|handle| HandleId(handle.0));
        let handle = handle.filter(|handle| self.pipeline.is_writer(*handle));
        let after = if let (Some(handle), Some(_)) = (handle, change.size) {
            let set = self.pipeline.change_open(handle, |vault, file, now| {
                vault.set_attributes(file, &change.attributes(&before, uid, now), now)
            });
            set.map_err(|error| errno::of_write(&error))?
        } else if change.is_of_kept_times() {
            if !self.place.takes_pages() {
                return Err(errno::ENDED);
            }
            if self.place.access == Access::ReadOnly {
                return Err(Errno::EROFS);
            }
            let now = crate::clock::file_time();
            let set = self.vault().set_attributes(file, &change.attributes(&before, uid, now), now);
            set.map_err(|error| errno::of_store(&error))?
        } else {
            let touched = self.touched_node(&before)?;
            let event = change.size.map(|_| ward_audit::EventType::FileWrite);
            let decided = NodeChange { asker: super::asker(request), event, touched: &touched };
            let set = self.pipeline.change_nodes(&self.place, &decided, |vault, now| {
                vault.set_attributes(file, &change.attributes(&before, uid, now), now)
            });
            set.map_err(|error| errno::of_change(&error))?
        };
        if let Some(mode) = change.mode {
            self.follow_mode(file, permissions(mode))?;
        }
        Ok(shown(&after))
    }
}

/// A node as the kernel is shown it.
pub(super) fn shown(node: &NodeAttributes) -> FileAttr {
    FileAttr {
        ino: INodeNo(node.file.0),
        size: node.size,
        blocks: node.allocated.div_ceil(BLOCK),
        atime: time_of(node.accessed),
        mtime: time_of(node.modified),
        ctime: time_of(node.changed),
        crtime: time_of(node.created),
        kind: kind_of(node.node_type),
        perm: node.mode,
        nlink: node.links,
        uid: node.uid,
        gid: node.gid,
        rdev: node.device,
        blksize: BEST_BLOCK,
        flags: 0,
    }
}

/// Nothing, for a name that the kernel may remember not to be there.
pub(super) const fn nothing() -> FileAttr {
    FileAttr {
        ino: INodeNo(0),
        size: 0,
        blocks: 0,
        atime: SystemTime::UNIX_EPOCH,
        mtime: SystemTime::UNIX_EPOCH,
        ctime: SystemTime::UNIX_EPOCH,
        crtime: SystemTime::UNIX_EPOCH,
        kind: FileType::RegularFile,
        perm: 0,
        nlink: 0,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: 0,
        flags: 0,
    }
}

pub(super) const fn kind_of(node_type: NodeType) -> FileType {
    match node_type {
        NodeType::File => FileType::RegularFile,
        NodeType::Directory => FileType::Directory,
        NodeType::Symlink => FileType::Symlink,
        NodeType::Fifo => FileType::NamedPipe,
        NodeType::Socket => FileType::Socket,
        NodeType::CharacterDevice => FileType::CharDevice,
        NodeType::BlockDevice => FileType::BlockDevice,
    }
}

/// The permission bits of a mode.
pub(super) fn permissions(mode: u32) -> u16 {
    u16::try_from(mode & 0o7777).unwrap_or(0)
}

/// What is left of a mode after somebody without privilege wrote the file, or its owner changed
/// (`chown(2)`, `write(2)`); `None` when that is all of it.
pub(super) const fn without_privilege(mode: u16) -> Option<u16> {
    let is_set_gid = mode & GROUP_EXECUTES != 0;
    let taken = if is_set_gid { SET_UID | SET_GID } else { SET_UID };
    if mode & taken == 0 { None } else { Some(mode & !taken) }
}

fn time_of(time: WallTime) -> SystemTime {
    let nanoseconds = time.nanoseconds();
    let distance = Duration::from_nanos(nanoseconds.unsigned_abs());
    if nanoseconds >= 0 {
        SystemTime::UNIX_EPOCH + distance
    } else {
        SystemTime::UNIX_EPOCH - distance
    }
}

/// A time as the library gives it. Before 1970 it counts the nanoseconds, which always go forward,
/// backward with the seconds.
fn wall_time_of(time: SystemTime) -> WallTime {
    let nanoseconds = match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
        Err(error) => {
            let before = error.duration();
            let seconds = i64::try_from(before.as_secs()).unwrap_or(i64::MAX);
            let whole = seconds.saturating_mul(-1_000_000_000);
            whole.saturating_add(i64::from(before.subsec_nanos()))
        }
    };
    WallTime::from_nanoseconds(nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_1970_are_kept_to_the_nanosecond() {
        // -1.3 s: the kernel says -2 s and 700,000,000 ns, the library makes that -2.7 s.
        let given = SystemTime::UNIX_EPOCH - Duration::new(2, 700_000_000);
        assert_eq!(wall_time_of(given), WallTime::from_nanoseconds(-1_300_000_000));
        let shown = time_of(WallTime::from_nanoseconds(-1_300_000_000));
        assert_eq!(shown, SystemTime::UNIX_EPOCH - Duration::new(1, 300_000_000));
        assert_eq!(wall_time_of(SystemTime::UNIX_EPOCH).nanoseconds(), 0);
    }

    #[test]
    fn privilege_goes_and_a_mandatory_lock_stays() {
        assert_eq!(without_privilege(0o6755), Some(0o755));
        assert_eq!(without_privilege(0o2644), None);
        assert_eq!(without_privilege(0o4644), Some(0o644));
        assert_eq!(without_privilege(0o1644), None);
    }
}
