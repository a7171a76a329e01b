//! Descriptors that arrive over a socket: the one place that takes a number for a descriptor.

use nix::sys::socket::ControlMessageOwned;
use std::os::fd::{FromRawFd, OwnedFd};

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
