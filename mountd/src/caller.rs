//! Who is asking: a thread's number to an attested caller.
//!
//! The monitor attests; what it said is kept for as long as the same thread runs the same program
//! under the same ids, session and tracer. Three descriptors tell: a pidfd of the thread, its program
//! image, which yields nothing any more after exec(2), and its `status`, which takes ten times as
//! long as the other two. So whatever is decided looks at all three, and a read or write of what is
//! open at the third only when nobody did so just before.
//!
//! A program that nobody has hashed yet must be read, which can take a second. Visibility never waits
//! for that; an open waits on a thread of its own ([`FairQueue`]); of other requests few may.

use crate::agent_table::{AgentTable, RunningAgent};
use crate::clock;
use crate::fair_queue::FairQueue;
use crate::monitor::message::{Facts, Wanted};
use crate::monitor::{Attestation, Monitor, MonitorError, identity, is_same_program};
use lru::LruCache;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use ward_policy::{Caller, Doubt, GroupId, Moment, ThreadId, UserId};

/// How many threads are remembered; each costs three descriptors.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(256).unwrap();

/// How many event loops, and threads of commands, may wait for a program to be read.
const READING: usize = 2;

/// For how long nobody looks at `status` again for a read or write of what is open.
const LOOKED_AT: Duration = Duration::from_millis(100);

/// A thread and the ids its request carries, as the kernel put them there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asker {
    /// The thread; 0 is somebody the kernel cannot name to us.
    pub(crate) thread: u32,
    /// The filesystem uid.
    pub(crate) uid: u32,
    /// The filesystem gid.
    pub(crate) gid: u32,
}

/// Why nobody could be identified. No bytes for nobody.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IdentifyError {
    /// Outside our pid namespace, or the kernel itself.
    #[error("the caller is outside the daemon's pid namespace")]
    Nobody,
    /// Its program must be read first, and others are being read.
    #[error("the caller's program has not been read yet")]
    Unread,
    /// One of our own two processes: it would wait for itself.
    #[error("the caller is the daemon itself")]
    Ourselves,
    /// The monitor could not tell.
    #[error(transparent)]
    Monitor(#[from] MonitorError),
}

/// The callers known at present.
#[derive(Debug)]
pub(crate) struct Callers {
    monitor: Arc<Monitor>,
    agents: Arc<AgentTable>,
    /// Whether the policy asks whom a caller descends from.
    asks_for_ancestors: AtomicBool,
    /// How many threads that others wait for wait for a program to be read.
    reading: AtomicUsize,
    /// Opens that wait for the program of their caller to be read.
    pub(crate) unread: FairQueue,
    /// Guards the cache only; never held while the monitor works.
    known: Mutex<LruCache<u32, Arc<Known>>>,
}

#[derive(Debug)]
struct Known {
    thread: OwnedFd,
    image: OwnedFd,
    status: OwnedFd,
    identity: [u8; 32],
    asker: Asker,
    caller: Arc<Caller>,
    agent: Option<Arc<RunningAgent>>,
    /// Whether its program has no hash because nobody has read it yet.
    is_unread: bool,
    /// When `status` was last found to be the same, in nanoseconds since boot.
    looked: AtomicU64,
}

impl Callers {
    pub(crate) fn new(monitor: Arc<Monitor>, agents: Arc<AgentTable>) -> Self {
        Self {
            monitor,
            agents,
            asks_for_ancestors: AtomicBool::new(false),
            reading: AtomicUsize::new(0),
            unread: FairQueue::default(),
            known: Mutex::new(LruCache::new(REMEMBERED)),
        }
    }

    /// Looks at ancestors from now on, or no more; who is known was looked at in the other way.
    pub(crate) fn look_at_ancestors(&self, asks_for_ancestors: bool) {
        self.asks_for_ancestors.store(asks_for_ancestors, Ordering::Release);
        self.known().clear();
    }

    /// The caller behind `asker` as it is now, with the hash of its program: for threads that nobody
    /// else waits for.
    pub(crate) fn identify(&self, asker: Asker) -> Result<Arc<Caller>, IdentifyError> {
        match self.remembered(asker, Known::is_current)? {
            Some(known) if !known.is_unread => Ok(Arc::clone(&known.caller)),
            Some(_) => Ok(Arc::clone(&self.attest(asker, true)?.caller)),
            None => self.complete(asker, || self.attest(asker, true)),
        }
    }

    /// The same on an event loop, where few may wait for a program to be read.
    pub(crate) fn identify_here(&self, asker: Asker) -> Result<Arc<Caller>, IdentifyError> {
        self.find_here(asker, Known::is_current)
    }

