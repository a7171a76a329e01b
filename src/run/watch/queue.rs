//! What is on the screen: the requests that wait, which of them is chosen, and what a key does to it.

use crate::run::evidence::Takes;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::time::Duration;
use ward_mountd::control::message::{MissedRequest, Pending, PendingRequest};
use zeroize::Zeroizing;

/// For how long after the chosen request went no key answers another one in its place.
const SETTLING: Duration = Duration::from_millis(700);
/// The longest reason of a no, in characters.
const LONGEST_REASON: usize = 200;
/// The longest passphrase that can be typed here, in bytes.
const LONGEST_PASSPHRASE: usize = 1024;

/// What a key asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Yes to a request.
    Approve(String, Yes),
    /// No, with a reason for the asker if there is one.
    Deny(String, Option<String>),
    /// The end.
    Quit,
}

/// With what a yes is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Yes {
    /// Nothing.
    Plain,
    /// A signature that is still to be made.
    Signed,
    /// The approval passphrase, as typed.
    Passphrase(Zeroizing<String>),
}

/// The queue as it is looked at.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) root: String,
    pub(super) program: String,
    requests: Vec<PendingRequest>,
    /// What ended without an answer.
    pub(super) missed: Vec<MissedRequest>,
    /// When they were told.
    told: Duration,
    chosen: Option<String>,
    /// When the chosen one went, and another took its place.
    moved: Option<Duration>,
    /// The reason of a no, while it is typed.
    pub(super) reason: Option<String>,
    /// The approval passphrase, while it is typed; never shown.
    pub(super) passphrase: Option<Zeroizing<String>>,
    pub(super) said: String,
}

impl Queue {
    pub(super) const fn new(root: String, program: String) -> Self {
        Self {
            root,
            program,
            requests: Vec::new(),
            missed: Vec::new(),
            told: Duration::ZERO,
            chosen: None,
            moved: None,
            reason: None,
            passphrase: None,
            said: String::new(),
        }
    }

    /// Takes what waits now. The chosen request stays chosen while it waits.
    pub(super) fn update(&mut self, pending: Pending, now: Duration) {
        let place = self.place();
        self.requests = pending.requests;
        self.missed = pending.missed;
        self.told = now;
        let is_there = |id: &String| self.requests.iter().any(|it| it.request == *id);
        if self.chosen.as_ref().is_some_and(is_there) {
            return;
        }
        if self.chosen.is_some() {
            self.moved = Some(now);
            self.reason = None;
            self.passphrase = None;
        }
        let next = self.requests.get(place).or_else(|| self.requests.last());
        self.chosen = next.map(|request| request.request.clone());
    }

    /// What waits, as of `now`: those whose time is over are on their way out.
    pub(super) fn requests(&self, now: Duration) -> impl Iterator<Item = (PendingRequest, bool)> {
        let passed = now.saturating_sub(self.told).as_secs();
        self.requests.iter().map(move |request| {
            let is_chosen = self.chosen.as_deref() == Some(&request.request);
            let expires_in = request.expires_in.saturating_sub(passed);
            (PendingRequest { expires_in, ..request.clone() }, is_chosen)
        })
    }

    pub(super) fn say(&mut self, said: String) {
        self.said = said;
    }

