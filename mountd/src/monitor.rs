//! The monitor: the half of the daemon with privileges and without keys.
//!
//! It mounts and unmounts, reads `/proc` of callers and watches held ones. It refuses to know
//! vaults, policy and values. It is the same program started anew, its first channel on standard
//! input; when the core is gone it ends every mount and itself.

mod agent_sessions;
mod ancestry;
mod attest;
mod cpu_latency;
mod environment;
mod executable;
mod file_view;
mod filesystem_kind;
mod handle;
mod hashes;
mod helpers;
mod line;
mod mapped_code;
pub(crate) mod message;
mod mount_table;
mod mounting;
mod path_walk;
mod proc;
mod script;
mod script_pins;
mod session_cgroup;
mod sleep;
mod socket_owner;
mod system_bus;
mod tcp_socket;
mod waiting;
mod watchman;

pub(crate) use attest::{identity, is_alive, is_same_program, knows_threads};
pub(crate) use handle::{Attestation, Monitor, Started, follow_reports};
pub(crate) use message::{MonitorError, MonitorFault};
pub use mount_table::dead_mounts;
pub use script_pins::takes_script;
pub(crate) use watchman::keep_watch;

use crate::helper::Helpers;
use agent_sessions::AgentSessions;
use attest::{Attested, attest};
use crossbeam_channel::{Sender, bounded};
use executable::Programs;
use helpers::start_helper;
use message::{Task, receive, send};
use mounting::{Mounting, Top, clean_up};
use script_pins::ScriptPins;
use serde::Serialize;
use sleep::Sleep;
use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use waiting::{Change, watch};
use watchman::Watchman;

/// How many changes to the set of held callers may wait for the watcher.
const CHANGES: usize = 1024;

/// What the monitor's channels share.
struct Privileged {
    programs: Programs,
    agents: Arc<AgentSessions>,
    /// Guards the table only; never held while something is mounted or ended.
    mounts: Mutex<BTreeMap<u64, Mounting>>,
    next: Mutex<u64>,
    held: Sender<Change>,
    /// Guards itself only.
    watchman: Mutex<Option<Watchman>>,
    /// Held by the one channel that waits for sleep.
    sleep: Mutex<Option<Sleep>>,
    helpers: Helpers,
}

/// Serves the core on `first` until it is gone; then ends every mount.
///
/// First of all it hears which helpers the core may ask for, and how they are run.
pub(crate) fn serve(first: OwnedFd) -> std::io::Result<()> {
    let Some((helpers, _)) = receive::<Helpers>(first.as_fd())? else { return Ok(()) };
    let (held, changes) = bounded(CHANGES);
    let privileged = Arc::new(Privileged {
        programs: Programs::default(),
        agents: Arc::default(),
        mounts: Mutex::default(),
        next: Mutex::new(1),
        held,
        watchman: Mutex::default(),
        sleep: Mutex::default(),
        helpers,
    });
    while let Some((task, mut descriptors)) = receive::<Task>(first.as_fd())? {
        let Some(channel) = descriptors.pop() else {
            continue;
        };
        match task {
            Task::Serve => {
                let privileged = Arc::clone(&privileged);
                std::thread::Builder::new()
                    .name("channel".to_owned())
                    .spawn(move || privileged.serve(&channel))?;
            }
            Task::Report => {
                let changes = changes.clone();
                std::thread::Builder::new()
                    .name("held".to_owned())
                    .spawn(move || watch(&changes, &channel))?;
            }
            Task::Attest { .. }
            | Task::ListProcesses
            | Task::FindPeer { .. }
            | Task::Watch { .. }
            | Task::Unwatch { .. }
            | Task::Prepare(_)
            | Task::Attach { .. }
            | Task::WriteBack { .. }
            | Task::End { .. }
            | Task::LimitCpuLatency
            | Task::AwaitSleep
            | Task::BeginSession(_)
            | Task::CountSession { .. }
            | Task::PinScript(_)
            | Task::StartHelper { .. }
            | Task::CleanUp { .. } => {}
        }
    }
    privileged.end_all();
    privileged.agents.leave();
    Ok(())
}

impl Privileged {
    /// Answers the tasks of one channel until it closes.
    fn serve(&self, channel: &OwnedFd) {
        while let Ok(Some((task, descriptors))) = receive::<Task>(channel.as_fd()) {
            if self.perform(channel, task, descriptors).is_err() {
                return;
            }
        }
    }

    fn prepare(
        &self,
        channel: BorrowedFd<'_>,
        wanted: &message::Prepare,
        directory: Option<OwnedFd>,
    ) -> std::io::Result<()> {
        let number = self.number();
        let prepared = directory
            .ok_or_else(|| no_mount("no directory came with the task"))
            .and_then(|directory| Mounting::prepare(number, wanted, directory));
        match prepared {
            Ok((mounting, prepared, fuse)) => {
                self.mounts().insert(number, mounting);
                let answer = Ok::<_, MonitorError>(prepared);
                // Our own copy of the FUSE descriptor closes here, once the core has it.
                send(channel, &answer, &[fuse.as_fd()])
            }
            Err(error) => send(channel, &Err::<message::Prepared, _>(error), &[]),
        }
    }

