//! The log is the state: what an earlier daemon left standing in it, taken up by this one.
//!
//! Requests wait on, one-time approvals that nobody spent can still be spent, and leases go on with
//! the processes that hold them. What names a secret of a locked vault waits until that is unlocked.

use crate::approval_queue::{self, Answers, Taken};
use crate::clock;
use crate::lease_table::{Reach, TakenLease};
use crate::pipeline::Pipeline;
use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use ulid::Ulid;
use ward_audit::{Actor, BootId, Entry, Opener, Recovered, Stamp, Standing, Terms, Timestamp};
use ward_policy::{
    Acting, AgentName, AgentSession, AgentSessionId, ApprovalRequest, Approvers, Caller, Cgroup,
    Digest, Doubt, Executable, Factor, Factors, FileId, Fingerprint, Grade, Grant, GroupId,
    HandleTerms, LeaseId, Mapping, Moment, Obligations, Operation, OperationSet, ProcessId,
    RequestId, Require, Scope, ScopeKind, SecretPath, Session, Share, ThreadId, Ticket,
    UNTIL_UNMOUNT, UserId, VaultName,
};

/// What the log had standing when this daemon began, less what was taken up.
#[derive(Debug)]
pub(crate) struct LogState {
    /// Guards the list only.
    left: Mutex<Vec<Standing>>,
    boot: BootId,
    /// The time of the last entry before this daemon.
    last: Option<Timestamp>,
}

/// A request as its entry has it.
struct Recalled {
    id: RequestId,
    request: ApprovalRequest,
    holder: Fingerprint,
    asker: Arc<Caller>,
    reason: Option<Arc<str>>,
}

impl LogState {
    pub(crate) fn new(recovered: Recovered, boot: BootId) -> Self {
        Self { left: Mutex::new(recovered.standing), boot, last: recovered.time }
    }

    /// Those about `vault`, or all whose names are in clear.
    fn take(&self, vault: Option<&VaultName>) -> Vec<Standing> {
        let is_meant = |standing: &mut Standing| match vault {
            None => standing.made.sealed.is_none(),
            Some(vault) => standing.made.vault.as_deref() == Some(vault.as_str()),
        };
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        left.extract_if(.., is_meant).collect()
    }

    /// When on the boot clock what `entry` says ends that lasts so long. What is left from another
    /// boot ends by the wall clock, and at once when that was set back.
    fn end(&self, entry: &Entry<'_>, lasts: Duration, now: Stamp) -> Moment {
        let never = Moment::from_nanoseconds(0);
        if entry.boot_id == self.boot.as_str() {
            return Moment::from_nanoseconds(entry.boot_time.0).after(lasts);
        }
        if self.last.is_some_and(|last| now.wall < last.microseconds()) {
            return never;
        }
        let since = Duration::from_micros(now.wall.saturating_sub(entry.ts.microseconds()));
        lasts.checked_sub(since).map_or(never, |left| now.boot.after(left))
    }

    /// Whether whoever held it then can still be there: no process is, after a reboot, and no agent
    /// session, which the daemon vouched for that is gone.
    fn may_hold(&self, entry: &Entry<'_>, holder: &Fingerprint) -> bool {
        let is_this_boot = entry.boot_id == self.boot.as_str();
        let is_of_a_program = *holder.scope() == Scope::Program;
        holder.agent().is_none() && (is_this_boot || is_of_a_program)
    }
}

impl Pipeline {
    /// Takes up what the log has standing about `vault`, which was unlocked, or what needs no key.
    pub(crate) fn take_up(&self, vault: Option<&VaultName>) {
        for standing in self.left.take(vault) {
            self.take_up_one(standing);
        }
    }

    fn take_up_one(&self, standing: Standing) {
        let Standing { mut made, mut approved, denied, begun } = standing;
        // A log that has stopped refuses everything already.
        let _log_has_stopped = self.log.open_names(&mut made);
        for answer in &mut approved {
            let _log_has_stopped = self.log.open_names(answer);
        }
        let (Some(terms), Some(recalled)) = (&made.terms, Recalled::of(&made)) else { return };
        let now = clock::stamp();
        let patience = Duration::from_millis(terms.patience.0);
        let mut expires = self.left.end(&made, patience, now);
        if !self.left.may_hold(&made, &recalled.holder) {
            expires = Moment::from_nanoseconds(0);
        }
        if let Some(begun) = &begun {
            let answers = approval_queue::answers_of(&approved);
            return self.take_up_lease(recalled, &answers, begun, (expires, now));
        }
        let taken = Taken {
            request: recalled.request,
            holder: recalled.holder,
            asker: recalled.asker,
            reason: recalled.reason,
            expires,
            answers: approval_queue::answers_of(&approved),
        };
        if let Some(denied) = denied {
            let until = self.left.end(&denied, approval_queue::SILENCE, now);
            self.approvals.silence(&taken, until);
        } else if let Some(approved) = self.approvals.take_up(recalled.id, taken) {
            // Without a record it is no lease; the next daemon finds it as this one did.
            let _log_has_stopped = self.lease_out(approved, None);
        }
    }

