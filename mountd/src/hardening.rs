//! What a process with keys gives up before it has one: core dumps, being looked into, swap.

use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::prctl::set_dumpable;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, umask};

/// `MCL_ONFAULT` (`mlockall(2)`), which nix does not name: pages are locked as they are touched,
/// since the event loops reserve far more than they use.
const ON_FAULT: MlockAllFlags = MlockAllFlags::from_bits_retain(libc::MCL_ONFAULT);

/// Whether pages of this process can be swapped out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Memory {
    Locked,
    /// All but keys and replies can be: the limit of locked memory (RLIMIT_MEMLOCK) is not open, and a
    /// lock of everything that fails later would end the daemon.
    Swappable,
}

impl Memory {
    /// The word of `ward status --json`: what is on its way to readers is locked piece by piece.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Locked => "locked",
            Self::Swappable if ward_memory::buffers_are_locked() => "replies",
            Self::Swappable => "swappable",
        }
    }
}

/// Hardens this process, for good: no core dump, nobody else of its uid may look into it, and what
/// it makes is its own.
///
/// # Errors
/// The kernel refuses what every Linux can do.
pub(crate) fn harden() -> nix::Result<()> {
    umask(Mode::S_IRWXG | Mode::S_IRWXO);
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    // Two descriptors for each caller that is remembered: as many as the system lets us have.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    set_dumpable(false)
}

/// Locks all memory of this process, as far as that is safe.
///
/// To be called while root has its privileges: locked memory is then without limit for good.
pub(crate) fn lock_memory() -> Memory {
    let limit = Resource::RLIMIT_MEMLOCK;
    let is_open = setrlimit(limit, RLIM_INFINITY, RLIM_INFINITY).is_ok()
        || getrlimit(limit).is_ok_and(|(soft, _)| soft == RLIM_INFINITY);
    let flags = MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE | ON_FAULT;
    if is_open && mlockall(flags).is_ok() { Memory::Locked } else { Memory::Swappable }
}
