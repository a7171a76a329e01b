//! Agent sessions: which process is in which, and the end of all of them with the first.
//!
//! A session is told by the cgroup it was put in, or, where none can be made, by descent from its
//! first process, which adopts the orphans among its descendants (`PR_SET_CHILD_SUBREAPER`). Refuses
//! to know names and who may take them.

use super::ancestry::{Member, all_below, line_of};
use super::attest::is_alive;
use super::message::{BeginSession, MonitorError, MonitorFault, SessionBegun};
use super::session_cgroup::{SessionCgroup, remove_left_over};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use ward_policy::ProcessId;

/// How many sessions there can be at once: each has a thread.
const MOST: usize = 256;
/// How often the descendants of a first process are noted, in milliseconds, at first and later on:
/// once it is gone, nothing else says whose they were.
const FIRST_NOTING: u16 = 10;
const NOTING: u16 = 250;
/// How long to wait for what was killed to end, in milliseconds, and how often.
const PATIENCE: u16 = 100;
const ROUNDS: usize = 200;
const PAUSE: u16 = 5;

/// The sessions that live.
#[derive(Debug, Default)]
pub(super) struct AgentSessions {
    /// Guards the table only; never held while `/proc` is read.
    running: Mutex<BTreeMap<String, Arc<Running>>>,
    /// Whose sessions they are.
    instance: OnceLock<String>,
}

/// Processes of a session that were seen.
type Noted = BTreeMap<ProcessId, Member>;

/// A session, for as long as its first process lives.
#[derive(Debug)]
struct Running {
    first: Member,
    evidence: Evidence,
    /// Who was seen in it. Guards the notes; held while `/proc` is read for them.
    noted: Mutex<Noted>,
}

/// What says that a process is in it.
#[derive(Debug)]
enum Evidence {
    Cgroup(SessionCgroup),
    Descent,
}

impl AgentSessions {
    /// Begins to serve an instance: removes what sessions of it left.
    pub(super) fn serve(&self, instance: &str) {
        remove_left_over(self.instance.get_or_init(|| instance.to_owned()));
    }

    /// The daemon ends, and lets what runs run on; removes what nothing runs in.
    pub(super) fn leave(&self) {
        if let Some(instance) = self.instance.get() {
            remove_left_over(instance);
        }
    }

    /// Begins a session around its first process; gives a pidfd of that.
    pub(super) fn begin(
        self: &Arc<Self>,
        wanted: &BeginSession,
    ) -> Result<(SessionBegun, OwnedFd), MonitorError> {
        let first = Member::of(wanted.first).ok_or_else(|| {
            refusal(MonitorFault::NoProcess, "the process that asked for a session has ended")
        })?;
        let machine = |error: std::io::Error| {
            refusal(MonitorFault::Machine, &format!("the machine begins no session ({error})"))
        };
        let watched = first.pidfd.try_clone().map_err(machine)?;
        if self.running().len() >= MOST {
            let message = format!("{MOST} agent sessions are running already");
            return Err(refusal(MonitorFault::Machine, &message));
        }
        let number = first.process.number;
        let instance = self.instance.get();
        let cgroup = instance.and_then(|it| SessionCgroup::around(number, it, &wanted.session));
        let evidence = cgroup.map_or(Evidence::Descent, Evidence::Cgroup);
        if !is_alive(&first.pidfd) {
            evidence.remove();
            return Err(refusal(MonitorFault::NoProcess, "the process that asked has ended"));
        }
        let begun = SessionBegun { kept_by: evidence.word().to_owned() };
        let running = Arc::new(Running { first, evidence, noted: Mutex::default() });
        let session = wanted.session.clone();
        self.running().insert(session.clone(), Arc::clone(&running));
        let (sessions, followed) = (Arc::clone(self), session.clone());
        let follow = move || sessions.follow(&followed, &running);
        let thread = std::thread::Builder::new().name("session".to_owned()).spawn(follow);
        if let Err(error) = thread {
            // Nobody would end it: it must not begin.
            self.running().remove(&session);
            return Err(machine(error));
        }
        Ok((begun, watched))
    }

