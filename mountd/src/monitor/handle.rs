//! The core's end of the monitor: tasks over a few channels, so that a slow one delays no other.

use super::message::{
    BeginSession, Facts, Interrupted, MonitorError, MonitorFault, PinScript, Prepare, Prepared,
    SessionBegun, Task, Wanted, receive, send,
};
use super::system_bus::VARIABLE;
use crate::cpu_latency::Limit;
use crate::helper::Helpers;
use crossbeam_channel::{Receiver, Sender, bounded};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use serde::de::DeserializeOwned;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use ward_policy::Script;

/// How many tasks can be under way at once; one of them waits for the machine to sleep.
const CHANNELS: usize = 7;

/// The monitor, seen from the core.
#[derive(Debug)]
pub(crate) struct Monitor {
    idle: Receiver<OwnedFd>,
    give_back: Sender<OwnedFd>,
    /// Held while a peer is looked for among all processes: whoever connects takes one channel at most.
    peers: Mutex<()>,
    process: u32,
}

/// An attested thread: facts, a pidfd of the thread, and the descriptors of image and `status`.
#[derive(Debug)]
pub(crate) struct Attestation {
    pub(crate) facts: Facts,
    pub(crate) thread: OwnedFd,
    pub(crate) image: OwnedFd,
    pub(crate) status: OwnedFd,
}

/// What the core must keep of a monitor it started.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) monitor: Monitor,
    /// The process, and the channel whose closing ends it.
    pub(crate) process: Child,
    pub(crate) first: OwnedFd,
    /// Signals of held callers arrive here.
    pub(crate) reports: OwnedFd,
}

impl Monitor {
    /// Starts the privileged half: this program anew, with the argument `monitor`.
    ///
    /// `helpers` are those it may start. They are told here and never again, so that a core that was
    /// taken over has nothing run but them.
    pub(crate) fn start(helpers: &Helpers) -> io::Result<Started> {
        let (first, theirs) = pair()?;
        let process = Command::new("/proc/self/exe")
            .arg("monitor")
            .env_clear()
            .envs(std::env::var_os(VARIABLE).map(|address| (VARIABLE, address)))
            .current_dir("/")
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .spawn()?;
        send(first.as_fd(), helpers, &[])?;
        let (give_back, idle) = bounded(CHANNELS);
        for _ in 0..CHANNELS {
            let (ours, theirs) = pair()?;
            send(first.as_fd(), &Task::Serve, &[theirs.as_fd()])?;
            give_back.send(ours).map_err(io::Error::other)?;
        }
        let (reports, theirs) = pair()?;
        send(first.as_fd(), &Task::Report, &[theirs.as_fd()])?;
        let monitor = Self { idle, give_back, peers: Mutex::default(), process: process.id() };
        Ok(Started { monitor, process, first, reports })
    }

    /// Its process number: requests from it on our own mounts are refused at once.
    pub(crate) const fn process(&self) -> u32 {
        self.process
    }

    pub(crate) fn attest(&self, thread: u32, wanted: Wanted) -> Result<Attestation, MonitorError> {
        let (facts, descriptors) = self.ask(&Task::Attest { thread, wanted }, None)?;
        let [thread, image, status] = <[OwnedFd; 3]>::try_from(descriptors).map_err(|_| gone())?;
        Ok(Attestation { facts, thread, image, status })
    }

    /// The numbers of all processes; none when they are too many to look at.
    pub(crate) fn list_processes(&self) -> Result<Vec<u32>, MonitorError> {
        self.ask(&Task::ListProcesses, None).map(|(numbers, _)| numbers)
    }

    /// The process at the other end of a TCP connection, of which we have an end and its inode.
    pub(crate) fn find_peer(
        &self,
        (ours, socket): (SocketAddr, u64),
        theirs: SocketAddr,
    ) -> Result<u32, MonitorError> {
        let _turn = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        self.ask(&Task::FindPeer { ours, theirs, socket }, None).map(|(process, _)| process)
    }

    pub(crate) fn prepare(
        &self,
        wanted: Prepare,
        directory: BorrowedFd<'_>,
    ) -> Result<(Prepared, OwnedFd), MonitorError> {
        let (prepared, mut descriptors) = self.ask(&Task::Prepare(wanted), Some(directory))?;
        Ok((prepared, descriptors.pop().ok_or_else(gone)?))
    }

