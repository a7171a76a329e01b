//! The check of a whole vault: reads and opens everything, changes nothing.

use crate::durable::{Access, Disk, RealDisk};
use crate::finding::{Fault, Finding};
use crate::header_file::OpenedHeader;
use crate::image_choice::{Images, replay_everything};
use crate::index::Counts;
use crate::recovery::TornTail;
use crate::rekey::refuse_outdated;
use crate::replay::{Depth, Plan};
use crate::slot_secret::SlotSecret;
use crate::vault::{IMAGES, SEGMENTS, UnlockError, open_header};
use std::path::Path;

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FsckReport {
    /// Everything that is not what was written. Empty: the vault is whole.
    pub findings: Vec<Finding>,
    /// What a crash left behind the last whole frame; the next unlock cuts it.
    pub torn: Option<TornTail>,
    /// How many files, directories and versions were read.
    pub files: u64,
    /// Directories, the top one among them.
    pub directories: u64,
    /// Versions.
    pub versions: u64,
}

/// Reads a whole vault that no daemon has open.
///
/// # Errors
/// The vault cannot be opened at all; everything else is a finding.
pub fn fsck(directory: &Path, secret: &SlotSecret) -> Result<FsckReport, UnlockError> {
    check(&RealDisk, directory, secret)
}

pub(crate) fn check(
    disk: &dyn Disk,
    directory: &Path,
    secret: &SlotSecret,
) -> Result<FsckReport, UnlockError> {
    let (_lock, opened) = open_header(disk, directory, secret)?;
    let OpenedHeader { header, keys, is_lame } = opened;
    let plan = Plan {
        disk,
        directory: &directory.join(SEGMENTS),
        vault: header.vault,
        kind: header.kind,
        keys: &keys,
        access: Access::Read,
        depth: Depth::Everything,
    };
    let images = Images { disk, directory: &directory.join(IMAGES) };
    let io = |source| UnlockError::Io { directory: directory.to_owned(), source };
    let replayed = replay_everything(&plan, &images).map_err(io)?;
    refuse_outdated(disk, directory, &keys, &replayed)?;
    let mut findings = replayed.findings;
    if is_lame {
        let fault = Fault::HeaderCopy;
        findings.insert(0, Finding { fault, segment: None, position: None, path: None });
    }
    let Counts { files, directories, versions, .. } = replayed.index.counts();
    let (segment, position, length) =
        (replayed.standing.segment, replayed.tail.end, replayed.tail.torn);
    let torn = (length != 0).then_some(TornTail { segment, position, length });
    Ok(FsckReport { findings, torn, files, directories, versions })
}
