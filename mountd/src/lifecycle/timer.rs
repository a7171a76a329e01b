//! The timer of one mount: its notices, its end by time or for want of use, and the commands that it
//! ends with. On the clock that runs on in suspend.

use super::{Holder, Why};
use crate::clock;
use crate::term::{Notice, Term};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use std::io::{self, PipeReader, PipeWriter, Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;
use ward_policy::Moment;

/// What a timer has done. Each says whether the mount is over, and with it the timer.
pub(super) trait Clockwork: Send + 'static {
    /// Those whose commands the mount ends with, and their connections.
    fn holders(&self) -> Vec<(Holder, Arc<OwnedFd>)>;
    /// Its time is over, as it seems.
    fn over(&self, why: Why) -> bool;
    /// These ended.
    fn gone(&self, holders: &[Holder]) -> bool;
    /// Has whoever reads what the kernel keeps come to us.
    fn probe(&self);
}

/// A running timer; dropping it ends its thread.
#[derive(Debug)]
pub(super) struct Timer(PipeWriter);

impl Timer {
    /// Starts one; `notices` are how long before the end it is told.
    pub(super) fn start(
        term: Arc<Term>,
        notices: Vec<Duration>,
        work: impl Clockwork,
    ) -> io::Result<Self> {
        let (nudged, nudge) = io::pipe()?;
        let timer = TimerFd::new(ClockId::CLOCK_BOOTTIME, TimerFlags::TFD_CLOEXEC)?;
        let told = clock::now();
        let running = Running { term, notices, timer, nudged, told, probed: None };
        std::thread::Builder::new()
            .name("deadline".to_owned())
            .spawn(move || running.run(&work))?;
        Ok(Self(nudge))
    }

    /// Has it look again: the term or the holders are others.
    pub(super) fn nudge(&self) {
        // Only its own end would keep it from looking.
        let _it_has_ended = (&self.0).write_all(b"n");
    }
}

/// What happened to a timer that waits.
enum Happened {
    Cancelled,
    Nudged,
    Gone(Vec<Holder>),
    /// Time, or nothing.
    Time,
}

struct Running {
    term: Arc<Term>,
    notices: Vec<Duration>,
    timer: TimerFd,
    nudged: PipeReader,
    /// Notices up to here were told.
    told: Moment,
    /// For this last use it was looked whether somebody reads pages.
    probed: Option<Moment>,
}

impl Running {
    fn run(mut self, work: &impl Clockwork) {
        loop {
            let now = clock::now();
            if self.term.over(now).is_some_and(|why| work.over(why)) {
                return;
            }
            self.tell(now);
            let next = self.next(now, work);
            match self.wait(next.remaining(now), &work.holders()) {
                Ok(Happened::Cancelled) => return,
                Ok(Happened::Gone(holders)) if work.gone(&holders) => return,
                Ok(Happened::Gone(_) | Happened::Nudged | Happened::Time) => {}
                // Without a timer the mount ends now rather than never.
                Err(_) if work.over(Why::NoTimer) => return,
                Err(_) => {}
            }
        }
    }

    /// Tells the last of the notices that have come due; those before the mount began, or was last
    /// used, never do.
    fn tell(&mut self, now: Moment) {
        let due = |ends: Moment| {
            let is_due = |before: &&Duration| {
                let at = earlier(ends, **before);
                self.told < at && at <= now
            };
            self.notices.iter().filter(is_due).min().copied()
        };
        let (used, ends) = (self.term.used(), self.term.ends());
        if let Some(before) = due(ends) {
            self.term.notice(Notice { before, unused_since: None });
        } else if let Some(before) = self.idle_end(used).filter(|it| *it < ends).and_then(due) {
            self.term.notice(Notice { before, unused_since: Some(used) });
        }
        self.told = now;
    }

    fn idle_end(&self, used: Moment) -> Option<Moment> {
        self.term.idle().map(|idle| used.after(idle))
    }

    /// When there is something to do next.
    fn next(&mut self, now: Moment, work: &impl Clockwork) -> Moment {
        let ends = self.term.ends();
        let all = std::iter::once(ends).chain(self.idle_end(self.term.used()));
        let notices = all.flat_map(|end| self.notices.iter().map(move |it| earlier(end, *it)));
        let mut next = notices.filter(|at| *at > now).min().map_or(ends, |at| at.min(ends));
        if let Some(idle) = self.term.idle() {
            let used = self.term.used();
            let probe = used.after(idle / 2);
            if probe <= now && self.probed != Some(used) {
                self.probed = Some(used);
                work.probe();
            }
            next = next.min(if probe > now { probe } else { used.after(idle) });
        }
        next
    }

    fn wait(&self, time: Duration, holders: &[(Holder, Arc<OwnedFd>)]) -> io::Result<Happened> {
        let time = time.max(Duration::from_millis(1));
        self.timer.set(Expiration::OneShot(time.into()), TimerSetTimeFlags::empty())?;
        let mut sources = vec![
            PollFd::new(self.timer.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.nudged.as_fd(), PollFlags::POLLIN),
        ];
        // Only the end of a connection (POLLHUP) counts: what it says is read elsewhere.
        let connections = holders.iter().map(|(_, connection)| connection.as_fd());
        sources.extend(connections.map(|it| PollFd::new(it, PollFlags::empty())));
        match poll(&mut sources, PollTimeout::NONE) {
            Ok(_) => {}
            Err(nix::errno::Errno::EINTR) => return Ok(Happened::Time),
            Err(errno) => return Err(errno.into()),
        }
        let happened: Vec<bool> = sources.iter().map(|it| it.any().unwrap_or(true)).collect();
        if happened.get(1) == Some(&true) {
            let count = (&self.nudged).read(&mut [0; 64])?;
            return Ok(if count == 0 { Happened::Cancelled } else { Happened::Nudged });
        }
        let ended = happened.iter().skip(2).zip(holders).filter(|(ended, _)| **ended);
        let ended: Vec<Holder> = ended.map(|(_, (holder, _))| *holder).collect();
        Ok(if ended.is_empty() { Happened::Time } else { Happened::Gone(ended) })
    }
}

fn earlier(moment: Moment, by: Duration) -> Moment {
    let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
    Moment::from_nanoseconds(moment.nanoseconds().saturating_sub(by))
}
