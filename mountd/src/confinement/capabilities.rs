//! Capabilities (capabilities(7)): what a process may do because of who it is.

use rustix::io::Errno;
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities,
};
use std::io;

/// Gives up every capability that is not in `kept`, in every set, so that none comes back.
pub(super) fn keep_capabilities(kept: CapabilitySet) -> io::Result<()> {
    clear_ambient_capability_set()?;
    let had = capabilities(None)?.permitted;
    for number in 0..u64::BITS {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        if kept.contains(capability) {
            continue;
        }
        match remove_capability_from_bounding_set(capability) {
            Ok(()) => {}
            // Behind the last one that this kernel knows.
            Err(Errno::INVAL) => break,
            // Who may not change what programs could give back: no_new_privs sees to it.
            Err(Errno::PERM) if !had.contains(CapabilitySet::SETPCAP) => break,
            Err(errno) => return Err(errno.into()),
        }
    }
    let kept = had & kept;
    let sets =
        CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    Ok(set_capabilities(None, sets)?)
}
