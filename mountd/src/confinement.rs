//! What each half of the daemon gives up for good when it starts: the core all it can before it has
//! a key, the monitor the privileges it has no use for.
//!
//! Credentials and Landlock belong to a thread and are inherited: so this is done before the first
//! thread is started.

mod capabilities;
mod file_tree;
mod system_calls;

use crate::root::Root;
use capabilities::keep_capabilities;
use file_tree::FileTree;
use rustix::thread::{CapabilitySet, set_no_new_privs};
use std::io;

/// What the monitor does as root, and with which right.
const OF_THE_MONITOR: CapabilitySet = CapabilitySet::SYS_ADMIN // mount, unmount, abort
    .union(CapabilitySet::SYS_PTRACE) // exe link, page map and namespaces of callers
    .union(CapabilitySet::DAC_READ_SEARCH) // programs that only their owner may read
    .union(CapabilitySet::SETUID) // removes a mountpoint as the user who had it made; helpers
    .union(CapabilitySet::SETGID) // helpers run as their user
    .union(CapabilitySet::DAC_OVERRIDE) // cgroups of agent sessions: nobody may write at the top
    .union(CapabilitySet::KILL); // what is left of an agent session

/// How far the core is confined, beyond what every kernel that is served can do.
#[derive(Debug)]
pub(crate) struct Confinement {
    file_tree: FileTree,
}

impl Confinement {
    /// The version of Landlock in force; 0 is none.
    pub(crate) const fn landlock(&self) -> u32 {
        self.file_tree.version
    }
}

/// Leaves this process the files of `root` and the descriptors it has: no capability, no other
/// file, no new socket, no other program.
///
/// # Errors
/// The kernel refuses what it can do since Linux 3.17. Landlock alone may be absent.
pub(crate) fn confine_core(root: &Root) -> io::Result<Confinement> {
    keep_capabilities(CapabilitySet::empty())?;
    set_no_new_privs(true)?;
    let file_tree = file_tree::restrict_to(root)?;
    system_calls::restrict()?;
    Ok(Confinement { file_tree })
}

/// Leaves the monitor what it needs, when it runs as root.
///
/// # Errors
/// As `capset(2)`.
pub(crate) fn confine_monitor() -> io::Result<()> {
    keep_of_root(OF_THE_MONITOR)
}

/// The same for the watchman, which unmounts and no more.
///
/// # Errors
/// As `capset(2)`.
pub(crate) fn confine_watchman() -> io::Result<()> {
    keep_of_root(CapabilitySet::SYS_ADMIN)
}

/// Leaves a helper no privilege and no way to one. It is an ordinary user's process, and the
/// programs that it runs inherit this.
///
/// # Errors
/// As `prctl(2)` and `seccomp(2)`.
pub(crate) fn confine_helper() -> io::Result<()> {
    keep_capabilities(CapabilitySet::empty())?;
    set_no_new_privs(true)?;
    system_calls::restrict_helper()
}

fn keep_of_root(kept: CapabilitySet) -> io::Result<()> {
    if rustix::process::geteuid().is_root() {
        keep_capabilities(kept)?;
        // Not for an ordinary user's: they use fusermount3, which is set-user-id.
        set_no_new_privs(true)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
