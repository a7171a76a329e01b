//! How often secrets were opened for reading, and by whom last: what the log tells, told quickly.
//!
//! The log of a vault is looked through when somebody asks first, and what comes is added from then on. Nobody
//! who opens a file waits for that.

use crate::pipeline::Pipeline;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Mutex, MutexGuard, PoisonError};
use ward_audit::{Entry, EventType, Filter, ReadLogError, Timestamp};
use ward_policy::{Caller, Operation, SecretPath, VaultName};

/// Somebody who read a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reader {
    pub(crate) uid: u32,
    pub(crate) agent: Option<String>,
    pub(crate) program: Option<String>,
}

/// Opens of a secret for reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reads {
    pub(crate) count: u64,
    pub(crate) last: Timestamp,
    pub(crate) by: Reader,
}

/// What happened to a secret, by the number of its entry.
#[derive(Debug)]
struct Event {
    seq: u64,
    path: String,
    what: What,
}

#[derive(Debug)]
enum What {
    Read(Timestamp, Reader),
    Revoked,
}

/// What is known of one vault.
#[derive(Debug)]
enum Known {
    /// The log is being looked through; what came meanwhile.
    Looking(Vec<Event>),
    /// Everything.
    All(BTreeMap<String, Reads>),
}

/// The reads of every vault that somebody asked about. One for the daemon.
#[derive(Debug, Default)]
pub(crate) struct ReadTable {
    /// Held by who looks through the log, so that nobody does it twice. Taken before the other.
    looking: Mutex<()>,
    /// Guards the map only.
    known: Mutex<BTreeMap<VaultName, Known>>,
}

impl ReadTable {
    /// `caller` opened a secret for reading, by the entry `seq`.
    pub(crate) fn opened(
        &self,
        (vault, path): (&VaultName, &SecretPath),
        caller: &Caller,
        (seq, at): (u64, Timestamp),
    ) {
        self.add(vault, || {
            let program = caller.executable.as_deref().and_then(|it| it.path.as_deref());
            let reader = Reader {
                uid: caller.uid.0,
                agent: caller.agent.as_ref().map(|agent| agent.name.to_string()),
                program: program.map(|path| String::from_utf8_lossy(path).into_owned()),
            };
            Event { seq, path: path.to_string(), what: What::Read(at, reader) }
        });
    }

    /// A secret was revoked: another of its name begins anew.
    pub(crate) fn revoked(&self, vault: &VaultName, path: &SecretPath) {
        let event = || Event { seq: u64::MAX, path: path.to_string(), what: What::Revoked };
        self.add(vault, event);
    }

    fn add(&self, vault: &VaultName, event: impl FnOnce() -> Event) {
        match self.known().get_mut(vault) {
            None => {}
            Some(Known::Looking(events)) => events.push(event()),
            Some(Known::All(reads)) => event().count_in(reads),
        }
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<VaultName, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pipeline {
    /// How often a secret of an unlocked vault was opened for reading; `None` for never.
    pub(crate) fn reads_of(
        &self,
        vault: &VaultName,
        path: &SecretPath,
    ) -> Result<Option<Reads>, ReadLogError> {
        let table = &self.reads;
        let _one_at_a_time = table.looking.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = matches!(table.known().get(vault), Some(Known::All(_)));
        if !is_known {
            table.known().insert(vault.clone(), Known::Looking(Vec::new()));
            let (mut reads, mut last) = (BTreeMap::new(), 0);
            let filter = Filter { vault: Some(vault.clone()), ..Filter::default() };
            let looked = self.log.read(&filter, |shown| {
                last = shown.entry.seq.0;
                Event::of(&shown.entry).into_iter().for_each(|event| event.count_in(&mut reads));
                ControlFlow::Continue(())
            });
            let meanwhile = table.known().remove(vault);
            looked?;
            if let Some(Known::Looking(events)) = meanwhile {
                let newer = events.into_iter().filter(|event| event.seq > last);
                newer.for_each(|event| event.count_in(&mut reads));
            }
            table.known().insert(vault.clone(), Known::All(reads));
        }
        Ok(match table.known().get(vault) {
            Some(Known::All(reads)) => reads.get(&path.to_string()).cloned(),
            Some(Known::Looking(_)) | None => None,
        })
    }
}

impl Event {
    /// What an entry tells; `None` when it is about something else.
    fn of(entry: &Entry<'_>) -> Option<Self> {
        let what = if entry.event_type == EventType::SecretRevoked {
            What::Revoked
        } else if entry.event_type == EventType::FileOpen
            && entry.operations.iter().flatten().any(|each| each == Operation::FileRead.name())
        {
            let actor = entry.actor.as_ref()?;
            let reader = Reader {
                uid: actor.uid,
                agent: actor.agent.as_deref().map(str::to_owned),
                program: actor.exe.as_deref().map(str::to_owned),
            };
            What::Read(entry.ts, reader)
        } else {
            return None;
        };
        Some(Self { seq: entry.seq.0, path: entry.path.as_deref()?.to_owned(), what })
    }

    fn count_in(self, reads: &mut BTreeMap<String, Reads>) {
        match self.what {
            What::Revoked => drop(reads.remove(&self.path)),
            What::Read(last, by) => {
                let count = reads.get(&self.path).map_or(0, |before| before.count) + 1;
                reads.insert(self.path, Reads { count, last, by });
            }
        }
    }
}
