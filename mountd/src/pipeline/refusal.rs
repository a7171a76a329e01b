//! What the refused are told, besides an errno: what to do next, never the rule.

use super::open::Attempt;
use super::{OpenError, Pipeline};
use crate::approval_queue::{RequestState, Unanswered};
use crate::clock;
use crate::place::Secret;
use crate::refusals::Refusal;
use std::fmt::Display;
use std::sync::Arc;
use ward_audit::{Durability, Outcome, Record};
use ward_policy::{Caller, Decision, OperationSet, Question, RequestId, Ticket};

/// What a caller can do about a no that no human gave.
const GIVE_THE_ID: &str = "give the id to whoever keeps the policy";
/// The same where only a request file brings what a rule wants.
const ASK_WITH_A_TICKET: &str = "ask with a request file that has a ticket: .ward/requests/NAME with path, operation, reason, ticket";
/// The same where the secret's time is over.
pub(crate) const SET_ANEW: &str =
    "the secret has expired; whoever keeps it: ward set NAME --replace";
/// The same where a human said no.
const A_HUMAN_SAID_NO: &str =
    "a human said no; for a minute the same question is refused without asking";
/// The same where another open was served by the yes.
const ASK_ANEW: &str = "a yes was there, and not for this open: open the file again to ask";
/// Through a descriptor of somebody else's, a reader needs a right of its own.
const OPEN_IT_YOURSELF: &str = "another process opened the file (as a shell does for `cmd < file`): \
     have the process that reads it open it, too, or be permitted to";

impl Pipeline {
    /// Records that bytes were not to go to a program, or where nobody says what gets them.
    pub(crate) fn record_refused_use(
        &self,
        caller: &Caller,
        question: &Question<'_>,
        (program, why): (Option<&str>, &dyn Display),
    ) -> Result<RequestId, OpenError> {
        let record = |id| {
            let record = Record::refusal(caller, question, id);
            program.map_or(record, |program| record.used(program))
        };
        self.append_refusal(record, why)
    }

    /// Remembers for the caller that an open was refused.
    pub(super) fn tell(&self, attempt: &Attempt, id: RequestId, errno: &'static str, next: String) {
        let operations = attempt.request.operations;
        self.tell_of(&attempt.secret, &attempt.caller, operations, (id, errno, next));
    }

    fn tell_of(
        &self,
        secret: &Secret,
        caller: &Arc<Caller>,
        operations: OperationSet,
        (id, errno, next): (RequestId, &'static str, String),
    ) {
        self.refusals.note(Refusal {
            caller: Arc::clone(caller),
            id,
            when: clock::text(clock::wall()),
            errno,
            vault: secret.vault.clone(),
            path: secret.path.clone(),
            operations,
            next,
        });
    }

    /// Remembers that the secret has expired.
    pub(super) fn tell_expired(&self, attempt: &Attempt, id: RequestId) {
        self.tell(attempt, id, "EKEYEXPIRED", SET_ANEW.to_owned());
    }

    /// Remembers a no of the rules.
    pub(super) fn tell_denied(&self, attempt: &Attempt, id: RequestId) {
        let next = if self.wants_a_ticket(&attempt.caller, &attempt.question()) {
            ASK_WITH_A_TICKET
        } else {
            GIVE_THE_ID
        };
        self.tell(attempt, id, "EACCES", next.to_owned());
    }

    /// Remembers that a reader got nothing through somebody else's open file.
    pub(super) fn tell_no_right(
        &self,
        secret: &Secret,
        user: &Arc<Caller>,
        question: &Question<'_>,
        id: RequestId,
    ) {
        let told = (id, "EACCES", OPEN_IT_YOURSELF.to_owned());
        self.tell_of(secret, user, question.operations, told);
    }

    /// Remembers that nobody was asked, since a human said no a moment ago.
    pub(super) fn tell_silenced(&self, attempt: &Attempt, id: RequestId) {
        self.tell(attempt, id, "EACCES", self.said_no(attempt));
    }

    /// Refuses an open that got no yes, or that nobody was to wait for: remembers it for the caller and
    /// records it. The question is on disk already, and a human's no: nobody waits for this.
    pub(super) fn refuse_unanswered(
        &self,
        attempt: &Attempt,
        id: RequestId,
        why: Option<Unanswered>,
    ) -> OpenError {
        let undecided = Outcome::NeedsApproval;
        let (outcome, reason, told) = match why {
            None => (undecided, "the caller does not wait", Some(("EAGAIN", waits(id)))),
            Some(Unanswered::TimedOut) => {
                (undecided, "nobody answered in time", Some(("EACCES", waits(id))))
            }
            Some(Unanswered::Refused) => {
                (Outcome::Denied, "a human said no", Some(("EACCES", self.said_no(attempt))))
            }
            Some(Unanswered::NotServed) => {
                (undecided, "the yes is not for it", Some(("EACCES", ASK_ANEW.to_owned())))
            }
            Some(Unanswered::Interrupted) => (undecided, "a signal reached the caller", None),
            Some(Unanswered::Asleep) => {
                (undecided, "the machine is about to sleep", Some(("EAGAIN", waits(id))))
            }
            Some(Unanswered::Ended) => (undecided, "the mount ended", None),
        };
        if let Some((errno, next)) = told {
            self.tell(attempt, id, errno, next);
        }
        let question = attempt.question();
        let record = Record::refusal(&attempt.caller, &question, id).decision(outcome);
        let record = record.vault_kind(attempt.secret.kind).counted(self.counts(attempt));
        let record = record.reason(reason).policy(self.policy.rules().digest());
        // A log that takes no records refuses every open already.
        let _log_has_stopped = self.log.append(record, Durability::Written, clock::stamp());
        why.map_or(OpenError::NeedsApproval(id), |why| OpenError::Unanswered(id, why))
    }

    /// That a human said no, and in which words, if it was to just this.
    fn said_no(&self, attempt: &Attempt) -> String {
        let denied = self.approvals.last_denial(&attempt.caller).filter(|denied| {
            let grant = &denied.grant;
            grant.path.as_ref() == Some(&attempt.secret.path) && denied.is_silent(clock::now())
        });
        match denied.map(|denied| denied.state) {
            Some(RequestState::Denied(Some(words))) => {
                let words = crate::whoami::shown(words.as_bytes());
                format!("{A_HUMAN_SAID_NO}; the answer was: {words}")
            }
            Some(_) | None => A_HUMAN_SAID_NO.to_owned(),
        }
    }

    /// Whether a ticket would make a difference to a question that has none.
    fn wants_a_ticket(&self, caller: &Caller, question: &Question<'_>) -> bool {
        let Ok(ticket) = Ticket::try_from("any") else { return false };
        if question.ticket.is_some() {
            return false;
        }
        let with_one = Question { ticket: Some(&ticket), ..*question };
        match self.policy.evaluate(caller, &with_one) {
            Decision::Denied(_) => false,
            Decision::NeedsApproval(_) => true,
            Decision::Permitted(permit) => {
                let _only_compared = permit;
                true
            }
        }
    }
}

fn waits(id: RequestId) -> String {
    format!(
        "a human must say yes: request {id} waits; open the file again after that. To say what it is \
         for, and to wait longer, ask with a request file: .ward/requests/NAME with path, operation, \
         reason"
    )
}
