//! Shipping: lines of the log, or its heads, go to sinks, each at its own pace. A sink that is dead delays nothing:
//! not the log, not a daemon that stops, and no other sink.
//!
//! At least once: how far a sink is, is an entry of the log (`ship.cursor`), now and then. That entry
//! is no news, and goes along with some: otherwise each would make the next.

mod heads;
mod settings;

pub(crate) use settings::{SinkError, SinkSettings, Wants};

use crate::clock;
use crate::helper::{IsUsable, MOST, deliver};
use crate::monitor::Monitor;
use crate::settings::AuditSettings;
use crossbeam_channel::{Receiver, Sender, bounded, select};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use ward_audit::{Durability, EventType, Follower, Lines, Log, Record, Timestamp};
use ward_policy::Moment;

/// How often a sink's thread looks at the log.
const PERIOD: Duration = Duration::from_secs(1);
/// How often it is written down how far a sink is.
const CURSOR_PERIOD: Duration = Duration::from_secs(60);
/// How long the first pause after a failure is at most; each one after it twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Every sink.
#[derive(Debug)]
pub(crate) struct Shipping {
    sinks: Vec<Arc<Sink>>,
}

/// One sink.
#[derive(Debug)]
pub(crate) struct Sink {
    settings: SinkSettings,
    /// Guards a few words; never held while anything is read or sent.
    state: Mutex<State>,
    /// A round that somebody asked for is over.
    answered: Condvar,
    /// Wakes its thread.
    wake: Sender<()>,
    woken: Receiver<()>,
}

/// How far a sink is.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    /// It has everything up to this entry.
    pub(crate) shipped: u64,
    /// When the first entry was made that it has not, if there is any news among them.
    pub(crate) waits_since: Option<Timestamp>,
    /// Why it did not get them when that was last tried.
    pub(crate) failure: Option<String>,
    /// How many rounds were asked for, and how many of these are over.
    asked: u64,
    answered: u64,
}

impl Shipping {
    /// The sinks of `settings`, each as far as `cursors` say.
    pub(crate) fn new(settings: &AuditSettings, cursors: &[(String, u64)]) -> Self {
        let sink = |settings: &SinkSettings| {
            let cursor = cursors.iter().find(|(name, _)| *name == settings.name);
            let shipped = cursor.map_or(0, |(_, seq)| *seq);
            let (wake, woken) = bounded(1);
            Arc::new(Sink {
                settings: settings.clone(),
                state: Mutex::new(State { shipped, ..State::default() }),
                answered: Condvar::new(),
                wake,
                woken,
            })
        };
        Self { sinks: settings.ship.iter().map(sink).collect() }
    }

    /// Starts a thread for each sink.
    pub(crate) fn start(
        &self,
        log: &Arc<Log>,
        monitor: &Arc<Monitor>,
        stop: &Receiver<()>,
    ) -> io::Result<()> {
        for sink in &self.sinks {
            let (sink, log, monitor) = (Arc::clone(sink), Arc::clone(log), Arc::clone(monitor));
            let stop = stop.clone();
            let work = move || Shipper::new(&sink, &log, &monitor).keep(&stop);
            std::thread::Builder::new().name("ship".to_owned()).spawn(work)?;
        }
        Ok(())
    }

    /// Every sink with its state.
    pub(crate) fn states(&self) -> impl Iterator<Item = (&SinkSettings, State)> {
        self.sinks.iter().map(|sink| (&sink.settings, sink.lock().clone()))
    }

    /// Has every sink tried now; returns when each was, or after `patience`.
    pub(crate) fn ship_now(&self, patience: Duration) {
        let rounds: Vec<u64> = self.sinks.iter().map(|sink| sink.ask()).collect();
        let ends = clock::now().after(patience);
        for (sink, round) in self.sinks.iter().zip(rounds) {
            sink.wait_for(round, ends.remaining(clock::now()));
        }
    }

