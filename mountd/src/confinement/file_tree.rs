//! Landlock (landlock(7)): which part of the file tree a process reaches.

use crate::root::Root;
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus,
    PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope,
};
use rustix::fs::{Mode, OFlags};
use std::io;
use std::os::fd::AsFd;

/// The newest version we know; of an older kernel's we take what there is.
const NEWEST: ABI = ABI::V9;

/// What the core does to the files of its root.
fn of_the_root() -> BitFlags<AccessFs> {
    AccessFs::ReadFile
        | AccessFs::ReadDir
        | AccessFs::WriteFile
        | AccessFs::Truncate
        | AccessFs::MakeReg
        | AccessFs::MakeDir
        | AccessFs::RemoveFile
        | AccessFs::RemoveDir
        | AccessFs::Refer
}

/// What it reads beside the root: what a passphrase may cost to try, which boot this is, and how
/// long the kernel lets an open wait.
const READABLE: [&str; 3] =
    ["/proc/meminfo", "/proc/sys/kernel/random/boot_id", "/proc/sys/fs/fuse"];

/// The part of the file tree that is left.
#[derive(Debug)]
pub(super) struct FileTree {
    /// The version of Landlock in force; 0 is none.
    pub(super) version: u32,
    /// The places it reads beside the root. A rule is about an inode, and a file of `/proc` has another one
    /// once the kernel forgot it; what is held is not forgotten.
    _readable: Vec<PathFd>,
}

/// Leaves this thread, and those it starts, nothing but `root`. What is open already stays open.
pub(super) fn restrict_to(root: &Root) -> io::Result<FileTree> {
    // Its own descriptor names the root only (O_PATH), as Landlock wants it.
    let directory = rustix::fs::openat(
        root.as_fd(),
        ".",
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    // What is not there need not be read.
    let readable: Vec<PathFd> = READABLE.iter().filter_map(|it| PathFd::new(it).ok()).collect();
    let restrict = || -> Result<_, landlock::RulesetError> {
        let mut ruleset = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(NEWEST))?
            .handle_access(AccessNet::from_all(NEWEST))?
            .scope(Scope::from_all(NEWEST))?
            .create()?
            .add_rule(PathBeneath::new(directory, of_the_root()))?;
        for place in &readable {
            ruleset = ruleset.add_rule(PathBeneath::new(place, AccessFs::ReadFile))?;
        }
        ruleset.restrict_self()
    };
    let status = restrict().map_err(io::Error::other)?;
    let version = match (status.ruleset, status.landlock) {
        (RulesetStatus::NotEnforced, _)
        | (_, LandlockStatus::NotEnabled | LandlockStatus::NotImplemented) => 0,
        (
            RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced,
            LandlockStatus::Available { effective_abi, .. },
        ) => effective_abi as u32,
    };
    Ok(FileTree { version, _readable: readable })
}