    /// The same where ids, session and tracer may be those of just before.
    pub(crate) fn recognise(&self, asker: Asker) -> Result<Arc<Caller>, IdentifyError> {
        self.find_here(asker, Known::is_recent)
    }

    /// The same, without the hash of a program that nobody has read yet: for visibility alone.
    pub(crate) fn glance(&self, asker: Asker) -> Result<Arc<Caller>, IdentifyError> {
        let known = match self.remembered(asker, Known::is_current)? {
            Some(known) => known,
            None => self.attest(asker, false)?,
        };
        Ok(Arc::clone(&known.caller))
    }

    /// Everything that can be told of `asker`, which costs more than deciding about it.
    pub(crate) fn describe(&self, asker: Asker) -> Result<Caller, IdentifyError> {
        let wanted = Wanted { hash: true, ancestors: true, namespaces: true };
        Ok(self.caller_of(asker, self.monitor.attest(asker.thread, wanted)?.facts).0)
    }

    /// The same of the process of that number, as who it is when it opens a file itself.
    pub(crate) fn describe_process(&self, process: u32) -> Result<Caller, IdentifyError> {
        self.look_at(process, Wanted { hash: true, ancestors: true, namespaces: true })
    }

    /// Everybody who can be looked at now, without hashes of programs that nobody has read yet; nobody
    /// when there are too many.
    pub(crate) fn everybody(&self) -> Vec<Caller> {
        let wanted = Wanted { hash: false, ancestors: true, namespaces: false };
        let numbers = self.monitor.list_processes().unwrap_or_default();
        // Some end meanwhile.
        numbers.into_iter().filter_map(|number| self.look_at(number, wanted).ok()).collect()
    }

    fn look_at(&self, process: u32, wanted: Wanted) -> Result<Caller, IdentifyError> {
        if process == 0 {
            return Err(IdentifyError::Nobody);
        }
        let facts = self.monitor.attest(process, wanted)?.facts;
        let (Some(uid), Some(gid)) = (facts.uids.last(), facts.gids.last()) else {
            return Err(IdentifyError::Nobody);
        };
        let asker = Asker { thread: process, uid: *uid, gid: *gid };
        Ok(self.caller_of(asker, facts).0)
    }

    /// Whether a program must be read before `asker` is identified.
    pub(crate) fn is_unread(&self, asker: Asker) -> bool {
        match self.remembered(asker, Known::is_current) {
            Ok(Some(known)) => known.is_unread,
            Ok(None) => self.attest(asker, false).is_ok_and(|known| known.is_unread),
            Err(_) => false,
        }
    }

    /// Who `asker` and its parents are now, whatever is known: nothing of a process tells that a parent
    /// of it has ended. Without the hash of a program that nobody has read yet.
    pub(crate) fn look_anew(&self, asker: Asker) -> Result<Arc<Caller>, IdentifyError> {
        Ok(Arc::clone(&self.attest(asker, false)?.caller))
    }

    fn find_here(
        &self,
        asker: Asker,
        is_still: impl Fn(&Known) -> bool,
    ) -> Result<Arc<Caller>, IdentifyError> {
        let read = || {
            let _turn = Turn::take(&self.reading).ok_or(IdentifyError::Unread)?;
            self.attest(asker, true)
        };
        match self.remembered(asker, is_still)? {
            Some(known) if !known.is_unread => Ok(Arc::clone(&known.caller)),
            Some(_) => Ok(Arc::clone(&read()?.caller)),
            None => self.complete(asker, read),
        }
    }

    /// Attests who is not known: most have a program that was read before.
    fn complete(
        &self,
        asker: Asker,
        read: impl FnOnce() -> Result<Arc<Known>, IdentifyError>,
    ) -> Result<Arc<Caller>, IdentifyError> {
        let known = self.attest(asker, false)?;
        let known = if known.is_unread { read()? } else { known };
        Ok(Arc::clone(&known.caller))
    }

    /// What is known of `asker`, if that is still so; an error for who can be nobody.
    fn remembered(
        &self,
        asker: Asker,
        is_still: impl Fn(&Known) -> bool,
    ) -> Result<Option<Arc<Known>>, IdentifyError> {
        if asker.thread == 0 {
            return Err(IdentifyError::Nobody);
        }
        let known = self.known().get(&asker.thread).cloned();
        Ok(known.filter(|known| known.asker == asker && is_still(known)))
    }

