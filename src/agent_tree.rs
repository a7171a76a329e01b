//! The tree of an agent's processes, seen from its first one: it adopts what loses its parent, waits
//! for the last one, and passes signals on. What it ends with, the daemon ends.

use crate::exit_code::ExitCode;
use crate::trouble::Trouble;
use nix::errno::Errno;
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{SigSet, Signal, kill, killpg, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpgid, getpgrp, tcgetpgrp, tcsetpgrp};
use std::io;
use ward_mountd::control::message::FailureCode;

/// Signals that end a program, unless it catches them.
const ENDING: [Signal; 4] = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM];
/// Others that go to the command.
const PASSED_ON: [Signal; 2] = [Signal::SIGUSR1, Signal::SIGUSR2];

/// `SI_USER`, the greatest code of a signal that a process sent and not the kernel (sigaction(2)).
const SENT: i32 = 0;

/// A process that is ready to be the first of a tree.
#[derive(Debug)]
pub(crate) struct AgentTree(());

/// A command that runs, and all that it starts.
#[derive(Debug)]
struct Running {
    command: Pid,
    /// How the command ended; what it started may go on.
    ended: Option<u8>,
}

/// What is left when waiting ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    /// Nothing of what the command started.
    Nothing,
    /// Not the command, and maybe what it started.
    Command,
}

impl AgentTree {
    /// Makes this process the one that orphans are handed to. It must have no child yet, which
    /// would count as the agent's.
    pub(crate) fn prepare() -> Result<Self, Trouble> {
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Err(Errno::ECHILD) => break,
                Ok(WaitStatus::StillAlive) => {
                    let message = "this process has children already, which are not the agent's";
                    return Err(Trouble::new(FailureCode::Conflict, message)
                        .next("start ward run as a process of its own, without exec"));
                }
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(failed(errno)),
            }
        }
        set_child_subreaper(true).map_err(failed)?;
        Ok(Self(()))
    }

    /// Waits until nothing of the command is left that was just started.
    pub(crate) fn look_after(self, command: Pid) -> Result<ExitCode, Trouble> {
        Running { command, ended: None }.wait(&take_signals()?, Until::Nothing)
    }
}

/// Passes signals on to a command that was just started, until it has ended; what it leaves runs on.
pub(crate) fn follow(command: Pid) -> Result<ExitCode, Trouble> {
    Running { command, ended: None }.wait(&take_signals()?, Until::Command)
}

/// Has signals wait for us to read them. Only once the command runs, which must not find them
/// blocked: one that comes earlier ends us, and so all.
fn take_signals() -> Result<SignalFd, Trouble> {
    let signals: SigSet = ENDING.into_iter().chain(PASSED_ON).chain([Signal::SIGCHLD]).collect();
    signals.thread_block().map_err(failed)?;
    SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC).map_err(failed)
}

impl Running {
    fn wait(mut self, signals: &SignalFd, until: Until) -> Result<ExitCode, Trouble> {
        while self.has_children()? && (until == Until::Nothing || self.ended.is_none()) {
            let Ok(Some(came)) = signals.read_signal() else { continue };
            let signal = i32::try_from(came.ssi_signo).map_err(|_| failed(Errno::EINVAL))?;
            let signal = Signal::try_from(signal).map_err(failed)?;
            if signal == Signal::SIGCHLD {
                continue;
            }
            match self.ended {
                // What a terminal sends, it sends to the command as well.
                None if came.ssi_code <= SENT => {
                    // It has not been waited for, so the number is its own.
                    let _it_ends = kill(self.command, signal);
                }
                None => {}
                Some(_) if ENDING.contains(&signal) => break,
                Some(_) => {}
            }
        }
        Ok(ExitCode::OfCommand(self.ended.unwrap_or(1)))
    }

    /// Takes note of all that have ended; whether any is left.
    fn has_children(&mut self) -> Result<bool, Trouble> {
        let flags = WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED;
        loop {
            match waitpid(None, Some(flags)) {
                Ok(WaitStatus::StillAlive) => return Ok(true),
                Err(Errno::ECHILD) => return Ok(false),
                Ok(WaitStatus::Exited(process, code)) if process == self.command => {
                    // The kernel keeps the low byte only (wait(2)).
                    self.ended = Some(u8::try_from(code & 0xff).unwrap_or(1));
                }
                Ok(WaitStatus::Signaled(process, signal, _)) if process == self.command => {
                    self.ended = u8::try_from(128 + signal as i32).ok();
                }
                Ok(WaitStatus::Stopped(process, _)) if process == self.command => self.stop(),
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(failed(errno)),
            }
        }
    }

    /// The command, a shell with jobs of its own, stopped itself: so do we, for whoever waits for
    /// us, and let it go on when we may.
    fn stop(&self) {
        let Ok(group) = getpgid(Some(self.command)) else { return };
        if group == getpgrp() {
            // Then we were stopped with it, or it alone was meant.
            return;
        }
        let _stopped_and_gone_on = raise(Signal::SIGSTOP);
        if tcgetpgrp(io::stdin()) == Ok(getpgrp()) {
            let _stays_behind = tcsetpgrp(io::stdin(), group);
        }
        let _it_ended = killpg(group, Signal::SIGCONT);
    }
}

pub(crate) fn failed(errno: Errno) -> Trouble {
    Trouble::new(FailureCode::Failed, format!("cannot look after the command: {errno}"))
}
