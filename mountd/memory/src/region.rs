//! Regions of memory for keys, as the kernel gives them.
//!
//! JUSTIFICATION: no crate that is kept has `memfd_secret(2)`; mapping it is five calls.

use std::alloc::{Layout, handle_alloc_error};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicU8, Ordering};

/// The size of a region, in bytes; pages that nobody can touch lie before and behind it.
pub(crate) const REGION: usize = 64 << 10;
const PAGE: usize = 4 << 10;
/// The largest size of a page on machines that we run on: a guard is as large.
const GUARD: usize = 16 * PAGE;

/// How well keys are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Guard {
    /// Memory as any other: the limit of locked memory is used up.
    Plain,
    /// Never swapped, in no dump.
    Locked,
    /// Reached by nobody but this process, not even through the kernel (`memfd_secret(2)`).
    Secret,
}

impl Guard {
    /// The word of `ward status --json`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Locked => "locked",
            Self::Secret => "secret",
        }
    }
}

/// The least that any region has had: a [`Guard`] as a number, or none yet.
static LEAST: AtomicU8 = AtomicU8::new(u8::MAX);

/// How well keys are kept in this process; reserves the first region.
pub fn guard() -> Guard {
    drop(crate::SecretBox::<[u8; 32]>::default());
    match LEAST.load(Ordering::Relaxed) {
        0 => Guard::Plain,
        1 => Guard::Locked,
        _ => Guard::Secret,
    }
}

/// A new region of zeros. It stays for as long as the process.
pub(crate) fn reserve() -> NonNull<u8> {
    let Some(place) = room() else {
        handle_alloc_error(Layout::new::<[u8; REGION]>());
    };
    let guard = if fill_with_secret(place).is_some() {
        Guard::Secret
    } else if fill_with_locked(place) {
        Guard::Locked
    } else {
        Guard::Plain
    };
    LEAST.fetch_min(guard as u8, Ordering::Relaxed);
    place
}

/// Addresses for a region between its guards, at which nothing can be touched yet.
#[expect(unsafe_code, reason = "mmap(2)")]
fn room() -> Option<NonNull<u8>> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new mapping, wherever the kernel likes.
    let room =
        unsafe { libc::mmap(null_mut(), GUARD + REGION + GUARD, libc::PROT_NONE, flags, -1, 0) };
    if room == libc::MAP_FAILED {
        return None;
    }
    // SAFETY: within the mapping.
    NonNull::new(unsafe { room.cast::<u8>().add(GUARD) })
}

#[expect(unsafe_code, reason = "memfd_secret(2), mmap(2)")]
fn fill_with_secret(place: NonNull<u8>) -> Option<()> {
    // SAFETY: takes a flag and touches no memory.
    let number = unsafe { libc::syscall(libc::SYS_memfd_secret, libc::O_CLOEXEC) };
    let number = i32::try_from(number).ok().filter(|number| *number >= 0)?;
    // SAFETY: it is new and nobody else's.
    let secret = unsafe { OwnedFd::from_raw_fd(number) };
    let length = libc::off_t::try_from(REGION).ok()?;
    // SAFETY: touches no memory of ours.
    if unsafe { libc::ftruncate(secret.as_raw_fd(), length) } != 0 {
        return None;
    }
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_SHARED | libc::MAP_FIXED;
    let address = place.as_ptr().cast();
    // SAFETY: replaces room of our own, which nobody uses yet.
    let mapped = unsafe { libc::mmap(address, REGION, access, flags, secret.as_raw_fd(), 0) };
    (mapped != libc::MAP_FAILED).then_some(())
}

/// Whether it is locked; it can be used in any case.
#[expect(unsafe_code, reason = "mprotect(2), mlock(2), madvise(2)")]
fn fill_with_locked(place: NonNull<u8>) -> bool {
    let address = place.as_ptr().cast();
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
    // SAFETY: replaces room of our own, which nobody uses yet.
    let mapped = unsafe { libc::mmap(address, REGION, access, flags, -1, 0) };
    if mapped == libc::MAP_FAILED {
        handle_alloc_error(Layout::new::<[u8; REGION]>());
    }
    // SAFETY: changes how the region is kept, not what is in it.
    unsafe {
        libc::madvise(address, REGION, libc::MADV_DONTDUMP);
        libc::mlock(address, REGION) == 0
    }
}