    fn take_up_lease(
        &self,
        recalled: Recalled,
        answers: &Answers,
        begun: &Entry<'_>,
        (dead, now): (Moment, Stamp),
    ) {
        let Recalled { id, request, holder, asker, .. } = recalled;
        // What an approver narrowed stays narrow, and is nobody's where that cannot be told.
        let Some((given, holder)) = answers.yes(&request, &asker, &holder) else { return };
        let (Some(lasts), Some(lease), Some(reach)) = (
            begun.lasts(),
            ulid(begun.lease.as_deref()).map(LeaseId),
            begun.reach.as_deref().and_then(Reach::from_name),
        ) else {
            return;
        };
        let is_this_boot = begun.boot_id == self.left.boot.as_str();
        let is_current = request.grant().policy == self.policy.rules().digest();
        // A lease ends with the boot; an approval that nobody has spent does not. The mount for as long
        // as which one was given ended with the daemon.
        let is_of_a_mount = given.lifetime == UNTIL_UNMOUNT;
        let may_go_on =
            is_current && !is_of_a_mount && (is_this_boot || matches!(reach, Reach::NextOpens(_)));
        let is_held = self.left.may_hold(begun, &holder) && dead > Moment::from_nanoseconds(0);
        let ends = match may_go_on && (is_this_boot || is_held) && holder.agent().is_none() {
            true => self.left.end(begun, lasts, now),
            false => Moment::from_nanoseconds(0),
        };
        let begins = now.boot.min(Moment::from_nanoseconds(begun.boot_time.0));
        let permit = approval_queue::recall(id, request, given);
        self.leases.take_up(TakenLease { permit, id: lease, holder, begins, ends }, reach);
    }
}

impl Recalled {
    /// What the entry says; `None` when its names are not to be had, or it says something unknown.
    fn of(made: &Entry<'_>) -> Option<Self> {
        let (terms, actor) = (made.terms.as_ref()?, made.actor.as_ref()?);
        if made.sealed.is_some() {
            return None;
        }
        // Recorded while its vault was locked.
        if made.vault.is_some() && made.path.is_none() {
            return None;
        }
        let scope = scope(terms, actor)?;
        let asker = caller(actor, terms)?;
        let holder = Fingerprint::recalled(&asker, scope);
        Some(Self {
            id: RequestId(ulid(made.request.as_deref())?),
            request: ApprovalRequest::recalled(grant(made, terms)?, obligations(terms)?),
            holder,
            asker: Arc::new(asker),
            reason: made.reason.as_deref().filter(|reason| !reason.is_empty()).map(Arc::from),
        })
    }
}

fn grant(made: &Entry<'_>, terms: &Terms<'_>) -> Option<Grant> {
    let operations = made.operations.iter().flatten().map(|name| Operation::from_name(name));
    let all: Option<Vec<Operation>> = operations.collect();
    let mut shares = [Share::Exec, Share::Children].into_iter();
    let share = match &terms.share {
        None => Share::Nobody,
        Some(name) => shares.find(|share| share.name() == Some(name))?,
    };
    let mapping = if terms.mapped { Mapping::Allowed } else { Mapping::Refused };
    let parsed = |path: &Cow<'_, str>| SecretPath::try_from(&*bytes_of(path));
    Some(Grant {
        operations: all?.into_iter().fold(OperationSet::EMPTY, OperationSet::with),
        vault: made.vault.as_deref().map(VaultName::try_from).transpose().ok()?,
        path: made.path.as_ref().map(parsed).transpose().ok()?,
        file: terms.file.map(|file| FileId(file.0)),
        ticket: made.ticket.as_deref().map(Ticket::try_from).transpose().ok()?,
        secrets: Vec::new(),
        rules: made.rules.iter().flatten().map(|rule| Arc::from(&**rule)).collect(),
        policy: Digest::from_hex(made.policy.as_deref()?)?,
        handle: HandleTerms { share, mapping },
    })
}