    fn perform(
        &self,
        channel: &OwnedFd,
        task: Task,
        mut descriptors: Vec<OwnedFd>,
    ) -> std::io::Result<()> {
        let channel = channel.as_fd();
        match task {
            Task::Attest { thread, wanted } => self.attest(channel, thread, wanted),
            Task::ListProcesses => {
                send(channel, &Ok::<_, MonitorError>(proc::numbers().unwrap_or_default()), &[])
            }
            Task::FindPeer { ours, theirs, socket } => {
                send(channel, &socket_owner::owner_of((ours, socket), theirs), &[])
            }
            Task::Watch { thread, token } => {
                let _core_is_gone = self.held.send(Change::Watch(thread, token));
                Ok(())
            }
            Task::Unwatch { token } => {
                let _core_is_gone = self.held.send(Change::Unwatch(token));
                Ok(())
            }
            Task::Prepare(wanted) => self.prepare(channel, &wanted, descriptors.pop()),
            Task::Attach { mount } => {
                let attached = self.mounts().get(&mount).map(Mounting::attach);
                send(channel, &attached.unwrap_or_else(|| Err(no_mount("it is not there"))), &[])
            }
            Task::WriteBack { mount } => {
                let top = self.mounts().get(&mount).map(Mounting::top);
                let top = top.unwrap_or_else(|| Err(no_mount("it is not there")));
                // Without the lock: the core writes to its disk meanwhile.
                send(channel, &top.and_then(Top::write_back), &[])
            }
            Task::End { mount } => {
                let mounting = self.mounts().remove(&mount);
                let ended = mounting.map_or_else(|| Err(no_mount("it has ended")), Mounting::end);
                send(channel, &ended, &[])
            }
            Task::LimitCpuLatency => {
                answer_with(channel, cpu_latency::open().map(|(device, most)| (most, device)))
            }
            Task::AwaitSleep => {
                let mut sleep = self.sleep.lock().unwrap_or_else(PoisonError::into_inner);
                send(channel, &Sleep::next(&mut sleep), &[])
            }
            Task::BeginSession(wanted) => answer_with(channel, self.agents.begin(&wanted)),
            Task::CountSession { session } => {
                send(channel, &Ok::<_, MonitorError>(self.agents.count(&session)), &[])
            }
            Task::PinScript(wanted) => {
                send(channel, &ScriptPins::pin(&wanted, &self.programs), &[])
            }
            Task::StartHelper { name } => {
                answer_with(channel, start_helper(&self.helpers, &name).map(|socket| ((), socket)))
            }
            Task::CleanUp { instance } => {
                send(channel, &Ok::<_, MonitorError>(self.clean_up(&instance)), &[])
            }
            Task::Serve | Task::Report => Ok(()),
        }
    }

    fn attest(
        &self,
        channel: BorrowedFd<'_>,
        thread: u32,
        wanted: message::Wanted,
    ) -> std::io::Result<()> {
        match attest(thread, wanted, &self.programs, &self.agents) {
            Ok(Attested { facts, thread, image, status }) => {
                let answer = Ok::<_, MonitorError>(facts);
                send(channel, &answer, &[thread.as_fd(), image.as_fd(), status.as_fd()])
            }
            Err(error) => send(channel, &Err::<message::Facts, _>(error), &[]),
        }
    }

    fn clean_up(&self, instance: &str) -> Vec<String> {
        self.agents.serve(instance);
        let stale = clean_up(instance);
        // Without one, mounts that outlive this process go with the next start.
        *self.watchman() = Watchman::start(instance).ok();
        stale
    }

    fn end_all(&self) {
        let mounts = std::mem::take(&mut *self.mounts());
        for mounting in mounts.into_values() {
            // Nobody is left to tell; a mount that stays is found by the next daemon.
            let _stays = mounting.end();
        }
        if let Some(watchman) = self.watchman().take() {
            watchman.dismiss();
        }
    }

    fn watchman(&self) -> MutexGuard<'_, Option<Watchman>> {
        self.watchman.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mounts(&self) -> MutexGuard<'_, BTreeMap<u64, Mounting>> {
        self.mounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn number(&self) -> u64 {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let number = *next;
        *next += 1;
        number
    }
}

/// Answers with a descriptor.
fn answer_with<T: Serialize>(
    channel: BorrowedFd<'_>,
    answer: Result<(T, OwnedFd), MonitorError>,
) -> std::io::Result<()> {
    match answer {
        Ok((answer, descriptor)) => {
            send(channel, &Ok::<_, MonitorError>(answer), &[descriptor.as_fd()])
        }
        Err(error) => send(channel, &Err::<T, _>(error), &[]),
    }
}

fn no_mount(why: &str) -> MonitorError {
    MonitorError {
        fault: MonitorFault::Mountpoint,
        message: format!("no such mount: {why}"),
        next: "see ward status".to_owned(),
    }
}