    /// What a key asks for.
    #[expect(clippy::wildcard_enum_match_arm, reason = "all other keys mean nothing")]
    pub(super) fn press(&mut self, key: KeyEvent, now: Duration) -> Option<Answer> {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return (key.code == KeyCode::Char('c')).then_some(Answer::Quit);
        }
        if self.reason.is_some() {
            return self.type_reason(key.code, now);
        }
        if self.passphrase.is_some() {
            return self.type_passphrase(key.code, now);
        }
        match key.code {
            KeyCode::Char('q') => return Some(Answer::Quit),
            KeyCode::Char('j') | KeyCode::Down => self.choose(self.place() + 1),
            KeyCode::Char('k') | KeyCode::Up => self.choose(self.place().saturating_sub(1)),
            KeyCode::Char('a') => return self.approve(now),
            KeyCode::Char('d') if self.answerable(now).is_some() => {
                self.reason = Some(String::new());
            }
            _ => {}
        }
        None
    }

    /// A yes to the chosen request; asks for the passphrase first where it takes that.
    fn approve(&mut self, now: Duration) -> Option<Answer> {
        let request = self.answerable(now)?;
        let chosen = self.requests.get(self.place())?;
        match Takes::of(chosen) {
            Takes::Nothing => Some(Answer::Approve(request, Yes::Plain)),
            Takes::Signature => Some(Answer::Approve(request, Yes::Signed)),
            Takes::Passphrase => {
                self.passphrase = Some(Zeroizing::default());
                None
            }
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "all other keys mean nothing")]
    fn type_passphrase(&mut self, key: KeyCode, now: Duration) -> Option<Answer> {
        let passphrase = self.passphrase.as_mut()?;
        match key {
            KeyCode::Esc => self.passphrase = None,
            KeyCode::Backspace => {
                passphrase.pop();
            }
            KeyCode::Char(character) if passphrase.len() < LONGEST_PASSPHRASE => {
                passphrase.push(character);
            }
            KeyCode::Enter => {
                let typed = self.passphrase.take().filter(|typed| !typed.is_empty())?;
                let request = self.answerable(now)?;
                return Some(Answer::Approve(request, Yes::Passphrase(typed)));
            }
            _ => {}
        }
        None
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "all other keys mean nothing")]
    fn type_reason(&mut self, key: KeyCode, now: Duration) -> Option<Answer> {
        let reason = self.reason.as_mut()?;
        match key {
            KeyCode::Esc => self.reason = None,
            KeyCode::Backspace => {
                reason.pop();
            }
            KeyCode::Char(character) if reason.chars().count() < LONGEST_REASON => {
                reason.push(character);
            }
            KeyCode::Enter => {
                let reason = self.reason.take().filter(|reason| !reason.trim().is_empty());
                return self.answerable(now).map(|request| Answer::Deny(request, reason));
            }
            _ => {}
        }
        None
    }

    /// The chosen request, unless it came under the finger only now.
    fn answerable(&mut self, now: Duration) -> Option<String> {
        if self.moved.is_some_and(|moved| now < moved + SETTLING) {
            self.said = "the list has moved: look again, then answer".to_owned();
            return None;
        }
        self.chosen.clone()
    }

    fn choose(&mut self, place: usize) {
        if let Some(request) = self.requests.get(place) {
            self.chosen = Some(request.request.clone());
            self.moved = None;
        }
    }

    fn place(&self) -> usize {
        let is_chosen = |it: &PendingRequest| self.chosen.as_deref() == Some(&it.request);
        self.requests.iter().position(is_chosen).unwrap_or(0)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use ward_mountd::control::message::Process;

    pub(in crate::run::watch) fn request(id: &str) -> PendingRequest {
        PendingRequest {
            request: id.to_owned(),
            vault: "default".to_owned(),
            path: format!("db/{id}"),
            operations: vec!["file.read".to_owned()],
            asker: Process {
                uid: 4_000_000_000,
                pid: 42,
                program: Some("/usr/bin/cat".to_owned()),
                sha256: None,
                grade: "weak".to_owned(),
                acting: None,
                agent: None,
            },
            reason: Some("nightly\u{1b}[2J backup".to_owned()),
            ticket: None,
            lease_seconds: 600,
            uses: None,
            factors: vec![vec!["local".to_owned()]],
            require: "first_use".to_owned(),
            is_held: true,
            expires: "2026-01-01T00:00:00Z".to_owned(),
            expires_in: 100,
            may_answer: true,
        }
    }

    fn pending(ids: &[&str]) -> Pending {
        Pending { requests: ids.iter().map(|id| request(id)).collect(), missed: Vec::new() }
    }

    pub(in crate::run::watch) fn queue(ids: &[&str]) -> Queue {
        let mut queue = Queue::new("/root".to_owned(), "ward".to_owned());
        queue.update(pending(ids), Duration::ZERO);
        queue
    }

    fn press(queue: &mut Queue, code: KeyCode, seconds: u64) -> Option<Answer> {
        queue.press(KeyEvent::from(code), Duration::from_secs(seconds))
    }

    #[test]
    fn a_key_answers_the_chosen_request_wherever_it_moves() {
        let mut queue = queue(&["a", "b"]);
        assert_eq!(press(&mut queue, KeyCode::Down, 0), None);
        queue.update(pending(&["x", "a", "b"]), Duration::from_secs(1));
        let answer = press(&mut queue, KeyCode::Char('a'), 1);
        assert_eq!(answer, Some(Answer::Approve("b".to_owned(), Yes::Plain)));
    }

    #[test]
    fn what_comes_under_the_finger_just_now_is_not_answered() {
        let mut queue = queue(&["a", "b"]);
        queue.update(pending(&["b"]), Duration::from_secs(5));
        assert_eq!(press(&mut queue, KeyCode::Char('a'), 5), None);
        assert!(queue.said.contains("moved"));
        let answer = press(&mut queue, KeyCode::Char('a'), 6);
        assert_eq!(answer, Some(Answer::Approve("b".to_owned(), Yes::Plain)));
    }

    #[test]
    fn what_takes_evidence_is_signed_or_asks_for_the_passphrase() {
        let mut queue = queue(&["a"]);
        queue.requests[0].factors = vec![vec!["signed".to_owned()]];
        let answer = press(&mut queue, KeyCode::Char('a'), 0);
        assert_eq!(answer, Some(Answer::Approve("a".to_owned(), Yes::Signed)));
        queue.requests[0].factors = vec![vec!["local".to_owned(), "signed".to_owned()]];
        queue.requests[0].may_answer = false;
        queue.requests[0].asker.uid = nix::unistd::Uid::effective().as_raw();
        for code in [KeyCode::Char('a'), KeyCode::Char('q'), KeyCode::Char('x'), KeyCode::Backspace]
        {
            assert_eq!(press(&mut queue, code, 0), None);
        }
        let typed = Yes::Passphrase(Zeroizing::new("q".to_owned()));
        let answer = press(&mut queue, KeyCode::Enter, 0);
        assert_eq!(answer, Some(Answer::Approve("a".to_owned(), typed)));
        assert_eq!(queue.passphrase, None);
    }

    #[test]
    fn a_no_takes_a_reason_or_none_and_can_be_left() {
        let mut queue = queue(&["a"]);
        for code in [KeyCode::Char('d'), KeyCode::Char('q'), KeyCode::Esc] {
            assert_eq!(press(&mut queue, code, 0), None);
        }
        assert_eq!(queue.reason, None);
        for code in [KeyCode::Char('d'), KeyCode::Char('n'), KeyCode::Char('o')] {
            assert_eq!(press(&mut queue, code, 0), None);
        }
        let answer = press(&mut queue, KeyCode::Enter, 0);
        assert_eq!(answer, Some(Answer::Deny("a".to_owned(), Some("no".to_owned()))));
        press(&mut queue, KeyCode::Char('d'), 0);
        let answer = press(&mut queue, KeyCode::Enter, 0);
        assert_eq!(answer, Some(Answer::Deny("a".to_owned(), None)));
    }

    #[test]
    fn time_goes_on_between_what_the_daemon_tells() {
        let queue = queue(&["a"]);
        let (shown, is_chosen) = queue.requests(Duration::from_secs(40)).next().unwrap();
        assert_eq!((shown.expires_in, is_chosen), (60, true));
    }
}