    pub(crate) fn attach(&self, mount: u64) -> Result<(), MonitorError> {
        self.ask(&Task::Attach { mount }, None).map(|((), _)| ())
    }

    pub(crate) fn write_back(&self, mount: u64) -> Result<(), MonitorError> {
        self.ask(&Task::WriteBack { mount }, None).map(|((), _)| ())
    }

    pub(crate) fn end(&self, mount: u64) -> Result<(), MonitorError> {
        self.ask(&Task::End { mount }, None).map(|((), _)| ())
    }

    pub(crate) fn limit_cpu_latency(&self) -> Result<Limit, MonitorError> {
        let (most, mut descriptors) = self.ask(&Task::LimitCpuLatency, None)?;
        Ok(Limit { device: descriptors.pop().ok_or_else(gone)?.into(), most })
    }

    /// Waits until the machine is about to sleep, true, or is awake again, false. Asking again after
    /// true lets it sleep.
    pub(crate) fn await_sleep(&self) -> Result<bool, MonitorError> {
        self.ask(&Task::AwaitSleep, None).map(|(is_soon, _)| is_soon)
    }

    pub(crate) fn start_helper(&self, name: &str) -> Result<OwnedFd, MonitorError> {
        let task = Task::StartHelper { name: name.to_owned() };
        let ((), mut descriptors) = self.ask(&task, None)?;
        descriptors.pop().ok_or_else(gone)
    }

    pub(crate) fn clean_up(&self, instance: &str) -> Result<Vec<String>, MonitorError> {
        self.ask(&Task::CleanUp { instance: instance.to_owned() }, None).map(|(paths, _)| paths)
    }

    /// Begins a session: how it is kept, and a pidfd of its first process.
    pub(crate) fn begin_session(
        &self,
        wanted: BeginSession,
    ) -> Result<(SessionBegun, OwnedFd), MonitorError> {
        let (begun, mut descriptors) = self.ask(&Task::BeginSession(wanted), None)?;
        Ok((begun, descriptors.pop().ok_or_else(gone)?))
    }

    pub(crate) fn count_session(&self, session: &str) -> Result<u64, MonitorError> {
        let task = Task::CountSession { session: session.to_owned() };
        self.ask(&task, None).map(|(count, _)| count)
    }

    /// Pins the script that an interpreter is about to run.
    pub(crate) fn pin_script(&self, wanted: PinScript) -> Result<Script, MonitorError> {
        self.ask(&Task::PinScript(wanted), None).map(|(script, _)| script)
    }

    pub(crate) fn watch(&self, thread: u32, token: u64) -> Result<(), MonitorError> {
        self.tell(&Task::Watch { thread, token })
    }

    pub(crate) fn unwatch(&self, token: u64) -> Result<(), MonitorError> {
        self.tell(&Task::Unwatch { token })
    }

    fn tell(&self, task: &Task) -> Result<(), MonitorError> {
        let channel = self.idle.recv().map_err(|_| gone())?;
        let sent = send(channel.as_fd(), task, &[]);
        self.give_back.send(channel).map_err(|_| gone())?;
        sent.map_err(|_| gone())
    }

    fn ask<T: DeserializeOwned>(
        &self,
        task: &Task,
        descriptor: Option<BorrowedFd<'_>>,
    ) -> Result<(T, Vec<OwnedFd>), MonitorError> {
        let channel = self.idle.recv().map_err(|_| gone())?;
        let answer = send(channel.as_fd(), task, descriptor.as_slice())
            .and_then(|()| receive::<Result<T, MonitorError>>(channel.as_fd()));
        self.give_back.send(channel).map_err(|_| gone())?;
        let (answer, descriptors) = answer.ok().flatten().ok_or_else(gone)?;
        answer.map(|answer| (answer, descriptors))
    }
}

/// Calls `tell` with the token of each held caller that got a signal; ends with the monitor.
pub(crate) fn follow_reports(reports: &OwnedFd, tell: impl Fn(u64)) {
    while let Ok(Some((Interrupted { token }, _))) = receive(reports.as_fd()) {
        tell(token);
    }
}

fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?)
}

fn gone() -> MonitorError {
    MonitorError {
        fault: MonitorFault::Gone,
        message: "the privileged half of the daemon does not answer".to_owned(),
        next: "start the daemon again: ward daemon start".to_owned(),
    }
}
