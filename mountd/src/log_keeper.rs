//! Keeping the log: what waits is signed and synced, what has ended is put away, and all of it is
//! looked through now and then.

use crate::clock;
use crate::journal::Journal;
use crate::pipeline::Pipeline;
use crossbeam_channel::{Receiver, select, tick};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use ward_audit::{Durability, EventType, Record, TendError, Timestamp, Verdict, verify};
use ward_policy::Moment;

/// How long a record may be written and neither signed nor on disk: at most so long after that.
const AGE: Duration = Duration::from_millis(50);
/// How often the log is looked at for that.
const PERIOD: Duration = Duration::from_millis(50);
/// How often segments that have ended are looked for.
const ENDED_PERIOD: Duration = Duration::from_secs(1);
/// How often signers elsewhere are asked whether they would sign.
const LOOK_PERIOD: Duration = Duration::from_secs(30);
/// How often the whole log is verified; the first time when the daemon starts.
const VERIFIED_PERIOD: Duration = Duration::from_secs(24 * 60 * 60);

/// What is wrong with the log, as it was last found.
#[derive(Debug, Default)]
pub(crate) struct LogFinding(Mutex<Option<String>>);

impl LogFinding {
    /// In words; nothing when it is whole, or was not looked at yet.
    pub(crate) fn get(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes what was found; gives it when it is something new.
    fn set(&self, finding: Option<String>) -> Option<String> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = *known != finding;
        known.clone_from(&finding);
        finding.filter(|_| is_new)
    }
}

/// Signs and syncs records that wait for it, and ends what leases let the kernel keep.
pub(crate) fn keep(pipeline: &Pipeline, stop: &Receiver<()>) {
    let period = tick(PERIOD);
    loop {
        select! {
            recv(stop) -> _ => return,
            recv(period) -> _ => {
                // An error stops the log, which every append from here on tells.
                let _log_has_stopped = pipeline.log.keep(AGE, clock::stamp());
                pipeline.take_pages_back(clock::now());
            }
        }
    }
}

/// Puts away segments that have ended, deletes those that the policy keeps no longer, records once what it
/// finds wrong with the log in `folder`, and tells the journal of its head.
pub(crate) fn tend(pipeline: &Pipeline, folder: &Path, mut journal: Journal, stop: &Receiver<()>) {
    let period = tick(ENDED_PERIOD);
    let mut verified: Option<Moment> = None;
    let mut looked: Option<Moment> = None;
    let mut counted = None;
    loop {
        select! {
            recv(stop) -> _ => return,
            recv(period) -> _ => {
                journal.tell(folder);
                pipeline.record_counts(&mut counted);
                let now = clock::now();
                if looked.is_none_or(|at| at.after(LOOK_PERIOD) <= now) {
                    pipeline.signers.look();
                    looked = Some(now);
                }
                let is_due = verified.is_none_or(|at| at.after(VERIFIED_PERIOD) <= now);
                let kept = pipeline.policy.rules().keep_records();
                let tended = pipeline.log.tend(clock::stamp()).and_then(|()| match kept {
                    Some(kept) => pipeline.retire(kept),
                    None => Ok(()),
                });
                let finding = match tended {
                    Err(error) => Some(error.to_string()),
                    Ok(()) if is_due => finding(pipeline, folder),
                    Ok(()) => continue,
                };
                verified = Some(now);
                if let Some(finding) = pipeline.log_finding.set(finding) {
                    let record = Record::new(EventType::LogDamaged).reason(&finding);
                    // A log that has stopped says so by itself.
                    let _stopped = pipeline.log.append(record, Durability::Durable, clock::stamp());
                }
            }
        }
    }
}

impl Pipeline {
    /// Deletes segments that are kept no longer, but for what a sink still waits for.
    fn retire(&self, kept: Duration) -> Result<(), TendError> {
        let now = clock::stamp();
        let until = self.shipping.is_shipped_up_to(Timestamp::from_microseconds(now.wall));
        self.log.retire(kept, until, now)
    }
}

/// What is wrong with the log, if anything is; of a whole one the signers are put beside it.
fn finding(pipeline: &Pipeline, folder: &Path) -> Option<String> {
    match verify(folder, None) {
        Ok(report) if report.verdict == Verdict::Whole => {
            pipeline.log.publish_signers(&report).err().map(|error| error.to_string())
        }
        Ok(report) => Some(report.to_string()),
        Err(error) => Some(error.to_string()),
    }
}
