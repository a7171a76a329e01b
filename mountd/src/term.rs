//! The term of a place: until when it can be reached, and what is told of its end before.

use crate::lifecycle::Why;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use ward_policy::Moment;

/// Until when something can be reached, on the clock that runs on in suspend.
#[derive(Debug)]
pub(crate) struct Term {
    ends: AtomicU64,
    /// No extension goes beyond it.
    latest: Moment,
    /// It ends before, when nobody has used it for so long.
    idle: Option<Duration>,
    /// The last open, read or write that succeeded.
    used: AtomicU64,
    has_ended: AtomicBool,
    /// A leaf: nobody is told while it is held.
    news: Mutex<News>,
}

/// What was told about the end.
#[derive(Debug, Default)]
struct News {
    /// How often something was told.
    number: u64,
    /// What that was, when it was of the end.
    notice: Option<Notice>,
    /// Who waits for the next: each open file once.
    waiting: BTreeMap<u64, Waiting>,
}

/// That the end is near.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    /// How long before the end it was told.
    pub(crate) before: Duration,
    /// The last use then, when the end is for want of another: a use takes it back.
    pub(crate) unused_since: Option<Moment>,
}

/// Called once.
struct Waiting(Box<dyn FnOnce() + Send>);

impl Term {
    /// One that begins now.
    pub(crate) fn new(now: Moment, ends: Moment, latest: Moment, idle: Option<Duration>) -> Self {
        Self {
            ends: AtomicU64::new(ends.nanoseconds()),
            latest,
            idle,
            used: AtomicU64::new(now.nanoseconds()),
            has_ended: AtomicBool::new(false),
            news: Mutex::default(),
        }
    }

    /// One that nobody extends, and that ends by its time alone.
    pub(crate) fn until(ends: Moment) -> Self {
        Self::new(ends, ends, ends, None)
    }

    /// When it ends, unless it is extended or nobody uses it.
    pub(crate) fn ends(&self) -> Moment {
        Moment::from_nanoseconds(self.ends.load(Ordering::Acquire))
    }

    /// When it ends however often it is extended.
    pub(crate) const fn latest(&self) -> Moment {
        self.latest
    }

    /// How long nobody may have used it.
    pub(crate) const fn idle(&self) -> Option<Duration> {
        self.idle
    }

    /// The last use.
    pub(crate) fn used(&self) -> Moment {
        Moment::from_nanoseconds(self.used.load(Ordering::Relaxed))
    }

    /// When it ends unless somebody uses it.
    pub(crate) fn idle_ends(&self) -> Option<Moment> {
        self.idle.map(|idle| self.used().after(idle))
    }

    /// An open, a read or a write succeeded.
    pub(crate) fn touch(&self, now: Moment) {
        self.used.fetch_max(now.nanoseconds(), Ordering::Relaxed);
    }

    /// Whether it goes on. False from the deadline on, whoever is late.
    pub(crate) fn is_open(&self, now: Moment) -> bool {
        now < self.ends() && !self.has_ended.load(Ordering::Acquire)
    }

    /// Why it is over, if it is.
    pub(crate) fn over(&self, now: Moment) -> Option<Why> {
        if now >= self.ends() {
            return Some(Why::Deadline);
        }
        self.idle_ends().filter(|ends| now >= *ends).map(|_| Why::Idle)
    }

    /// Ends it, before its deadline too.
    pub(crate) fn end(&self) {
        self.has_ended.store(true, Ordering::Release);
    }

    /// It ends at another time from now on.
    pub(crate) fn extend(&self, ends: Moment) {
        self.ends.store(ends.nanoseconds(), Ordering::Release);
        self.tell(None);
    }

    /// Tells that it ends soon.
    pub(crate) fn notice(&self, notice: Notice) {
        self.tell(Some(notice));
    }

    /// What was last told of the end, if that is so still.
    pub(crate) fn last_notice(&self) -> Option<Notice> {
        let used = self.used();
        self.news().notice.filter(|it| it.unused_since.is_none_or(|since| since == used))
    }

    /// How often something was told.
    pub(crate) fn told(&self) -> u64 {
        self.news().number
    }

    /// Calls `wake`, for the open file `file`, once more was told than `told`.
    pub(crate) fn when_told(&self, told: u64, file: u64, wake: Box<dyn FnOnce() + Send>) {
        let mut news = self.news();
        if news.number == told {
            news.waiting.insert(file, Waiting(wake));
        } else {
            drop(news);
            wake();
        }
    }

    fn tell(&self, notice: Option<Notice>) {
        let mut news = self.news();
        news.number += 1;
        news.notice = notice;
        let waiting = std::mem::take(&mut news.waiting);
        drop(news);
        waiting.into_values().for_each(|Waiting(wake)| wake());
    }

    fn news(&self) -> MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Waiting(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: u64) -> Moment {
        Moment::from_nanoseconds(0).after(SECOND * u32::try_from(seconds).unwrap())
    }

    #[test]
    fn a_term_is_over_at_its_end_or_when_nobody_used_it() {
        let term = Term::new(at(0), at(100), at(1000), Some(SECOND * 10));
        assert_eq!((term.over(at(9)), term.over(at(10))), (None, Some(Why::Idle)));
        term.touch(at(9));
        assert_eq!((term.over(at(18)), term.over(at(19))), (None, Some(Why::Idle)));
        term.touch(at(99));
        assert_eq!((term.over(at(99)), term.over(at(100))), (None, Some(Why::Deadline)));
        term.extend(at(200));
        assert!(term.is_open(at(100)) && term.over(at(100)).is_none());
    }

    #[test]
    fn a_use_takes_back_what_was_told_of_an_end_for_want_of_it_and_no_other() {
        let term = Term::new(at(0), at(100), at(1000), Some(SECOND * 10));
        let unused = Notice { before: SECOND, unused_since: Some(at(0)) };
        term.notice(unused);
        assert_eq!(term.last_notice(), Some(unused));
        term.touch(at(9));
        assert_eq!(term.last_notice(), None);
        term.notice(Notice { before: SECOND, unused_since: None });
        term.touch(at(10));
        assert!(term.last_notice().is_some());
    }

    #[test]
    fn who_waits_is_woken_by_the_next_notice_and_at_once_when_it_was_missed() {
        let term = Term::until(at(100));
        let (told, woken) = crossbeam_channel::unbounded();
        let again = told.clone();
        term.when_told(0, 1, Box::new(move || told.send(1).unwrap()));
        assert!(woken.is_empty());
        let soon = Notice { before: SECOND, unused_since: None };
        term.notice(soon);
        assert_eq!((woken.try_recv(), term.last_notice()), (Ok(1), Some(soon)));
        term.when_told(0, 2, Box::new(move || again.send(2).unwrap()));
        assert_eq!(woken.try_recv(), Ok(2));
    }
}