fn obligations(terms: &Terms<'_>) -> Option<Obligations> {
    let any = |names: &Vec<Cow<'_, str>>| {
        let named = |name: &Cow<'_, str>| Factor::ALL.into_iter().find(|it| it.name() == name);
        names.iter().map(named).collect::<Option<Vec<Factor>>>().map(Factors::any)
    };
    let factors: Option<Vec<Factors>> = terms.factors.iter().map(any).collect();
    let requires = [Require::FirstUse, Require::OneTime, Require::Always];
    let scope = match &*terms.scope {
        "process" => ScopeKind::Process,
        "session" | "agent" | "name" => ScopeKind::Session,
        "program" => ScopeKind::Program,
        _ => return None,
    };
    Some(Obligations {
        require: requires.into_iter().find(|it| it.name() == terms.require)?,
        factors: factors?.into_iter().fold(Factors::default(), Factors::and),
        lease: Duration::from_millis(terms.lease.0),
        uses: terms.uses,
        hold: Duration::from_millis(terms.hold.0),
        approvers: match &terms.approvers {
            None => Approvers::AnyApprover,
            Some(names) => {
                Approvers::Clients(names.iter().map(|name| Arc::from(&**name)).collect())
            }
        },
        quorum: terms.quorum,
        scope,
        is_sensitive: terms.sensitive,
    })
}

fn scope(terms: &Terms<'_>, actor: &Actor<'_>) -> Option<Scope> {
    match &*terms.scope {
        "process" => Some(Scope::Process(process(actor.pid, actor.start_ticks.0))),
        "session" => Some(Scope::Session(session(terms.leader?, actor)?)),
        "agent" => Some(Scope::Agent),
        "name" => Some(Scope::Name),
        "program" => Some(Scope::Program),
        _ => None,
    }
}

fn session(leader: Opener, actor: &Actor<'_>) -> Option<Session> {
    let leader = process(leader.pid, leader.start_ticks.0);
    Some(Session { leader, cgroup: Cgroup::new(&bytes_of(actor.cgroup.as_deref()?)) })
}

/// The asker as it was attested then. It stands in lists and records; nothing is decided for it.
fn caller(actor: &Actor<'_>, terms: &Terms<'_>) -> Option<Caller> {
    let doubts: Arc<[Doubt]> = match Grade::from_name(&actor.grade)? {
        Grade::Verified => Arc::new([]),
        Grade::Weak => Arc::new([Doubt::Unreadable]),
        Grade::Untrusted => Arc::new([Doubt::UnreadableProgram]),
    };
    let sha256 = actor.exe_sha256.as_deref().and_then(Digest::from_hex);
    let path = actor.exe.as_deref().map(|path| bytes_of(path).into_owned().into_boxed_slice());
    let executable = Executable { path, device: 0, inode: 0, sha256 };
    let process = process(actor.pid, actor.start_ticks.0);
    let agent = match (&actor.agent, ulid(actor.agent_session.as_deref())) {
        (Some(name), Some(id)) => Some(Arc::new(AgentSession {
            id: AgentSessionId(id),
            name: AgentName::try_from(&**name).ok()?,
            first: process,
            sandbox: None,
        })),
        (_, None) | (None, _) => None,
    };
    let acting = actor.acting.as_deref().map(|name| {
        let is_client = actor.acting_client().is_some();
        AgentName::try_from(name).map(|name| Acting::recalled(name, is_client))
    });
    let acting = acting.transpose().ok()?;
    Some(Caller {
        thread: ThreadId(actor.pid),
        process,
        uid: UserId(actor.uid),
        gid: GroupId(actor.gid),
        groups: Arc::new([]),
        login_uid: actor.login_uid.map(UserId),
        executable: Some(Arc::new(executable)),
        script: None,
        session: terms.leader.and_then(|leader| session(leader, actor)),
        agent,
        acting,
        invocation: None,
        terminal: None,
        namespaces: None,
        tracer: None,
        parents: Arc::new([]),
        doubts,
    })
}

const fn process(number: u32, start_ticks: u64) -> ProcessId {
    ProcessId { number, start_ticks }
}

fn ulid(text: Option<&str>) -> Option<Ulid> {
    Ulid::from_string(text?).ok()
}

/// The bytes of a name as the log writes it, where `%XX` stands for what is not plain.
fn bytes_of(text: &str) -> Cow<'_, [u8]> {
    if !text.contains('%') {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, encoded)) = rest.split_once('%') {
        bytes.extend_from_slice(plain.as_bytes());
        let (digits, after) = encoded.split_at_checked(2).unwrap_or(("", encoded));
        bytes.extend(u8::from_str_radix(digits, 16).ok());
        rest = after;
    }
    bytes.extend_from_slice(rest.as_bytes());
    Cow::Owned(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_percent_signs_read_back() {
        for (text, bytes) in [
            ("a/b", &b"a/b"[..]),
            ("%25", b"%"),
            ("a%0Ab%FF", b"a\nb\xff"),
            ("\u{e4}%C3", b"\xc3\xa4\xc3"),
        ] {
            assert_eq!(&*bytes_of(text), bytes, "{text}");
        }
    }
}
