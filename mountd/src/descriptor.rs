//! Descriptors that arrive over a socket, or from whoever started us: the one place that takes a number
//! for a descriptor.

use nix::sys::socket::ControlMessageOwned;
use rustix::io::{FdFlags, fcntl_setfd};
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// The descriptors among control messages, owned, so that none can leak.
///
/// JUSTIFICATION: nix and the kernel hand them over as plain numbers.
#[expect(unsafe_code, reason = "nix gives received descriptors as numbers only")]
pub(crate) fn received(messages: impl Iterator<Item = ControlMessageOwned>) -> Vec<OwnedFd> {
    let mut received = Vec::new();
    for message in messages {
        if let ControlMessageOwned::ScmRights(descriptors) = message {
            for descriptor in descriptors {
                // SAFETY: the kernel has just made this descriptor for us; nobody else knows it.
                received.push(unsafe { OwnedFd::from_raw_fd(descriptor) });
            }
        }
    }
    received
}

/// A descriptor that whoever started us left open under this number; programs that we start do not
/// get it.
///
/// JUSTIFICATION: `sd_listen_fds(3)` hands descriptors over by number.
///
/// # Errors
/// There is none of this number.
#[expect(unsafe_code, reason = "a service manager gives descriptors as numbers only")]
pub(crate) fn inherited(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: it is no descriptor of ours: at our start they begin behind those that were handed over.
    let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
    match fcntl_setfd(&descriptor, FdFlags::CLOEXEC) {
        Ok(()) => Ok(descriptor),
        Err(errno) => {
            // Nothing is open under this number; closing it would close what is opened next.
            let _nothing = std::os::fd::IntoRawFd::into_raw_fd(descriptor);
            Err(errno.into())
        }
    }
}