    /// Up to which entry no sink needs the log to be kept.
    pub(crate) fn is_shipped_up_to(&self, now: Timestamp) -> u64 {
        let needs = |sink: &Arc<Sink>| {
            let State { shipped, waits_since, .. } = sink.lock().clone();
            let waits = waits_since
                .map_or(0, |since| now.microseconds().saturating_sub(since.microseconds()));
            let is_given_up = sink
                .settings
                .hold
                .is_some_and(|hold| u128::from(waits) > hold.duration().as_micros());
            if is_given_up { u64::MAX } else { shipped }
        };
        let wants_lines = |sink: &&Arc<Sink>| sink.settings.wants() == Wants::Lines;
        self.sinks.iter().filter(wants_lines).map(needs).min().unwrap_or(u64::MAX)
    }
}

impl Sink {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self) -> u64 {
        let mut state = self.lock();
        state.asked += 1;
        // Woken already otherwise.
        let _is_woken = self.wake.try_send(());
        state.asked
    }

    fn wait_for(&self, round: u64, patience: Duration) {
        let waits = |state: &mut State| state.answered < round;
        let waited = self.answered.wait_timeout_while(self.lock(), patience, waits);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

/// What the thread of a sink has.
struct Shipper<'a> {
    sink: &'a Sink,
    log: &'a Log,
    monitor: &'a Monitor,
    follower: Follower,
    /// Read, and not with the sink yet: they are tried again as they are.
    unshipped: Option<Lines>,
    helper: Option<OwnedFd>,
    /// Before then it is not tried, unless somebody asks.
    next: Moment,
    failures: u32,
    /// How far the log says it is, and since when.
    recorded: (u64, Moment),
}

impl<'a> Shipper<'a> {
    fn new(sink: &'a Sink, log: &'a Log, monitor: &'a Monitor) -> Self {
        let (shipped, now) = (sink.lock().shipped, clock::now());
        Self {
            sink,
            log,
            monitor,
            follower: Follower::after(shipped),
            unshipped: None,
            helper: None,
            next: now,
            failures: 0,
            recorded: (shipped, now),
        }
    }

    fn keep(mut self, stop: &Receiver<()>) {
        loop {
            select! {
                recv(stop) -> _ => return self.record_cursor_after(Duration::ZERO),
                recv(self.sink.woken) -> _ => {}
                default(PERIOD) => {}
            }
            let asked = self.sink.lock().asked;
            let is_asked = self.sink.lock().answered < asked;
            self.look();
            let has_news = self.sink.lock().waits_since.is_some();
            if is_asked || (has_news && self.next <= clock::now()) {
                let outcome = match self.sink.settings.wants() {
                    Wants::Lines => self.ship(),
                    Wants::Heads => self.ship_head(None),
                    Wants::Signature(key) => self.ship_head(Some(key)),
                };
                self.note(outcome);
            }
            self.record_cursor_after(if is_asked { Duration::ZERO } else { CURSOR_PERIOD });
            self.sink.lock().answered = asked;
            self.sink.answered.notify_all();
        }
    }

    /// Whether there is any news for the sink, and since when.
    fn look(&self) {
        if self.sink.lock().waits_since.is_some() {
            return;
        }
        let mut ahead = self.follower.clone();
        // What cannot be read is told when it is to be shipped, and is news.
        let waits_since = match self.log.follow(&mut ahead, MOST) {
            Ok(lines) => lines.filter(|lines| lines.has_news).map(|lines| lines.since),
            Err(_) => Some(Timestamp::from_microseconds(clock::stamp().wall)),
        };
        self.sink.lock().waits_since = waits_since;
    }

    /// Ships everything that there is now.
    fn ship(&mut self) -> Result<(), String> {
        let end = self.log.synced().map_err(|error| error.to_string())?;
        while self.sink.lock().shipped < end
            && let Some(lines) = self.next_lines()?
        {
            let id = self.log.id().map_err(|error| error.to_string())?;
            let helper = self.helper()?;
            match deliver(&helper, &id, &lines) {
                Ok(()) => {
                    self.helper = Some(helper);
                    self.unshipped = None;
                    let mut state = self.sink.lock();
                    (state.shipped, state.waits_since) = (lines.last, None);
                    drop(state);
                    self.record_cursor_after(CURSOR_PERIOD);
                }
                Err((failure, is_usable)) => {
                    // Dropping its socket ends a helper; the next parcel gets another one.
                    self.helper = Some(helper).filter(|_| is_usable == IsUsable::Yes);
                    return Err(failure);
                }
            }
        }
        Ok(())
    }

