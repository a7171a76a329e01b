//! Who is at the other end of a connection: one process with one program, from connect to close.
//!
//! A message can be read after its sender has ended, and its number come again; the descriptor of the
//! process that connected (`SO_PEERPIDFD`, unix(7)) tells.

use super::connection::Sender;
use crate::caller::{Asker, Callers, IdentifyError};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{getsockopt, sockopt};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use ward_policy::Caller;

/// The process that connected.
#[derive(Debug)]
pub(super) struct Peer {
    process: OwnedFd,
    first: Arc<Caller>,
}

/// Why a connection is of no more use.
#[derive(Debug, thiserror::Error)]
pub(super) enum PeerError {
    /// A descriptor of the connection was handed on.
    #[error("somebody else than the process that connected sends on this connection")]
    Stranger(Arc<Caller>),
    /// It ran another program.
    #[error("the process that connected runs another program now")]
    OtherProgram(Arc<Caller>),
    /// It has ended.
    #[error("the process that connected has ended")]
    Ended,
    /// Nobody could be identified.
    #[error(transparent)]
    Unidentified(#[from] IdentifyError),
}

impl Peer {
    /// Looks at the process that connected.
    pub(super) fn of(connection: &impl AsFd, callers: &Callers) -> Result<Self, PeerError> {
        let ended = |_: nix::errno::Errno| PeerError::Ended;
        let ids = getsockopt(&connection.as_fd(), sockopt::PeerCredentials).map_err(ended)?;
        let process = getsockopt(&connection.as_fd(), sockopt::PeerPidfd).map_err(ended)?;
        let thread = u32::try_from(ids.pid()).unwrap_or(0);
        let asker = Asker { thread, uid: ids.uid(), gid: ids.gid() };
        let first = callers.identify(asker)?;
        let peer = Self { process, first };
        peer.is_alive().then_some(peer).ok_or(PeerError::Ended)
    }

    /// The sender of a line, as it is now, and that it is still the process that connected.
    pub(super) fn identify(
        &self,
        sender: Sender,
        callers: &Callers,
    ) -> Result<(Asker, Arc<Caller>), PeerError> {
        let asker = Asker { thread: sender.process, uid: sender.uid, gid: sender.gid };
        let caller = callers.identify(asker)?;
        if caller.process != self.first.process {
            return Err(PeerError::Stranger(caller));
        }
        // Alive now, it was alive when it was looked at: nobody else had its number.
        if !self.is_alive() {
            return Err(PeerError::Ended);
        }
        let program = |caller: &Caller| {
            caller.executable.as_deref().map(|it| (it.device, it.inode, it.sha256))
        };
        if program(&caller) != program(&self.first) {
            return Err(PeerError::OtherProgram(caller));
        }
        Ok((asker, caller))
    }

    fn is_alive(&self) -> bool {
        let mut descriptors = [PollFd::new(self.process.as_fd(), PollFlags::POLLIN)];
        poll(&mut descriptors, PollTimeout::ZERO).is_ok_and(|ready| ready == 0)
    }
}

impl PeerError {
    /// Who sent what nobody may send on this connection, for the record.
    pub(super) const fn intruder(&self) -> Option<&Arc<Caller>> {
        match self {
            Self::Stranger(caller) | Self::OtherProgram(caller) => Some(caller),
            Self::Ended | Self::Unidentified(_) => None,
        }
    }
}
