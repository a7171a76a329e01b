//! A front end's subscription: what waits for an answer, told anew with each change.

use super::connection::Connection;
use super::failure::of_identity;
use super::message::{Failure, Pending};
use super::session::{About, Control, encoded};
use crossbeam_channel::RecvTimeoutError;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::AsFd;
use std::time::Duration;
use ward_policy::{Decision, Operation, ScopeKind};
use zeroize::Zeroizing;

/// How often it is looked whether the front end is still there, and still who it was.
const PERIOD: Duration = Duration::from_secs(1);

impl Control<'_> {
    /// Sends what waits, again after each change, until the front end goes; what is to be sent last
    /// when it may not know any more.
    pub(super) fn follow(&self, connection: &Connection) -> Option<Zeroizing<Vec<u8>>> {
        let changes = self.daemon.pipeline.approvals.subscribe();
        let mut pending = self.pending();
        loop {
            let answer = match pending {
                Ok(pending) => encoded(Ok(pending)),
                Err(failure) => return Some(encoded::<()>(Err(failure))),
            };
            connection.send(&answer, None).ok()?;
            loop {
                match changes.recv_timeout(PERIOD) {
                    Ok(()) => break,
                    Err(RecvTimeoutError::Disconnected) => return None,
                    Err(RecvTimeoutError::Timeout) => {}
                }
                if self.daemon.is_stopping() || is_gone(connection) {
                    return None;
                }
            }
            pending = self.pending_still();
        }
    }

    /// What waits, for who was told before: that it may know is looked at anew, and not recorded.
    fn pending_still(&self) -> Result<Pending, Failure> {
        let callers = &self.daemon.pipeline.callers;
        let caller = callers.identify(self.asker).map_err(|error| of_identity(&error))?;
        let is_same = self.caller.fingerprint(ScopeKind::Process).is_some_and(|it| it.is(&caller));
        let question = About::default().question(Operation::RequestList);
        match self.daemon.pipeline.policy.evaluate(&caller, &question) {
            Decision::Permitted(permit) if is_same => {
                let _told_before = permit;
                Ok(self.waiting())
            }
            // Refused with a record, like any other question.
            Decision::Permitted(_) | Decision::NeedsApproval(_) | Decision::Denied(_) => {
                self.pending()
            }
        }
    }
}

/// Whether the other side has closed the connection, or says something, which it must not.
fn is_gone(connection: &Connection) -> bool {
    let mut looked = [PollFd::new(connection.as_fd(), PollFlags::POLLIN)];
    poll(&mut looked, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}