    /// The helper that there is, or a new one.
    fn helper(&mut self) -> Result<OwnedFd, String> {
        match self.helper.take() {
            Some(helper) => Ok(helper),
            None => {
                let started = self.monitor.start_helper(&self.sink.settings.helper());
                started.map_err(|error| error.to_string())
            }
        }
    }

    /// The lines that come next: those that failed before others.
    fn next_lines(&mut self) -> Result<Option<Lines>, String> {
        if self.unshipped.is_none() {
            let lines = self.log.follow(&mut self.follower, MOST);
            self.unshipped = lines.map_err(|error| error.to_string())?;
            if let Some(Lines { missing: missing @ 1.., .. }) = self.unshipped {
                let reason = format!("{missing} entries that it has not got are not kept any more");
                let shipped = self.sink.lock().shipped;
                self.append(Record::shipped(&self.sink.settings.name, shipped).reason(&reason));
            }
        }
        Ok(self.unshipped.clone())
    }

    /// Notes what came of a try, and when the next one is.
    fn note(&mut self, outcome: Result<(), String>) {
        let now = clock::now();
        let failure = outcome.err();
        match &failure {
            None => {
                self.failures = 0;
                self.next = now.after(self.sink.settings.every().duration());
            }
            Some(why) => {
                if self.failures == 0 {
                    let reason = format!("{}: {why}", self.sink.settings.helper());
                    self.append(Record::new(EventType::HelperFailed).reason(&reason));
                }
                self.next = now.after(pause(self.failures));
                self.failures = self.failures.saturating_add(1);
            }
        }
        self.sink.lock().failure = failure;
    }

    /// Writes down how far the sink is, when it came further and that was last done so long ago.
    fn record_cursor_after(&mut self, period: Duration) {
        let ((recorded, at), shipped) = (self.recorded, self.sink.lock().shipped);
        if shipped == recorded || at.after(period) > clock::now() {
            return;
        }
        self.append(Record::shipped(&self.sink.settings.name, shipped));
        self.recorded = (shipped, clock::now());
    }

    fn append(&self, record: Record<'_>) {
        // A log that takes no records refuses every open already; the sink gets lines twice then.
        let _log_has_stopped = self.log.append(record, Durability::Written, clock::stamp());
    }
}

/// How long to wait after so many failures before this one: between half and all of a time that doubles.
fn pause(failures: u32) -> Duration {
    let longest = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(failures)).min(LONGEST_PAUSE);
    // Without random bytes all sinks of many machines come back at once; no more.
    let random = getrandom::u32().unwrap_or(u32::MAX);
    longest / 2 + (longest / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_kept_for_the_slowest_sink_unless_that_is_given_up() {
        let settings: AuditSettings = toml::from_str(
            "[[ship]]\nname = \"a\"\nuser = \"u\"\nfile = \"/a\"\n\
             [[ship]]\nname = \"b\"\nuser = \"u\"\nfile = \"/b\"\nhold = \"1h\"\n",
        )
        .unwrap();
        let cursors = [("a".to_owned(), 70), ("b".to_owned(), 40), ("gone".to_owned(), 3)];
        let shipping = Shipping::new(&settings, &cursors);
        let at = |minutes: u64| Timestamp::from_microseconds(minutes * 60_000_000);
        assert_eq!(shipping.is_shipped_up_to(at(1)), 40);
        shipping.sinks[1].lock().waits_since = Some(at(1));
        assert_eq!(shipping.is_shipped_up_to(at(61)), 40);
        assert_eq!(shipping.is_shipped_up_to(at(62)), 70);
        assert_eq!(
            Shipping::new(&AuditSettings::default(), &cursors).is_shipped_up_to(at(1)),
            u64::MAX
        );
    }

    #[test]
    fn pauses_double_up_to_five_minutes_and_are_never_all_the_same() {
        for (failures, longest) in [(0, 2), (1, 4), (2, 8), (7, 256), (8, 300), (u32::MAX, 300)] {
            let longest = Duration::from_secs(longest);
            let pauses: Vec<Duration> = (0..20).map(|_| pause(failures)).collect();
            assert!(pauses.iter().all(|it| (longest / 2..=longest).contains(it)), "{failures}");
            assert!(pauses.iter().any(|it| *it != pauses[0]), "{failures}");
        }
    }
}
