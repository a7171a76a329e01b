//! Subscriptions: of what waits for an answer, told anew with each change; and of the log, entry by entry.

use super::connection::Connection;
use super::failure::failure;
use super::message::{AuditFilter, AuditPage, Failure, FailureCode, Pending};
use super::session::{About, Control, encoded};
use super::state::filter_of;
use crossbeam_channel::RecvTimeoutError;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::AsFd;
use std::time::Duration;
use ward_audit::{EventType, Filter, Follower, ReadLogError};
use ward_policy::{Decision, Operation, ScopeKind};
use zeroize::Zeroizing;

/// How often it is looked whether the front end is still there, and still who it was.
const PERIOD: Duration = Duration::from_secs(1);
/// How often the log is looked at for who follows it, in milliseconds.
const LOG_PERIOD: u8 = 200;
/// The most bytes of lines in one answer; shown, they are longer.
const MOST: usize = 256 << 10;

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
                if self.daemon.is_stopping() || is_gone(connection, 0) {
                    return None;
                }
            }
            pending = self.pending_still();
        }
    }

    /// Sends a page of the log, and what comes after it as it comes, until the client goes; what is to
    /// be sent last when it may not know any more.
    pub(super) fn follow_log(
        &self,
        asked: &AuditFilter,
        connection: &Connection,
    ) -> Option<Zeroizing<Vec<u8>>> {
        let before = self.daemon.pipeline.log.synced().unwrap_or_default();
        let shown = filter_of(asked).and_then(|filter| Ok((filter, self.audit_show(asked)?)));
        let client = asked.client.as_deref();
        let (filter, mut page) = match shown {
            Ok(shown) => shown,
            Err(failure) => return Some(encoded::<()>(Err(failure))),
        };
        let last =
            page.entries.last().and_then(|shown| shown["entry"]["seq"].as_str()?.parse().ok());
        // A page that has a next one has nothing from behind it yet.
        let after = page.next.or_else(|| last.max(Some(before))).unwrap_or_default();
        let mut follower = Follower::after(after);
        page.next = None;
        loop {
            connection.send(&encoded(Ok(page)), None).ok()?;
            page = loop {
                match self.log_page(&mut follower, (&filter, client)) {
                    Ok(Some(page)) => break page,
                    Ok(None) => {}
                    Err(failure) => return Some(encoded::<()>(Err(failure))),
                }
                if self.daemon.is_stopping() || is_gone(connection, LOG_PERIOD) {
                    return None;
                }
            };
        }
    }

    /// What came into the log that the filter lets through, for who may still know it.
    fn log_page(
        &self,
        follower: &mut Follower,
        (filter, client): (&Filter, Option<&str>),
    ) -> Result<Option<AuditPage>, Failure> {
        let log = &self.daemon.pipeline.log;
        let fault =
            |error: ReadLogError| failure(FailureCode::Damaged, error, "run: ward audit verify");
        let Some(lines) = log.follow(follower, MOST).map_err(fault)? else { return Ok(None) };
        let mut entries = log.shown(&lines).map_err(fault)?;
        entries.retain(|shown| filter.matches(&shown.entry) && self.is_by(&shown.entry, client));
        if entries.is_empty() {
            return Ok(None);
        }
        if !self.may_still(Operation::AuditShow)? {
            self.permit(Operation::AuditShow, EventType::Command, About::default())?;
        }
        let entries = entries.iter().map(serde_json::to_value).collect::<Result<_, _>>();
        let entries = entries.map_err(|error| failure(FailureCode::Failed, error, "try again"))?;
        Ok(Some(AuditPage { entries, next: None, damaged: Vec::new() }))
    }

    /// What waits, for who was told before.
    fn pending_still(&self) -> Result<Pending, Failure> {
        // Refused with a record, like any other question.
        if self.may_still(Operation::RequestList)? { Ok(self.waiting()) } else { self.pending() }
    }

    /// Whether who was told before may still know: looked at anew, and not recorded.
    fn may_still(&self, operation: Operation) -> Result<bool, Failure> {
        let caller = self.asker_now()?;
        let is_same = self.caller.fingerprint(ScopeKind::Process).is_some_and(|it| it.is(&caller));
        let question = About::default().question(operation);
        match self.daemon.pipeline.policy.evaluate(&caller, &question) {
            Decision::Permitted(permit) if is_same => {
                let _told_before = permit;
                Ok(true)
            }
            Decision::Permitted(_) | Decision::NeedsApproval(_) | Decision::Denied(_) => Ok(false),
        }
    }
}

/// Whether the other side closes the connection within so many milliseconds, or says something, which
/// it must not.
fn is_gone(connection: &Connection, milliseconds: u8) -> bool {
    let mut looked = [PollFd::new(connection.as_fd(), PollFlags::POLLIN)];
    poll(&mut looked, PollTimeout::from(milliseconds)).is_ok_and(|ready| ready > 0)
}
