//! The missed list: what was asked and ended without an answer, for approvers who come later.
//!
//! The log has it; what it says is read once, when somebody asks first, and added to from then on.

use crate::approval_queue::{Expired, Why};
use crate::clock;
use crate::pipeline::Pipeline;
use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::{Mutex, MutexGuard, PoisonError};
use ward_audit::{Entry, EventType, Filter, ReadLogError, Timestamp};

/// For how long it is told, in microseconds: a day.
const MEMORY: u64 = 24 * 60 * 60 * 1_000_000;
/// Of how many; the oldest is forgotten.
const MOST: usize = 100;

/// A request that ended without an answer. Its words are the asker's: escape them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Missed {
    pub(crate) request: String,
    pub(crate) vault: Option<String>,
    /// Absent where the vault was locked when it was read.
    pub(crate) path: Option<String>,
    pub(crate) operations: Vec<String>,
    pub(crate) uid: u32,
    pub(crate) program: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) ended: Timestamp,
}

/// Those of the last day, oldest first. One for the daemon.
#[derive(Debug, Default)]
pub(crate) struct MissedTable {
    /// `None` until the log was read. Guards the list only.
    known: Mutex<Option<VecDeque<Missed>>>,
}

impl MissedTable {
    /// Adds what ended, unless nobody wanted an answer any more.
    pub(crate) fn add(&self, Expired { view, why }: &Expired) {
        let mut known = self.known();
        let Some(missed) = known.as_mut().filter(|_| Why::is_missed(why.text())) else { return };
        let (grant, asker) = (&view.grant, &view.asker);
        let program = asker.executable.as_deref().and_then(|it| it.path.as_deref());
        missed.push_back(Missed {
            request: view.id.to_string(),
            vault: grant.vault.as_ref().map(ToString::to_string),
            path: grant.path.as_ref().map(ToString::to_string),
            operations: grant.operations.iter().map(|each| each.name().to_owned()).collect(),
            uid: asker.uid.0,
            program: program.map(|path| String::from_utf8_lossy(path).into_owned()),
            reason: view.reason.as_deref().map(str::to_owned),
            ended: now(),
        });
        if missed.len() > MOST {
            missed.pop_front();
        }
    }

    fn known(&self) -> MutexGuard<'_, Option<VecDeque<Missed>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pipeline {
    /// What ended without an answer within a day.
    pub(crate) fn missed(&self) -> Result<Vec<Missed>, ReadLogError> {
        let mut known = self.missed.known();
        let mut missed = match known.take() {
            Some(missed) => missed,
            None => self.missed_in_log()?,
        };
        let oldest = Timestamp::from_microseconds(now().microseconds().saturating_sub(MEMORY));
        missed.retain(|missed| missed.ended >= oldest);
        let told = missed.iter().cloned().collect();
        *known = Some(missed);
        Ok(told)
    }

    fn missed_in_log(&self) -> Result<VecDeque<Missed>, ReadLogError> {
        // What ended within a day was asked within two.
        let since = |days: u64| {
            Some(Timestamp::from_microseconds(now().microseconds().saturating_sub(days * MEMORY)))
        };
        let mut reasons = BTreeMap::new();
        let made =
            Filter { event: Some(EventType::RequestMade), since: since(2), ..Filter::default() };
        self.log.read(&made, |shown| {
            let Entry { request, reason, .. } = shown.entry;
            let reason = reason.filter(|reason| !reason.is_empty());
            reasons.extend(request.zip(reason));
            ControlFlow::Continue(())
        })?;
        let mut missed = VecDeque::new();
        let ended = Filter { event: Some(EventType::RequestExpired), since: since(1), ..made };
        self.log.read(&ended, |shown| {
            missed.extend(missed_of(shown.entry, &reasons));
            if missed.len() > MOST {
                missed.pop_front();
            }
            ControlFlow::Continue(())
        })?;
        Ok(missed)
    }
}

fn missed_of<'a>(
    entry: Entry<'a>,
    reasons: &BTreeMap<std::borrow::Cow<'a, str>, std::borrow::Cow<'a, str>>,
) -> Option<Missed> {
    // Why is sealed with the names.
    let is_known = |why: &std::borrow::Cow<'_, str>| Why::is_missed(why);
    if !entry.reason.as_ref().is_none_or(is_known) {
        return None;
    }
    let (request, actor) = (entry.request?, entry.actor?);
    Some(Missed {
        reason: reasons.get(&request).map(|reason| reason.clone().into_owned()),
        request: request.into_owned(),
        vault: entry.vault.map(std::borrow::Cow::into_owned),
        path: entry.path.map(std::borrow::Cow::into_owned),
        operations: entry.operations.into_iter().flatten().map(Into::into).collect(),
        uid: actor.uid,
        program: actor.exe.map(std::borrow::Cow::into_owned),
        ended: entry.ts,
    })
}

fn now() -> Timestamp {
    Timestamp::from_microseconds(clock::stamp().wall)
}