    fn attest(&self, asker: Asker, hash: bool) -> Result<Arc<Known>, IdentifyError> {
        let ancestors = self.asks_for_ancestors.load(Ordering::Acquire);
        let wanted = Wanted { hash, ancestors, namespaces: false };
        let Attestation { facts, thread, image, status } =
            self.monitor.attest(asker.thread, wanted)?;
        if [std::process::id(), self.monitor.process()].contains(&facts.process.number) {
            return Err(IdentifyError::Ourselves);
        }
        let looked = AtomicU64::new(clock::now().nanoseconds());
        let (identity, is_unread) = (facts.status, facts.is_unread);
        let (caller, agent) = self.caller_of(asker, facts);
        let caller = Arc::new(caller);
        let known =
            Known { thread, image, status, identity, asker, caller, agent, is_unread, looked };
        let known = Arc::new(known);
        self.known().put(asker.thread, Arc::clone(&known));
        Ok(known)
    }

    fn caller_of(&self, asker: Asker, facts: Facts) -> (Caller, Option<Arc<RunningAgent>>) {
        let agent = facts.agent.as_deref().and_then(|id| self.agents.find(id));
        let mut doubts = facts.doubts.to_vec();
        if !(facts.uids.contains(&asker.uid) && facts.gids.contains(&asker.gid)) {
            doubts.push(Doubt::LentIds);
        }
        let caller = Caller {
            thread: ThreadId(asker.thread),
            process: facts.process,
            uid: UserId(asker.uid),
            gid: GroupId(asker.gid),
            groups: facts.groups,
            login_uid: facts.login_uid,
            executable: facts.executable,
            script: facts.script,
            session: facts.session,
            acting: None,
            invocation: facts.invocation,
            terminal: facts.terminal,
            namespaces: facts.namespaces,
            tracer: facts.tracer,
            agent: agent.as_ref().map(|agent| Arc::clone(&agent.session)),
            parents: facts.parents,
            doubts: doubts.into(),
        };
        (caller, agent)
    }

    /// Forgets what was seen of the process of that number.
    pub(crate) fn forget(&self, process: u32) {
        let mut known = self.known();
        let seen = known.iter().filter(|(_, known)| known.caller.process.number == process);
        let seen: Vec<u32> = seen.map(|(thread, _)| *thread).collect();
        for thread in seen {
            known.pop(&thread);
        }
    }

    /// Forgets threads that have ended, and the descriptors that told of them.
    pub(crate) fn forget_ended(&self) {
        let mut known = self.known();
        let ended = known.iter().filter(|(_, known)| !known.is_alive());
        let ended: Vec<u32> = ended.map(|(thread, _)| *thread).collect();
        for thread in ended {
            known.pop(&thread);
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, LruCache<u32, Arc<Known>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of the few turns to wait for a program; given back when dropped.
struct Turn<'count>(&'count AtomicUsize);

impl<'count> Turn<'count> {
    fn take(count: &'count AtomicUsize) -> Option<Self> {
        let next = |taken: usize| (taken < READING).then_some(taken + 1);
        count.fetch_update(Ordering::AcqRel, Ordering::Acquire, next).ok().map(|_| Self(count))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Known {
    /// Whether the thread still runs, still the same program, and is who it was.
    fn is_current(&self) -> bool {
        let now = clock::now().nanoseconds();
        let is_current = self.runs_same_program() && self.has_same_identity();
        if is_current {
            self.looked.store(now, Ordering::Relaxed);
        }
        is_current
    }

    /// The same, where it may have been who it was until just before.
    fn is_recent(&self) -> bool {
        let looked = Moment::from_nanoseconds(self.looked.load(Ordering::Relaxed));
        if clock::now() < looked.after(LOOKED_AT) {
            self.runs_same_program()
        } else {
            self.is_current()
        }
    }

    fn runs_same_program(&self) -> bool {
        // A session that has ended names nobody any more, at once.
        self.agent.as_ref().is_none_or(|agent| agent.is_alive())
            && self.is_alive()
            && is_same_program(&self.image)
    }

    fn is_alive(&self) -> bool {
        let mut descriptors = [PollFd::new(self.thread.as_fd(), PollFlags::POLLIN)];
        poll(&mut descriptors, PollTimeout::ZERO).is_ok_and(|ready| ready == 0)
    }

    /// A `status` longer than we read, one of hundreds of groups, never counts as the same.
    fn has_same_identity(&self) -> bool {
        let mut status = [0; 4096];
        let count = rustix::io::pread(&self.status, &mut status, 0);
        count.is_ok_and(|count| status.get(..count).map(identity) == Some(self.identity))
    }
}