    /// The session that a process is in, given what its `cgroup` file says.
    pub(super) fn of(&self, process: ProcessId, cgroup: &[u8]) -> Option<String> {
        let running: Vec<(String, Arc<Running>)> =
            self.running().iter().map(|(id, it)| (id.clone(), Arc::clone(it))).collect();
        let by_descent = running.iter().any(|(_, it)| matches!(it.evidence, Evidence::Descent));
        let line = if by_descent { line_of(process.number) } else { Vec::new() };
        let holds = |(_, it): &(String, Arc<Running>)| match &it.evidence {
            Evidence::Cgroup(own) => own.holds(cgroup),
            Evidence::Descent => line.contains(&it.first.process),
        };
        // Looked at last: while the first process lives, all of the session is below it.
        let found = running.into_iter().find(holds);
        found.filter(|(_, it)| is_alive(&it.first.pidfd)).map(|(id, _)| id)
    }

    /// How many processes are in it beside the first.
    pub(super) fn count(&self, session: &str) -> usize {
        let running = self.running().get(session).cloned();
        running.map_or(0, |running| {
            let mut noted = running.noted();
            running.note(&mut noted);
            noted.keys().filter(|process| **process != running.first.process).count()
        })
    }

    /// Waits for the end of the first process, and ends what is left.
    fn follow(&self, session: &str, running: &Running) {
        let mut period = FIRST_NOTING;
        while !has_ended(&running.first.pidfd, running.evidence.patience(period)) {
            running.note(&mut running.noted());
            period = NOTING.min(period * 2);
        }
        self.running().remove(session);
        running.end(&mut running.noted());
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Running>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All that are in it, or below one of those that were noted.
    fn members(&self, noted: &Noted) -> Vec<Member> {
        match &self.evidence {
            Evidence::Cgroup(cgroup) => cgroup.members(),
            Evidence::Descent => all_below(noted.values().chain(std::iter::once(&self.first))),
        }
    }

    /// Notes who is in it now; whether somebody is new.
    fn note(&self, noted: &mut Noted) -> bool {
        let members = self.members(noted);
        noted.retain(|_, member| is_alive(&member.pidfd));
        let before = noted.len();
        for member in members {
            noted.entry(member.process).or_insert(member);
        }
        noted.len() > before
    }

    /// Kills until nothing is left, then removes the cgroup.
    fn end(&self, noted: &mut Noted) {
        for _ in 0..ROUNDS {
            self.hold(noted);
            noted.values().for_each(Member::kill);
            self.evidence.let_go();
            let is_empty = noted.values().all(|it| has_ended(&it.pidfd, PATIENCE.into()));
            if is_empty && self.evidence.remove() {
                return;
            }
            if is_empty {
                // The kernel has not taken the last one out of its cgroup yet.
                let _pause = poll(&mut [], PollTimeout::from(PAUSE));
            }
        }
    }

    /// Keeps what is in it from making more, and notes all of it.
    fn hold(&self, noted: &mut Noted) {
        match &self.evidence {
            Evidence::Cgroup(cgroup) => {
                cgroup.stop();
                self.note(noted);
            }
            Evidence::Descent => {
                noted.values().for_each(Member::stop);
                while self.note(noted) {
                    noted.values().for_each(Member::stop);
                }
            }
        }
    }
}

impl Evidence {
    const fn word(&self) -> &'static str {
        match self {
            Self::Cgroup(cgroup) => cgroup.word(),
            Self::Descent => "descent",
        }
    }

    /// How long to wait before who is in it is noted: a cgroup tells it at any time.
    fn patience(&self, period: u16) -> PollTimeout {
        match self {
            Self::Cgroup(_) => PollTimeout::NONE,
            Self::Descent => PollTimeout::from(period),
        }
    }

    fn let_go(&self) {
        if let Self::Cgroup(cgroup) = self {
            cgroup.let_go();
        }
    }

    /// Whether nothing of it is left.
    fn remove(&self) -> bool {
        match self {
            Self::Cgroup(cgroup) => cgroup.remove(),
            Self::Descent => true,
        }
    }
}

/// Whether the process ended within `patience`.
fn has_ended(pidfd: &OwnedFd, patience: PollTimeout) -> bool {
    let mut descriptors = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    poll(&mut descriptors, patience).is_ok_and(|ready| ready > 0)
}

fn refusal(fault: MonitorFault, message: &str) -> MonitorError {
    let next = "end a session that is no longer needed, then try again";
    MonitorError { fault, message: message.to_owned(), next: next.to_owned() }
}
